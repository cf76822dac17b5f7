"""A client of /v1 for the tests in this directory: one connection, answers as (status, headers,
body). Every answer must match server/openapi.json."""

import http.client
import json
import threading
import time
import urllib.parse
import uuid

import openapi


class Answer:
    def __init__(self, status, headers, text):
        self.status = status
        self.headers = headers
        self.text = text
        self.index = int(headers.get("Locker-Index", -1))

    @property
    def body(self):
        return json.loads(self.text)

    def __getitem__(self, name):
        return self.body[name]

    def __repr__(self):
        return f"{self.status} {self.text}"


class Client:
    def __init__(self, port, timeout=30):
        self.port = port
        self.timeout = timeout
        self.connection = None

    def ask(self, method, target, body=None, headers=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        headers = dict(headers or {})
        asked = body
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        self.connection.request(method, target, body=body, headers=headers)
        reply = self.connection.getresponse()
        text = reply.read().decode()
        if reply.will_close:
            self.close()
        answer = Answer(reply.status, reply.headers, text)
        openapi.description.check(method, target, asked, answer)
        return answer

    def call(self, method, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        return self.ask(method, path + ("?" + query if query else ""))

    def acquire(self, path, **parameters):
        return self.call("POST", "/v1/locks" + path, **parameters)

    def release(self, path, token):
        return self.call("DELETE", "/v1/locks" + path, token=token)

    def renew(self, token, **parameters):
        return self.call("POST", "/v1/leases/renew", token=token, **parameters)

    def several(self, **body):
        return self.ask("POST", "/v1/locks", body)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Background:
    """A call on its own connection; `answer()` waits for its answer."""

    def __init__(self, port, call):
        self.client = Client(port)
        self.result = None
        self.when = None
        self.thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self.thread.start()

    def _run(self, call):
        try:
            self.result = call(self.client)
        except (OSError, http.client.HTTPException, openapi.Undescribed) as error:
            self.result = error
        self.when = time.monotonic()

    def is_done(self):
        return not self.thread.is_alive()

    def answer(self, timeout=20):
        self.thread.join(timeout)
        assert self.is_done(), "no answer"
        if isinstance(self.result, openapi.Undescribed):
            raise self.result
        return self.result

    def disconnect(self):
        self.client.connection.sock.close()


def fresh_token():
    return str(uuid.uuid4())
