"""/v1 from the user's view: what API.md says, over HTTP, against the real program."""

import json
import os
import shutil
import signal
import socket
import struct
import tempfile
import time
import unittest

import openapi
from lockerd import Lockerd
from v1_client import Answer, Background, Client, fresh_token


class V1Test(unittest.TestCase):
    options = ()

    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.store = os.path.join(self.directory, "locks.db")
        self.server = Lockerd(self.store, *self.options)
        self.addCleanup(lambda: self.server.__exit__())
        self.client = Client(self.server.port)
        self.addCleanup(self.client.close)

    def restart(self, kill=True):
        port = self.server.port
        self.client.close()
        self.server.kill() if kill else self.server.stop()
        self.server = Lockerd(self.store, *self.options, port=port)

    def follow(self, target="/v1/events", **headers):
        follower = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        self.addCleanup(follower.close)
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        follower.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        stream = follower.makefile("r", encoding="utf-8")
        self.assertIn("200", stream.readline())
        self.fields = []
        while field := stream.readline().strip():
            self.fields.append(field)
        self.opening = self.next_event(stream)
        self.assertEqual(self.opening["retry"], "1000")
        return stream

    @staticmethod
    def next_event(stream):
        """Returns the next event, or the opening. Skips comments, sent during silence."""
        event = {}
        while True:
            line = stream.readline().rstrip("\n")
            if not line:
                if "event" in event or "retry" in event:
                    if event.get("event", "reset") != "reset":
                        openapi.description.check_value({"$ref": "#/components/schemas/Event"},
                                                        json.loads(event["data"]), "event")
                    return event
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value

    def expect_in_use(self, answer, parameter, now, path):
        self.expect(409, answer, "token_in_use")
        self.assertEqual((answer["parameter"], answer["now"], answer["path"]), (parameter, now, path))

    def background(self, call):
        asked = Background(self.server.port, call)
        self.addCleanup(asked.client.close)
        return asked

    def wait_in_line(self, path, **parameters):
        """Sends a request and returns once it is in the queue."""
        before = self.client.ask("GET", "/v1/status")["waiters"]
        asked = self.background(lambda c: c.acquire(path, **{"wait": "20s", **parameters}))
        self.until_waiting(before + 1)
        return asked

    def until_waiting(self, count):
        self.eventually(lambda: self.client.ask("GET", "/v1/status")["waiters"] >= count,
                        "it does not wait")

    def eventually(self, is_so, what):
        until = time.monotonic() + 60
        while not is_so():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.005)

    def until_ended(self, token):
        """Waits until the lease has expired. Reading its state does not renew it."""
        def has_ended():
            return self.client.call("GET", "/v1/leases", token=token).status == 410
        self.eventually(has_ended, "its lease does not end")

    def granted(self, acquire):
        """Returns the grant; retries while the journal has no room."""
        while (answer := acquire()).status == 503:
            time.sleep(0.01)
        return self.expect(201, answer)

    def expect(self, status, answer, error=None):
        self.assertEqual(answer.status, status, answer)
        if error:
            self.assertEqual(answer["error"], error)
            self.assertTrue(answer["message"].endswith("."), answer["message"])
        return answer


class Acquiring(V1Test):
    def test_what_clashes(self):
        self.expect(201, self.client.acquire("/foo/bar", owner="timmy"))
        for path in ("/foo", "/foo/bar", "/foo/bar/baz", "/"):
            refused = self.expect(423, self.client.acquire(path), "locked")
            self.assertEqual(refused["blocked_by"][0]["owner"], "timmy")
            self.assertEqual(refused["blocked_by"][0]["path"], "/foo/bar")
            self.assertEqual(refused["blocked_by"][0]["state"], "held")
        self.expect(201, self.client.acquire("/foo/zip"))

    def test_the_rule_is_symmetric(self):
        self.expect(201, self.client.acquire("/a/b", lock_parents="false"))
        self.expect(423, self.client.acquire("/a"))  # it would block its children
        self.expect(201, self.client.acquire("/a", lock_children="false"))
        self.expect(201, self.client.acquire("/x", lock_children="false"))
        self.expect(423, self.client.acquire("/x/y"))  # it would block its parents
        self.expect(201, self.client.acquire("/x/y", lock_parents="false"))

    def test_shared(self):
        one = self.expect(201, self.client.acquire("/s", mode="shared"))
        self.expect(201, self.client.acquire("/s", mode="shared"))
        self.expect(201, self.client.acquire("/s/t", mode="shared"))
        self.expect(423, self.client.acquire("/s"))
        self.expect(423, self.client.acquire("/s/u"))
        self.assertEqual(one["mode"], "shared")

    def test_own_locks_never_clash_and_join_the_lease(self):
        token = self.client.acquire("/foo", owner="me")["token"]
        below = self.expect(201, self.client.acquire("/foo/bar", token=token))
        self.assertEqual(below["owner"], "me")
        held = self.client.call("GET", "/v1/leases", token=token)
        self.assertEqual([lock["path"] for lock in held["locks"]], ["/foo", "/foo/bar"])
        self.expect(409, self.client.acquire("/foo/x", token=token, owner="other"), "token_in_use")

    def test_all_of_a_lease_has_one_owner(self):
        token = self.client.acquire("/a", owner="o")["token"]
        refused = self.expect(409, self.client.acquire("/c", token=token, owner="x"), "token_in_use")
        self.assertIn("its lease has a different owner, o;", refused["message"])
        self.expect_in_use(refused, "owner", "o", None)
        same = {"locks": [{"path": "/c"}], "token": token}
        self.expect(409, self.client.several(**same, owner="x"), "token_in_use")
        self.assertEqual(self.expect(201, self.client.several(**same))["owner"], "o")
        again = self.expect(201, self.client.acquire("/d", token=token, owner="o"))
        self.assertEqual(again["owner"], "o")
        lease = self.client.call("POST", "/v1/leases", token=token, owner="o")
        self.expect(409, lease, "token_in_use")
        self.assertIn("an acquire created its lease", lease["message"])
        self.expect_in_use(lease, None, None, None)
        lease = self.client.call("POST", "/v1/leases", token=token, owner="o", ttl="9s")
        self.expect_in_use(lease, "ttl", None, None)
        lease = self.client.call("POST", "/v1/leases", token=token, owner="x")
        self.expect_in_use(lease, "owner", "o", None)

    def test_the_same_request_again_is_the_same_grant(self):
        token = fresh_token()
        asked = dict(token=token, owner="a", ttl="30s", meta="why")
        first = self.expect(201, self.client.acquire("/p", **asked))
        again = self.expect(200, self.client.acquire("/p", **asked))
        self.assertEqual(first["fence"], again["fence"])
        self.restart()
        again = self.expect(200, self.client.acquire("/p", **asked))
        self.assertEqual(first["fence"], again["fence"])
        for other, now in (({"ttl": "31s"}, "30000ms"), ({"lock_parents": "false"}, "true"),
                           ({"lock_children": "0"}, "true"), ({"meta": "x"}, "why"),
                           ({"lock_delay": "1s"}, None)):
            refused = self.client.acquire("/p", **{**asked, **other})
            self.expect_in_use(refused, list(other)[0], now, "/p")
        self.expect_in_use(self.client.acquire("/p", **{**asked, "owner": "b"}), "owner", "a", None)
        refused = self.client.acquire("/p", **{**asked, "ttl": "31s"})
        self.assertIn("it holds /p with a different ttl, 30000ms;", refused["message"])
        self.assertEqual(self.client.ask("GET", "/v1/status")["locks"], 1)

    def test_a_token_in_use_names_the_path_that_is_held_already(self):
        token = fresh_token()
        self.expect(201, self.client.acquire("/q/1", token=token))
        paths = [{"path": f"/q/{n}"} for n in range(3)]
        refused = self.client.several(locks=paths, token=token)
        self.expect_in_use(refused, None, None, "/q/1")
        self.assertIn("it holds /q/1 already; request only the other paths", refused["message"])
        self.expect(201, self.client.several(locks=[paths[0], paths[2]], token=token))
        self.expect_in_use(self.client.several(locks=paths, token=token), None, None, "/q/1")
        shared = [{"path": "/q/0", "mode": "shared"}, {"path": "/q/2"}]
        self.expect_in_use(self.client.several(locks=shared, token=token), "mode", "exclusive",
                           "/q/0")

    def test_a_token_in_use_names_what_waits(self):
        holder = self.client.acquire("/q")["token"]
        token = fresh_token()
        asked = dict(locks=[{"path": "/q"}, {"path": "/r"}], token=token, any=2, ttl="9s")
        waiting = self.background(lambda c: c.several(**asked, wait="20s"))
        self.until_waiting(1)
        self.expect_in_use(self.client.acquire("/r", token=token), None, None, "/r")
        for other, now in (({"any": 1}, "2"), ({"ttl": "8s"}, "9000ms"), ({"meta": "m"}, None),
                           ({"owner": "o"}, None)):
            refused = self.client.several(**{**asked, **other})
            name = list(other)[0]
            self.expect_in_use(refused, name, now, None if name == "owner" else "/q")
        self.client.release("/q", holder)
        self.expect(201, waiting.answer())

    def test_a_late_duplicate_changes_the_mode_back_and_its_fence_tells(self):
        token = fresh_token()
        self.expect(201, self.client.acquire("/u", token=token, mode="shared"))
        alone = self.expect(201, self.client.acquire("/u", token=token))
        self.assertEqual(self.client.renew(token)["newest_fence"], alone["fence"])
        late = self.expect(201, self.client.acquire("/u", token=token, mode="shared"))
        self.assertEqual(late["mode"], "shared")
        self.assertGreater(late["fence"], alone["fence"])
        self.assertEqual(self.client.renew(token)["newest_fence"], late["fence"])

    def test_a_grant_to_who_waited_takes_back_no_renewal(self):
        holder = self.client.acquire("/x")["token"]
        token = fresh_token()
        self.expect(201, self.client.acquire("/y", token=token, ttl="2s"))
        waiting = self.background(lambda c: c.acquire("/x", token=token, ttl="2s", wait="20s"))
        self.until_waiting(1)
        self.assertEqual(self.client.renew(token, ttl="60s")["ttl_ms"], 60_000)
        self.client.release("/x", holder)
        granted = self.expect(201, waiting.answer())
        self.assertEqual(granted["ttl_ms"], 60_000)
        again = self.expect(200, self.client.acquire("/x", token=token, ttl="2s"))
        self.assertEqual((again["fence"], again["ttl_ms"]), (granted["fence"], 60_000))
        self.restart()
        self.assertEqual(self.client.renew(token)["ttl_ms"], 60_000)

    def test_upgrade_and_downgrade(self):
        a, b = fresh_token(), fresh_token()
        self.client.acquire("/u", token=a, mode="shared", owner="a")
        first = self.expect(201, self.client.acquire("/u", token=a))
        self.assertEqual(first["mode"], "exclusive")
        self.expect(201, self.client.acquire("/u", token=a, mode="shared"))
        self.expect(201, self.client.acquire("/u", token=b, mode="shared", owner="b"))
        self.expect(423, self.client.acquire("/u", token=a))
        waiting = self.wait_in_line("/u", token=a)
        refused = self.expect(409, self.client.acquire("/u", token=b, wait="20s"), "deadlock")
        self.assertEqual({step["owner"] for step in refused["cycle"]}, {"a", "b"})
        self.expect(200, self.client.release("/u", b))
        self.expect(201, waiting.answer())

    def test_several_are_all_or_none(self):
        held = self.client.acquire("/b")
        locks = [{"path": "/a"}, {"path": "/b/c", "mode": "shared"}]
        refused = self.expect(423, self.client.several(locks=locks), "locked")
        self.assertEqual(refused["blocked_by"][0]["path"], "/b")
        self.assertTrue(self.client.ask("GET", "/v1/locks/a")["free"])
        waiting = self.background(lambda c: c.several(locks=locks, wait=10, owner="s"))
        self.until_waiting(1)
        self.client.release("/b", held["token"])
        granted = self.expect(201, waiting.answer())
        self.assertEqual([lock["path"] for lock in granted["locks"]], ["/a", "/b/c"])
        self.assertEqual(granted["locks"][1]["mode"], "shared")
        released = self.client.call("DELETE", "/v1/leases", token=granted["token"])
        self.assertEqual(released["released"], 2)

    def test_any_of_several(self):
        machines = [{"path": f"/pool/{n}"} for n in range(3)]
        first = self.expect(201, self.client.several(locks=machines, any=2))
        self.assertEqual([lock["path"] for lock in first["locks"]], ["/pool/0", "/pool/1"])
        second = self.expect(201, self.client.several(locks=machines, any=1))
        self.assertEqual([lock["path"] for lock in second["locks"]], ["/pool/2"])
        self.expect(423, self.client.several(locks=machines, any=1))
        waiting = self.background(lambda c: c.several(locks=machines, any=1, wait=10))
        self.until_waiting(1)
        self.client.release("/pool/1", first["token"])
        self.assertEqual([lock["path"] for lock in waiting.answer()["locks"]], ["/pool/1"])

    def test_bad_input_changes_nothing(self):
        for parameters in ({"ttl": "x"}, {"ttl": "0"}, {"wait": "-1"}, {"wait": "25h"}, {"mode": "x"},
                           {"lock_parents": "maybe"}, {"token": "abc"}, {"nonsense": "1"},
                           {"meta": "x" * 4097}, {"owner": "x" * 256}, {"lock_delay": "2h"}):
            self.expect(400, self.client.acquire("/bad", **parameters), "bad_request")
        refused = self.client.acquire("/bad", ttl="31d")
        self.assertIn("from 1ms to 30d", refused["message"])
        for combined in ("1h30m", "1h 30m", "1m30", "1:30"):
            refused = self.expect(400, self.client.acquire("/bad", ttl=combined), "bad_request")
            self.assertIn("one number and one unit", refused["message"])
        self.expect(400, self.client.ask("POST", "/v1/locks/bad?owner=a&owner=b"))
        self.expect(400, self.client.ask("POST", "/v1/locks/bad?owner=a", {"owner": "b"}))
        self.expect(400, self.client.ask("POST", "/v1/locks/..", None))
        for body in ({}, {"locks": []}, {"locks": [{"path": "a"}]}, {"locks": [{"path": "/a"}] * 2},
                     {"locks": [{"path": "/a"}], "any": 2}, {"locks": [{"path": "/a", "x": 1}]},
                     {"locks": [{"path": "/a"}], "mode": "shared"}, []):
            self.expect(400, self.client.ask("POST", "/v1/locks", body), "bad_request")
        without = self.expect(400, self.client.ask("POST", "/v1/locks"), "bad_request")
        self.assertEqual(without.body, self.client.ask("POST", "/v1/locks", {}).body)
        self.assertIn('"locks"', without["message"])
        self.expect(405, self.client.ask("PUT", "/v1/locks/a"), "method_not_allowed")
        self.assertEqual(self.client.ask("GET", "/v1/status")["locks"], 0)

    def test_json_bodies_and_the_token_in_a_header(self):
        token = fresh_token()
        body = {"owner": "j", "ttl": 1.5, "lock_children": False}
        taken = self.expect(201, self.client.ask("POST", "/v1/locks/j", body, {"Lock-Token": token}))
        self.assertEqual((taken["token"], taken["ttl_ms"]), (token, 1500))
        self.assertFalse(taken["lock_children"])
        self.expect(200, self.client.ask("DELETE", "/v1/locks/j", headers={"Lock-Token": token}))

    def test_a_page_of_another_site_takes_nothing(self):
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Purpose": "prefetch"},
                        {"Origin": "http://evil.example"}, {"Origin": "null"},
                        {"Referer": "http://evil.example/page"}):
            self.expect(403, self.client.ask("POST", "/v1/locks/x", headers=headers), "cross_site")
        own = f"http://127.0.0.1:{self.client.port}"
        for headers in ({"Origin": own}, {"Referer": own + "/ui"},
                        {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxy.example"}):
            self.expect(404, self.client.ask("DELETE", "/v1/locks/x?force=true", headers=headers))


class Leasing(V1Test):
    def test_expiry_is_exact_and_never_early(self):
        lateness = []
        for n in range(8):
            sent = time.monotonic()
            self.expect(201, self.client.acquire(f"/t{n}", ttl="400ms"))
            got = time.monotonic()
            waiting = self.wait_in_line(f"/t{n}")
            self.expect(201, waiting.answer())
            self.assertGreaterEqual(waiting.when - sent, 0.4)
            lateness.append(waiting.when - got - 0.4)
            if lateness[-1] < 0.05:
                return  # once is enough: the machine may be busy
        self.fail(f"always late: {lateness}")

    def test_renewal_keeps_and_an_ended_lease_says_why(self):
        granted = self.client.acquire("/t", ttl="3s")
        token = granted["token"]
        for _ in range(4):  # a second longer than its TTL
            time.sleep(1)
            renewed = self.expect(200, self.client.renew(token))
            self.assertEqual((renewed["ttl_ms"], renewed["locks"]), (3000, 1))
            self.assertEqual(renewed["newest_fence"], granted["fence"])
        self.expect(423, self.client.acquire("/t"))
        self.assertEqual(self.client.renew(token, ttl="200ms")["ttl_ms"], 200)
        self.until_ended(token)
        gone = self.expect(410, self.client.renew(token), "lease_ended")
        self.assertEqual(gone["reason"], "expired")
        self.expect(410, self.client.release("/t", token), "lease_ended")
        self.expect(410, self.client.acquire("/t", token=token), "lease_ended")
        self.expect(410, self.client.call("GET", "/v1/leases", token=token), "lease_ended")
        self.expect(404, self.client.call("GET", "/v1/leases", token=fresh_token()), "no_such_lease")
        self.expect(404, self.client.renew(fresh_token()), "no_such_lease")

    def test_a_restart_gives_the_whole_ttl_again(self):
        token = self.client.acquire("/t", ttl="4s")["token"]
        began = time.monotonic()
        self.client.acquire("/keep", ttl="60s")
        time.sleep(2)
        self.restart()
        time.sleep(max(0, began + 4.2 - time.monotonic()))  # past its first TTL
        self.expect(423, self.client.acquire("/t"))
        self.expect(201, self.client.acquire("/t", wait="20s"))
        self.expect(410, self.client.renew(token))
        self.expect(423, self.client.acquire("/keep"))

    def test_no_lease_ends_because_the_server_stood_still(self):
        token = self.client.acquire("/s", ttl="2s")["token"]
        self.server.stand_still()
        time.sleep(4)
        self.server.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)  # the server checks its clock before it reads the request
        self.expect(200, self.client.renew(token))

    def test_a_renewal_sent_while_the_server_stood_still_counts(self):
        token = self.client.acquire("/s", ttl="2s")["token"]
        waiting = self.wait_in_line("/s")
        time.sleep(1)
        self.server.stand_still()
        renewal = self.background(lambda c: c.renew(token))
        time.sleep(1.2)
        self.server.process.send_signal(signal.SIGCONT)
        self.expect(200, renewal.answer())
        self.client.call("DELETE", "/v1/leases", token=token)
        self.expect(201, waiting.answer())

    def test_no_lease_ends_while_the_server_stops_and_nobody_can_renew(self):
        token = self.client.acquire("/s", ttl="1s")["token"]
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as slow:
            slow.sendall(b"POST /v1/leases HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                         b"Content-Type: application/json\r\n\r\n")
            self.client.renew(token)
            self.server.process.send_signal(signal.SIGTERM)
            time.sleep(2.5)
            slow.sendall(b"{}")
            self.assertIn(b"201", slow.recv(4096))
        self.assertEqual(self.server.process.wait(timeout=15), 0)
        self.restart(kill=False)
        self.expect(200, self.client.renew(token))

    def test_release_is_idempotent(self):
        first = self.client.acquire("/r")
        other = self.client.acquire("/other")["token"]
        self.expect(403, self.client.release("/r", other), "wrong_token")
        for _ in range(2):
            done = self.expect(200, self.client.release("/r", first["token"]))
            self.assertEqual((done["released"], done["fence"]), (True, first["fence"]))
        self.expect(404, self.client.release("/r", other), "not_held")
        self.restart()
        self.expect(200, self.client.release("/r", first["token"]))

    def test_a_lease_without_locks(self):
        token = fresh_token()
        asked = dict(token=token, owner="w", ttl="1s")
        self.expect(201, self.client.call("POST", "/v1/leases", **asked))
        self.expect(200, self.client.call("POST", "/v1/leases", **asked))
        self.expect(409, self.client.call("POST", "/v1/leases", token=token, owner="x", ttl="1s"))
        self.expect(201, self.client.acquire("/l", token=token))
        self.expect(200, self.client.release("/l", token))
        self.restart()
        renewed = self.client.renew(token)
        self.assertEqual((renewed["locks"], renewed["newest_fence"]), (0, None))
        self.expect(200, self.client.call("DELETE", "/v1/leases", token=token))
        again = self.expect(200, self.client.call("DELETE", "/v1/leases", token=token))
        self.assertEqual(again["released"], 0)
        self.expect(404, self.client.call("DELETE", "/v1/leases", token=fresh_token()))

    def test_a_lease_that_is_opened_again_without_a_ttl_keeps_the_one_it_has(self):
        token = fresh_token()
        self.assertIsNone(self.expect(201, self.client.call("POST", "/v1/leases", token=token))["ttl_ms"])
        self.options = ("--default-ttl", "60s")
        self.restart()
        again = self.expect(200, self.client.call("POST", "/v1/leases", token=token))
        self.assertIsNone(again["ttl_ms"])
        other = self.client.call("POST", "/v1/leases", token=token, ttl="60s")
        self.expect_in_use(other, "ttl", None, None)

    def test_a_lease_that_is_no_more_is_neither_released_nor_opened(self):
        expired = self.client.acquire("/e", ttl="1ms")["token"]
        self.expect(201, self.client.acquire("/e", wait="20s"))
        forced = self.client.acquire("/f")["token"]
        self.client.call("DELETE", "/v1/locks/f", force="true", reason="maintenance")
        for token, why in ((expired, ("expired", None)), (forced, ("forced", "maintenance"))):
            for method in ("DELETE", "POST"):
                answer = self.client.call(method, "/v1/leases", token=token)
                gone = self.expect(410, answer, "lease_ended")
                self.assertEqual((gone["reason"], gone["detail"]), why)
        released = self.client.call("DELETE", "/v1/leases", token=fresh_token())
        self.expect(404, released, "no_such_lease")

    def test_who_only_waits_leaves_the_line(self):
        self.client.acquire("/e", owner="holder")
        by_lease, by_path, behind = fresh_token(), fresh_token(), fresh_token()
        waiting = [self.wait_in_line("/e", token=token) for token in (by_lease, by_path, behind)]
        for _ in range(2):  # repeating it changes nothing
            left = self.client.call("DELETE", "/v1/leases", token=by_lease)
            self.assertEqual(self.expect(200, left)["released"], 0)
            left = self.expect(200, self.client.release("/e", by_path))
            self.assertEqual((left["path"], left["released"], left["fence"]), ("/e", True, None))
        for asked in waiting[:2]:
            self.assertEqual(self.expect(410, asked.answer(), "lease_ended")["reason"], "released")
        self.assertEqual(self.client.ask("GET", "/v1/status")["waiters"], 1)
        self.expect(403, self.client.release("/e", fresh_token()), "wrong_token")
        # A place kept without a connection.
        waiting[2].disconnect()
        self.eventually(lambda: not self.client.ask("GET", "/v1/locks/e")["waiters"], "it waits")
        self.expect(200, self.client.release("/e", behind))
        self.assertEqual(self.client.ask("GET", "/v1/status")["waiters"], 0)
        # By any path of its request.
        by_paths = fresh_token()
        asked = self.background(lambda c: c.several(
            token=by_paths, locks=[{"path": "/e"}, {"path": "/f"}], wait="20s"))
        self.until_waiting(1)
        for path in ("/f", "/e", "/f"):
            self.assertIsNone(self.expect(200, self.client.release(path, by_paths))["fence"])
        self.expect(410, asked.answer(), "lease_ended")
        # The token may wait again.
        again = self.wait_in_line("/e", token=by_path)
        self.client.call("DELETE", "/v1/locks/e", force="true")
        self.expect(201, again.answer())

    def test_who_was_forced_out_of_the_line_hears_so_from_a_release(self):
        self.client.acquire("/e", owner="holder")
        token = fresh_token()
        waiting = self.wait_in_line("/e", token=token, owner="waiter")
        self.client.call("DELETE", "/v1/locks", force="true", owner="waiter", waiting="true", reason="why")
        self.expect(410, waiting.answer(), "lease_ended")
        gone = self.expect(410, self.client.release("/e", token), "lease_ended")
        self.assertEqual((gone["reason"], gone["detail"]), ("forced", "why"))

    def test_snapshots_keep_all_of_it(self):
        opened, holder = fresh_token(), fresh_token()
        self.client.call("POST", "/v1/leases", token=opened, owner="opened", ttl="60s")
        self.client.renew(opened, ttl="50s")
        self.client.acquire("/keep", token=holder, owner="h", ttl="60s", meta="why", mode="shared")
        self.client.renew(holder, ttl="40s")
        self.client.acquire("/cool", owner="c", lock_delay="1h")
        self.client.call("DELETE", "/v1/locks/cool", force="true")
        for _ in range(2500):  # 10 MB of journal: two snapshots, older segments removed
            token = self.granted(lambda: self.client.acquire("/churn", meta="m" * 4096))["token"]
            self.expect(200, self.client.release("/churn", token))
        self.eventually(lambda: sum(name.endswith(".snapshot") for name in os.listdir(self.store)) == 2,
                        "no two snapshots")
        self.eventually(lambda: f"journal-{1:016x}.segment" not in os.listdir(self.store),
                        "the first segment stays")
        before = self.client.ask("GET", "/v1/locks")["locks"]
        self.restart()
        after = self.client.ask("GET", "/v1/locks")["locks"]
        for lock in before + after:
            del lock["held_ms"], lock["expires_in_ms"]
        self.assertEqual(before, after)
        self.assertEqual([(lock["path"], lock["state"], lock["owner"]) for lock in after],
                         [("/keep", "held", "h"), ("/cool", "cooling", "c")])
        self.assertEqual(self.client.renew(opened)["ttl_ms"], 50_000)
        self.assertEqual(self.client.renew(holder)["ttl_ms"], 40_000)
        self.expect(423, self.client.acquire("/cool"))

    def test_fences_rise_for_ever(self):
        fences = []

        def take():
            taken = self.client.acquire("/f")
            fences.append(taken["fence"])
            self.client.release("/f", taken["token"])

        take()
        self.server.stop()
        backup = os.path.join(self.directory, "backup")
        shutil.copytree(self.store, backup)
        self.restart(kill=True)
        for _ in range(5):
            take()
        self.restart()
        take()
        self.server.kill()
        shutil.rmtree(self.store)
        shutil.copytree(backup, self.store)
        self.restart()
        take()
        self.assertEqual(fences, sorted(set(fences)))
        self.assertLess(fences[-1], 2**53)


class Waiting(V1Test):
    def test_first_come_first_served(self):
        holder = self.client.acquire("/q")["token"]
        asked = [self.wait_in_line("/q", owner=str(n)) for n in range(4)]
        state = self.client.ask("GET", "/v1/locks/q")
        self.assertEqual([(w["owner"], w["place"]) for w in state["waiters"]],
                         [("0", 1), ("1", 2), ("2", 3), ("3", 4)])
        for n, waiter in enumerate(asked):
            self.expect(200, self.client.release("/q", holder))
            granted = self.expect(201, waiter.answer())
            self.assertGreater(granted["waited_ms"], 0)
            holder = granted["token"]
            self.assertEqual([w.is_done() for w in asked], [True] * (n + 1) + [False] * (3 - n))

    def test_a_waiter_is_called_as_the_holder_it_will_be(self):
        self.client.acquire("/q")
        token = self.client.call("POST", "/v1/leases", owner="ours")["token"]
        self.wait_in_line("/q", token=token)
        waiters = self.client.ask("GET", "/v1/locks?state=waiting")["locks"]
        self.assertEqual([(w["path"], w["owner"]) for w in waiters], [("/q", "ours")])

    def test_a_page_of_waiters_can_end_among_the_paths_of_one(self):
        self.client.acquire("/q")
        several = {"locks": [{"path": f"/q/{n}"} for n in range(5)], "owner": "five", "wait": "20s"}
        self.wait_in_line("/q", owner="before")
        self.background(lambda c: c.ask("POST", "/v1/locks", several))
        self.until_waiting(2)
        self.wait_in_line("/q", owner="behind")
        found, after = [], ""
        while after is not None:
            page = self.client.ask("GET", "/v1/locks?state=waiting&limit=2" + after)
            self.assertLessEqual(len(page["locks"]), 2)
            found += [lock["path"] for lock in page["locks"]]
            after = page["next"] and "&after=" + page["next"]
        self.assertEqual(found, ["/q", "/q/0", "/q/1", "/q/2", "/q/3", "/q/4", "/q"])

    def test_nobody_overtakes_a_request_for_the_root(self):
        holder = self.client.acquire("/a")["token"]
        root = self.wait_in_line("/")
        refused = self.expect(423, self.client.acquire("/b"), "locked")
        self.assertEqual(refused["blocked_by"][0]["state"], "waiting")
        state = self.client.ask("GET", "/v1/locks/b")
        self.assertEqual((state["free"], state["holders"], state["covered_by"], state["waiters"]),
                         (False, [], [], []))
        self.assertEqual([w["path"] for w in state["awaited_by"]], ["/"])
        self.assertEqual(self.client.ask("GET", "/v1/locks/")["awaited_by"], [])
        self.assertEqual(self.client.ask("GET", "/canhaz/b?id=x")["ok"], False)
        behind = self.wait_in_line("/b")
        state = self.client.ask("GET", "/v1/locks/b")
        self.assertEqual(([w["path"] for w in state["awaited_by"]], state["waiter_count"]),
                         (["/"], 1))
        self.client.release("/a", holder)
        token = self.expect(201, root.answer())["token"]
        self.assertFalse(behind.is_done())
        self.client.release("/", token)
        self.expect(201, behind.answer())

    def test_the_wait_ends(self):
        self.client.acquire("/w")
        began = time.monotonic()
        refused = self.expect(423, self.client.acquire("/w", wait="300ms"), "locked")
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertGreaterEqual(refused["waited_ms"], 300)
        self.assertIn("wait longer", refused["message"])
        self.assertEqual(refused["blocked_by"][0]["path"], "/w")
        self.assertEqual(self.client.ask("GET", "/v1/status")["waiters"], 0)

    def test_what_is_too_much_for_the_journal_is_refused_and_stands_in_nobodys_way(self):
        # More than fits into a segment, which is 1 MiB here.
        much = {"locks": [{"path": f"/much/{n}"} for n in range(256)], "meta": "m" * 4000}
        for _ in range(200):
            answer = self.client.several(**much)
            if answer.status != 503:
                break
            time.sleep(0.05)  # the next segment, not there yet, might be larger
        self.expect(507, answer, "disk_full")
        holder, other = self.client.acquire("/much/1")["token"], self.client.acquire("/o")["token"]
        too_much = self.background(lambda c: c.several(**much, wait="20s"))
        self.until_waiting(1)
        behind = self.wait_in_line("/o")
        self.client.release("/much/1", holder)
        self.client.release("/o", other)
        self.assertLess(self.expect(201, behind.answer())["waited_ms"], 5_000)
        self.expect(507, too_much.answer(), "disk_full")

    def test_who_disconnects_leaves_and_is_never_granted(self):
        holder = self.client.acquire("/d")["token"]
        first = self.wait_in_line("/d")
        second = self.wait_in_line("/d")
        first.client.connection.sock.shutdown(socket.SHUT_RDWR)
        for _ in range(200):
            if self.client.ask("GET", "/v1/status")["waiters"] == 1:
                break
            time.sleep(0.01)
        self.client.release("/d", holder)
        self.expect(201, second.answer())
        self.assertEqual(self.client.ask("GET", "/v1/status")["locks"], 1)

    def test_a_grant_that_cannot_be_delivered_is_taken_back(self):
        if shutil.which("strace") is None:
            self.skipTest("needs strace, to make the disk slow")
        slow = ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=fdatasync", "-e",
                "inject=fdatasync:delay_enter=400000"]
        with Lockerd(self.store + ".slow", wrapper=slow) as server:
            client = Client(server.port)
            for _ in range(20):
                if self.hand_over_to_nobody(server.port, client):
                    break
            else:
                self.fail("the grant was delivered each time before its client left")
            client.close()
            os.kill(server.child(), signal.SIGTERM)
            self.assertEqual(server.process.wait(timeout=15), 0)

    def hand_over_to_nobody(self, port, client):
        """Returns False if the grant was delivered before its client left, on a slow machine."""
        holder = self.expect(201, client.acquire("/l"))["token"]
        leaving = Background(port, lambda c: c.acquire("/l", wait="20s"))
        self.addCleanup(leaving.client.close)
        while client.ask("GET", "/v1/status")["waiters"] == 0:
            time.sleep(0.005)
        released = Background(port, lambda c: c.release("/l", holder))
        self.addCleanup(released.client.close)
        time.sleep(0.2)  # the grant is being written to disk
        leaving.client.connection.sock.shutdown(socket.SHUT_RDWR)
        self.expect(200, released.answer())
        delivered = leaving.answer()
        if isinstance(delivered, Answer):
            self.expect(200, client.release("/l", self.expect(201, delivered)["token"]))
            return False
        for _ in range(200):
            if client.ask("GET", "/v1/status")["locks"] == 0:
                break
            time.sleep(0.05)
        token = self.expect(201, client.acquire("/l"))["token"]
        self.expect(200, client.release("/l", token))
        return True

    def test_a_token_of_ones_own_keeps_the_place(self):
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        self.expect(423, self.client.acquire("/k", token=token, wait="100ms"))
        behind = self.wait_in_line("/k", owner="behind")
        waiting = self.client.ask("GET", "/v1/locks?state=waiting")["locks"]
        self.assertEqual([each["connected"] for each in waiting], [False, True])
        table = self.client.ask("GET", "/v1/locks?state=waiting", headers={"Accept": "text/plain"})
        self.assertRegex(table.text, r"\? +exclusive +kept .*\n/k +behind +exclusive +waiting ")
        self.assertEqual([each["connected"] for each in self.client.ask("GET", "/v1/locks/k")["waiters"]],
                         [True])
        back = self.background(lambda c: c.acquire("/k", token=token, wait="10s"))
        self.eventually(lambda: self.client.ask("GET", "/v1/locks/k")["waiter_count"] == 2,
                        "it does not come back")
        self.client.release("/k", holder)
        self.expect(201, back.answer())
        self.assertFalse(behind.is_done())
        self.client.release("/k", token)
        self.expect(201, behind.answer())

    def test_who_has_left_takes_the_place_of_nobody_who_waits(self):
        # As after a stall of the server, during which a client has given up a request and sent
        # another: the order in which the server reads them is undefined.
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        waiting = self.wait_in_line("/k", token=token)
        self.server.stand_still()
        late = [socket.create_connection(("127.0.0.1", self.server.port), timeout=30)
                for _ in range(3)]
        for each in late:
            self.addCleanup(each.close)
            each.sendall(f"POST /v1/locks/k?token={token}&wait=20s HTTP/1.1\r\nHost: x\r\n"
                         "Content-Length: 0\r\n\r\n".encode())
        late[0].shutdown(socket.SHUT_WR)
        late[1].close()
        late[2].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        late[2].close()  # sends a reset
        self.server.process.send_signal(signal.SIGCONT)
        self.assertIn(b"superseded", late[0].recv(4096))
        time.sleep(0.2)
        self.assertFalse(waiting.is_done())
        self.client.release("/k", holder)
        self.expect(201, waiting.answer())

    def test_who_asks_again_takes_the_place_of_who_waits(self):
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        first = self.wait_in_line("/k", token=token)
        again = self.background(lambda c: c.acquire("/k", token=token, wait="20s"))
        self.expect(409, first.answer(), "superseded")
        self.client.release("/k", holder)
        self.expect(201, again.answer())

    def test_what_may_be_left_out_by_who_asks_again(self):
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        first = self.wait_in_line("/k", token=token, owner="o", ttl="30s", meta="why", lock_delay="2s")
        self.expect_in_use(self.client.acquire("/k", token=token, wait="20s"), "ttl", "30000ms", "/k")
        self.assertFalse(first.is_done())
        again = self.background(lambda c: c.acquire("/k", token=token, ttl="30s", wait="19s"))
        self.expect(409, first.answer(), "superseded")
        self.client.release("/k", holder)
        self.assertEqual(self.expect(201, again.answer())["owner"], "o")
        (held,) = self.client.ask("GET", "/v1/locks/k")["holders"]
        self.assertEqual(held["meta"], "why")

    def test_another_request_for_the_path_gives_the_kept_place_up(self):
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        self.expect(423, self.client.acquire("/k", token=token, wait="100ms"))
        behind = self.wait_in_line("/k")
        self.expect(423, self.client.acquire("/k", token=token, mode="shared"), "locked")
        self.client.release("/k", holder)
        self.expect(201, behind.answer())

    def test_deadlocks_are_refused(self):
        tokens = [fresh_token() for _ in range(3)]
        for n, token in enumerate(tokens):
            self.expect(201, self.client.acquire(f"/{n}", token=token, owner=str(n)))
        asked = [self.wait_in_line("/1", token=tokens[0]), self.wait_in_line("/2", token=tokens[1])]
        refused = self.expect(409, self.client.acquire("/0", token=tokens[2], wait="9s"), "deadlock")
        self.assertEqual([(step["owner"], step["waits_for"]) for step in refused["cycle"]],
                         [("2", "/0"), ("0", "/1"), ("1", "/2")])
        fences = {path: self.client.call("GET", "/v1/locks" + path)["holders"][0]["fence"]
                  for path in ("/0", "/1", "/2")}
        self.assertEqual([step["blocked_by"] for step in refused["cycle"]],
                         [{"path": path, "fence": fences[path]} for path in ("/0", "/1", "/2")])
        self.assertIn("which holds /2. Release that", refused["message"])
        self.client.call("DELETE", "/v1/leases", token=tokens[2])
        self.expect(201, asked[1].answer())
        self.client.call("DELETE", "/v1/leases", token=tokens[1])
        self.expect(201, asked[0].answer())

    def test_a_holder_takes_more_while_others_wait_for_it(self):
        token = self.client.acquire("/h")["token"]
        waiting = self.wait_in_line("/h")
        self.assertEqual(self.client.renew(token)["waiters"], 1)
        self.expect(201, self.client.acquire("/h/below", token=token))
        self.client.call("DELETE", "/v1/leases", token=token)
        self.expect(201, waiting.answer())

    def test_a_stop_answers_those_who_wait(self):
        self.client.acquire("/z")
        waiting = self.wait_in_line("/z")
        self.assertEqual(self.server.stop(), 0)
        answer = self.expect(503, waiting.answer(), "draining")
        self.assertEqual(answer.headers["Retry-After"], "1")


class Looking(V1Test):
    def test_pages_stay_right_while_things_change(self):
        taken = [self.client.acquire(f"/n/{i}", owner=f"o{i % 2}") for i in range(50)]
        seen, after = [], None
        while True:
            page = self.client.call("GET", "/v1/locks", prefix="/n", limit=7,
                                    **({"after": after} if after else {}))
            seen += [lock["path"] for lock in page["locks"]]
            after = page["next"]
            if after is None:
                break
            gone = taken[len(seen) // 2]  # some before, some after the page
            self.client.release(gone["path"], gone["token"])
            ahead = taken[min(49, len(seen) + 3)]
            self.client.release(ahead["path"], ahead["token"])
        self.assertEqual(len(seen), len(set(seen)))
        staying = [lock["path"] for lock in self.client.call("GET", "/v1/locks", limit=1000)["locks"]]
        self.assertLessEqual(set(staying), set(seen))
        mine = self.client.call("GET", "/v1/locks", owner="o1", limit=1000)["locks"]
        self.assertTrue(mine and all(lock["owner"] == "o1" for lock in mine))
        # The same page again, and one whose cursor was removed long ago.
        page = self.client.call("GET", "/v1/locks", limit=5)
        again = self.client.call("GET", "/v1/locks", limit=5, after=page["next"])
        twice = self.client.call("GET", "/v1/locks", limit=5, after=page["next"])
        self.assertEqual([lock["path"] for lock in again["locks"]],
                         [lock["path"] for lock in twice["locks"]])

    def test_what_is_granted_between_two_pages_is_on_the_second(self):
        def listed(**first):
            page = self.client.call("GET", "/v1/locks", prefix="/g", **first)
            seen = list(page["locks"])
            while page["next"] is not None:
                page = self.client.call("GET", "/v1/locks", prefix="/g", after=page["next"])
                seen += page["locks"]
            return [lock["path"] for lock in seen]

        def take(names, **how):
            return [self.client.acquire(f"/g/{name}", **how)["path"] for name in names]
        expected = take(range(3))
        page = self.client.call("GET", "/v1/locks", prefix="/g", limit=3)
        self.assertEqual(len(page["locks"]), 3)
        # Also of a kind that did not exist before; and through another client's list.
        expected += take(range(3, 6)) + take(range(6, 9), mode="shared", lock_parents="false")
        self.assertEqual(listed(limit=3), expected)
        # After everything seen has gone, with its node in the tree.
        page = self.client.call("GET", "/v1/locks", prefix="/g", limit=9)
        self.assertIsNotNone(page["next"])
        self.client.call("DELETE", "/v1/locks", prefix="/g", force="true", reason="x")
        expected = take(range(10, 14))
        rest = self.client.call("GET", "/v1/locks", prefix="/g", after=page["next"])
        self.assertEqual([lock["path"] for lock in rest["locks"]], expected)

    def test_a_page_is_behind_a_place_or_refused(self):
        token = self.client.acquire("/n")["token"]
        for place in ("0", "1.0", "1.65535", "18446744073709551615.65535"):
            self.expect(200, self.client.call("GET", "/v1/locks", after=place))
            self.expect(200, self.client.call("GET", "/v1/leases", token=token, after=place))
        for nowhere in ("", "x", "-1", "+1", " 1", "1 ", ".", ".1", "1.", "1.0.0", "1..0", "1,0", "0x1",
                        "1e3", "18446744073709551616", "1.65536", "1.-1", "9" * 31, "0" * 30 + "1"):
            for state in ("held", "cooling", "waiting"):
                refused = self.client.call("GET", "/v1/locks", state=state, after=nowhere)
                self.expect(400, refused, "bad_request")
            refused = self.client.call("GET", "/v1/leases", token=token, after=nowhere)
            self.expect(400, refused, "bad_request")
        last = "18446744073709551615.65535"
        self.assertEqual(self.client.call("GET", "/v1/locks", after=last)["locks"], [])

    def test_long_texts_make_short_pages(self):
        token = fresh_token()
        for group in range(12):
            locks = [{"path": f"/long/{group}/{n}"} for n in range(25)]
            self.granted(lambda: self.client.several(locks=locks, token=token, meta="m" * 4000))
        for call in (dict(path="/v1/locks", limit=1000), dict(path="/v1/leases", token=token)):
            seen, pages, after = [], 0, {}
            while True:
                page = self.expect(200, self.client.call("GET", **call, **after))
                self.assertLess(len(page.text), 1024 * 1024)
                seen += [lock["path"] for lock in page["locks"]]
                pages += 1
                if page["next"] is None:
                    break
                after = {"after": page["next"]}
            self.assertEqual(len(seen), 300)
            self.assertEqual(len(set(seen)), 300)
            self.assertGreater(pages, 1)

    def test_what_is_no_text_is_not_taken_for_one(self):
        for name in ("owner", "meta", "token"):
            for value in (1.50, 7, True, None, [], {}):
                refused = self.client.ask("POST", "/v1/locks/t", {name: value})
                self.assertIn(name, self.expect(400, refused, "bad_request")["message"])
                refused = self.client.ask("POST", "/v1/locks", {"locks": [{"path": "/t"}], name: value})
                self.expect(400, refused, "bad_request")
        self.expect(201, self.client.ask("POST", "/v1/locks/t", {
            "owner": "7", "meta": "1.50", "ttl": "30", "lock_parents": True}))
        self.assertEqual(self.client.ask("GET", "/v1/locks/t")["holders"][0]["meta"], "1.50")

    def test_an_empty_token_is_none_wherever_it_stands(self):
        for method, target in (("POST", "/v1/locks/e"), ("POST", "/v1/leases"),
                               ("POST", "/v1/leases/renew"), ("DELETE", "/v1/locks/e")):
            self.expect(400, self.client.ask(method, target + "?token="), "bad_request")
            refused = self.client.ask(method, target, headers={"Lock-Token": ""})
            self.assertIn("UUID", self.expect(400, refused, "bad_request")["message"])
        self.assertEqual(self.client.ask("GET", "/v1/status")["locks"], 0)

    def test_the_status_knows_no_parameter(self):
        self.expect(400, self.client.ask("GET", "/v1/status?x=1"), "bad_request")
        self.expect(200, self.client.ask("GET", "/v1/status?"))

    def test_a_body_that_is_too_large_is_told_the_limit(self):
        refused = self.client.ask("POST", "/v1/locks/x", {"meta": "m" * 70_000})
        self.assertIn("64 KiB", self.expect(413, refused, "body_too_large")["message"])

    def test_state_of_a_path_and_tables(self):
        token = self.client.acquire("/l/m", owner="me", ttl="30s", meta="deploy 7")["token"]
        state = self.client.ask("GET", "/v1/locks/l/m")
        self.assertFalse(state["free"])
        self.assertEqual(state["holders"][0]["meta"], "deploy 7")
        self.assertEqual(self.client.ask("GET", "/v1/locks/l")["covered_by"][0]["path"], "/l/m")
        self.assertTrue(self.client.ask("GET", "/v1/locks/free")["free"])
        table = self.client.ask("GET", "/v1/locks", headers={"Accept": "text/plain"})
        self.assertEqual(table.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertRegex(table.text, r"PATH +OWNER.*\n/l/m +me +exclusive +held .*deploy 7\n")
        everything = [self.client.ask("GET", "/v1/locks").text, state.text, table.text]
        self.assertFalse(any(token in text for text in everything))

    def test_what_a_path_does_not_show_is_counted(self):
        for n in range(120):
            self.expect(201, self.client.acquire("/sh", mode="shared", owner=f"s{n}"))
        self.expect(201, self.client.acquire("/sh/c", mode="shared", owner="child"))
        state = self.client.ask("GET", "/v1/locks/sh")
        self.assertEqual((len(state["holders"]), state["holder_count"]), (100, 120))
        self.assertEqual(([lock["path"] for lock in state["covered_by"]], state["covered_by_count"]),
                         (["/sh/c"], 1))
        below = self.client.ask("GET", "/v1/locks/sh/c")
        self.assertEqual((len(below["holders"]), below["holder_count"]), (1, 1))
        self.assertEqual((len(below["covered_by"]), below["covered_by_count"]), (100, 120))
        refused = self.expect(423, self.client.acquire("/sh"), "locked")
        self.assertEqual(len(refused["blocked_by"]), 16)
        text = {"Accept": "text/plain"}
        self.assertTrue(self.client.ask("GET", "/v1/locks/sh", headers=text).text.endswith(
            "\n… and 20 more that hold it\n"))
        self.assertTrue(self.client.ask("GET", "/v1/locks/sh/c", headers=text).text.endswith(
            "\n… and 20 more in its way\n"))
        for first in range(0, 10_240, 256):
            self.expect(201, self.client.ask("POST", "/v1/locks", {
                "locks": [{"path": f"/many/m{first + number}"} for number in range(256)]}))
        self.assertTrue(self.client.ask("GET", "/v1/locks/many", headers=text).text.endswith(
            "\n… and 9900 or more in its way\n"))
        free = self.client.ask("GET", "/v1/locks/elsewhere")
        self.assertEqual((free["free"], free["holder_count"], free["covered_by_count"]), (True, 0, 0))

    def test_a_table_is_aligned_but_not_to_what_is_very_long(self):
        self.client.acquire("/t/" + "/".join(["p" * 200] * 9), owner="é" * 10)
        self.client.acquire("/t/short", owner="o" * 12)
        self.client.acquire("/t/b", owner="é" * 12)
        table = self.client.ask("GET", "/v1/locks", headers={"Accept": "text/plain"}).text
        long, *short = table.splitlines()[1:]
        self.assertGreater(len(long), 1800)
        self.assertEqual(short[0].index("exclusive"), short[1].index("exclusive"))
        self.assertLess(max(len(line) for line in short), 200)

    def test_every_reply_names_its_index(self):
        last = 0
        for method, target in (("POST", "/v1/locks/i"), ("GET", "/v1/locks"), ("GET", "/nothing"),
                               ("GET", "/dohaz/i"), ("POST", "/v1/locks/i"), ("GET", "/canhaz/k"),
                               ("POST", "/v1/locks/%zz"), ("GET", "/healthz")):
            answer = self.client.ask(method, target)
            self.assertGreaterEqual(answer.index, last, target)
            last = answer.index
        self.assertEqual(last, 2)

    def test_a_release_was_decided_before_the_grants_that_it_makes_way_for(self):
        token = self.client.acquire("/i")["token"]
        waiting = [self.wait_in_line("/i", mode="shared") for _ in range(3)]
        answer = self.client.release("/i", token)
        self.assertEqual(answer.index, 2)
        self.assertEqual([each.answer().index for each in waiting], [3, 4, 5])


class Following(V1Test):
    def test_all_kinds(self):
        stream = self.follow("/v1/events?prefix=/e")
        self.client.acquire("/elsewhere")
        token = self.client.acquire("/e/1", owner="x")["token"]
        waiting = self.wait_in_line("/e/1", owner="y", ttl="200ms")
        self.client.release("/e/1", token)
        self.until_ended(self.expect(201, waiting.answer())["token"])
        self.client.acquire("/e/2")
        self.client.call("DELETE", "/v1/locks/e/2", force="true")
        self.client.acquire("/e/3")
        self.client.acquire("/e/3", wait="50ms")
        kinds = []
        for _ in range(9):
            event = self.next_event(stream)
            data = json.loads(event["data"])
            self.assertEqual(event["id"].split(".")[0], str(data["index"]))
            self.assertNotIn("token", data)
            kinds.append((event["event"], data["path"]))
        self.assertEqual(kinds, [("granted", "/e/1"), ("waiting", "/e/1"), ("released", "/e/1"),
                                 ("granted", "/e/1"), ("expired", "/e/1"), ("granted", "/e/2"),
                                 ("forced", "/e/2"), ("granted", "/e/3"), ("waiting", "/e/3")])
        self.assertEqual(self.next_event(stream)["event"], "left")

    def test_what_cooled_is_told(self):
        stream = self.follow("/v1/events?prefix=/c")
        self.client.acquire("/c", ttl="1ms", lock_delay="200ms", owner="slow")
        self.expect(201, self.client.acquire("/c", wait="20s", owner="next"))
        told = {"granted": [], "expired": [], "cooled": []}
        while len(told["granted"]) < 2:
            event = self.next_event(stream)
            if event["event"] in told:
                told[event["event"]].append(json.loads(event["data"]))
        first, following = told["granted"]
        self.assertEqual((first["owner"], following["owner"]), ("slow", "next"))
        for kind in ("expired", "cooled"):
            (ended,) = told[kind]
            self.assertEqual((ended["path"], ended["owner"], ended["fence"]),
                             ("/c", "slow", first["fence"]))
        self.assertEqual(told["expired"][0]["cooling_ms"], 200)
        self.assertNotIn("cooling_ms", told["cooled"][0])
        self.assertLess(told["expired"][0]["index"], told["cooled"][0]["index"])
        self.assertLess(told["cooled"][0]["index"], following["index"])

    def test_how_far_a_lock_reaches_and_that_it_cools_is_told(self):
        stream = self.follow("/v1/events?prefix=/f")
        self.client.acquire("/f/1", owner="slow", lock_delay="1h")
        self.client.acquire("/f/2", owner="o", lock_parents="false")
        for target, parameters in (("/f/1", {}), ("/f/2", {}), ("/f/1", {"cooling": "true"})):
            self.expect(200, self.client.call("DELETE", "/v1/locks" + target, force="true", **parameters))
        both = {"lock_parents": True, "lock_children": True}
        fences = {}
        for kind, path, more in (("granted", "/f/1", both), ("granted", "/f/2", {"lock_children": True}),
                                 ("forced", "/f/1", {"cooling_ms": 3_600_000}), ("forced", "/f/2", {}),
                                 ("cooled", "/f/1", {})):
            event = self.next_event(stream)
            data = json.loads(event["data"])
            fence = data.pop("fence")
            self.assertEqual(fence, fences.setdefault(path, fence))
            del data["index"]
            self.assertEqual((event["event"], data),
                             (kind, {"path": path, "owner": "slow" if path == "/f/1" else "o",
                                     "mode": "exclusive", **more}))

    def test_a_proxy_is_told_not_to_hold_events_back(self):
        self.follow()
        self.assertIn("X-Accel-Buffering: no", self.fields)
        self.assertIn("Cache-Control: no-store", self.fields)

    def test_resume_and_reset(self):
        stream = self.follow()
        for n in range(4):
            self.client.acquire(f"/{n}")
        ids = [self.next_event(stream)["id"] for _ in range(4)]
        again = self.follow(Last_Event_ID=ids[1])
        self.assertEqual([self.next_event(again)["id"] for _ in range(2)], ids[2:])
        self.restart()
        after = self.follow(Last_Event_ID=ids[0])
        self.assertEqual(self.next_event(after)["event"], "reset")
        self.client.acquire("/new")
        self.assertEqual(json.loads(self.next_event(after)["data"])["path"], "/new")

    def test_who_has_seen_no_event_goes_on_where_it_began(self):
        for before in range(2):  # without an event since the start, then with one
            self.follow("/v1/events?prefix=/quiet")
            self.client.acquire(f"/quiet/{before}")
            again = self.follow("/v1/events?prefix=/quiet", Last_Event_ID=self.opening["id"])
            event = self.next_event(again)
            self.assertEqual((event["event"], json.loads(event["data"])["path"]),
                             ("granted", f"/quiet/{before}"))
        self.follow("/v1/events")
        missed = self.opening["id"]
        self.restart()
        reset = self.next_event(self.follow(Last_Event_ID=missed))
        self.assertEqual(reset["event"], "reset")
        self.client.acquire("/behind")
        event = self.next_event(self.follow(Last_Event_ID=reset["id"]))
        self.assertEqual(json.loads(event["data"])["path"], "/behind")

    def test_who_knows_only_a_start_that_is_forgotten_goes_on_from_now(self):
        self.follow("/v1/events?prefix=/quiet")
        start = self.opening["id"]
        many = {"locks": [{"path": f"/busy/{number}"} for number in range(256)]}
        for _ in range(129):  # the last 65,536 events are kept
            token = self.expect(201, self.client.several(**many))["token"]
            self.expect(200, self.client.call("DELETE", "/v1/leases", token=token))
        stream = self.follow("/v1/events?prefix=/quiet", Last_Event_ID=start)
        reset = self.next_event(stream)
        self.assertEqual(reset["event"], "reset")
        self.assertNotEqual(reset["id"], start)
        self.client.acquire("/quiet/new")
        self.assertEqual(json.loads(self.next_event(stream)["data"])["path"], "/quiet/new")
        again = self.follow("/v1/events?prefix=/quiet", Last_Event_ID=reset["id"])
        self.assertEqual(json.loads(self.next_event(again)["data"])["path"], "/quiet/new")

    def test_who_waited_is_not_mistaken_for_another_after_a_restart(self):
        stream = self.follow()
        self.client.acquire("/x")
        self.wait_in_line("/x", owner="old")
        self.client.acquire("/y")
        before = [self.next_event(stream) for _ in range(3)]
        self.assertEqual([each["event"] for each in before], ["granted", "waiting", "granted"])
        self.restart()
        self.wait_in_line("/x", owner="new")
        for event in before:
            after = self.follow(Last_Event_ID=event["id"])
            self.assertEqual(self.next_event(after)["event"], "reset")
        self.wait_in_line("/x", owner="newer")
        event = self.next_event(after)
        self.assertEqual(json.loads(event["data"])["owner"], "newer")
        self.assertEqual(self.next_event(self.follow(Last_Event_ID="1.1"))["event"], "reset")


class FewConnections(V1Test):
    options = ("--connections-max", "16")

    def test_who_waits_leaves_connections_to_those_who_are_waited_for(self):
        token = self.client.acquire("/x", ttl="30s")["token"]
        waiting = [self.wait_in_line("/x") for _ in range(12)]
        another = Client(self.server.port)
        self.addCleanup(another.close)
        self.expect(503, another.acquire("/x", wait="20s"), "too_many_waiters")
        for _ in range(2):
            self.follow("/v1/events")
        self.expect(503, another.ask("GET", "/v1/events"), "too_many_event_readers")
        self.expect(200, another.renew(token))
        self.expect(200, another.release("/x", token))
        self.expect(201, waiting[0].answer())


class WrongParameters(V1Test):
    FORM = {"Content-Type": "application/x-www-form-urlencoded"}

    def test_json_that_is_sent_as_a_form_is_told(self):
        for target in ("/v1/locks/x", "/v1/leases", "/canhaz/x"):
            for body in ('{"owner": "me"}', ' \n{"owner": "me", "meta": "a=b&c"}'):
                refused = self.client.ask("POST", target, body, self.FORM)
                self.assertEqual(refused.status, 400, refused)
                self.assertIn("Content-Type: application/json", refused.text)

    def test_a_null_is_to_be_left_out(self):
        refused = self.expect(400, self.client.ask("POST", "/v1/locks/x", {"owner": None}))
        self.assertEqual(refused["message"], "Parameter 'owner' is null; leave it out.")

    def test_of_a_long_name_the_beginning_is_shown(self):
        for name, shown in (("n" * 64, "'" + "n" * 64 + "'"), ("n" * 65, "'" + "n" * 64 + "…'"),
                            ("n" * 63 + "é", "'" + "n" * 63 + "…'"), ("\n", "(unprintable)")):
            refused = self.expect(400, self.client.call("POST", "/v1/locks/x", **{name: 1}))
            self.assertIn(f"Unknown parameter {shown};", refused["message"])


class Forcing(V1Test):
    def test_by_path_fence_owner_and_prefix(self):
        victim = self.client.acquire("/v/1", owner="a").body
        self.expect(404, self.client.call("DELETE", "/v1/locks/v/1", force="true",
                                          fence=victim["fence"] + 1), "not_held")
        done = self.client.call("DELETE", "/v1/locks/v/1", force="true", fence=victim["fence"],
                                reason="maintenance")
        self.assertEqual(self.expect(200, done)["ended"], 1)
        gone = self.expect(410, self.client.renew(victim["token"]), "lease_ended")
        self.assertEqual((gone["reason"], gone["detail"]), ("forced", "maintenance"))
        for n in range(4):
            self.client.acquire(f"/v/{n}", owner="even" if n % 2 == 0 else "odd")
        self.client.acquire("/w", owner="even")
        self.assertEqual(self.client.call("DELETE", "/v1/locks", force="true", owner="even",
                                          prefix="/v")["ended"], 2)
        self.assertEqual(self.client.call("DELETE", "/v1/locks", force="true", prefix="/v")["ended"], 2)
        self.expect(400, self.client.call("DELETE", "/v1/locks", force="true"))
        for variable_that_is_not_set in ("prefix", "owner"):
            self.expect(400, self.client.call("DELETE", "/v1/locks", force="true",
                                              **{variable_that_is_not_set: ""}))
        self.expect(400, self.client.call("DELETE", "/v1/locks", prefix="/"))
        self.expect(423, self.client.acquire("/w"))

    def test_who_waits_is_ended_if_that_is_wanted(self):
        self.client.acquire("/longjob", owner="long")
        token = fresh_token()
        greedy = self.wait_in_line("/", owner="greedy", token=token, wait="24h")
        self.expect(423, self.client.acquire("/unrelated", owner="me"))
        force = {"force": "true", "reason": "it hangs"}
        refused = self.client.call("DELETE", "/v1/locks", owner="greedy", **force)
        self.assertIn("waiting=true", self.expect(404, refused, "not_held")["message"])
        self.expect(404, self.client.call("DELETE", "/v1/locks/", **force), "not_held")
        for other in ({"owner": "long", "prefix": "/other"}, {"owner": "nobody"}):
            self.expect(404, self.client.call("DELETE", "/v1/locks", waiting="true", **force, **other))
        self.expect(400, self.client.call("DELETE", "/v1/locks/", waiting="true", fence=1, **force))
        ended = self.client.call("DELETE", "/v1/locks", owner="greedy", waiting="true", **force)
        self.assertEqual(self.expect(200, ended)["ended"], 1)
        gone = self.expect(410, greedy.answer(), "lease_ended")
        self.assertEqual((gone["reason"], gone["detail"]), ("forced", "it hangs"))
        # A client that returns with the token gets the same answer.
        gone = self.expect(410, self.client.acquire("/", token=token, owner="greedy", wait="1s"))
        self.assertEqual((gone["reason"], gone["detail"]), ("forced", "it hangs"))
        self.expect(201, self.client.acquire("/unrelated", owner="me"))
        self.expect(423, self.client.acquire("/longjob"))

    def test_a_whole_line_ends_with_its_holder(self):
        self.client.acquire("/q/1", owner="holder")
        waiting = [self.wait_in_line("/q/1", owner=f"w{n}") for n in range(3)]
        kept = fresh_token()
        self.expect(423, self.client.acquire("/q/1", token=kept, wait="1ms"))
        elsewhere = self.client.acquire("/r")["token"]
        another = self.wait_in_line("/r")
        ended = self.client.call("DELETE", "/v1/locks/q/1", force="true", waiting="true", reason="x")
        self.assertEqual(self.expect(200, ended)["ended"], 5)
        for asked in waiting:
            self.assertEqual(self.expect(410, asked.answer(), "lease_ended")["reason"], "forced")
        self.assertTrue(self.client.ask("GET", "/v1/locks/q/1")["free"])
        self.expect(410, self.client.acquire("/q/1", token=kept, wait="1ms"), "lease_ended")
        self.expect(200, self.client.release("/r", elsewhere))
        self.expect(201, another.answer())

    def test_leases_that_hold_nothing_end_with_those_of_their_owner(self):
        for owner in ("ghost", "ghost", "other"):
            self.client.call("POST", "/v1/leases", owner=owner)
        token = self.client.call("POST", "/v1/leases", owner="ghost")["token"]
        self.expect(201, self.client.acquire("/g", token=token))
        unnamed = self.client.call("POST", "/v1/leases")["token"]
        self.restart()
        status = self.client.ask("GET", "/v1/status")
        self.assertEqual((status["locks"], status["leases"], status["opened_leases"]), (1, 5, 5))
        force = {"force": "true", "reason": "gone"}
        self.expect(404, self.client.call("DELETE", "/v1/locks", owner="ghost", prefix="/o", **force))
        ended = self.client.call("DELETE", "/v1/locks", owner="ghost", **force)
        self.assertEqual(self.expect(200, ended)["ended"], 3)
        self.assertEqual(self.client.ask("GET", "/v1/status")["leases"], 2)
        # The lease without an owner.
        ended = self.client.call("DELETE", "/v1/locks", owner="?", prefix="/", **force)
        self.assertEqual(self.expect(200, ended)["ended"], 1)
        gone = self.expect(410, self.client.renew(unnamed), "lease_ended")
        self.assertEqual((gone["reason"], gone["detail"]), ("forced", "gone"))
        self.restart()
        self.assertEqual(self.client.ask("GET", "/v1/status")["opened_leases"], 1)

    @staticmethod
    def forced(client, **parameters):
        """Returns the answer; retries while the journal has no room and nothing was ended."""
        while (answer := client.call("DELETE", "/v1/locks", force="true", **parameters)).status == 503:
            time.sleep(0.01)
        return answer

    def take_very_many(self):
        for group in range(40):
            locks = [{"path": f"/m/{group}/{n}"} for n in range(256)]
            self.granted(lambda: self.client.several(locks=locks, owner="many"))
        return 40 * 256

    def test_very_many_locks_end_before_the_answer(self):
        count = self.take_very_many()
        self.client.acquire("/n")
        waiting = self.wait_in_line("/m/0/0", owner="next")
        forcing = self.background(lambda c: self.forced(c, prefix="/m", reason="x"))
        while not forcing.is_done():
            self.expect(200, self.client.ask("GET", "/v1/locks/n"))
        self.assertEqual(self.expect(200, forcing.answer())["ended"], count)
        # The next holder is not affected.
        self.expect(201, waiting.answer())
        self.restart()
        held = self.client.call("GET", "/v1/locks", limit=1000)["locks"]
        self.assertEqual([(lock["path"], lock["owner"]) for lock in held],
                         [("/n", "?"), ("/m/0/0", "next")])

    def test_very_many_locks_end_though_nobody_waits_for_the_answer(self):
        self.take_very_many()
        self.client.acquire("/n")
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as gone:
            gone.sendall(b"DELETE /v1/locks?force=true&owner=many HTTP/1.1\r\nHost: a\r\n\r\n")
        self.eventually(lambda: self.client.ask("GET", "/v1/status")["locks"] == 1, "it has stopped")

    def test_who_is_named_as_nobody_is_shown_is_found_as_nobody(self):
        self.client.acquire("/q/1", owner="?")
        self.expect(200, self.client.ask("POST", "/canhaz/q/2?id=%3F"))
        self.expect(200, self.client.ask("LOCK", "/terraform/q/3", {"ID": "x", "Who": "?"}))
        listed = self.client.call("GET", "/v1/locks", owner="?")["locks"]
        self.assertEqual([(each["path"], each["owner"]) for each in listed],
                         [("/q/1", "?"), ("/q/2", "?"), ("/q/3", "?")])
        ended = self.client.call("DELETE", "/v1/locks", prefix="/q", owner="?", force="true")
        self.assertEqual(self.expect(200, ended)["ended"], 3)

    def test_all_who_gave_no_name_are_not_ended_by_the_name_that_a_list_shows(self):
        self.client.acquire("/n/1")
        self.client.acquire("/m/2")
        listed = self.client.call("GET", "/v1/locks", owner="?")["locks"]
        self.assertEqual([each["path"] for each in listed], ["/n/1", "/m/2"])
        self.assertEqual(self.client.call("GET", "/v1/locks", owner="")["locks"][0]["owner"], "?")
        force = {"force": "true", "owner": listed[0]["owner"]}
        self.expect(400, self.client.call("DELETE", "/v1/locks", **force))
        self.expect(404, self.client.call("DELETE", "/v1/locks", prefix="/o", **force))
        ended = self.client.call("DELETE", "/v1/locks", prefix="/n", **force)
        self.assertEqual(self.expect(200, ended)["ended"], 1)
        self.expect(423, self.client.acquire("/m/2"))

    def test_after_a_restart_the_reason_is_known_without_its_words(self):
        token = self.client.acquire("/v")["token"]
        self.client.call("DELETE", "/v1/locks/v", force="true", reason="maintenance")
        self.restart()
        gone = self.expect(410, self.client.renew(token), "lease_ended")
        self.assertEqual((gone["reason"], gone["detail"]), ("forced", None))

    def test_a_force_sent_twice_does_not_end_what_cools(self):
        fence = self.client.acquire("/c", lock_delay="1h", owner="slow")["fence"]
        for where in ({"fence": fence}, {}):
            force = {"force": "true", "reason": "x", **where}
            self.client.call("DELETE", "/v1/locks/c", **force)
            self.expect(404, self.client.call("DELETE", "/v1/locks/c", **force), "not_held")
            self.expect(404, self.client.call("DELETE", "/v1/locks", prefix="/", **force), "not_held")
        self.expect(423, self.client.acquire("/c"))
        ended = self.client.call("DELETE", "/v1/locks/c", force="true", cooling="true", fence=fence)
        self.assertEqual(ended["ended"], 1)
        self.expect(201, self.client.acquire("/c"))

    def test_a_lock_delay_cools(self):
        token = self.client.acquire("/c", ttl="200ms", lock_delay="4s", owner="slow")["token"]
        self.until_ended(token)
        self.expect(410, self.client.renew(token))
        refused = self.expect(423, self.client.acquire("/c"))
        self.assertEqual(refused["blocked_by"][0]["state"], "cooling")
        self.assertEqual(refused["blocked_by"][0]["owner"], "slow")
        self.restart()
        self.expect(423, self.client.acquire("/c"))
        self.expect(201, self.client.acquire("/c", wait="20s"))
        mild = self.client.acquire("/d", lock_delay="10s")["token"]
        self.client.release("/d", mild)
        self.expect(201, self.client.acquire("/d"))


class Terraform(V1Test):
    def test_lock_and_unlock(self):
        mine = {"ID": fresh_token(), "Operation": "OperationTypeApply", "Who": "me@host"}
        yours = {**mine, "ID": fresh_token(), "Who": "you@host"}
        for _ in range(2):
            self.expect(200, self.client.ask("LOCK", "/terraform/prod/net", mine))
        refused = self.expect(423, self.client.ask("LOCK", "/terraform/prod/net", yours))
        self.assertEqual(refused.body, mine)
        twice = json.dumps(mine)[:-1] + f', "ID": "{fresh_token()}"}}'
        self.expect(400, self.client.ask("LOCK", "/terraform/prod/net", twice))
        self.expect(423, self.client.acquire("/prod"))
        self.expect(423, self.client.ask("UNLOCK", "/terraform/prod/net", yours))
        self.restart()
        for _ in range(2):
            self.expect(200, self.client.ask("UNLOCK", "/terraform/prod/net", mine))
        self.expect(200, self.client.ask("LOCK", "/terraform/prod/net", {"ID": "no uuid"}))
        self.expect(200, self.client.ask("UNLOCK", "/terraform/prod/net", {"ID": "no uuid"}))
        self.expect(400, self.client.ask("LOCK", "/terraform/prod/net", {"Who": "x"}))
        without = self.expect(400, self.client.ask("LOCK", "/terraform/prod/net"), "bad_request")
        self.assertIn("has no ID", without["message"])
        for unfinished in ("/terraform", "/terraform/", "/terraform//"):
            self.expect(400, self.client.ask("LOCK", unfinished, mine))
        self.expect(405, self.client.ask("GET", "/terraform/prod/net"))

    def test_who_is_in_the_way_is_told_as_it_is(self):
        held = self.client.acquire("/t/x", owner="h", lock_delay="60s")
        self.wait_in_line("/t", owner="w")
        refused = self.expect(423, self.client.ask("LOCK", "/terraform/t/y", {"ID": "y"}))
        self.assertEqual((refused["ID"], refused["Path"]), ("waited for by w", "/t"))
        self.assertNotIn("held", refused["Info"])
        refused = self.expect(423, self.client.ask("LOCK", "/terraform/t/x", {"ID": "y"}))
        self.assertEqual(refused["ID"], f"held by h, fence {held['fence']}")
        self.client.call("DELETE", "/v1/locks/t/x", force="true")
        refused = self.expect(423, self.client.ask("LOCK", "/terraform/t/x", {"ID": "y"}))
        self.assertEqual(refused["ID"], f"cooling, was held by h, fence {held['fence']}")

    def test_another_info_with_the_same_id_is_not_the_same_lock(self):
        # Terraform makes an ID for each run; an ID chosen by people must not admit two of them.
        mine = {"ID": "ours", "Who": "me@here"}
        self.expect(200, self.client.ask("LOCK", "/terraform/shared", mine))
        refused = self.expect(423, self.client.ask("LOCK", "/terraform/shared",
                                                   {**mine, "Who": "you@there"}))
        self.assertEqual(refused.body, mine)

    def test_force_unlock_ends_what_cools_too(self):
        self.client.acquire("/tf", meta='{"ID": "x"}', lock_delay="60s")
        self.expect(200, self.client.ask("UNLOCK", "/terraform/tf"))
        self.expect(423, self.client.ask("LOCK", "/terraform/tf", {"ID": "y"}))
        self.expect(200, self.client.ask("UNLOCK", "/terraform/tf"))
        self.expect(200, self.client.ask("LOCK", "/terraform/tf", {"ID": "y"}))
        self.expect(200, self.client.ask("UNLOCK", "/terraform/tf"))
        self.expect(404, self.client.ask("UNLOCK", "/terraform/tf"), "not_held")

    def test_a_table_tells_a_terminal_nothing(self):
        info = json.dumps({"ID": "x", "Info": "\x7f\x80\x9b31m\x9fé"}, ensure_ascii=False)
        self.expect(200, self.client.ask("LOCK", "/terraform/a", info.encode(),
                                         {"Content-Type": "application/json"}))
        for target in ("/v1/locks", "/v1/locks/a"):
            table = self.client.ask("GET", target, None, {"Accept": "text/plain"}).text
            self.assertIn('"Info": "     31m  é"}', table)


class Limits(V1Test):
    options = ("--locks-max", "3", "--waiters-max", "1", "--event-readers-max", "0",
               "--leases-max", "2", "--max-ttl", "10s", "--default-ttl", "5s", "--canhaz-ttl", "3s")

    def test_they_are_kept(self):
        token = self.client.acquire("/1")
        self.assertEqual(token["ttl_ms"], 5000)
        token = token["token"]
        self.expect(400, self.client.acquire("/2", ttl="11s"))
        other = self.client.acquire("/2")["token"]
        refused = self.expect(503, self.client.acquire("/3"), "too_many_leases")
        self.assertEqual(refused.headers["Retry-After"], "1")
        self.expect(503, self.client.call("POST", "/v1/leases"), "too_many_leases")
        self.expect(201, self.client.acquire("/3", token=token))
        self.expect(503, self.client.acquire("/4", token=token), "too_many_locks")
        self.client.release("/3", token)
        self.wait_in_line("/2", token=token)
        self.expect(503, self.client.acquire("/1", token=other, wait="5s"), "too_many_waiters")
        self.expect(503, self.client.ask("GET", "/v1/events"), "too_many_event_readers")

    def test_who_waits_for_what_others_hold_needs_no_place_before_its_turn(self):
        token = self.client.several(locks=[{"path": "/1"}, {"path": "/2"}])["token"]
        other = self.client.acquire("/3")["token"]
        waiting = self.wait_in_line("/3")
        self.expect(200, self.client.release("/3", other))
        self.expect(201, waiting.answer())
        waiting = self.wait_in_line("/1")
        self.expect(200, self.client.release("/1", token))
        self.expect(503, waiting.answer(), "too_many_leases")

    def test_legacy_locks_expire_if_the_operator_says_so(self):
        self.assertTrue(self.client.ask("GET", "/canhaz/s")["ok"])
        self.assertFalse(self.client.ask("GET", "/canhaz/s")["ok"])
        self.eventually(lambda: self.client.ask("GET", "/canhaz/s")["ok"], "it does not expire")


class LongestTtl(V1Test):
    options = ("--max-ttl", "10s")

    def test_it_is_the_ttl_of_leases_that_name_none(self):
        self.assertEqual(self.expect(201, self.client.acquire("/1"))["ttl_ms"], 10_000)
        several = self.expect(201, self.client.several(locks=[{"path": "/2"}]))
        self.assertEqual(several["ttl_ms"], 10_000)
        opened = self.expect(201, self.client.call("POST", "/v1/leases"))
        self.assertEqual(opened["ttl_ms"], 10_000)
        self.assertEqual(self.client.acquire("/3", ttl="2s")["ttl_ms"], 2_000)
        self.expect(400, self.client.acquire("/4", ttl="11s"), "bad_request")

    def test_what_others_made_stays_without_until_a_request_names_one(self):
        token = self.client.ask("GET", "/canhaz/1")["token"]
        self.expect(200, self.client.ask("LOCK", "/terraform/2", {"ID": "x"}))
        for path in ("/1", "/2"):
            (holder,) = self.client.ask("GET", "/v1/locks" + path)["holders"]
            self.assertIsNone(holder["ttl_ms"])
        self.assertIsNone(self.expect(201, self.client.acquire("/3", token=token))["ttl_ms"])
        self.assertEqual(self.client.renew(token, ttl="2s")["ttl_ms"], 2_000)


class FullServer(V1Test):
    options = ("--locks-max", "3", "--leases-max", "2", "--waiters-max", "0", "--event-readers-max", "0")

    def test_a_refusal_names_the_option_that_sets_the_limit(self):
        locks = [{"path": f"/{n}"} for n in range(3)]
        token = self.expect(201, self.client.several(locks=locks))["token"]
        self.check_new_locks("too_many_locks", "--locks-max")
        self.check(self.client.acquire("/new", token=token), "too_many_locks", "--locks-max")
        other = self.expect(201, self.client.call("POST", "/v1/leases"))["token"]
        self.expect(200, self.client.release("/0", token))
        self.check_new_locks("too_many_leases", "--leases-max")
        self.check(self.client.call("POST", "/v1/leases"), "too_many_leases", "--leases-max")
        self.check(self.client.acquire("/1", token=other, wait="9s"), "too_many_waiters",
                   "--waiters-max")
        self.check(self.client.ask("GET", "/v1/events"), "too_many_event_readers",
                   "--event-readers-max")

    def check_new_locks(self, error, option):
        self.check(self.client.acquire("/new"), error, option)
        self.check(self.client.ask("LOCK", "/terraform/new", {"ID": "x"}), error, option)
        refused = self.client.ask("GET", "/canhaz/new")
        self.assertEqual((refused.status, refused.headers["Retry-After"]), (503, "1"), refused)
        self.assertIn(f"({option})", refused["error"])

    def check(self, answer, error, option):
        self.expect(503, answer, error)
        self.assertEqual(answer.headers["Retry-After"], "1")
        self.assertIn(f"({option}", answer["message"])


if __name__ == "__main__":
    unittest.main()
