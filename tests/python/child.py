"""A Python process that uses the client, observed by a test."""

import os
import select
import signal
import subprocess
import sys
import textwrap

from server_case import PACKAGE, PATIENCE


class Child:
    """A Python program with a client, `locker`. `line()` returns the next line it prints."""

    def __init__(self, url, program):
        beginning = ("import os, signal, sys, threading, time, lockerclient\n"
                     f"locker = lockerclient.Client(patience={PATIENCE})\n"
                     "def say(*words): print(*words, flush=True)\n")
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-c", beginning + textwrap.dedent(program)],
            env={**os.environ, "LOCKER_URL": url, "PYTHONPATH": PACKAGE},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True)

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        if not ready:
            raise AssertionError("it says nothing")
        return self.process.stdout.readline().decode().strip()

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self):
        """Waits for the end; returns the exit code, the remaining lines of stdout, and stderr."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.decode().split("\n")[:-1], err.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its children have inherited its pipes
        except ProcessLookupError:
            pass
        self.process.communicate()
