"""The real program beyond its limits: the excess is refused with a message and a retry time, and
everything works again afterwards."""

import tempfile
import unittest

import abuse
from abuse import Crowd, GoodClients, Watch, eventually, request
from lockerd import Lockerd
from v1_client import Client, fresh_token


class AbuseLimits(unittest.TestCase):
    def start(self, *options, descriptors=None):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        wrapper = ("prlimit", f"--nofile={descriptors}:{descriptors}") if descriptors else ()
        self.server = Lockerd(directory.name + "/locks.db", *options, wrapper=wrapper)
        self.addCleanup(lambda: self.server.__exit__())
        self.watch = Watch(self.server)
        self.client = Client(self.server.port, abuse.PATIENCE)
        self.addCleanup(self.client.close)

    def crowd(self, count, **options):
        crowd = Crowd(self.server.port, count, **options)
        self.addCleanup(crowd.close)
        return crowd

    def status(self, name):
        return self.client.ask("GET", "/v1/status")[name]

    def check_refusal(self, answer, status, error):
        self.assertEqual((answer.status, answer["error"]), (status, error), answer)
        self.assertEqual(answer.headers["Retry-After"], "1")
        self.assertTrue(answer["message"].endswith("."), answer)

    def check_served(self, count):
        """Checks that `count` simultaneous connections all get their answers."""
        def all_are_served():
            crowd = Crowd(self.server.port, count)
            crowd.send(request("/healthz"))
            try:
                eventually(lambda: crowd.receive() or all(
                    each.received or not each.is_open for each in crowd), "answers or ends")
                return crowd.statuses() == {200}
            finally:
                crowd.close()
        eventually(all_are_served, f"{count} connections are served again", pause=0.2)

    def test_more_connections_than_may_be_are_turned_away_and_later_served(self):
        self.start("--connections-max", "40", "--durability", "none")
        good = GoodClients(self.server.port)
        crowd = self.crowd(400)
        crowd.send(request("/dohaz/x"))
        eventually(lambda: crowd.receive() or all(
            each.received or not each.is_open for each in crowd), "all are answered or closed")
        # 200: among the first; 0: closed, because so many were refused at the same time.
        self.assertLessEqual(crowd.statuses(), {0, 200, 503})
        self.assertLess(sum(each.status() == 200 for each in crowd), 40)
        refused = [each.received for each in crowd if each.status() == 503]
        self.assertTrue(refused)
        self.assertIn(b"too_many_connections", refused[0])
        self.assertIn(b"Retry-After: 1\r\n", refused[0])
        good.check()
        self.watch.check_idle()
        crowd.close()
        self.check_served(20)
        self.client.close()
        self.watch.check_recovered(self.watch.memory_before + 48)

    def test_without_descriptors_it_neither_spins_nor_ends_and_recovers(self):
        # Few; the journal needs some for each new segment while the crowd takes all it can get.
        self.start("--durability", "none", "--threads", "2", descriptors=64)
        good = GoodClients(self.server.port, count=2)
        index = self.status("index")
        crowd = self.crowd(600)
        crowd.send(b"GET /healthz HT")
        eventually(lambda: self.fill_segments(index + 1500), "segments are filled")
        self.assertNotIn("Too many open files", self.server.text())
        good.check()
        self.watch.check_idle()
        crowd.close()
        self.check_served(8)
        self.client.close()
        self.watch.check_recovered(self.watch.memory_before + 48)

    def fill_segments(self, index):
        for _ in range(50):
            answer = self.client.acquire("/fill", meta="m" * 4000)
            if answer.status == 201:
                answer = self.client.release("/fill", answer["token"])
        return answer.index > index

    def test_more_locks_and_leases_than_may_be(self):
        self.start("--locks-max", "500", "--leases-max", "300", "--durability", "none")
        tokens = [self.client.call("POST", "/v1/leases")["token"] for _ in range(300)]
        for _ in range(50):
            self.check_refusal(self.client.call("POST", "/v1/leases"), 503, "too_many_leases")
            self.check_refusal(self.client.acquire("/no"), 503, "too_many_leases")
        locks = [{"path": f"/many/{number}"} for number in range(250)]
        self.assertEqual(self.client.several(locks=locks, token=tokens[0]).status, 201)
        rest = [{"path": f"/more/{number}"} for number in range(250)]
        self.assertEqual(self.client.several(locks=rest, token=tokens[1]).status, 201)
        for _ in range(50):
            self.check_refusal(self.client.acquire("/no", token=tokens[2]), 503, "too_many_locks")
            self.assertEqual(self.client.ask("GET", "/canhaz/no").status, 503)
        for token in tokens:
            self.assertEqual(self.client.call("DELETE", "/v1/leases", token=token).status, 200)
        self.assertEqual((self.status("locks"), self.status("leases")), (0, 0))
        self.assertEqual(self.client.several(locks=locks + [{"path": "/one/more"}]).status, 201)

    def test_more_waiters_and_readers_of_events_than_may_be(self):
        self.start("--waiters-max", "50", "--event-readers-max", "30", "--durability", "none")
        held = self.client.acquire("/held")["token"]
        crowd = self.crowd(120)
        crowd.send(request("/v1/locks/held?wait=10m", "POST"))
        readers = self.crowd(100)
        readers.send(request("/v1/events"))
        eventually(lambda: crowd.receive() or sum(each.status() == 503 for each in crowd) == 70,
                   "those over the limit are refused")
        eventually(lambda: readers.receive() or sum(each.status() == 503 for each in readers) == 70,
                   "those over the limit are refused")
        self.assertEqual((self.status("waiters"), self.status("event_readers")), (50, 30))
        self.check_refusal(self.client.acquire("/held", wait="1m"), 503, "too_many_waiters")
        self.check_refusal(self.client.ask("GET", "/v1/events"), 503, "too_many_event_readers")
        crowd.close()
        readers.close()
        eventually(lambda: self.status("waiters") + self.status("event_readers") == 0, "all are gone")
        again = self.crowd(50)
        again.send(request("/v1/locks/held?wait=10m&ttl=100ms", "POST"))
        eventually(lambda: self.status("waiters") == 50, "others wait")
        self.client.release("/held", held)
        again.close()
        eventually(lambda: self.status("waiters") == 0, "nobody waits")
        # A waiter may have been granted it before leaving: that lease expires.
        eventually(lambda: self.client.acquire("/held").status == 201, "it can be taken")

    @unittest.skipIf(abuse.crowd_size() < 1200, "needs more open files (ulimit -n)")
    def test_one_lease_has_so_many_waiters_and_no_more(self):
        self.start("--durability", "none")
        self.client.acquire("/held")
        token = fresh_token()
        crowd = self.crowd(1100)
        for number, each in enumerate(crowd):
            each.send(request(f"/v1/locks/held/{number}?wait=10m&token={token}", "POST"))
        eventually(lambda: crowd.receive() or sum(each.status() == 429 for each in crowd) == 100,
                   "those over the limit are refused")
        self.assertIn(b"Retry-After: 1\r\n", next(e.received for e in crowd if e.status() == 429))
        self.assertEqual(self.status("waiters"), 1000)

    @unittest.skipIf(abuse.crowd_size() < 5000, "takes long; ./dev abuse does it")
    def test_waiting_for_many_long_paths_takes_a_limited_amount_of_memory(self):
        self.start("--durability", "none")
        self.client.acquire("/")
        deep = "/".join("d" * 30 for _ in range(62))
        crowd = self.crowd(80)
        for number, each in enumerate(crowd):
            paths = ", ".join('{"path": "/%d/%d/%s"}' % (number, n, deep) for n in range(256))
            each.send(request("/v1/locks", "POST",
                              body=('{"wait": "10m", "locks": [%s]}' % paths).encode()))

        def step():
            crowd.send()
            crowd.receive()
            waiting = self.status("waiters")
            return waiting + sum(each.status() == 503 for each in crowd) == len(crowd)
        eventually(step, "each waits or is refused")
        self.assertGreater(self.status("waiters"), 10)
        refused = [each.received for each in crowd if each.status() == 503]
        self.assertIn(b"too_many_waiters", refused[0])
        crowd.close()
        eventually(lambda: self.status("waiters") == 0, "all are gone")
        self.client.close()
        self.watch.check_recovered(self.watch.memory_before + 1024 + 256 + 48)


if __name__ == "__main__":
    unittest.main()
