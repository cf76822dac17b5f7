"""Starts programs on free ports, measures their resource use, and ends them."""

import os
import resource
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")


class Failure(Exception):
    """Something could not be started or measured; the text says what, and appears in the table."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def allow_many_files():
    """Raises the limit of open files, here and in child processes, for 10,000 connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Process:
    """A program that listens on `port`, in a process group of its own. `log` is its output."""

    def __init__(self, port, command, log, before=None):
        self.port = port
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, cwd=os.path.dirname(log), preexec_fn=before)
        try:
            self._await_port()
        except BaseException:
            self.stop()
            raise

    def _await_port(self):
        for _ in range(6000):
            if self.process.poll() is not None:
                raise Failure(f"it ended with {self.process.returncode}: {self.last_words()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise Failure(f"it does not listen: {self.last_words()}")

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"

    def resident_bytes(self):
        """Of all its processes."""
        total = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getpgid(int(pid)) != self.process.pid:
                    continue
                with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                    total += int(file.read().split()[1]) * resource.getpagesize()
            except OSError:
                continue  # it has ended in the meantime
        return total

    def stop(self):
        """Signals the whole group: PostgreSQL waits for its connections, which this ends too."""
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        except ProcessLookupError:
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
