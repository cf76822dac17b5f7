"""Slow, silent, rude or numerous clients, against the real program: they get no more than their
limits, and all others are served.

The memory allowed to the server follows from http_limits.hpp: 256 MiB shared by all connections,
and for each connection what an idle one keeps (20 KiB, and as much again for the allocator and the
session).
"""

import http.client
import json
import tempfile
import time
import unittest

import abuse
from abuse import Crowd, GoodClients, Hostile, Watch, eventually, request
from lockerd import Lockerd
from v1_client import Client

COUNT = abuse.crowd_size()


class Abuse(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.server = Lockerd(directory.name + "/locks.db", "--durability", "none")
        self.addCleanup(lambda: self.server.__exit__())
        self.port = self.server.port
        self.watch = Watch(self.server)
        self.good = GoodClients(self.port)
        self.crowds = []
        self.addCleanup(lambda: [crowd.close() for crowd in self.crowds])

    def crowd(self, count, **options):
        self.crowds.append(Crowd(self.port, max(count, 1), **options))
        return self.crowds[-1]

    def check(self, shared_mib=0):
        """Checks the server after the attack; closes the connections that are left."""
        connections = sum(len(crowd) for crowd in self.crowds)
        for crowd in self.crowds:
            crowd.close()
        self.good.check()
        self.watch.check_recovered(
            self.watch.memory_before + shared_mib + connections * 40 / 1024 + 48)
        print(f"{self.id()}: at most {self.watch.memory_peak:.0f} MiB of memory, "
              f"{self.watch.memory_before:.0f} before")

    def test_slow_clients_are_closed_when_their_time_is_over(self):
        silent = self.crowd(COUNT // 3)
        slow_header = self.crowd(COUNT // 3)
        slow_header.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
        slow_body = self.crowd(COUNT // 6)
        slow_body.send(b"POST /v1/locks/x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
        never_continues = self.crowd(20)
        never_continues.send(b"POST /canhaz/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                             b"Content-Length: 9\r\n\r\n")
        # Much more memory than all together may have: the excess is refused.
        large_body = self.crowd(400)
        large_body.send(b"POST /v1/locks HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n" +
                        b" " * 1048575)
        half_closed = self.crowd(COUNT // 12)
        half_closed.send(b"GET /healthz HTTP/1.1\r\n")
        for each in half_closed:
            each.half_close()
        never_reads = self.crowd(60, receive_buffer=4096)
        never_reads.send(request("/v1/openapi.json") * 300)
        follows = self.crowd(20, receive_buffer=4096)
        follows.send(request("/v1/events"))
        answering = [silent, slow_header, slow_body, never_continues, large_body, half_closed]
        client = Client(self.port, abuse.PATIENCE)

        def step():
            slow_header.send(b"x")
            slow_body.send(b" ")
            for crowd in (large_body, never_reads):
                crowd.send()
            for crowd in answering:
                crowd.receive()
            self.pour_events(client)
            return (not any(crowd.open_count() for crowd in answering) and
                    all(each.is_gone() for each in never_reads + follows))
        eventually(step, "all slow clients are closed", pause=0.3)
        client.close()
        self.assertEqual(silent.statuses(), {0})
        self.assertEqual(slow_header.statuses(), {408})
        self.assertEqual(slow_body.statuses(), {408})
        self.assertEqual(never_continues.statuses(), {100})
        self.assertIn(b"HTTP/1.1 408", never_continues[0].received)
        self.assertIn(503, large_body.statuses())
        self.assertLessEqual(large_body.statuses(), {0, 408, 503})
        self.assertEqual(half_closed.statuses(), {0})
        self.check(shared_mib=256)

    @staticmethod
    def pour_events(client):
        """Produces 1 MB of events for each follower, unless the journal has no room at the moment,
        or so many requests are unfinished that this one is refused while it is being sent."""
        for _ in range(4):
            locks = [{"path": f"/events/{number}/{'x' * 255}/{'y' * 255}"} for number in range(256)]
            try:
                taken = client.several(locks=locks, ttl="2s")
            except (OSError, http.client.HTTPException):
                client.close()
                return
            if taken.status == 201:
                client.call("DELETE", "/v1/leases", token=taken["token"])

    def test_rude_clients_leave_nothing_behind(self):
        beginnings = [b"", b"GET /healthz HT", b"POST /v1/locks HTTP/1.1\r\nHost: a\r\nContent-Length: "
                      b"9000\r\n\r\n{", request("/healthz"), request("/v1/openapi.json") * 50,
                      request("/v1/events"), request("/canhaz/rude", body=b"") * 3,
                      request("/v1/locks/rude?wait=1m", "POST"), b"\r\n", b"\0" * 3000]
        for round_number in range(max(4, COUNT * 4 // 1000)):
            for number in range(250):
                one = Hostile(self.port)
                one.send(beginnings[number % len(beginnings)])
                if number % 7 == 0:
                    time.sleep(0.001)
                (one.reset if (number + round_number) % 2 else one.close)()
        client = Client(self.port, abuse.PATIENCE)
        eventually(lambda: client.ask("GET", "/v1/status")["event_readers"] == 0, "readers are gone")
        eventually(lambda: client.ask("GET", "/v1/status")["waiters"] == 0, "waiters are gone")
        self.check(shared_mib=64)

    def test_whoever_pipelines_without_reading_is_not_read_from_and_loses_nothing(self):
        count = 20_000
        one = Hostile(self.port)
        self.addCleanup(one.close)
        for number in range(0, count, 100):
            one.send(b"".join(request(f"/dohaz/{n}") for n in range(number, number + 100)))
        one.send(request("/canhaz/last?id=me"))
        answers, text = 0, b""
        late = time.monotonic() + abuse.PATIENCE
        while answers <= count and time.monotonic() < late:
            one.send()
            try:
                text += one.socket.recv(1 << 20)
            except BlockingIOError:
                time.sleep(0.001)
            *whole, text = text.split(b"HTTP/1.1 200 OK\r\n")
            answers += len(whole)
            if text.endswith(b'"}') and b'"ok": true, "token"' in text:
                break
        self.assertEqual(answers, count + 1)  # plus the one in `text`
        self.check()

    def test_waiters_that_vanish_in_thousands_are_forgotten_and_the_last_one_is_granted(self):
        client = Client(self.port, abuse.PATIENCE)
        token = client.acquire("/wanted", owner="first")["token"]
        waiting = self.crowd(COUNT)
        waiting.send(request("/v1/locks/wanted?wait=10m", "POST"))
        eventually(lambda: client.ask("GET", "/v1/status")["waiters"] == len(waiting), "all wait")
        last = waiting[len(waiting) * 2 // 3]
        for number, each in enumerate(waiting):
            if each is not last:
                (each.reset if number % 2 else each.close)()
        eventually(lambda: client.ask("GET", "/v1/status")["waiters"] == 1, "one waits")
        self.assertEqual(client.release("/wanted", token).status, 200)
        eventually(lambda: last.receive() or last.status() == 201, "the one that stayed is granted")
        taken = json.loads(last.received.split(b"\r\n\r\n")[1])
        self.assertEqual(client.release("/wanted", taken["token"]).status, 200)
        self.check()

    def test_a_large_crowd_that_does_nothing_costs_little_and_is_served_when_it_asks(self):
        crowd = self.crowd(COUNT)
        crowd.send(request("/healthz"))
        eventually(lambda: crowd.receive() or all(each.received for each in crowd), "all are served")
        self.good.check()
        self.watch.check_idle()
        if not abuse.is_sanitized():
            grown = self.watch.memory() - self.watch.memory_before
            self.assertLess(grown, 24 + len(crowd) * 24 / 1024)
        for each in crowd:
            each.received = b""
        crowd.send(request("/dohaz/x"))
        eventually(lambda: crowd.receive() or all(each.received for each in crowd), "all once more")
        self.assertEqual(crowd.statuses(), {200})
        self.check()


if __name__ == "__main__":
    unittest.main()
