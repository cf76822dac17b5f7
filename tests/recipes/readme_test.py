"""The script in the project's README that needs curl only, and what the README says of it."""

import os
import re
import signal
import time
import unittest

from recipe_case import LONG, ROOT, RecipeCase, wait_until


class Readme(RecipeCase):
    def setUp(self):
        super().setUp()
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            blocks = re.findall(r"```bash\n(.*?)```", file.read(), re.DOTALL)
        (self.script,) = [block for block in blocks if "/leases/renew" in block]

    def run_with(self, work, renewal="8", shell=("bash",)):
        text = self.script
        for old, new in (("http://127.0.0.1:8765", self.server.url), ('echo "deploying under fence $fence"', work),
                         ("sleep 8", "sleep " + renewal)):
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        return self.start(*shell, self.write("script", text))

    def test_it_waits_its_turn_knows_its_fence_and_releases(self):
        with self.client.lock("/deploy/production", ttl=LONG) as lock:
            run = self.run_with("echo under fence $fence")
            self.wait_in_line("/deploy/production")
            earlier = lock.fence
        self.assertEqual(run.wait(), 0, run.said())
        self.assertGreater(int(re.search(r"under fence (\d+)$", run.said(), re.M)[1]), earlier)
        self.assertTrue(self.is_free("/deploy/production"))

    def test_it_ends_with_its_work_and_holds_no_pipe(self):
        run = self.run_with("echo deploying; sleep 0.5", "1000",
                            ("bash", "-c", 'bash "$1" 2>&1 | cat', "-"))
        self.assertEqual(run.wait(), 0, run.said())
        self.assertIn("deploying", run.said())
        self.assertTrue(self.is_free("/deploy/production"))

    def test_it_ends_when_the_lease_is_lost(self):
        run = self.run_with("touch begun; while :; do sleep 0.05; done", renewal="0.2")
        wait_until(lambda: os.path.exists(os.path.join(self.directory, "begun")))
        self.client.force("/deploy/production")
        self.assertEqual(run.wait(), 128 + signal.SIGTERM, run.said())

    def test_a_signal_to_it_waits_for_its_command_and_gives_the_lock_back_behind_that(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            run = self.run_with('bash -c \'touch begun; until [ -e go-on ]; do sleep 0.05; done; '
                                'curl -s "$0/locks/deploy/production" >state\' $url; touch next',
                                renewal="0.2")
            wait_until(lambda: os.path.exists(os.path.join(self.directory, "begun")))
            run.process.send_signal(number)
            time.sleep(1)  # in which it could end, or give the lock back
            self.assertIsNone(run.process.poll())
            self.write("go-on", "")
            self.assertEqual(run.wait(), 128 + signal.SIGTERM, run.said())
            self.assertIn('"holders": [{', self.text_of("state"))
            self.assertFalse(os.path.exists(os.path.join(self.directory, "next")))
            self.assertTrue(self.is_free("/deploy/production"))
            for name in ("begun", "go-on"):
                os.unlink(os.path.join(self.directory, name))

    def test_its_work_ends_before_its_lease_when_the_server_is_silent(self):
        run = self.run_with("while :; do touch working; sleep 0.05; done", renewal="1")
        working = os.path.join(self.directory, "working")
        wait_until(lambda: os.path.exists(working))
        self.server.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.server.process.send_signal, signal.SIGCONT)
        stopped = time.time()
        self.assertEqual(run.wait(), 128 + signal.SIGTERM, run.said())
        # Of the 30 s of its TTL: 7 s that it sleeps longer as it stands, 4 s for a renewal that is
        # answered slowly.
        self.assertLess(os.stat(working).st_mtime - stopped, 30 - 7 - 4)

    def test_it_survives_an_orderly_restart_of_the_server_while_it_waits(self):
        with self.client.lock("/deploy/production", ttl=LONG):
            run = self.run_with("echo deploying")
            self.wait_in_line("/deploy/production")
            port = self.server.port
            self.assertEqual(self.server.stop(), 0)
            self.server = type(self.server)(self.store, port=port)
            self.wait_in_line("/deploy/production")
        self.assertEqual(run.wait(), 0, run.said())


if __name__ == "__main__":
    unittest.main()
