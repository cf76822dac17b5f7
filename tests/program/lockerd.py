"""Starts and stops the real lockerd, for the tests in this directory."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import weakref

BUILD = os.environ.get("LOCKER_BUILD", "build")
LOCKERD = os.path.join(BUILD, "lockerd")
LOCKER = os.path.join(BUILD, "locker")


def environment_with(more=None):
    """Returns an environment for lockerd, without the tests' own variable: it would warn of it."""
    environment = {**os.environ, **(more or {})}
    environment.pop("LOCKER_BUILD", None)
    return environment


class Lockerd:
    """A server on a port chosen by the system. `store` outlives it, so that it can be restarted.
    `wrapper` is a command that starts the server, such as strace."""

    def __init__(self, store, *options, port=0, environment=None, wrapper=()):
        environment = environment_with(environment)
        if wrapper:  # AddressSanitizer's leak checker does not work under strace
            environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        # While this socket is there, the system gives the port to nobody else, also between two
        # servers. lockerd binds beside it: both set SO_REUSEADDR, and this one does not listen.
        reserving = socket.socket()
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserving.bind(("127.0.0.1", port))
        weakref.finalize(self, reserving.close)
        self.port = reserving.getsockname()[1]
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(
            [*wrapper, LOCKERD, "--port", str(self.port), "--file", store, "--segment-size", "1",
             *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
            env=environment)
        try:
            self._await_start()
        except RuntimeError:
            self.kill()
            raise
        self.url = f"http://127.0.0.1:{self.port}"

    def _await_start(self):
        for _ in range(6000):
            if re.search(rf"listening on \S+:{self.port}\b", self.text()):
                return
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
        """Returns the server's own process id if a wrapper started it."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])

    def stand_still(self):
        """Returns when every thread has stopped: right after the signal was sent they may still
        answer requests. SIGCONT lets them go on."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def kill(self):
        try:
            os.kill(self.child(), signal.SIGKILL)  # killing the wrapper would not kill it
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
    """Runs a program to its end; returns (exit code, everything it printed)."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(environment or {})}, check=False)
    return done.returncode, done.stdout + done.stderr
