"""server/openapi.json describes what the program does: the tests make every call, and v1_client.py
checks each answer against the schema for its status, as in all other tests in this directory."""

import json
import shutil
import socket
import tempfile
import unittest

import openapi
from keys import bearer, new_key
from lockerd import Lockerd
from v1_client import Answer, Background, Client, fresh_token

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
STREAM = "/v1/events"  # never ends; v1_events_test.py follows it


class DescribedCase(unittest.TestCase):
    options = ()

    def setUp(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.server = Lockerd(directory + "/locks.db", *self.options)
        self.addCleanup(lambda: self.server.__exit__())
        self.client = Client(self.server.port)
        self.addCleanup(self.client.close)

    def expect(self, status, method, target, body=None, headers=None):
        answer = self.client.ask(method, target, body, headers)
        self.assertEqual(answer.status, status, f"{method} {target}: {answer}")
        return answer


class Calls(DescribedCase):
    def test_the_server_serves_the_file(self):
        self.assertEqual(self.expect(200, "GET", "/v1/openapi.json").body,
                         openapi.description.described)

    def test_every_call_is_there(self):
        for method, path, operation in openapi.description.operations():
            if path == STREAM:
                continue
            answer = self.client.ask(method, path.replace("{path}", "some/path"))
            self.assertIn(str(answer.status), operation["responses"], f"{method} {path}")
            self.assertNotEqual(answer.status, 405)

    def test_every_success_is_described(self):
        openapi.description.seen.clear()
        self.locks()
        self.several_and_leases()
        self.what_operators_ask()
        self.calls_of_the_seed()
        for method, path, operation in openapi.description.operations():
            for status in operation["responses"]:
                if status.startswith("2") and path != STREAM:
                    self.assertIn((method, path, status), openapi.description.seen)

    def locks(self):
        token = fresh_token()
        everything = {"owner": "o", "ttl": 30.5, "wait": "1s", "mode": "exclusive", "meta": "why",
                      "lock_parents": True, "lock_children": True, "lock_delay": 0, "token": token}
        self.expect(201, "POST", "/v1/locks/a/b", everything)
        self.expect(200, "POST", "/v1/locks/a/b", everything)
        form = f"owner=o&ttl=30.5s&meta=why&token={token}"
        self.expect(200, "POST", "/v1/locks/a/b", form, FORM)
        self.expect(200, "POST", "/v1/locks/a/b?" + form)
        waiter = fresh_token()
        self.expect(423, "POST", f"/v1/locks/a/b?token={waiter}&wait=10ms")
        kept = self.expect(200, "GET", "/v1/locks?state=waiting")["locks"]
        self.assertEqual(len(kept), 1)
        waiting = Background(self.server.port, lambda c: c.acquire("/a/b", wait="20s", owner="w"))
        self.addCleanup(waiting.client.close)
        while not self.expect(200, "GET", "/v1/locks/a/b")["waiters"]:
            pass
        for target in ("/v1/locks/a/b", "/v1/locks/a", "/v1/locks/", "/v1/locks",
                       "/v1/locks?state=waiting&prefix=/a&owner=w&limit=1", "/v1/leases?token=" + token):
            self.expect(200, "GET", target)
            self.expect(200, "GET", target, None, {"Accept": "text/plain"})
            self.expect(200, "HEAD", target)
        self.expect(200, "DELETE", "/v1/locks/a/b", None, {"Lock-Token": token})
        self.assertEqual(waiting.answer().status, 201)
        leaving = fresh_token()
        self.expect(423, "POST", f"/v1/locks/a/b?token={leaving}&wait=1ms")
        left = self.expect(200, "DELETE", f"/v1/locks/a/b?token={leaving}")
        self.assertIsNone(left["fence"])
        self.expect(423, "POST", f"/v1/locks/a/b?token={leaving}&wait=1ms")
        self.expect(200, "DELETE", f"/v1/leases?token={leaving}")
        self.expect(200, "DELETE", "/v1/locks/a/b?force=true&reason=r&waiting=true")
        self.expect(201, "POST", "/v1/locks/a?lock_delay=1h&owner=x")
        self.expect(200, "DELETE", "/v1/locks?force=true&prefix=/a&owner=x&reason=r")
        self.expect(200, "GET", "/v1/locks?state=cooling")
        self.expect(423, "POST", "/v1/locks/a")

    def several_and_leases(self):
        token = fresh_token()
        for status in (201, 200):
            self.expect(status, "POST", "/v1/leases", {"owner": "o", "ttl": "30s", "token": token})
        wanted = {"locks": [{"path": "/s/1", "mode": "shared"}, {"path": "/s/2", "lock_parents": False}],
                  "token": token, "wait": "1s", "meta": "m"}
        for status in (201, 200):
            self.expect(status, "POST", "/v1/locks", wanted)
        self.expect(201, "POST", "/v1/locks", {"locks": [{"path": "/t/1"}, {"path": "/t/2"}], "any": 1})
        self.expect(200, "POST", "/v1/leases/renew?ttl=20s&token=" + token)
        self.expect(200, "POST", "/v1/leases/renew", "token=" + token, FORM)
        self.assertEqual(self.expect(200, "POST", "/v1/leases/renew", {"token": token})["locks"], 2)
        self.expect(200, "DELETE", "/v1/locks/s/1?force=true")
        self.assertEqual(self.expect(200, "POST", "/v1/leases/renew?token=" + token)["locks"], 1)
        self.expect(200, "GET", "/v1/leases?token=" + token)
        self.expect(200, "DELETE", "/v1/leases?token=" + token)
        ended = self.expect(410, "POST", "/v1/leases/renew?token=" + token)
        self.assertEqual(ended["reason"], "released")

    def what_operators_ask(self):
        for target in ("/v1/status", "/v1/openapi.json", "/healthz", "/readyz", "/metrics"):
            self.expect(200, "GET", target)
            self.expect(200, "HEAD", target)
            self.expect(405, "POST", target)

    def calls_of_the_seed(self):
        self.expect(200, "GET", "/dohaz/seed")
        token = self.expect(200, "GET", "/canhaz/seed?id=me&lockParents=False&lockChildren=0")["token"]
        self.assertEqual(self.expect(200, "POST", "/canhaz/seed", {"id": "you"})["lockedBy"], "me")
        self.expect(200, "GET", "/canhaz/seed")
        self.expect(200, "POST", "/dohaz/seed")
        self.expect(200, "GET", f"/nowant/seed?token={fresh_token()}")
        self.assertTrue(self.expect(200, "POST", "/nowant/seed", {"token": token})["ok"])
        self.assertTrue(self.expect(200, "POST", "/canhaz/form", "id=x&lockParents=0", FORM)["ok"])


class Refusals(DescribedCase):
    def test_what_any_call_can_get(self):
        for method, path, operation in openapi.description.operations():
            target = path.replace("{path}", "some/path")
            self.expect(405, "PUT", target)
            self.expect(414, method, target + "?" + "x" * 9000)
            self.expect(417, method, target, None, {"Expect": "more"})
            self.expect(431, method, target, None, {"X-Long": "x" * 17000})
            self.assertEqual(self.ask_raw(f"{method} {target} HTTP/2.0\r\nHost: a\r\n\r\n", method,
                                          target), 505)
            if method == "POST":
                self.expect(411, method, target, None, {"Transfer-Encoding": "gzip, chunked"})
                many = 1024 * 1024 if path == "/v1/locks" else 64 * 1024
                # The server need not read the body to refuse it.
                head = f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {many + 1}\r\n\r\n"
                self.assertEqual(self.ask_raw(head, method, target), 413)
            else:
                self.assertNotIn("requestBody", operation)
                self.expect(400, method, target, "{}", {"Content-Type": "application/json"})

    def ask_raw(self, text, method, target):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as connection:
            connection.sendall(text.encode())
            received = b""
            while piece := connection.recv(65536):
                received += piece
        head, _, body = received.decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        status = int(first.split()[1])
        answer = Answer(status, dict(line.split(": ", 1) for line in lines), body)
        openapi.description.check(method, target, None, answer)
        return status

    def test_bad_input(self):
        for method, path, _ in openapi.description.operations():
            if path.startswith(("/v1/l", "/v1/e", "/canhaz", "/nowant", "/dohaz")):
                self.expect(400, method, path.replace("{path}", "x") + "?nonsense=1")
            if path.endswith("{path}"):
                self.expect(400, method, path.replace("{path}", "%zz"))

    def test_another_sites_page(self):
        for method, target in (("POST", "/v1/locks/x"), ("DELETE", "/v1/leases"), ("GET", "/canhaz/x"),
                               ("GET", "/nowant/x?token=x"), ("POST", "/v1/leases/renew")):
            self.expect(403, method, target, None, {"Origin": "null"})


class TooMany(DescribedCase):
    options = ("--connections-max", "1", "--locks-max", "1")

    def test_of_everything(self):
        self.expect(201, "POST", "/v1/locks/held")
        for target in ("/canhaz/x", "/v1/locks/x"):
            refused = self.expect(503, "POST", target)
            self.assertEqual(refused.headers["Retry-After"], "1")
        for method, path, _ in openapi.description.operations():
            other = Client(self.server.port)
            answer = other.ask(method, path.replace("{path}", "x"))
            if path in ("/healthz", "/readyz", "/metrics"):  # for operators
                self.assertEqual(answer.status, 200)
            else:
                self.assertEqual((answer.status, answer["error"]), (503, "too_many_connections"))
            other.close()


class Keys(DescribedCase):
    def setUp(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        key, self.options = new_key("k", "lock /k", file=directory + "/keys")[0], (
            "--keys", directory + "/keys")
        super().setUp()
        self.key = key

    def test_none_and_one_that_may_not(self):
        for method, path, operation in openapi.description.operations():
            if operation.get("security") == []:
                continue
            target = path.replace("{path}", "x")
            self.expect(401, method, target)
            answer = self.client.ask(method, target, None, bearer(self.key))
            if "{path}" in path or path in ("/metrics", STREAM):
                self.assertEqual(answer.status, 403, f"{method} {path}: {answer}")


class TheReaderItself(unittest.TestCase):
    """The checker rejects answers that do not match."""

    def check(self, status, body, headers=None, method="POST", target="/v1/locks/a", asked=None):
        fields = {"Content-Type": "application/json", "Locker-Index": "1", **(headers or {})}
        openapi.read().check(method, target, asked, Answer(status, fields, json.dumps(body)))

    def test_refuses_what_is_not_described(self):
        good = {"path": "/a", "token": fresh_token(), "owner": "?", "fence": 7, "mode": "shared",
                "lock_parents": True, "lock_children": True, "ttl_ms": None, "expires_in_ms": None,
                "waited_ms": 0}
        self.check(201, good)
        for name in good:
            rest = {other: good[other] for other in good if other != name}
            for bad in (rest, {**rest, name: []}, {**good, name + "s": good[name]}):
                with self.assertRaises(openapi.Undescribed, msg=bad):
                    self.check(201, bad)
        for call in (dict(target="/v1/locks/a?more=1"), dict(asked={"more": 1}), dict(status=202),
                     dict(headers={"Content-Type": "text/html"}), dict(method="PUT"),
                     dict(target="/v1/locks/a", asked={"ttl": [1]})):
            with self.assertRaises(openapi.Undescribed, msg=call):
                self.check(**{"status": 201, "body": good, **call})
        failed = {"error": "x", "message": "X."}
        self.check(505, failed)
        self.check(503, failed, {"Retry-After": "1"})
        for status, body in ((503, failed), (410, failed), (423, failed), (418, failed),
                             (400, {"ok": False, "error": "X."})):
            with self.assertRaises(openapi.Undescribed, msg=status):
                self.check(status, body)


if __name__ == "__main__":
    unittest.main()
