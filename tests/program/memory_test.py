"""The memory use of the real program: a start needs no more than the previous run, and the total
stays within the limit."""

import http.client
import json
import tempfile
import time
import unittest

import abuse
from lockerd import Lockerd


def peak(server):
    """Returns the server's peak memory, in MiB."""
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
        """Sends a request, without v1_client, whose check against openapi.json takes long."""
        self.connection.request(method, target, body and json.dumps(body),
                                {"Content-Type": "application/json"} if body else {})
        reply = self.connection.getresponse()
        return reply.status, json.loads(reply.read())

    def acquire(self, target, body=None):
        while True:
            status, answer = self.call("POST", target, body)
            if answer.get("error") != "busy":
                return status, answer
            time.sleep(0.01)  # the journal prepares a segment

    def take(self, name, meta=""):
        """Acquires 256 locks of one lease."""
        locks = [{"path": f"/f/{name}/{number}"} for number in range(256)]
        return self.acquire("/v1/locks", {"locks": locks, "owner": "o", "ttl": "1h", "meta": meta})


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


class Limit(Memory):
    def memory(self):
        self.connection.request("GET", "/metrics")
        text = self.connection.getresponse().read().decode()
        return {name: float(value) for name, value in
                (line.split() for line in text.splitlines() if line.startswith("locker_memory_"))}

    def fill(self):
        """Acquires locks until the server has no memory for more."""
        taken = []
        while True:
            status, answer = self.take(len(taken), meta="m" * 2000)
            if status != 201:
                self.assertEqual((status, answer["error"]), (503, "too_much_memory"))
                self.assertIn("(--memory-max)", answer["message"])
                return taken
            taken.append(answer["token"])

    def test_what_would_take_more_is_refused_and_the_rest_goes_on(self):
        server = self.start("--memory-max", "32")
        taken = self.fill()
        self.assertGreater(len(taken), 30)
        shown = self.memory()
        self.assertEqual(shown["locker_memory_max_bytes"], 32 << 20)
        self.assertLess(shown["locker_memory_bytes"], 32 << 20)
        self.assertGreater(shown["locker_memory_bytes"], 31 << 20)
        meta = "m" * 4000
        for number in range(1000):
            status, answer = self.acquire(f"/v1/locks/one/{number}?meta={meta}")
            if status == 503:
                break
        self.assertEqual(answer["error"], "too_much_memory")
        # A restart loads everything, and refuses new locks as before.
        self.assertEqual(server.stop(), 0)
        self.start("--memory-max", "32")
        status, answer = self.take("new", meta="m" * 2000)
        self.assertEqual((status, answer["error"]), (503, "too_much_memory"))
        status, _ = self.call("POST", f"/v1/leases/renew?token={taken[0]}&ttl=2h")
        self.assertEqual(status, 200)
        for token in taken:
            status, _ = self.call("DELETE", f"/v1/leases?token={token}")
            self.assertEqual(status, 200)
        self.assertGreater(len(self.fill()), len(taken) // 2)

    def test_without_a_limit_none_is_shown(self):
        self.start("--memory-max", "0")
        shown = self.memory()
        self.assertGreater(shown["locker_memory_bytes"], 0)
        self.assertNotIn("locker_memory_max_bytes", shown)


if __name__ == "__main__":
    unittest.main()
