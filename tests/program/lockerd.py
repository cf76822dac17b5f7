"""Starts and stops the real lockerd for the tests beside this file."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request

BUILD = os.environ.get("LOCKER_BUILD", "build")
LOCKERD = os.path.join(BUILD, "lockerd")
LOCKER = os.path.join(BUILD, "locker")


def environment_with(more=None):
    """For lockerd: without the variable that is the tests' own, of which it would warn."""
    environment = {**os.environ, **(more or {})}
    environment.pop("LOCKER_BUILD", None)
    return environment


class Lockerd:
    """One server on a port the system chose. `store` outlives it, so that it can be restarted.
    `wrapper` is a command that starts it, as strace does."""

    def __init__(self, store, *options, port=0, environment=None, wrapper=()):
        environment = environment_with(environment)
        if wrapper:  # the leak checker of a build with AddressSanitizer cannot work under strace
            environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(
            [*wrapper, LOCKERD, "--port", str(port), "--file", store, "--segment-size", "1", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
            env=environment)
        try:
            self.port = self._await_port()
        except RuntimeError:
            self.kill()
            raise
        self.url = f"http://127.0.0.1:{self.port}"

    def _await_port(self):
        for _ in range(6000):
            found = re.search(r"listening on \S+:(\d+)", self.text())
            if found:
                return int(found.group(1))
            if self.process.poll() is not None:
                raise RuntimeError(f"lockerd ended with {self.process.returncode}: {self.text()}")
            time.sleep(0.02)
        raise RuntimeError(f"lockerd does not start: {self.text()}")

    def text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            return log.read()

    def get(self, target):
        with urllib.request.urlopen(self.url + target, timeout=20) as reply:
            return json.load(reply)

    def child(self):
        """The number of the server's own process, when a wrapper started it."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def kill(self):
        try:
            os.kill(self.child(), signal.SIGKILL)  # its wrapper would leave it alone
        except (OSError, IndexError):
            pass
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


def run(*arguments, environment=None, timeout=20):
    """Runs a program that is expected to end; returns (exit code, all that it printed)."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(environment or {})}, check=False)
    return done.returncode, done.stdout + done.stderr
