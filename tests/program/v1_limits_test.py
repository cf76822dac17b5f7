"""The limits that an operator sets, as /v1 tells them."""

import unittest

from v1_case import V1Test


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
