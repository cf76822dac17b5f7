"""Checks the server's answers against server/openapi.json. v1_client.py passes every answer it
gets, so that each test that uses it also tests the description."""

import json
import os
import re
import urllib.parse

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../server/openapi.json")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list,
         "object": dict}


class Undescribed(AssertionError):
    """The server did something that is not described."""


class Description:
    def __init__(self, described):
        self.described = described
        self.seen = set()  # (method, path, status) of checked answers

    def operations(self):
        """Yields (method, path, operation) of all calls."""
        for path, methods in self.described["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def resolve(self, value):
        while "$ref" in value:
            reference, value = value["$ref"], self.described
            for name in reference.removeprefix("#/").split("/"):
                value = value[name]
        return value

    def find(self, target):
        """Returns the described path that matches a target, or None."""
        path = target.split("?")[0]
        if path in self.described["paths"]:
            return path
        for known in self.described["paths"]:
            if known.endswith("{path}") and path.startswith(known.removesuffix("{path}")):
                return known
        return None

    def check(self, method, target, body, answer):
        """Checks an answer, or raises Undescribed. Undescribed paths (/terraform, /ui) pass."""
        path = self.find(target)
        if path is None:
            return
        methods = self.described["paths"][path]
        operation = methods.get("get" if method == "HEAD" else method.lower())
        if operation is None and answer.status < 400:
            raise Undescribed(f"{method} {target} is not described, and got {answer}")
        operation = operation or next(iter(methods.values()))
        where = f"{method} {target}: {answer}"
        try:
            status, response = self.response_for(operation, answer.status)
            self.check_answer(response, answer, method == "HEAD")
            if answer.status < 300:
                self.check_request(operation, target, body)
        except Undescribed as fault:
            raise Undescribed(f"{fault} in {where}") from None
        self.seen.add((method, path, status))

    def response_for(self, operation, status):
        responses = operation["responses"]
        if str(status) in responses:
            return str(status), self.resolve(responses[str(status)])
        response = self.resolve(responses["default"])
        if not re.search(rf"\b{status}\b", response["description"]):
            raise Undescribed(f"status {status}")
        return "default", response

    def check_answer(self, response, answer, is_head):
        for name in response.get("headers", {}):
            if name not in answer.headers:
                raise Undescribed(f"no header {name}")
        if is_head:
            return
        kind = answer.headers["Content-Type"].split(";")[0]
        if kind not in response.get("content", {}):
            raise Undescribed(f"Content-Type {kind}")
        if kind == "application/json":
            self.check_value(response["content"][kind]["schema"], json.loads(answer.text), "body")

    def check_request(self, operation, target, body):
        """Checks that the description allows a request that has succeeded."""
        known = {}
        for parameter in map(self.resolve, operation.get("parameters", [])):
            if parameter["in"] == "query":
                known[parameter["name"]] = parameter["schema"]
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query, keep_blank_values=True)
        for name in asked:
            if name not in known:
                raise Undescribed(f"parameter {name}")
        if body:
            content = operation.get("requestBody", {}).get("content", {})
            if not content:
                raise Undescribed("a body")
            if isinstance(body, dict):
                self.check_value(content["application/json"]["schema"], body, "request")

    def check_value(self, schema, value, where):
        schema = self.resolve(schema)
        if "oneOf" in schema:
            fitting = [each for each in schema["oneOf"] if self.fits(each, value, where)]
            if len(fitting) != 1:
                raise Undescribed(f"{where} fits {len(fitting)} schemas")
            return
        if value is None and schema.get("nullable"):
            return
        is_wanted = isinstance(value, TYPES[schema["type"]])
        if not is_wanted or isinstance(value, bool) != (schema["type"] == "boolean"):
            raise Undescribed(f"{where} is no {schema['type']}")
        if "enum" in schema and value not in schema["enum"]:
            raise Undescribed(f"{where} is none of {schema['enum']}")
        if schema.get("format") == "uuid" and not UUID.fullmatch(value.lower()):
            raise Undescribed(f"{where} is no UUID")
        if isinstance(value, list):
            for position, each in enumerate(value):
                self.check_value(schema["items"], each, f"{where}[{position}]")
        elif isinstance(value, dict) and "properties" in schema:
            self.check_members(schema, value, where)

    def check_members(self, schema, value, where):
        """Checks that no required member is missing, and that every member is described."""
        for name in schema.get("required", []):
            if name not in value:
                raise Undescribed(f"{where} has no {name}")
        for name, member in value.items():
            if name not in schema["properties"]:
                raise Undescribed(f"{where}.{name}")
            self.check_value(schema["properties"][name], member, f"{where}.{name}")

    def fits(self, schema, value, where):
        try:
            self.check_value(schema, value, where)
        except Undescribed:
            return False
        return True


def read():
    with open(FILE, encoding="utf-8") as file:
        return Description(json.load(file))


description = read()
