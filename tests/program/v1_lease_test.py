"""Leases of /v1: expiry, renewal, what restarts and standstills do to them."""

import os
import shutil
import signal
import socket
import time
import unittest

from v1_case import V1Test
from v1_client import fresh_token


class Leasing(V1Test):
    def test_expiry_is_exact_and_never_early(self):
        lateness = []
        for n in range(8):
            sent = time.monotonic()
            self.expect(201, self.client.acquire(f"/t{n}", ttl="400ms"))
            got = time.monotonic()
            # Not wait_in_line(): on a busy machine the lease may have ended before that looks.
            waiting = self.background(lambda c, n=n: c.acquire(f"/t{n}", wait="20s"))
            granted = self.expect(201, waiting.answer())
            self.assertGreaterEqual(waiting.when - sent, 0.4)
            lateness.append(waiting.when - got - 0.4)
            # What came too late to wait tells nothing of the expiry.
            if lateness[-1] < 0.05 and granted["waited_ms"] > 0:
                return  # once is enough: the machine may be busy
        self.fail(f"always late: {lateness}")

    def test_renewal_keeps_and_an_ended_lease_says_why(self):
        granted = self.client.acquire("/t", ttl="6s")
        token = granted["token"]
        for _ in range(7):  # a second longer than its TTL
            time.sleep(1)
            renewed = self.expect(200, self.client.renew(token))
            self.assertEqual((renewed["ttl_ms"], renewed["locks"]), (6000, 1))
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
        token = self.client.acquire("/t", ttl="8s")["token"]
        began = time.monotonic()
        self.client.acquire("/keep", ttl="60s")
        time.sleep(4)
        self.restart()
        time.sleep(max(0, began + 8.2 - time.monotonic()))  # past its first TTL
        self.expect(423, self.client.acquire("/t"))
        self.expect(201, self.client.acquire("/t", wait="20s"))
        self.expect(410, self.client.renew(token))
        self.expect(423, self.client.acquire("/keep"))

    def test_no_lease_ends_because_the_server_stood_still(self):
        token = self.client.acquire("/s", ttl="3500ms")["token"]
        self.server.stand_still()
        time.sleep(4)
        self.server.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)  # the server checks its clock before it reads the request
        self.expect(200, self.client.renew(token))

    def test_a_renewal_sent_while_the_server_stood_still_counts(self):
        token = self.client.acquire("/s", ttl="3500ms")["token"]
        waiting = self.wait_in_line("/s")

        def look(client):
            return client.call("GET", "/v1/leases", token=token)

        # The fault counted only what was shorter than 1.5 s. Three of that are longer than a TTL that a
        # busy machine does not use up.
        for ask in (look, look, look, lambda client: client.renew(token)):
            self.server.stand_still()
            asked = self.background(ask)
            time.sleep(1.2)
            self.server.process.send_signal(signal.SIGCONT)
            self.expect(200, asked.answer())
        self.client.call("DELETE", "/v1/leases", token=token)
        self.expect(201, waiting.answer())

    def test_no_lease_ends_while_the_server_stops_and_nobody_can_renew(self):
        token = self.client.acquire("/s", ttl="4s")["token"]
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as slow:
            slow.sendall(b"POST /v1/leases HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                         b"Content-Type: application/json\r\n\r\n")
            self.client.renew(token)
            self.server.process.send_signal(signal.SIGTERM)
            time.sleep(5)
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
        asked = dict(token=token, owner="w", ttl="60s")
        self.expect(201, self.client.call("POST", "/v1/leases", **asked))
        self.expect(200, self.client.call("POST", "/v1/leases", **asked))
        self.expect(409, self.client.call("POST", "/v1/leases", token=token, owner="x", ttl="60s"))
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


if __name__ == "__main__":
    unittest.main()
