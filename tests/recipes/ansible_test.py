"""The recipe for Ansible, by ansible-playbook on this machine where it is installed."""

import shutil
import unittest

from recipe_case import LONG, RecipeCase, recipe, wait_until


@unittest.skipUnless(shutil.which("ansible-playbook"), "ansible-core is not installed")
class Ansible(RecipeCase):
    def setUp(self):
        super().setUp()
        self.write("deploy", "#!/bin/sh\necho \"$1\" >>fences\n"
                   "curl -s \"$LOCKER_URL/v1/locks/deploy/production\" >state\n"
                   "exit ${DEPLOY_CODE:-0}\n")
        self.write("play.yaml", recipe("ansible"), executable=False)
        self.write("hosts", "one ansible_connection=local\ntwo ansible_connection=local\n",
                   executable=False)
        self.environment.update(HOME=self.directory, USER="timmy", ANSIBLE_NOCOLOR="1",
                                ANSIBLE_LOCALHOST_WARNING="0", LC_ALL="C.UTF-8",
                                ANSIBLE_PYTHON_INTERPRETER="/usr/bin/python3")

    def play(self, *options, **environment):
        return self.start("ansible-playbook", "-i", "hosts", *options, "play.yaml", **environment)

    def test_all_hosts_under_one_lock(self):
        run = self.play()
        self.assertEqual(run.wait(), 0, run.said())
        fences = self.text_of("fences").split()
        self.assertEqual((len(fences), len(set(fences))), (2, 1))
        self.assertIn('"owner": "ansible timmy"', self.text_of("state"))
        self.assertTrue(self.is_free("/deploy/production"))
        self.assertNotRegex(run.said(), "[0-9a-f]{8}-[0-9a-f]{4}-")  # the token

    def test_it_waits_for_its_turn(self):
        with self.client.lock("/deploy/production", ttl=LONG):
            run = self.play("--limit", "one")
            self.wait_in_line("/deploy/production")
        self.assertEqual(run.wait(), 0, run.said())
        self.assertEqual(len(self.text_of("fences").split()), 1)

    def test_it_keeps_its_place_when_a_request_of_it_ends(self):
        text = recipe("ansible")
        self.write("play.yaml", text.replace("wait: 20s", "wait: 100ms"), executable=False)
        self.assertIn("wait: 20s", text)
        with self.client.lock("/deploy/production", ttl=LONG):
            run = self.play("--limit", "one")
            wait_until(lambda: "FAILED - RETRYING" in run.said())
        self.assertEqual(run.wait(), 0, run.said())

    def test_a_deployment_that_fails(self):
        run = self.play(DEPLOY_CODE="3")
        self.assertEqual(run.wait(), 2, run.said())
        self.assertEqual(len(self.text_of("fences").split()), 2)
        self.assertTrue(self.is_free("/deploy/production"))


if __name__ == "__main__":
    unittest.main()
