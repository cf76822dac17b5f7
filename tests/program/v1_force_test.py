"""Force and lock-delay by /v1."""

import socket
import time
import unittest

from v1_case import V1Test
from v1_client import fresh_token


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


if __name__ == "__main__":
    unittest.main()
