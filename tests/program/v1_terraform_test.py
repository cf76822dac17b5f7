"""Terraform's http backend."""

import json
import unittest

from v1_case import V1Test
from v1_client import fresh_token


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


if __name__ == "__main__":
    unittest.main()
