"""What the tests of /v1 begin with: a server, a client of it, and ways to wait and to look."""

import json
import os
import shutil
import socket
import tempfile
import time
import unittest

import openapi
from lockerd import Lockerd
from v1_client import Background, Client


class V1Test(unittest.TestCase):
    options = ()

    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.store = os.path.join(self.directory, "locks.db")
        self.server = Lockerd(self.store, *self.options)
        self.addCleanup(lambda: self.server.__exit__())
        self.client = Client(self.server.port)
        self.addCleanup(self.client.close)

    def restart(self, kill=True):
        port = self.server.port
        self.client.close()
        self.server.kill() if kill else self.server.stop()
        self.server = Lockerd(self.store, *self.options, port=port)

    def follow(self, target="/v1/events", **headers):
        follower = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        self.addCleanup(follower.close)
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        follower.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        stream = follower.makefile("r", encoding="utf-8")
        self.assertIn("200", stream.readline())
        self.fields = []
        while field := stream.readline().strip():
            self.fields.append(field)
        self.opening = self.next_event(stream)
        self.assertEqual(self.opening["retry"], "1000")
        return stream

    @staticmethod
    def next_event(stream):
        """Returns the next event, or the opening. Skips comments, sent during silence."""
        event = {}
        while True:
            line = stream.readline().rstrip("\n")
            if not line:
                if "event" in event or "retry" in event:
                    if event.get("event", "reset") != "reset":
                        openapi.description.check_value({"$ref": "#/components/schemas/Event"},
                                                        json.loads(event["data"]), "event")
                    return event
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value

    def expect_in_use(self, answer, parameter, now, path):
        self.expect(409, answer, "token_in_use")
        self.assertEqual((answer["parameter"], answer["now"], answer["path"]), (parameter, now, path))

    def background(self, call):
        asked = Background(self.server.port, call)
        self.addCleanup(asked.client.close)
        return asked

    def wait_in_line(self, path, **parameters):
        """Sends a request and returns once it is in the queue."""
        before = self.client.ask("GET", "/v1/status")["waiters"]
        asked = self.background(lambda c: c.acquire(path, **{"wait": "20s", **parameters}))
        self.until_waiting(before + 1)
        return asked

    def until_waiting(self, count):
        self.eventually(lambda: self.client.ask("GET", "/v1/status")["waiters"] >= count,
                        "it does not wait")

    def eventually(self, is_so, what):
        until = time.monotonic() + 60
        while not is_so():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.005)

    def until_ended(self, token):
        """Waits until the lease has expired. Reading its state does not renew it."""
        def has_ended():
            return self.client.call("GET", "/v1/leases", token=token).status == 410
        self.eventually(has_ended, "its lease does not end")

    def granted(self, acquire):
        """Returns the grant; retries while the journal has no room."""
        while (answer := acquire()).status == 503:
            time.sleep(0.01)
        return self.expect(201, answer)

    def expect(self, status, answer, error=None):
        self.assertEqual(answer.status, status, answer)
        if error:
            self.assertEqual(answer["error"], error)
            self.assertTrue(answer["message"].endswith("."), answer["message"])
        return answer
