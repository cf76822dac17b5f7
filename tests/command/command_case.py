"""The base of the tests that run the program `locker` against a server."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "program"))
from lockerd import LOCKER, Lockerd  # pylint: disable=wrong-import-position,unused-import

for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):  # background jobs may
    if signal.getsignal(number) == signal.SIG_IGN:  # ignore them, and children inherit that
        signal.signal(number, signal.SIG_DFL)

LONG = 60  # seconds; for what must happen, however slow the machine is


class CommandCase(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.server = Lockerd(self.file("store"))
        self.addCleanup(lambda: self.server.kill())
        self.environment = {**os.environ, "LOCKER_URL": self.server.url, "HOME": self.directory.name}
        for name in ("LOCKER_TOKEN", "LOCKER_KEY", "LOCKER_KEY_FILE", "XDG_CONFIG_HOME"):
            self.environment.pop(name, None)

    def file(self, name):
        return os.path.join(self.directory.name, name)

    def restart(self):
        port = self.server.port
        self.server.kill()
        self.server = Lockerd(self.file("store"), port=port)

    def start(self, *arguments, **how):
        """Starts `locker`; it is killed at the end of the test, with everything it started."""
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               **how}
        process = subprocess.Popen([LOCKER, *arguments], env=self.environment, text=True, **how)
        self.addCleanup(self._end, process)
        return process

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()

    def locker(self, *arguments, code=0, **how):
        """Runs `locker` to its end; returns what it printed."""
        done = subprocess.run([LOCKER, *arguments], env=self.environment, capture_output=True,
                              text=True, timeout=LONG, check=False, **{"input": "", **how})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.said = done.stderr
        return done.stdout

    def state(self, path):
        return self.server.get("/v1/locks" + path)

    def is_free(self, path):
        return self.state(path)["free"]

    def eventually(self, condition, what="it"):
        until = time.monotonic() + LONG
        while not condition():
            self.assertLess(time.monotonic(), until, f"{what} does not happen")
            time.sleep(0.02)

    def await_file(self, name):
        self.eventually(lambda: os.path.exists(self.file(name)), f"file {name}")
        with open(self.file(name), encoding="utf-8") as file:
            return file.read()

    def force(self, path, reason="test"):
        self.locker("force", "--yes", "--reason", reason, path)

    def json_lines(self, *arguments):
        return [json.loads(line) for line in self.locker(*arguments).splitlines()]
