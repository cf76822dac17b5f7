"""The common part of the Python client's tests: a real server, and generous time limits.

A busy machine can stall for seconds. So a lock that a test needs to keep has a TTL of a minute, and
time limits apply only to what would otherwise never happen.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PACKAGE = os.path.join(ROOT, "client", "python")
sys.path[:0] = [PACKAGE, os.path.join(ROOT, "tests", "program")]

import lockerclient  # noqa: E402
from lockerclient import deadline, renewing  # noqa: E402
from lockerclient.aio import AsyncClient  # noqa: E402
from lockerd import Lockerd  # noqa: E402

os.environ["LOCKER_CLIENT_CONFIG"] = os.devnull  # not the configuration of the user
logging.getLogger("lockerclient").addHandler(logging.NullHandler())  # losses are intended here

LONG = 60  # seconds; a TTL longer than any stall of the machine
PATIENCE = 120  # seconds; for what must happen


def wait_until(condition, what="it does not happen"):
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(what)
        time.sleep(0.01)


@contextlib.contextmanager
def renewing_often():
    """Makes a TTL of a minute be renewed every 0.3 s. Answers may take longer than that: without
    the one that says why a lock is gone, the loss would have no reason."""
    with mock.patch.object(deadline, "RENEWALS_PER_TTL", 200), mock.patch.object(
            renewing, "_timeout_of_keeper", lambda settings, _: settings.timeout):
        yield


class Interrupted(BaseException):
    pass


def interrupted_waits(client):
    """Interrupts each request that may wait, after it was answered."""
    send = client._connections.send

    def interrupt(step):
        answer = send(step)
        if "wait" in (step.request.body or {}):
            raise Interrupted
        return answer

    return mock.patch.object(client._connections, "send", interrupt)


class ServerCase(unittest.TestCase):
    options = ()

    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.store = os.path.join(self.directory, "locks.db")
        self.server = Lockerd(self.store, *self.options)
        self.addCleanup(lambda: self.server.__exit__())
        self.client = self.new_client()

    def new_client(self, **options):
        client = lockerclient.Client(**{"url": self.server.url, "patience": PATIENCE, **options})
        self.addCleanup(client.close)
        return client

    def run_async(self, body):
        """Runs the coroutine `body(client)` with an asyncio client."""
        async def main():
            async with AsyncClient(self.server.url, patience=PATIENCE) as client:
                await asyncio.wait_for(body(client), 2 * PATIENCE)
        asyncio.run(main())

    def restart(self):
        port = self.server.port
        self.server.kill()
        self.server = Lockerd(self.store, *self.options, port=port)

    def in_background(self, call):
        thread = Background(call)
        self.addCleanup(thread.join, PATIENCE)
        return thread

    def wait_in_line(self, path, count=1):
        wait_until(lambda: self.client.state(path).waiter_count == count, "it does not wait")

    def is_free(self, path):
        return self.client.state(path).free


class Background(threading.Thread):
    """A call in a thread; `result()` returns or raises what the call did."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self._call = call
        self._returned = None
        self._raised = None
        self.start()

    def run(self):
        try:
            self._returned = self._call()
        except BaseException as error:
            self._raised = error

    def result(self):
        self.join(PATIENCE)
        if self.is_alive():
            raise AssertionError("it does not end")
        if self._raised is not None:
            raise self._raised
        return self._returned
