"""Looking by /v1: the state of a path, lists, tables."""

import unittest

from v1_case import V1Test
from v1_client import fresh_token


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


if __name__ == "__main__":
    unittest.main()
