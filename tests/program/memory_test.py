"""What the real program needs of memory: for a start no more than the server that ran before it."""

import http.client
import json
import tempfile
import unittest

import abuse
from lockerd import Lockerd


def peak(server):
    """The most memory that the server has had, in MiB."""
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


class Memory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.store = directory.name + "/locks.db"

    def start(self, *options):
        server = Lockerd(self.store, "--durability", "none", *options)
        self.addCleanup(server.__exit__)
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                     timeout=abuse.PATIENCE)
        self.addCleanup(self.connection.close)
        return server

    def call(self, method, target, body=None):
        """Not by v1_client: it compares every answer with the description, which takes long."""
        self.connection.request(method, target, body and json.dumps(body),
                                {"Content-Type": "application/json"} if body else {})
        reply = self.connection.getresponse()
        return reply.status, json.loads(reply.read())

    def take(self, name, meta=""):
        """256 locks of one lease."""
        locks = [{"path": f"/f/{name}/{number}"} for number in range(256)]
        while True:
            status, answer = self.call("POST", "/v1/locks",
                                       {"locks": locks, "owner": "o", "ttl": "1h", "meta": meta})
            if answer.get("error") != "busy":  # the journal makes room
                return status, answer


@unittest.skipIf(abuse.is_sanitized(), "a sanitizer's own memory says nothing about the server's")
class Start(Memory):
    def test_it_needs_no_more_than_the_running_server(self):
        server = self.start()
        for name in range(120):
            status, answer = self.take(name, meta="m" * 1000)
            self.assertEqual(status, 201, answer)
        running = peak(server)
        self.assertEqual(server.stop(), 0)
        for _ in range(2):
            server = self.start()
            self.assertLess(peak(server), running)
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
