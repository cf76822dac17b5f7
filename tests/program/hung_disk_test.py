"""A hung disk: /readyz, a metric and the log report it, and requests for those do not wait for it.
strace delays a sync."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import prometheus
from lockerd import Lockerd
from v1_client import Client

HANGS_FOR = 20  # seconds
SKIPPED = 77
# The sync to delay: by then, those of the start are over, and each is a grant's.
HANGS_AT = 40


class Hang(unittest.TestCase):
    def setUp(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.server = Lockerd(os.path.join(directory, "store"), "--threads", "4", wrapper=[
            "strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
            f"inject=fdatasync:delay_enter={HANGS_FOR}s:when={HANGS_AT}+{HANGS_AT}"])
        self.addCleanup(lambda: self.server.__exit__())

    def ask(self, target):
        """Retries on new connections: one whose thread is committing waits for the disk."""
        for _ in range(100):
            client = Client(self.server.port, timeout=1)
            try:
                return client.ask("GET", target)
            except OSError:
                continue
            finally:
                client.close()
        raise AssertionError(f"{target} waits for the disk")

    def until(self, is_so, else_what):
        for _ in range(600):
            if is_so():
                return
            time.sleep(0.1)
        self.fail(f"{else_what}: {self.server.text()}")

    def age(self):
        families = prometheus.parse(self.ask("/metrics").text)
        return next(iter(families["locker_journal_write_age_seconds"].samples.values()))

    def grant_until_it_hangs(self):
        """Grants until the disk hangs; the returned thread ends once the disk has answered."""
        is_over = threading.Event()

        def grant():
            client = Client(self.server.port)
            with contextlib.suppress(OSError):  # the server stops
                while not is_over.is_set():
                    client.release("/a", client.acquire("/a")["token"])
            client.close()
        thread = threading.Thread(target=grant)
        thread.start()
        self.until(lambda: self.ask("/readyz").status == 503, "it is ready")
        is_over.set()
        return thread

    def test_it_is_seen_until_the_disk_answers(self):
        self.assertEqual(self.ask("/readyz").status, 200)
        self.assertEqual(self.age(), 0)
        granting = self.grant_until_it_hangs()
        self.assertEqual(self.ask("/readyz")["error"], "disk_hangs")
        self.assertGreaterEqual(self.age(), 5)
        self.assertEqual(self.ask("/healthz").status, 200)
        self.until(lambda: "has not responded for 5 s" in self.server.text(), "the log is silent")
        granting.join()
        self.until(lambda: self.ask("/readyz").status == 200, "it is not ready again")
        self.assertEqual(self.age(), 0)
        self.until(lambda: "has responded, after more than" in self.server.text(),
                   "the log is silent")
        self.assertEqual(self.server.text().count("the store's disk"), 2, self.server.text())

        granting = self.grant_until_it_hangs()
        os.kill(self.server.child(), signal.SIGTERM)
        self.until(lambda: "cannot exit until" in self.server.text(), "the log is silent")
        self.assertEqual(self.server.process.wait(timeout=60), 0)
        granting.join()


if __name__ == "__main__":
    if subprocess.run(["strace", "-o", "/dev/null", "true"], check=False,
                      capture_output=True).returncode != 0:
        print("skipped: strace is missing or may not trace")
        sys.exit(SKIPPED)
    unittest.main()
