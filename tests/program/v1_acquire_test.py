"""Acquiring and releasing by /v1, as API.md says, over HTTP, against the real program."""

import unittest

from v1_case import V1Test
from v1_client import fresh_token


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
        self.expect(201, self.client.acquire("/y", token=token, ttl="20s"))
        waiting = self.background(lambda c: c.acquire("/x", token=token, ttl="20s", wait="20s"))
        self.until_waiting(1)
        self.assertEqual(self.client.renew(token, ttl="60s")["ttl_ms"], 60_000)
        self.client.release("/x", holder)
        granted = self.expect(201, waiting.answer())
        self.assertEqual(granted["ttl_ms"], 60_000)
        again = self.expect(200, self.client.acquire("/x", token=token, ttl="20s"))
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
        body = {"owner": "j", "ttl": 30.5, "lock_children": False}
        taken = self.expect(201, self.client.ask("POST", "/v1/locks/j", body, {"Lock-Token": token}))
        self.assertEqual((taken["token"], taken["ttl_ms"]), (token, 30_500))
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


if __name__ == "__main__":
    unittest.main()
