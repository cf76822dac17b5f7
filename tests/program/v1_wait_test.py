"""Waiting by /v1: the order, deadlocks, who leaves the queue."""

import os
import shutil
import signal
import socket
import struct
import time
import unittest

from lockerd import Lockerd
from v1_case import V1Test
from v1_client import Answer, Background, Client, fresh_token


class Waiting(V1Test):
    def test_first_come_first_served(self):
        holder = self.client.acquire("/q")["token"]
        asked = [self.wait_in_line("/q", owner=str(n)) for n in range(4)]
        state = self.client.ask("GET", "/v1/locks/q")
        self.assertEqual([(w["owner"], w["place"]) for w in state["waiters"]],
                         [("0", 1), ("1", 2), ("2", 3), ("3", 4)])
        for n, waiter in enumerate(asked):
            self.expect(200, self.client.release("/q", holder))
            granted = self.expect(201, waiter.answer())
            self.assertGreater(granted["waited_ms"], 0)
            holder = granted["token"]
            self.assertEqual([w.is_done() for w in asked], [True] * (n + 1) + [False] * (3 - n))

    def test_a_waiter_is_called_as_the_holder_it_will_be(self):
        self.client.acquire("/q")
        token = self.client.call("POST", "/v1/leases", owner="ours")["token"]
        self.wait_in_line("/q", token=token)
        waiters = self.client.ask("GET", "/v1/locks?state=waiting")["locks"]
        self.assertEqual([(w["path"], w["owner"]) for w in waiters], [("/q", "ours")])

    def test_a_page_of_waiters_can_end_among_the_paths_of_one(self):
        self.client.acquire("/q")
        several = {"locks": [{"path": f"/q/{n}"} for n in range(5)], "owner": "five", "wait": "20s"}
        self.wait_in_line("/q", owner="before")
        self.background(lambda c: c.ask("POST", "/v1/locks", several))
        self.until_waiting(2)
        self.wait_in_line("/q", owner="behind")
        found, after = [], ""
        while after is not None:
            page = self.client.ask("GET", "/v1/locks?state=waiting&limit=2" + after)
            self.assertLessEqual(len(page["locks"]), 2)
            found += [lock["path"] for lock in page["locks"]]
            after = page["next"] and "&after=" + page["next"]
        self.assertEqual(found, ["/q", "/q/0", "/q/1", "/q/2", "/q/3", "/q/4", "/q"])

    def test_nobody_overtakes_a_request_for_the_root(self):
        holder = self.client.acquire("/a")["token"]
        root = self.wait_in_line("/")
        refused = self.expect(423, self.client.acquire("/b"), "locked")
        self.assertEqual(refused["blocked_by"][0]["state"], "waiting")
        state = self.client.ask("GET", "/v1/locks/b")
        self.assertEqual((state["free"], state["holders"], state["covered_by"], state["waiters"]),
                         (False, [], [], []))
        self.assertEqual([w["path"] for w in state["awaited_by"]], ["/"])
        self.assertEqual(self.client.ask("GET", "/v1/locks/")["awaited_by"], [])
        self.assertEqual(self.client.ask("GET", "/canhaz/b?id=x")["ok"], False)
        behind = self.wait_in_line("/b")
        state = self.client.ask("GET", "/v1/locks/b")
        self.assertEqual(([w["path"] for w in state["awaited_by"]], state["waiter_count"]),
                         (["/"], 1))
        self.client.release("/a", holder)
        token = self.expect(201, root.answer())["token"]
        self.assertFalse(behind.is_done())
        self.client.release("/", token)
        self.expect(201, behind.answer())

    def test_the_wait_ends(self):
        self.client.acquire("/w")
        began = time.monotonic()
        refused = self.expect(423, self.client.acquire("/w", wait="300ms"), "locked")
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertGreaterEqual(refused["waited_ms"], 300)
        self.assertIn("wait longer", refused["message"])
        self.assertEqual(refused["blocked_by"][0]["path"], "/w")
        self.assertEqual(self.client.ask("GET", "/v1/status")["waiters"], 0)

    def test_what_is_too_much_for_the_journal_is_refused_and_stands_in_nobodys_way(self):
        # More than fits into a segment, which is 1 MiB here.
        much = {"locks": [{"path": f"/much/{n}"} for n in range(256)], "meta": "m" * 4000}
        for _ in range(200):
            answer = self.client.several(**much)
            if answer.status != 503:
                break
            time.sleep(0.05)  # the next segment, not there yet, might be larger
        self.expect(507, answer, "disk_full")
        holder, other = self.client.acquire("/much/1")["token"], self.client.acquire("/o")["token"]
        too_much = self.background(lambda c: c.several(**much, wait="20s"))
        self.until_waiting(1)
        behind = self.wait_in_line("/o")
        self.client.release("/much/1", holder)
        self.client.release("/o", other)
        self.assertLess(self.expect(201, behind.answer())["waited_ms"], 5_000)
        self.expect(507, too_much.answer(), "disk_full")

    def test_who_disconnects_leaves_and_is_never_granted(self):
        holder = self.client.acquire("/d")["token"]
        first = self.wait_in_line("/d")
        second = self.wait_in_line("/d")
        first.client.connection.sock.shutdown(socket.SHUT_RDWR)
        for _ in range(200):
            if self.client.ask("GET", "/v1/status")["waiters"] == 1:
                break
            time.sleep(0.01)
        self.client.release("/d", holder)
        self.expect(201, second.answer())
        self.assertEqual(self.client.ask("GET", "/v1/status")["locks"], 1)

    def test_a_grant_that_cannot_be_delivered_is_taken_back(self):
        if shutil.which("strace") is None:
            self.skipTest("needs strace, to make the disk slow")
        slow = ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=fdatasync", "-e",
                "inject=fdatasync:delay_enter=400000"]
        with Lockerd(self.store + ".slow", wrapper=slow) as server:
            client = Client(server.port)
            for _ in range(20):
                if self.hand_over_to_nobody(server.port, client):
                    break
            else:
                self.fail("the grant was delivered each time before its client left")
            client.close()
            os.kill(server.child(), signal.SIGTERM)
            self.assertEqual(server.process.wait(timeout=15), 0)

    def hand_over_to_nobody(self, port, client):
        """Returns False if the grant was delivered before its client left, on a slow machine."""
        holder = self.expect(201, client.acquire("/l"))["token"]
        leaving = Background(port, lambda c: c.acquire("/l", wait="20s"))
        self.addCleanup(leaving.client.close)
        while client.ask("GET", "/v1/status")["waiters"] == 0:
            time.sleep(0.005)
        released = Background(port, lambda c: c.release("/l", holder))
        self.addCleanup(released.client.close)
        time.sleep(0.2)  # the grant is being written to disk
        leaving.client.connection.sock.shutdown(socket.SHUT_RDWR)
        self.expect(200, released.answer())
        delivered = leaving.answer()
        if isinstance(delivered, Answer):
            self.expect(200, client.release("/l", self.expect(201, delivered)["token"]))
            return False
        for _ in range(200):
            if client.ask("GET", "/v1/status")["locks"] == 0:
                break
            time.sleep(0.05)
        token = self.expect(201, client.acquire("/l"))["token"]
        self.expect(200, client.release("/l", token))
        return True

    def test_a_token_of_ones_own_keeps_the_place(self):
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        self.expect(423, self.client.acquire("/k", token=token, wait="100ms"))
        behind = self.wait_in_line("/k", owner="behind")
        waiting = self.client.ask("GET", "/v1/locks?state=waiting")["locks"]
        self.assertEqual([each["connected"] for each in waiting], [False, True])
        table = self.client.ask("GET", "/v1/locks?state=waiting", headers={"Accept": "text/plain"})
        self.assertRegex(table.text, r"\? +exclusive +kept .*\n/k +behind +exclusive +waiting ")
        self.assertEqual([each["connected"] for each in self.client.ask("GET", "/v1/locks/k")["waiters"]],
                         [True])
        back = self.background(lambda c: c.acquire("/k", token=token, wait="10s"))
        self.eventually(lambda: self.client.ask("GET", "/v1/locks/k")["waiter_count"] == 2,
                        "it does not come back")
        self.client.release("/k", holder)
        self.expect(201, back.answer())
        self.assertFalse(behind.is_done())
        self.client.release("/k", token)
        self.expect(201, behind.answer())

    def test_who_has_left_takes_the_place_of_nobody_who_waits(self):
        # As after a stall of the server, during which a client has given up a request and sent
        # another: the order in which the server reads them is undefined.
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        waiting = self.wait_in_line("/k", token=token)
        self.server.stand_still()
        late = [socket.create_connection(("127.0.0.1", self.server.port), timeout=30)
                for _ in range(3)]
        for each in late:
            self.addCleanup(each.close)
            each.sendall(f"POST /v1/locks/k?token={token}&wait=20s HTTP/1.1\r\nHost: x\r\n"
                         "Content-Length: 0\r\n\r\n".encode())
        late[0].shutdown(socket.SHUT_WR)
        late[1].close()
        late[2].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        late[2].close()  # sends a reset
        self.server.process.send_signal(signal.SIGCONT)
        self.assertIn(b"superseded", late[0].recv(4096))
        time.sleep(0.2)
        self.assertFalse(waiting.is_done())
        self.client.release("/k", holder)
        self.expect(201, waiting.answer())

    def test_who_asks_again_takes_the_place_of_who_waits(self):
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        first = self.wait_in_line("/k", token=token)
        again = self.background(lambda c: c.acquire("/k", token=token, wait="20s"))
        self.expect(409, first.answer(), "superseded")
        self.client.release("/k", holder)
        self.expect(201, again.answer())

    def test_what_may_be_left_out_by_who_asks_again(self):
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        first = self.wait_in_line("/k", token=token, owner="o", ttl="30s", meta="why", lock_delay="2s")
        self.expect_in_use(self.client.acquire("/k", token=token, wait="20s"), "ttl", "30000ms", "/k")
        self.assertFalse(first.is_done())
        again = self.background(lambda c: c.acquire("/k", token=token, ttl="30s", wait="19s"))
        self.expect(409, first.answer(), "superseded")
        self.client.release("/k", holder)
        self.assertEqual(self.expect(201, again.answer())["owner"], "o")
        (held,) = self.client.ask("GET", "/v1/locks/k")["holders"]
        self.assertEqual(held["meta"], "why")

    def test_another_request_for_the_path_gives_the_kept_place_up(self):
        token = fresh_token()
        holder = self.client.acquire("/k")["token"]
        self.expect(423, self.client.acquire("/k", token=token, wait="100ms"))
        behind = self.wait_in_line("/k")
        self.expect(423, self.client.acquire("/k", token=token, mode="shared"), "locked")
        self.client.release("/k", holder)
        self.expect(201, behind.answer())

    def test_deadlocks_are_refused(self):
        tokens = [fresh_token() for _ in range(3)]
        for n, token in enumerate(tokens):
            self.expect(201, self.client.acquire(f"/{n}", token=token, owner=str(n)))
        asked = [self.wait_in_line("/1", token=tokens[0]), self.wait_in_line("/2", token=tokens[1])]
        refused = self.expect(409, self.client.acquire("/0", token=tokens[2], wait="9s"), "deadlock")
        self.assertEqual([(step["owner"], step["waits_for"]) for step in refused["cycle"]],
                         [("2", "/0"), ("0", "/1"), ("1", "/2")])
        fences = {path: self.client.call("GET", "/v1/locks" + path)["holders"][0]["fence"]
                  for path in ("/0", "/1", "/2")}
        self.assertEqual([step["blocked_by"] for step in refused["cycle"]],
                         [{"path": path, "fence": fences[path]} for path in ("/0", "/1", "/2")])
        self.assertIn("which holds /2. Release that", refused["message"])
        self.client.call("DELETE", "/v1/leases", token=tokens[2])
        self.expect(201, asked[1].answer())
        self.client.call("DELETE", "/v1/leases", token=tokens[1])
        self.expect(201, asked[0].answer())

    def test_a_holder_takes_more_while_others_wait_for_it(self):
        token = self.client.acquire("/h")["token"]
        waiting = self.wait_in_line("/h")
        self.assertEqual(self.client.renew(token)["waiters"], 1)
        self.expect(201, self.client.acquire("/h/below", token=token))
        self.client.call("DELETE", "/v1/leases", token=token)
        self.expect(201, waiting.answer())

    def test_a_stop_answers_those_who_wait(self):
        self.client.acquire("/z")
        waiting = self.wait_in_line("/z")
        self.assertEqual(self.server.stop(), 0)
        answer = self.expect(503, waiting.answer(), "draining")
        self.assertEqual(answer.headers["Retry-After"], "1")


class FewConnections(V1Test):
    options = ("--connections-max", "16")

    def test_who_waits_leaves_connections_to_those_who_are_waited_for(self):
        token = self.client.acquire("/x", ttl="30s")["token"]
        waiting = [self.wait_in_line("/x") for _ in range(12)]
        another = Client(self.server.port)
        self.addCleanup(another.close)
        self.expect(503, another.acquire("/x", wait="20s"), "too_many_waiters")
        for _ in range(2):
            self.follow("/v1/events")
        self.expect(503, another.ask("GET", "/v1/events"), "too_many_event_readers")
        self.expect(200, another.renew(token))
        self.expect(200, another.release("/x", token))
        self.expect(201, waiting[0].answer())


if __name__ == "__main__":
    unittest.main()
