"""Events of /v1."""

import json
import unittest

from v1_case import V1Test


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
            token = self.granted(lambda: self.client.several(**many))["token"]
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


if __name__ == "__main__":
    unittest.main()
