"""API keys: what each key may do, and that nothing circumvents it."""

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import tempfile
import threading
import time
import unittest
import uuid

from keys import basic, bearer, new_key, write_atomically
from lockerd import LOCKER, LOCKERD, Lockerd, run
from v1_client import Client

PATIENCE = 60


def wait_until(condition, what):
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(what)
        time.sleep(0.02)


class AccessCase(unittest.TestCase):
    """A server with one key for each kind of user."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.file = os.path.join(cls.directory, "keys")
        cls.ci = new_key("ci", "lock /ci", file=cls.file)[0]
        cls.reader = new_key("reader", "read /ci", "read /prod", file=cls.file)[0]
        cls.forcer = new_key("forcer", "force /ci/a", file=cls.file)[0]
        cls.root = new_key("root", "admin /", file=cls.file)[0]
        cls.watcher = new_key("watcher", "read /", file=cls.file)[0]
        cls.server = Lockerd(os.path.join(cls.directory, "store"), "--keys", cls.file)
        cls.client = Client(cls.server.port)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.__exit__()
        shutil.rmtree(cls.directory, ignore_errors=True)

    def ask(self, key, method, target, body=None, headers=None):
        headers = {**(bearer(key) if key else {}), **(headers or {})}
        return self.client.ask(method, target, body, headers)

    def expect(self, status, key, method, target, body=None, headers=None):
        answer = self.ask(key, method, target, body, headers)
        self.assertEqual(answer.status, status, f"{method} {target}: {answer}")
        return answer

    def acquire(self, key, path, **more):
        body = {"token": str(uuid.uuid4()), **more}
        answer = self.ask(key, "POST", "/v1/locks" + path, body)
        self.assertIn(answer.status, (200, 201), answer)
        self.addCleanup(self.ask, self.root, "DELETE", f"/v1/locks{path}?force=true")
        return answer.body["token"]

    def is_free(self, path):
        return self.expect(200, self.root, "GET", "/v1/locks" + path)["free"]


CALLS = [("GET", "/dohaz/ci"), ("GET", "/canhaz/ci"), ("GET", "/nowant/ci?token=x"),
         ("GET", "/v1/locks/ci"), ("POST", "/v1/locks/ci"), ("DELETE", "/v1/locks/ci"),
         ("GET", "/v1/locks"), ("POST", "/v1/locks"), ("DELETE", "/v1/locks?force=true&owner=x"),
         ("GET", "/v1/leases"), ("POST", "/v1/leases"), ("DELETE", "/v1/leases"),
         ("POST", "/v1/leases/renew"), ("GET", "/v1/events"), ("GET", "/v1/status"),
         ("LOCK", "/terraform/ci"), ("UNLOCK", "/terraform/ci"), ("PUT", "/v1/locks/ci"),
         ("GET", "/metrics"), ("GET", "/nothing/here"), ("OPTIONS", "/v1/locks"),
         ("GET", "//v1/locks"), ("GET", "/v1//locks"), ("GET", "/V1/locks"), ("POST", "/"),
         ("POST", "/ui/x"), ("GET", "/uix"), ("GET", "/healthz/"), ("GET", "/healthz/../v1/locks"),
         ("GET", "/%76%31/locks")]


class WithoutAKey(AccessCase):
    def test_nothing_is_done(self):
        for key in (None, "", "wrong", self.ci[:-1], self.ci + "0", self.ci.upper(), "x" * 5000):
            for method, target in CALLS:
                headers = {} if key is None else bearer(key)
                answer = self.client.ask(method, target, None, headers)
                self.assertEqual(answer.status, 401, f"{key} {method} {target}: {answer}")
                challenges = answer.headers.get_all("WWW-Authenticate")
                self.assertEqual(len(challenges), 2)
                self.assertTrue(challenges[0].startswith("Basic realm="))
                self.assertEqual(challenges[1], 'Bearer realm="locker"')

    def test_a_script_in_a_page_is_not_answered_by_the_browsers_own_dialog(self):
        answer = self.client.ask("GET", "/v1/locks", None, {"X-Requested-With": "XMLHttpRequest"})
        self.assertEqual(answer.headers.get_all("WWW-Authenticate"), ['Bearer realm="locker"'])

    def test_the_hash_from_the_file_is_no_key(self):
        with open(self.file, encoding="utf-8") as file:
            for word in file.read().split():
                self.expect(401, word, "GET", "/v1/status")
                self.expect(401, word.removeprefix("sha256:"), "GET", "/v1/status")

    def test_malformed_authorization_is_no_key(self):
        for value in ("", "Bearer", "Bearer ", self.ci, "Basic", "Basic !!!", "Digest " + self.ci,
                      "Basic " + self.ci, "Bearer  x " + self.ci, f"Bearer {self.ci} x",
                      basic("")["Authorization"]):
            answer = self.client.ask("GET", "/v1/status", None, {"Authorization": value})
            self.assertEqual(answer.status, 401, value)

    def test_the_large_body_of_a_stranger_is_not_awaited(self):
        unfinished = ("POST /v1/locks HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                      "Content-Length: 1048576\r\nConnection: close\r\nAuthorization: Bearer ")
        for key, answer in (("wrong", b"HTTP/1.1 401 "), (self.ci, b"HTTP/1.1 408 ")):
            with socket.create_connection(("127.0.0.1", self.server.port), PATIENCE) as one:
                one.sendall(f"{unfinished}{key}\r\n\r\n{{".encode())
                self.assertEqual(one.recv(len(answer)), answer)

    def test_what_a_load_balancer_asks_is_open(self):
        for target in ("/healthz", "/readyz", "/v1/openapi.json"):
            self.expect(200, None, "GET", target)
            self.expect(200, None, "HEAD", target)

    def test_an_error_of_the_legacy_calls_looks_like_theirs(self):
        body = self.expect(401, None, "GET", "/canhaz/ci").body
        self.assertEqual(sorted(body), ["error", "ok"])
        self.assertIs(body["ok"], False)

    def test_head_is_refused_as_get_is(self):
        self.expect(401, None, "HEAD", "/v1/locks")
        self.expect(403, self.ci, "HEAD", "/v1/locks/prod")
        self.expect(200, self.ci, "HEAD", "/v1/locks/ci")


class Rules(AccessCase):
    def test_bearer_and_basic(self):
        for headers in (bearer(self.ci), basic(self.ci), basic(self.ci, ""),
                        {"Authorization": "bearer " + self.ci}):
            answer = self.client.ask("GET", "/v1/locks/ci", None, headers)
            self.assertEqual(answer.status, 200, answer)

    def test_a_refusal_names_the_missing_rule(self):
        message = self.expect(403, self.ci, "POST", "/v1/locks/prod/x")["message"]
        self.assertIn("'ci'", message)
        self.assertIn("lock /prod/x", message)

    def test_a_prefix_is_of_whole_segments_and_cannot_be_walked_out_of(self):
        for path, status in (("/ci", 201), ("/ci/a", 201), ("//ci//b/", 201), ("/c%69/c", 201),
                             ("/ci2", 403), ("/c", 403), ("/", 403), ("", 403), ("/CI", 403),
                             ("/ci%2Fa", 403), ("/ci%2fa", 403), ("/prod/ci", 403),
                             ("/ci/../prod", 400), ("/ci/%2e%2e/prod", 400), ("/./ci", 400),
                             ("/ci/%2E", 400), ("/ci%00", 400), ("/ci%zz", 400), ("/ci;x", 403),
                             ("//prod//ci", 403), ("/%2Fci", 403)):
            answer = self.ask(self.ci, "POST", "/v1/locks" + (path or "/"))
            self.assertEqual(answer.status, status, f"{path}: {answer}")
            if status == 201:
                self.expect(200, self.ci, "DELETE", "/v1/leases?token=" + answer["token"])

    def test_the_legacy_calls(self):
        for key, path, status in ((self.ci, "/ci/s", 200), (self.ci, "/prod/s", 403),
                                  (self.reader, "/ci/s", 403), (self.ci, "/ci/../prod", 400),
                                  (self.ci, "/ci%2Fs", 403), (self.ci, "//prod/ci", 403)):
            for method in ("GET", "POST"):
                answer = self.ask(key, method, "/canhaz" + path)
                self.assertEqual(answer.status, status, f"{path}: {answer}")
                if status == 200:
                    self.expect(200, key, method, f"/nowant{path}?token={answer['token']}")
                else:
                    self.assertIs(answer["ok"], False)
        self.expect(200, self.reader, "GET", "/dohaz/ci")
        self.expect(403, self.reader, "GET", "/dohaz/")
        self.expect(403, self.reader, "GET", "/nowant/ci?token=x")

    def test_all_paths_of_several_have_to_be_allowed(self):
        def several(*paths, **more):
            return self.ask(self.ci, "POST", "/v1/locks",
                            {"locks": [{"path": path} for path in paths], **more})
        self.assertEqual(several("/ci/1", "/prod/1").status, 403)
        self.assertEqual(several("/prod/1", "/ci/1").status, 403)
        self.assertEqual(several("/ci/1", "/prod/1", any=1).status, 403)
        self.assertEqual(several("/ci/1", "/ci/../prod").status, 400)
        self.assertEqual(several("/ci/1", "/ci2").status, 403)
        for text in ('{"locks": [{"path": "/ci", "path": "/prod"}]}',
                     '{"locks": [{"path": "/ci"}], "locks": [{"path": "/prod"}]}',
                     '{"locks": {"path": "/prod"}}', '{"locks": ["/prod"]}', '{"locks": []}',
                     '{"locks": [{"path": ["/prod"]}]}', '[]', '', '{"locks": [{}]}'):
            answer = self.ask(self.ci, "POST", "/v1/locks", text,
                              {"Content-Type": "application/json"})
            self.assertEqual(answer.status, 400, f"{text}: {answer}")
        self.assertTrue(self.is_free("/prod") and self.is_free("/ci"))
        answer = several("/ci/1", "/ci/2")
        self.assertEqual(answer.status, 201)
        self.expect(200, self.ci, "DELETE", "/v1/leases?token=" + answer["token"])

    def test_reading_does_not_lock_and_locking_does_not_force(self):
        self.expect(403, self.reader, "POST", "/v1/locks/ci/x")
        self.expect(403, self.reader, "POST", "/v1/leases")
        self.expect(403, self.reader, "DELETE", "/v1/locks/ci/x?token=" + str(uuid.uuid4()))
        self.expect(403, self.ci, "DELETE", "/v1/locks/ci/x?force=true")
        self.expect(403, self.ci, "DELETE", "/v1/locks/ci/x?force=1")
        self.expect(400, self.ci, "DELETE", "/v1/locks/ci/x?force=yes")
        self.expect(400, self.ci, "DELETE", "/v1/locks/ci/x?force=false&force=true")
        self.expect(403, self.forcer, "POST", "/v1/locks/ci/a")

    def test_force_reaches_no_further_than_its_rule(self):
        token = self.acquire(self.root, "/ci/b")
        for query in ("prefix=/ci", "prefix=/", "prefix=", "owner=x", "fence=1", "prefix=/ci/ab",
                      "prefix=/ci/a&prefix=/ci", "prefix=/ci/a%252Fb", "prefix=//ci//",
                      "prefix=/ci/a%2F..", "prefix=/ci%2Fb"):
            answer = self.ask(self.forcer, "DELETE", "/v1/locks?force=true&" + query)
            self.assertIn(answer.status, (400, 403), f"{query}: {answer}")
        self.expect(403, self.forcer, "DELETE", "/v1/locks/ci/b?force=true")
        self.expect(403, self.forcer, "DELETE", "/v1/locks/ci?force=true")
        self.expect(200, self.root, "POST", f"/v1/leases/renew?token={token}")
        self.acquire(self.root, "/ci/a/x")
        answer = self.expect(200, self.forcer, "DELETE", "/v1/locks?force=true&prefix=/ci/a")
        self.assertEqual(answer["ended"], 1)

    def test_a_token_alone_reaches_nothing_beyond_the_rules(self):
        token = self.acquire(self.root, "/prod/db")
        for method, target in (("POST", "/v1/leases/renew"), ("DELETE", "/v1/leases"),
                               ("GET", "/v1/leases"), ("DELETE", "/v1/locks/prod/db"),
                               ("POST", "/v1/locks/ci/join"), ("GET", "/v1/leases")):
            self.expect(403, self.ci, method, f"{target}?token={token}")
            self.expect(403, self.ci, method, target, None, {"Lock-Token": token})
        self.expect(403, self.ci, "POST", "/v1/leases/renew", {"token": token})
        self.expect(403, self.ci, "POST", "/v1/locks/ci/join", {"token": token})
        self.expect(403, self.ci, "POST", "/v1/locks",
                    {"locks": [{"path": "/ci/join"}], "token": token})
        self.expect(403, self.ci, "GET", f"/nowant/prod/db?token={token}")
        self.expect(403, self.ci, "LOCK", "/terraform/ci/join", json.dumps({"ID": token}),
                    {"Content-Type": "application/json"})
        self.assertFalse(self.is_free("/prod/db"))
        self.assertTrue(self.is_free("/ci/join"))

    def test_a_lease_that_reaches_beyond_the_rules_is_not_renewed(self):
        token = self.acquire(self.ci, "/ci/mixed")
        self.expect(200, self.ci, "POST", f"/v1/leases/renew?token={token}")
        self.acquire(self.root, "/prod/mixed", token=token)
        self.expect(403, self.ci, "POST", f"/v1/leases/renew?token={token}")
        self.expect(200, self.ci, "DELETE", f"/v1/locks/ci/mixed?token={token}")
        self.assertFalse(self.is_free("/prod/mixed"))

    def test_terraform(self):
        info = json.dumps({"ID": str(uuid.uuid4()), "Who": "me"})
        self.expect(403, self.ci, "LOCK", "/terraform/prod", info)
        self.assertTrue(self.is_free("/prod"))
        headers = {**basic(self.ci, "terraform"), "Content-Type": "application/json"}
        def ask(method, path, body):
            return self.client.ask(method, "/terraform" + path, body, headers).status
        self.assertEqual(ask("LOCK", "/ci/tf", info), 200)
        self.assertEqual(ask("UNLOCK", "/ci/tf", None), 403)  # force-unlock
        self.assertEqual(ask("UNLOCK", "/prod", info), 403)
        self.assertEqual(ask("LOCK", "/ci%2Ftf", info), 403)
        self.assertFalse(self.is_free("/ci/tf"))
        self.assertEqual(ask("UNLOCK", "/ci/tf", info), 200)
        self.assertEqual(ask("LOCK", "/ci/a/tf", info), 200)
        self.expect(200, self.forcer, "UNLOCK", "/terraform/ci/a/tf")

    def test_lists_and_events_want_a_prefix_that_may_be_read(self):
        for target in ("/v1/locks", "/v1/events"):
            for query in ("", "?prefix=/", "?prefix=/pro", "?prefix=/prod2", "?prefix=/ci%252F",
                          "?prefix="):
                message = self.expect(403, self.reader, "GET", target + query)["message"]
                self.assertIn("prefix=/ci or prefix=/prod", message)
        self.expect(200, self.reader, "GET", "/v1/locks?prefix=/ci")
        self.expect(200, self.reader, "GET", "/v1/locks?prefix=/prod/x&state=waiting")
        self.expect(200, self.root, "GET", "/v1/locks")
        self.expect(400, self.reader, "GET", "/v1/locks?prefix=/ci&prefix=/")
        self.expect(400, self.reader, "GET", "/v1/locks?prefix=/ci/..")

    def test_metrics_need_read_everywhere(self):
        for key in (self.ci, self.reader, self.forcer):
            self.expect(403, key, "GET", "/metrics")
        self.assertEqual(self.ask(self.watcher, "GET", "/metrics").status, 200)

    def test_only_an_administrator_sees_calls_that_the_table_does_not_know(self):
        for key in (self.ci, self.reader, self.forcer):
            self.expect(404, key, "GET", "/v2/secrets")
        self.expect(200, self.reader, "GET", "/v1/status")
        self.expect(405, self.ci, "PUT", "/v1/locks/ci")


class NothingIsTold(AccessCase):
    """Locks above what a key may read block it, but it does not learn their owners and paths."""

    def setUp(self):
        self.acquire(self.root, "/", owner="secretary", meta="merger", lock_children=True)

    def check(self, answer):
        self.assertNotIn("secretary", answer.text)
        self.assertNotIn("merger", answer.text)

    def test_of_who_is_in_the_way(self):
        answer = self.expect(423, self.ci, "POST", "/v1/locks/ci/x")
        self.check(answer)
        self.assertEqual([(blocker["path"], blocker["owner"]) for blocker in answer["blocked_by"]],
                         [("/(hidden)", "(hidden)")])
        answer = self.expect(423, self.ci, "POST", "/v1/locks/ci/x?wait=0.2")  # after its wait
        self.check(answer)
        answer = self.expect(423, self.root, "POST", "/v1/locks/ci/x")
        self.assertEqual(answer["blocked_by"][0]["owner"], "secretary")

    def test_of_what_covers_a_path(self):
        answer = self.expect(200, self.reader, "GET", "/v1/locks/ci/x")
        self.check(answer)
        self.assertIs(answer["free"], False)
        self.check(self.expect(200, self.reader, "GET", "/v1/locks/ci/x", None,
                               {"Accept": "text/plain"}))

    def test_by_the_legacy_calls(self):
        answer = self.expect(200, self.ci, "GET", "/canhaz/ci/x")
        self.assertEqual(answer.body, {"ok": False, "lockedBy": "(hidden)"})
        answer = self.expect(200, self.reader, "GET", "/dohaz/ci/x")
        self.assertEqual(answer.body, {"lockedBy": "(hidden)"})
        answer = self.expect(200, self.root, "GET", "/dohaz/ci/x")
        self.assertEqual(answer.body, {"lockedBy": "secretary"})

    def test_by_terraform(self):
        self.check(self.expect(423, self.ci, "LOCK", "/terraform/ci/x",
                               json.dumps({"ID": str(uuid.uuid4())})))


class NothingIsHidden(AccessCase):
    def test_of_what_may_be_read(self):
        self.acquire(self.root, "/ci", owner="colleague")
        self.assertEqual(self.expect(200, self.reader, "GET", "/dohaz/ci/x").body,
                         {"lockedBy": "colleague"})
        self.assertEqual(self.expect(200, self.ci, "GET", "/canhaz/ci/x")["lockedBy"], "colleague")
        answer = self.expect(423, self.ci, "POST", "/v1/locks/ci/x")
        self.assertEqual(answer["blocked_by"][0]["path"], "/ci")

    def test_but_a_deadlocks_cycle_is_where_it_may_not_be(self):
        mine = self.acquire(self.ci, "/ci/d", owner="me")
        theirs = self.acquire(self.root, "/ci/e", owner="secretary")
        self.acquire(self.root, "/prod/d", token=theirs)
        waiting = Client(self.server.port)
        self.addCleanup(waiting.close)
        thread = threading.Thread(target=waiting.ask, daemon=True, args=(
            "POST", "/v1/locks", {"locks": [{"path": "/prod/w"}, {"path": "/ci/d"}],
                                  "token": theirs, "wait": "60s"}, bearer(self.root)))
        thread.start()
        wait_until(lambda: self.expect(200, self.root, "GET", "/v1/status")["waiters"] == 1,
                   "it does not wait")
        answer = self.expect(409, self.ci, "POST", f"/v1/locks/ci/e?wait=60s&token={mine}")
        self.assertEqual(answer["error"], "deadlock")
        for step in answer["cycle"]:
            self.assertTrue(step["waits_for"].startswith(("/ci/", "/(hidden)")), answer)
            self.assertTrue(step["blocked_by"]["path"].startswith(("/ci/", "/(hidden)")), answer)
        self.expect(200, self.root, "DELETE", "/v1/locks/ci/d?force=true")
        thread.join(PATIENCE)
        self.ask(self.root, "DELETE", "/v1/leases?token=" + theirs)


class OneConnection(AccessCase):
    def test_each_request_is_judged_by_its_own_key(self):
        requests = ""
        for key in (self.ci, None, self.root, self.reader, "wrong", self.ci):
            line = f"Authorization: Bearer {key}\r\n" if key else ""
            requests += f"POST /v1/locks/ci/p HTTP/1.1\r\nHost: x\r\n{line}\r\n"
        requests += "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.server.port), PATIENCE) as connection:
            connection.sendall(requests.encode())
            text = b""
            while piece := connection.recv(65536):
                text += piece
        statuses = [int(part.split(b" ", 1)[0]) for part in text.split(b"HTTP/1.1 ")[1:]]
        self.assertEqual(statuses, [201, 401, 423, 403, 401, 423, 200])
        self.ask(self.root, "DELETE", "/v1/locks/ci/p?force=true")

    def test_two_keys_in_one_request_are_refused(self):
        with socket.create_connection(("127.0.0.1", self.server.port), PATIENCE) as connection:
            connection.sendall(f"GET /v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
                               f"Authorization: Bearer {self.root}\r\n\r\n".encode())
            self.assertIn(b"400", connection.recv(4096).split(b"\r\n")[0])


class Reload(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.file = os.path.join(self.directory, "keys")
        self.store = os.path.join(self.directory, "store")
        self.key, self.line = new_key("ci", "lock /ci")

    def write(self, *lines):
        write_atomically(self.file, "\n".join(lines) + "\n")

    def start(self):
        server = Lockerd(self.store, "--keys", self.file)
        self.addCleanup(server.__exit__)
        client = Client(server.port)
        self.addCleanup(client.close)
        return server, client

    def hang_up(self, server, told):
        seen = server.text().count(told)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.text().count(told) > seen, "it does not reload")

    def status(self, client, key):
        return client.ask("GET", "/v1/locks/ci", None, bearer(key)).status

    def test_keys_come_and_go_without_a_restart(self):
        self.write("# ours", self.line)
        server, client = self.start()
        other, line = new_key("other", "read /")
        self.assertEqual((self.status(client, self.key), self.status(client, other)), (200, 401))
        self.write(self.line, line)
        self.hang_up(server, "2 keys")
        self.assertEqual((self.status(client, self.key), self.status(client, other)), (200, 200))
        self.write(line)
        self.hang_up(server, "1 keys")
        self.assertEqual((self.status(client, self.key), self.status(client, other)), (401, 200))
        self.write(line.replace("read /", "read /prod"))
        self.hang_up(server, "1 keys")
        self.assertEqual(self.status(client, other), 403)
        self.write("# nobody")
        self.hang_up(server, "nobody may do anything")
        self.assertEqual(self.status(client, other), 401)

    def start_audited(self, line):
        """Starts a server with the key of this line and the usual one.

        Returns a server, a client, and a function that reads the lines of the audit log."""
        self.write(self.line, line)
        audit = os.path.join(self.directory, "audit")
        server = Lockerd(self.store, "--keys", self.file, "--audit-log", audit)
        self.addCleanup(server.__exit__)
        client = Client(server.port)
        self.addCleanup(client.close)

        def audited():
            with open(audit, encoding="utf-8") as file:
                return [json.loads(line) for line in file]
        return server, client, audited

    def test_who_waits_with_a_key_that_is_revoked_gets_nothing(self):
        admin, line = new_key("admin", "admin /")
        server, client, audited = self.start_audited(line)
        chosen, joined = str(uuid.uuid4()), str(uuid.uuid4())

        def state(path):
            return client.ask("GET", "/v1/locks" + path, None, bearer(admin)).body
        client.ask("POST", "/v1/locks/ci/of-joined", {"token": joined}, bearer(self.key))
        bodies = [{}, {"token": chosen}, {"token": joined}, {"locks": [{"path": "/ci/x3"}]},
                  {"locks": [{"path": "/ci/x4"}, {"path": "/ci/y4"}], "any": 1, "token": chosen}]
        held, waiting = [], []
        for number, body in enumerate(bodies):
            path = f"/ci/x{number}"
            held.append((path, client.ask("POST", "/v1/locks" + path, {}, bearer(admin))["token"]))
            if number == 4:
                client.ask("POST", "/v1/locks/ci/y4", {}, bearer(admin))
            target = "/v1/locks" if "locks" in body else "/v1/locks" + path
            waiter = Client(server.port, timeout=PATIENCE)
            self.addCleanup(waiter.close)
            waiter.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            waiter.connection.request("POST", target, json.dumps({**body, "wait": "1h"}), {
                **bearer(self.key), "Content-Type": "application/json"})
            wait_until(lambda path=path: state(path)["waiter_count"] == 1, "it does not wait")
            waiting.append(waiter)
        self.write(line)
        self.hang_up(server, "1 keys")
        for (path, token), waiter in zip(held, waiting):
            released = client.ask("DELETE", f"/v1/locks{path}?token={token}", None, bearer(admin))
            self.assertEqual(released.status, 200, released)
            answer = waiter.connection.getresponse()
            self.assertEqual(answer.status, 401)
            self.assertEqual(json.loads(answer.read())["error"], "unknown_key")
            wait_until(lambda path=path: state(path)["holders"] == [], f"{path} stays held")
        self.assertEqual(len(state("/ci/of-joined")["holders"]), 1)  # held before
        metrics = client.ask("GET", "/metrics", None, bearer(admin)).text
        for line in ('locker_http_requests_total{call="waited",code="4xx"} 5',
                     'locker_access_refused_total{code="401"} 5'):
            self.assertIn(line + "\n", metrics)
        server.stop()
        lines = audited()
        refused = [line for line in lines if line.get("outcome") == "refused_401"]
        self.assertEqual([line["key"] for line in refused], ["ci"] * len(bodies))
        self.assertEqual([line for line in lines if line.get("outcome") == "granted" and
                          line["key"] == "ci" and line["paths"] != ["/ci/of-joined"]], [])

    def test_a_shared_lock_goes_with_the_exclusive_one_that_a_revoked_key_waited_for(self):
        admin, line = new_key("admin", "admin /")
        server, client, audited = self.start_audited(line)
        token = str(uuid.uuid4())

        def state():
            return client.ask("GET", "/v1/locks/ci/u", None, bearer(admin)).body
        shared = client.ask("POST", "/v1/locks/ci/u", {"token": token, "mode": "shared"},
                            bearer(self.key))
        other = client.ask("POST", "/v1/locks/ci/u", {"mode": "shared"}, bearer(admin))["token"]
        waiter = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self.addCleanup(waiter.close)
        waiter.request("POST", "/v1/locks/ci/u", json.dumps({"token": token, "wait": "1h"}), {
            **bearer(self.key), "Content-Type": "application/json"})
        wait_until(lambda: state()["waiter_count"] == 1, "it does not wait")
        self.write(line)
        self.hang_up(server, "1 keys")
        self.assertEqual(len(state()["holders"]), 2)
        client.ask("DELETE", f"/v1/locks/ci/u?token={other}", None, bearer(admin))
        self.assertEqual(waiter.getresponse().status, 401)
        wait_until(lambda: state()["holders"] == [], "it stays held")
        server.stop()
        lines = [line for line in audited() if line.get("key") == "ci"]
        self.assertEqual([line["outcome"] for line in lines],
                         ["granted", "taken_back", "refused_401"])
        self.assertEqual([line["paths"] for line in lines], [["/ci/u"]] * 3)
        self.assertEqual(lines[0]["fence"], shared["fence"])
        self.assertGreater(lines[1]["fence"], shared["fence"])

    def test_a_mistake_changes_nothing_and_is_told(self):
        self.write(self.line)
        server, client = self.start()
        other, line = new_key("other", "read /")
        self.write(line, line)
        self.hang_up(server, f"{self.file}:2: line 1 already has a key with this name")
        self.assertEqual((self.status(client, self.key), self.status(client, other)), (200, 401))
        write_atomically(self.file, "")
        self.hang_up(server, "is empty")
        self.assertEqual(self.status(client, self.key), 200)
        metrics = client.ask("GET", "/metrics", None, bearer(self.key)).status
        self.assertEqual(metrics, 403)  # its rules are unchanged, too
        with self.assertRaisesRegex(RuntimeError, "ended with 78: .*is empty"):
            Lockerd(os.path.join(self.directory, "other"), "--keys", self.file)
        os.unlink(self.file)
        self.hang_up(server, "does not exist")
        self.assertEqual(self.status(client, self.key), 200)
        self.assertEqual(server.stop(), 0)

    def test_with_a_mistake_the_server_does_not_start(self):
        digest = self.line.split()[1]
        for line, told in (("ci", ":2: the name must be followed by sha256:"),
                           (f"ci {digest}", ":2: the key has no rule"),
                           (f"ci {digest} lock ci", ":2: lock must be followed by a path"),
                           (f"ci {digest} write /ci", ":2: a rule must begin with"),
                           (f"ci {digest} lock /ci/", ":2: write the path as /ci."),
                           (f"ci {digest} lock /ci lock", ":2: lock must be followed"),
                           (f"ci {digest[:-1]} lock /ci", ":2: the name must be followed"),
                           (f"c/i {digest} lock /ci", ":2: a line must begin with"),
                           (f"ci {digest} admin /ci", ":2: admin applies to the whole"),
                           (f"ci {digest} lock /ci\r", ":2: the line contains a control")):
            with open(self.file, "w", encoding="utf-8", newline="") as file:
                file.write("# keys\n" + line + "\n")
            code, text = run(LOCKERD, "--port", "0", "--file", self.store, "--keys", self.file)
            self.assertEqual(code, 78, text)
            self.assertIn(self.file + told, text)
        code, text = run(LOCKERD, "--port", "0", "--file", self.store, "--keys", self.directory)
        self.assertEqual(code, 78, text)

    def test_who_can_write_the_file_is_looked_at(self):
        self.write(self.line)
        os.chmod(self.file, 0o640)
        server, _ = self.start()
        self.assertNotIn("users other than its owner", server.text())
        os.chmod(self.file, 0o660)
        self.hang_up(server, f"users other than its owner can write {self.file}")

    def test_a_file_without_a_name_is_no_reason_to_go_without_keys(self):
        for option in ("keys", "audit-log", "tls-certificate", "tls-key", "tls-client-ca"):
            for arguments, environment in (((f"--{option}", ""), None),
                                           ((), {f"LOCKER_{option.upper().replace('-', '_')}": ""})):
                code, text = run(LOCKERD, "--port", "0", "--file", self.store, *arguments,
                                 environment=environment)
                self.assertEqual(code, 64, text)
                self.assertIn(f"--{option} must name a file", text)

    def test_events_end_with_their_key(self):
        other, line = new_key("other", "lock /ci")
        self.write(self.line, line)
        server, client = self.start()
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as stream:
            stream.sendall(f"GET /v1/events?prefix=/ci HTTP/1.1\r\nHost: x\r\n"
                           f"Authorization: Bearer {self.key}\r\n\r\n".encode())
            text = b""
            while b"retry:" not in text:
                text += stream.recv(4096)
            client.ask("POST", "/v1/locks/ci/seen", None, bearer(other))
            while b"/ci/seen" not in text:
                text += stream.recv(4096)
            self.write(line)
            self.hang_up(server, "1 keys")
            client.ask("POST", "/v1/locks/ci/unseen", None, bearer(other))
            while piece := stream.recv(4096):
                text += piece
            self.assertNotIn(b"/ci/unseen", text)


class TokenCommand(unittest.TestCase):
    def test_the_file_is_made_for_its_owner_and_never_gets_a_name_twice(self):
        with tempfile.TemporaryDirectory() as directory:
            file = os.path.join(directory, "keys")
            new_key("ci", "lock /ci", file=file)
            self.assertEqual(stat.S_IMODE(os.stat(file).st_mode) & 0o007, 0)
            code, text = run(LOCKER, "token", "new", "ci", "--allow", "lock /x", "--file", file)
            self.assertEqual(code, 64, text)
            with open(file, "a", encoding="utf-8") as lines:
                lines.write("# the last line has no end")
            new_key("ci2", "lock /ci", file=file)
            with open(file, encoding="utf-8") as lines:
                self.assertEqual(len(lines.read().splitlines()), 3)

    def test_what_is_wrong_is_said(self):
        for arguments, told in ((("new",), "NAME"), (("new", "a"), "--allow"),
                                (("new", "a", "--allow", "lock"), "a right and a path"),
                                (("new", "a", "--allow", "lock ci"), "slash"),
                                (("new", "a b", "--allow", "lock /ci"), "letters"),
                                (("new", "a", "b", "--allow", "lock /ci"), "one NAME"),
                                (("new", "a", "--alow", "lock /ci"), "alow"),
                                (("old",), "locker token new"), ((), "locker token new")):
            code, text = run(LOCKER, "token", *arguments)
            self.assertEqual(code, 64, text)
            self.assertIn(told, text)

    def test_two_keys_are_never_the_same(self):
        self.assertEqual(len({new_key("a", "read /")[0] for _ in range(5)}), 5)


class CommandLine(AccessCase):
    def locker(self, *arguments, key=None):
        environment = {"LOCKER_URL": self.server.url, "LOCKER_KEY": key or ""}
        return run(LOCKER, *arguments, environment=environment, timeout=PATIENCE)

    def test_sends_its_key_and_tells_a_refusal_apart(self):
        command = ("--", "sh", "-c", "echo done")
        self.assertEqual(self.locker("run", "/ci/cli", *command, key=self.ci), (0, "done\n"))
        code, text = self.locker("run", "/prod", *command, key=self.ci)
        self.assertEqual(code, 77, text)
        self.assertIn("lock /prod", text)
        code, text = self.locker("run", "/ci/cli", *command)
        self.assertEqual(code, 77, text)
        self.assertIn("LOCKER_KEY", text)
        self.assertEqual(self.locker("ls", "/ci", key=self.ci)[0], 0)


class OpenDoor(unittest.TestCase):
    def test_without_keys_all_is_as_it_was_and_beyond_loopback_that_is_said(self):
        with tempfile.TemporaryDirectory() as directory:
            with Lockerd(os.path.join(directory, "a"), "--ip", "0.0.0.0") as server:
                self.assertEqual(server.get("/canhaz/x")["ok"], True)
                wait_until(lambda: "--keys" in server.text(), "no warning")
            with Lockerd(os.path.join(directory, "b")) as server:
                self.assertEqual(server.get("/canhaz/x")["ok"], True)
                server.stop()
                self.assertNotIn("--keys", server.text())
                self.assertIn(", no keys", server.text())
            file = os.path.join(directory, "keys")
            new_key("ci", "lock /ci", file=file)
            environment = {"LOCKER_KEYS": file}
            with Lockerd(os.path.join(directory, "c"), "--ip", "0.0.0.0",
                         environment=environment) as server:
                client = Client(server.port)
                self.assertEqual(client.ask("GET", "/v1/locks").status, 401)
                client.close()
                server.stop()
                self.assertNotIn("everybody who", server.text())


if __name__ == "__main__":
    unittest.main()
