"""The recipe for Terraform: by itself where it is installed, and by the requests it makes."""

import http.client
import json
import os
import shutil
import signal
import unittest

from recipe_case import LONG, RecipeCase, recipe, wait_until
from state_server import StateServer
from keys import new_key
from lockerd import Lockerd
from lockerclient import NotAcquired
from lockerclient.protocol import fresh_token

# A provider that is part of Terraform, and a resource that takes as long as the test wants.
RESOURCE = """
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "echo started >started; while [ ! -e go-on ]; do sleep 0.1; done"
  }
}
"""


class Requests(RecipeCase):
    """What Terraform's http backend sends: its lock info as JSON, by LOCK and UNLOCK."""

    def ask(self, method, info):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.request(method, "/terraform/prod/net", json.dumps(info),
                           {"Content-Type": "application/json", "Content-MD5": "x" * 24})
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, json.loads(text)

    @staticmethod
    def info(who):
        return {"ID": fresh_token(), "Operation": "OperationTypeApply", "Info": "", "Who": who,
                "Version": "1.11.4", "Created": "2026-11-25T03:00:00.0Z", "Path": ""}

    def test_lock_and_unlock(self):
        mine, yours = self.info("me@here"), self.info("you@there")
        self.assertEqual(self.ask("LOCK", mine), (200, mine))
        self.assertEqual(self.ask("LOCK", yours), (423, mine))
        self.assertEqual(self.ask("UNLOCK", yours)[0], 423)
        self.assertEqual(self.ask("UNLOCK", mine)[0], 200)
        self.assertEqual(self.ask("LOCK", yours)[0], 200)
        with self.assertRaises(NotAcquired) as caught:
            self.client.acquire("/prod", wait=0)
        self.assertEqual(caught.exception.blocked_by[0].owner, "you@there")
        forced = self.start("sh", "-ec", recipe("terraform-force"))
        self.assertEqual(forced.wait(), 0, forced.said())
        self.assertTrue(self.is_free("/prod"))

    def test_who_holds_it_by_other_means_is_named(self):
        with self.client.lock("/prod", ttl=LONG, owner="maintenance"):
            status, info = self.ask("LOCK", self.info("me@here"))
            self.assertEqual((status, info["Who"]), (423, "maintenance"))
            self.assertTrue(info["ID"])


@unittest.skipUnless(shutil.which("terraform"), "Terraform is not installed")
class Terraform(RecipeCase):
    def setUp(self):
        super().setUp()
        self.state = StateServer()
        self.addCleanup(self.state.close)
        text = recipe("terraform").replace("http://locker.internal:8765", self.server.url)
        self.write("main.tf", text.replace("http://state.internal", self.state.url) + RESOURCE)
        self.environment.update(TF_IN_AUTOMATION="1", TF_INPUT="0", CHECKPOINT_DISABLE="1",
                                TF_CLI_ARGS="-no-color", HOME=self.directory)
        self.succeed("init")

    def terraform(self, *arguments):
        return self.start("terraform", *arguments)

    def succeed(self, *arguments):
        run = self.terraform(*arguments)
        self.assertEqual(run.wait(), 0, run.said())
        return run.said()

    def start_apply(self):
        run = self.terraform("apply", "-auto-approve")
        wait_until(lambda: self.text_of("started") or run.process.poll() is not None)
        self.assertIsNone(run.process.poll(), run.said())
        return run

    def assert_names(self, identity, refused):
        self.assertIn(f"already locked: ID={identity} ", " ".join(refused.said().split()))

    def test_apply_holds_the_lock_and_others_are_kept_out(self):
        applying = self.start_apply()
        (holder,) = self.client.state("/prod/net").holders
        self.assertIn("@", holder.owner)
        self.assertIsNone(holder.ttl)
        refused = self.terraform("plan")
        self.assertEqual(refused.wait(), 1)
        self.assertIn("Error acquiring the state lock", refused.said())
        self.assert_names(json.loads(holder.meta)["ID"], refused)
        waiting = self.terraform("plan", "-lock-timeout=120s")
        self.write("go-on", "")
        self.assertEqual(applying.wait(), 0, applying.said())
        self.assertEqual(waiting.wait(), 0, waiting.said())
        self.assertTrue(self.is_free("/prod/net"))
        self.assertIn("terraform_data", self.state.text.decode())
        self.assertEqual({identity == "" for identity in self.state.writes}, {False})

    def test_a_key_is_sent_as_a_password(self):
        keys = os.path.join(self.directory, "keys")
        key = new_key("terraform", "lock /prod", file=keys)[0]
        port = self.server.port
        self.server.kill()
        self.server = Lockerd(self.store, "--keys", keys, port=port)
        refused = self.terraform("plan")
        self.assertEqual(refused.wait(), 1)
        self.assertIn("requires auth", refused.said())
        self.environment.update(TF_HTTP_USERNAME="terraform", TF_HTTP_PASSWORD=key)
        self.succeed("plan")

    def test_maintenance_keeps_it_out(self):
        with self.client.lock("/prod", ttl=LONG, owner="ci-7") as lock:
            refused = self.terraform("plan")
            self.assertEqual(refused.wait(), 1)
            self.assert_names(f"held by ci-7, fence {lock.fence}", refused)
        self.succeed("plan")

    def test_a_server_that_is_killed_meanwhile(self):
        applying = self.start_apply()
        self.restart()
        self.assertTrue(self.client.state("/prod/net").holders)
        self.write("go-on", "")
        self.assertEqual(applying.wait(), 0, applying.said())
        self.assertTrue(self.is_free("/prod/net"))

    def test_after_a_crash(self):
        applying = self.start_apply()
        os.killpg(applying.process.pid, signal.SIGKILL)
        applying.wait()
        self.assertEqual(self.terraform("plan").wait(), 1)
        (holder,) = self.client.state("/prod/net").holders
        unlocking = self.terraform("force-unlock", "-force", json.loads(holder.meta)["ID"])
        self.assertEqual(unlocking.wait(), 0, unlocking.said())
        self.succeed("plan")

    def test_after_a_crash_with_curl(self):
        applying = self.start_apply()
        os.killpg(applying.process.pid, signal.SIGKILL)
        applying.wait()
        forced = self.start("sh", "-ec", recipe("terraform-force"))
        self.assertEqual(forced.wait(), 0, forced.said())
        self.succeed("plan")

    def test_force_unlock_leaves_the_locks_of_others_alone(self):
        with self.client.lock("/prod/net", ttl=LONG, owner="maintenance") as lock:
            unlocking = self.terraform("force-unlock", "-force", "any")
            self.assertEqual(unlocking.wait(), 1)
            self.assertEqual([held.fence for held in self.client.state("/prod/net").holders],
                             [lock.fence])


if __name__ == "__main__":
    unittest.main()
