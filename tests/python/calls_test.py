"""The API calls of the Python client, against the real server."""

import asyncio
import http.client
import json
import os
import pickle
import re
import socket
import ssl
import subprocess
import sys
import time
import unittest
import urllib.parse
import urllib.request
import uuid
from decimal import Decimal
from fractions import Fraction
from unittest import mock

from server_case import LONG, PACKAGE, PATIENCE, ServerCase, lockerclient, wait_until
from lossy_proxy import LossyProxy
from lockerclient import Deadlock, LockerError, LockLost, NotAcquired, Unreachable, join_path
from lockerclient.aio import AsyncClient
from lockerclient.exchange import Answer
from lockerclient.records import PathState


class Acquiring(ServerCase):
    def test_a_grant_says_what_was_granted(self):
        grant = self.client.acquire("/a/b", ttl=LONG, owner="me", meta="why")
        self.assertEqual((grant.path, grant.paths, grant.owner, grant.ttl, grant.waited),
                         ("/a/b", ("/a/b",), "me", LONG, 0))
        self.assertGreater(grant.fence, 1)
        self.assertNotIn(grant.token, repr(grant))
        (lock,) = self.client.state("/a/b").holders
        self.assertEqual((lock.path, lock.owner, lock.state, lock.mode, lock.fence, lock.ttl,
                          lock.meta), ("/a/b", "me", "held", "exclusive", grant.fence, LONG, "why"))
        self.assertLessEqual(lock.expires_in, LONG)
        self.client.release(grant.token)
        self.assertTrue(self.is_free("/a/b"))
        self.client.release(grant.token)  # idempotent

    def test_who_is_in_the_way(self):
        held = self.client.acquire("/a/b", ttl=LONG, owner="timmy")
        with self.assertRaises(NotAcquired) as caught:
            self.client.acquire("/a", wait=0)
        error = caught.exception
        self.assertEqual((error.code, error.status), ("locked", 423))
        (blocker,) = error.blocked_by
        self.assertEqual((blocker.path, blocker.owner, blocker.state, blocker.fence),
                         ("/a/b", "timmy", "held", held.fence))
        self.assertGreater(blocker.expires_in, 0)
        with self.assertRaises(NotAcquired) as caught:
            self.client.acquire("/a", wait=0.2)
        self.assertGreaterEqual(caught.exception.waited, 0.2)
        self.assertEqual(pickle.loads(pickle.dumps(error)).blocked_by, error.blocked_by)

    def test_modes_and_flags(self):
        self.client.acquire("/s", mode="shared", ttl=LONG)
        self.client.acquire("/s", mode="shared", ttl=LONG)
        self.client.acquire("/p/q", lock_parents=False, ttl=LONG)
        self.client.acquire("/p", lock_children=False, ttl=LONG)
        with self.assertRaises(NotAcquired):
            self.client.acquire("/s", wait=0)
        with self.assertRaises(NotAcquired):
            self.client.acquire("/p/q/r", wait=0)

    def test_several_and_any_of_them(self):
        both = self.client.acquire(["/m/1", {"path": "/m/2", "mode": "shared"}], ttl=LONG)
        self.assertEqual(both.paths, ("/m/1", "/m/2"))
        self.client.acquire("/m/2", mode="shared", ttl=LONG)
        with self.assertRaises(NotAcquired):
            self.client.acquire(["/m/1", "/m/3"], wait=0)
        self.assertTrue(self.is_free("/m/3"))
        any_two = self.client.acquire(["/m/1", "/m/3", "/m/4"], any=2, ttl=LONG)
        self.assertEqual(any_two.paths, ("/m/3", "/m/4"))
        self.assertEqual(self.client.acquire(["/m/5"], any=1, ttl=LONG).paths, ("/m/5",))
        with self.assertRaises(ValueError):
            self.client.acquire([])

    def test_a_token_joins_a_lease(self):
        first = self.client.acquire("/x", ttl=LONG, owner="o")
        second = self.client.acquire("/x/below", token=first.token)
        self.assertEqual((second.token, second.owner, second.ttl), (first.token, "o", LONG))
        state = self.client.lease_state(first.token)
        self.assertEqual([lock.path for lock in state.locks], ["/x", "/x/below"])
        self.client.release(first.token, "/x")
        self.assertEqual([lock.path for lock in self.client.locks()], ["/x/below"])

    def test_nothing_joins_a_lease_that_is_not_there(self):
        """The server would open a lease without a TTL and without an owner."""
        released = self.client.acquire("/x", ttl=LONG)
        self.client.release(released.token)
        with self.assertRaises(LockLost):
            self.client.acquire("/y", token=released.token)
        with self.assertRaises(LockerError) as unknown:
            self.client.acquire("/y", token=str(uuid.uuid4()))
        self.assertEqual(unknown.exception.code, "no_such_lease")
        self.assertTrue(self.is_free("/y"))

    def test_renew(self):
        grant = self.client.acquire("/r", ttl=LONG)
        renewal = self.client.renew(grant.token, ttl=2 * LONG)
        self.assertEqual((renewal.ttl, renewal.locks, renewal.waiters), (2 * LONG, 1, 0))
        with self.assertRaises(LockerError) as caught:
            self.client.renew(lockerclient.protocol.fresh_token())
        self.assertEqual(caught.exception.code, "no_such_lease")
        self.client.force("/r", reason="maintenance")
        with self.assertRaises(LockLost) as caught:
            self.client.renew(grant.token)
        self.assertEqual((caught.exception.reason, caught.exception.detail),
                         ("forced", "maintenance"))
        self.assertIn("maintenance", str(caught.exception))

    def test_without_ttl_it_is_held_until_released(self):
        grant = self.client.acquire("/forever", ttl=None)
        self.assertIsNone(grant.ttl)
        self.assertIsNone(self.client.state("/forever").holders[0].expires_in)

    def test_a_lock_delay_cools(self):
        self.client.acquire("/c", lock_delay=LONG, owner="slow", ttl=LONG)
        self.client.force("/c")
        with self.assertRaises(NotAcquired) as caught:
            self.client.acquire("/c", wait=0)
        self.assertEqual(caught.exception.blocked_by[0].state, "cooling")
        self.assertEqual([lock.path for lock in self.client.locks(state="cooling")], ["/c"])

    def test_what_cools_is_ended_when_it_is_asked_for(self):
        for number in range(3):
            self.client.acquire(f"/c/{number}", lock_delay=LONG, owner="slow", ttl=LONG)
            self.client.force(f"/c/{number}")
        for call in (lambda: self.client.force("/c/0"),
                     lambda: self.client.force_matching(prefix="/c")):
            with self.assertRaises(LockerError) as caught:
                call()
            self.assertEqual(caught.exception.code, "not_held")
        self.assertEqual(self.client.force("/c/0", cooling=True), 1)
        self.client.acquire("/c/0", wait=0, ttl=LONG)
        self.assertEqual(self.client.force_matching(prefix="/c/1", owner="slow", cooling=True), 1)
        fence = next(self.client.locks(state="cooling")).fence
        self.assertEqual(self.client.force_matching(fence=fence, cooling=True), 1)
        self.assertEqual(list(self.client.locks(state="cooling")), [])

    def test_who_waits_is_ended_when_it_is_asked_for(self):
        for force in (lambda: self.client.force("/w/1", waiting=True, reason="line"),
                      lambda: self.client.force_matching(prefix="/w", waiting=True, reason="line")):
            self.client.acquire("/w/1", ttl=LONG)
            waiting = self.in_background(lambda: self.new_client().acquire("/w/1", wait=LONG))
            self.wait_in_line("/w/1")
            self.assertEqual(force(), 2)
            with self.assertRaises(LockLost) as caught:
                waiting.result()
            self.assertEqual((caught.exception.reason, caught.exception.detail), ("forced", "line"))
            self.assertTrue(self.is_free("/w/1"))

    def test_leases_that_hold_nothing_end_with_those_of_their_owner(self):
        opened = urllib.request.Request(self.server.url + "/v1/leases?owner=ghost", method="POST")
        urllib.request.urlopen(opened).close()
        self.assertEqual(self.client.status()["opened_leases"], 1)
        self.assertEqual(self.client.force_matching(owner="ghost"), 1)
        self.assertEqual(self.client.status()["opened_leases"], 0)

    def test_deadlock(self):
        one = self.client.acquire("/1", owner="one", ttl=LONG)
        two = self.client.acquire("/2", owner="two", ttl=LONG)
        waiting = self.in_background(lambda: self.client.acquire("/2", token=one.token))
        self.wait_in_line("/2")
        with self.assertRaises(Deadlock) as caught:
            self.client.acquire("/1", token=two.token)
        self.assertEqual(caught.exception.cycle, [("two", "/1"), ("one", "/2")])
        self.assertEqual(caught.exception.blocked_by, [("/1", one.fence), ("/2", two.fence)])
        self.client.release(two.token)
        self.assertEqual(waiting.result().path, "/2")


class Looking(ServerCase):
    def test_all_locks_over_all_pages(self):
        expected = []
        for number in range(25):
            expected.append(f"/n/{number}")
            self.client.acquire(expected[-1], owner=f"o{number % 2}", ttl=LONG)
        self.client.acquire("/other", ttl=LONG)
        self.assertEqual([lock.path for lock in self.client.locks("/n", page_size=7)], expected)
        self.assertEqual(len(list(self.client.locks(owner="o1"))), 12)
        self.assertEqual(len(list(self.client.locks())), 26)

    def test_who_waits(self):
        held = self.client.acquire("/w", ttl=LONG)
        waiting = self.in_background(lambda: self.client.acquire("/w", owner="next", ttl=LONG))
        self.wait_in_line("/w")
        (waiter,) = self.client.state("/w").waiters
        self.assertEqual((waiter.owner, waiter.place, waiter.state, waiter.fence),
                         ("next", 1, "waiting", None))
        self.assertGreaterEqual(waiter.age, 0)
        (listed,) = self.client.locks(state="waiting")
        self.assertEqual((listed.owner, listed.connected, waiter.connected), ("next", True, True))
        self.client.release(held.token)
        self.assertGreater(waiting.result().fence, held.fence)

    def test_a_place_that_is_kept_for_who_went_away(self):
        held = self.client.acquire("/w", ttl=LONG)
        self.assertIsNone(self.client.state("/w").holders[0].connected)
        address = urllib.parse.urlsplit(self.server.url)
        waiting = http.client.HTTPConnection(address.hostname, address.port)
        self.addCleanup(waiting.close)
        waiting.request("POST", "/v1/locks/w", b'{"wait": "1m", "ttl": "1m"}',
                        {"Lock-Token": str(uuid.uuid4()), "Content-Type": "application/json"})
        self.wait_in_line("/w")
        waiting.close()
        wait_until(lambda: [each.connected for each in self.client.locks(state="waiting")] ==
                   [False])
        self.client.release(held.token)

    def test_how_many_are_in_the_way(self):
        for owner in ("a", "b"):
            self.client.acquire("/a", mode="shared", lock_children=False, owner=owner, ttl=LONG)
        for child in range(101):
            self.client.acquire(f"/a/{child}", lock_parents=False, ttl=LONG)
        state = self.client.state("/a")
        self.assertEqual((len(state.holders), state.holder_count), (2, 2))
        self.assertEqual((len(state.covered_by), state.covered_by_count), (100, 101))

    def test_an_older_server_tells_only_whom_it_shows(self):
        info = {"path": "/a", "owner": "o", "state": "held", "mode": "exclusive"}
        body = {"path": "/a", "free": False, "holders": [info], "covered_by": [info, info],
                "waiters": [{**info, "state": "waiting"}], "waiter_count": 1}
        state = PathState.parse(Answer(200, json.dumps(body), 0))
        self.assertEqual((state.holder_count, state.covered_by_count), (1, 2))
        self.assertIsNone(state.waiters[0].connected)

    def test_what_covers_a_path(self):
        self.client.acquire("/a/b", ttl=LONG)
        state = self.client.state("/a")
        self.assertFalse(state.free)
        self.assertEqual((state.path, state.holders, [lock.path for lock in state.covered_by]),
                         ("/a", (), ["/a/b"]))

    def test_status(self):
        self.client.acquire("/a", ttl=LONG)
        self.assertEqual(self.client.status()["locks"], 1)

    def test_force_matching(self):
        fences = [self.client.acquire(f"/f/{number}", owner="o", ttl=LONG).fence
                  for number in range(3)]
        with self.assertRaises(LockerError) as caught:
            self.client.force("/f/0", fence=fences[1])
        self.assertEqual(caught.exception.code, "not_held")
        self.assertEqual(self.client.force("/f/0", fence=fences[0]), 1)
        self.assertEqual(self.client.force_matching(prefix="/f", owner="o", reason="why"), 2)


class Spelling(ServerCase):
    def test_paths(self):
        for path, spelling in (("/a b/ü?x#y", "/a%20b/%C3%BC%3Fx%23y"), ("/a%2Fb", "/a%2Fb"),
                               (join_path("a/b", "100%", "ü"), "/a%2Fb/100%25/%C3%BC"), ("/", "/"),
                               ("//x///y/", "/x/y"), ("/+@:,;=", "/+@:,;=")):
            grant = self.client.acquire(path, ttl=LONG)
            several = self.client.acquire([path + "/below", "/z"], token=grant.token)
            self.assertEqual(self.client.state(path).holders[0].fence, grant.fence)
            self.assertEqual(bytes(grant.path, "ascii"), bytes(self.client.state(spelling).path,
                                                               "ascii"))
            self.assertEqual(len(list(self.client.locks(path))), 2 if path != "/" else 3)
            self.assertEqual(len(several.paths), 2)
            self.client.release(grant.token, path)
            self.client.release(grant.token)

    def test_a_path_begins_with_a_slash(self):
        for call in (self.client.lock, self.client.acquire, self.client.state, self.client.canhaz):
            with self.assertRaisesRegex(ValueError, "'/foo'"):
                call("foo")

    def test_what_is_empty_is_not_taken_for_everything(self):
        for segments in (("jobs", ""), ("",), ("", "x"), ()):
            with self.assertRaisesRegex(ValueError, "is empty, perhaps an unset variable"):
                join_path(*segments)
        with self.assertRaisesRegex(TypeError, "^None is not a path segment"):
            join_path("jobs", None)
        for call in (self.client.lock, self.client.acquire, self.client.state, self.client.canhaz):
            with self.assertRaisesRegex(ValueError, "^A path is empty, .*unset.*; write / for "):
                call("")

    def test_what_is_no_path_is_told(self):
        for call in (self.client.lock, self.client.acquire, self.client.state, self.client.canhaz):
            for path in (None, 7, b"/a"):
                with self.assertRaisesRegex(TypeError, f"^{path} is not a path: .*'/deploy/"):
                    call(path)
        for paths in (["/a", None], {"mode": "shared"}):
            with self.assertRaisesRegex(TypeError, "^None is not a path"):
                self.client.acquire(paths)

    def test_what_is_no_duration_is_told(self):
        held = self.client.acquire("/held", ttl=LONG)
        client = self.client
        for name, call in (("ttl", lambda ttl: client.lock("/a", ttl=ttl)),
                           ("ttl", lambda ttl: client.acquire("/a", ttl=ttl)),
                           ("ttl", lambda ttl: client.lease(ttl=ttl).open()),
                           ("ttl", lambda ttl: client.renew(held.token, ttl)),
                           ("wait", lambda wait: client.lock("/held", wait=wait).acquire()),
                           ("wait", lambda wait: client.acquire("/held", wait=wait)),
                           ("lock_delay", lambda delay: client.lock("/a", lock_delay=delay))):
            for value, kind in (("30s", TypeError), (True, TypeError), (float("nan"), ValueError),
                                (Decimal("NaN"), ValueError), (-1, ValueError)):
                beginning = re.escape(f"{name} is {value!r}, ")
                with self.assertRaisesRegex(kind, f"^{beginning}.* {name}=30, "):
                    call(value)
        with self.assertRaisesRegex(ValueError, "^ttl is inf, .*, or None"):
            client.acquire("/a", ttl=float("inf"))
        self.assertEqual([lock.path for lock in client.locks()], ["/held"])

    def test_numbers_of_any_kind_are_durations(self):
        short, long = Decimal("0.1"), Fraction(LONG)
        client = self.new_client(timeout=Decimal(PATIENCE), patience=Fraction(PATIENCE))
        with client.lock("/held", ttl=Decimal(LONG), lock_delay=Fraction(1, 1000)):
            for call in (client.acquire, lambda path, wait: client.lock(path, wait=wait).acquire()):
                with self.assertRaises(NotAcquired):
                    call("/held", wait=short)
            with client.lease(ttl=long) as lease:
                with self.assertRaises(NotAcquired):
                    lease.acquire("/held", wait=short)
                self.assertEqual(lease.ttl, LONG)
        for endless in (float("inf"), 1e11, 2**32 / 1000 - 0.4):  # poll() would truncate it
            client = self.new_client(timeout=endless, patience=endless)
            with self.client.lock("/held", ttl=LONG), self.assertRaises(NotAcquired):
                client.acquire("/held", wait=0.5)

        async def body(client):
            async with client.lease(ttl=long) as lease:
                with self.assertRaises(NotAcquired):
                    await lease.acquire("/held", wait=short)

        with self.client.lock("/held", ttl=LONG):
            self.run_async(body)

    def test_what_is_no_good_for_a_client_is_told(self):
        for kind in (lockerclient.Client, AsyncClient):
            for options in ({"timeout": 0}, {"timeout": -1}, {"patience": -1},
                            {"patience": float("nan")}):
                with self.assertRaisesRegex(ValueError, f"^{next(iter(options))} is "):
                    kind(**options)
            for options in ({"timeout": "5"}, {"timeout": None}, {"patience": None}, {"url": 5}):
                with self.assertRaisesRegex(TypeError, f"^{next(iter(options))} is "):
                    kind(**options)
            client = kind(self.server.url, ssl_context=ssl.create_default_context())
            self.assertIsNone(client._connections._tls)  # the URL is not https
            with self.assertRaisesRegex(TypeError, "cannot be pickled .* each process"):
                pickle.dumps(client)
            for block in (client.lease, lambda client=client, **options:
                          client.lock("/a", **options)):
                with self.assertRaisesRegex(TypeError, "^on_lost is 5: "):
                    block(on_lost=5)
                with self.assertRaisesRegex(TypeError, "^ttl is '5', "):
                    block(ttl="5")
            with self.assertRaisesRegex(TypeError, "^wait is '5', "):
                client.lock("/a", wait="5")
            with self.assertRaisesRegex(ValueError, "'/foo'"):
                client.lease().lock("foo")
            with self.assertRaisesRegex(TypeError, "bytes is not JSON"):
                client.lock("/a", meta=b"x")
            for path, options, what in (("/a", {"ttl": 2}, "'ttl'"), ("/a", {"owner": "x"}, "'owner'"),
                                        ({"path": "/a", "ttl": "2s"}, {}, "'ttl'"),
                                        ({"path": "/a", "any": 1}, {}, "'any'")):
                with self.assertRaisesRegex(TypeError, what):  # the lease has these
                    client.lease().lock(path, **options)
            with self.assertRaisesRegex(TypeError, "set is not JSON"):
                client.lease().lock({"path": "/a", "mode": set()})

    def test_what_the_server_refuses_is_told(self):
        with self.assertRaises(LockerError) as caught:
            self.client.acquire("/a/../b")
        self.assertEqual((caught.exception.code, caught.exception.status), ("bad_request", 400))
        self.assertTrue(str(caught.exception).endswith("."), caught.exception)
        with self.assertRaises(LockerError) as caught:
            self.client.canhaz("/a/../b")
        self.assertEqual((caught.exception.code, caught.exception.status), ("bad_request", 400))
        self.assertGreater(len(str(caught.exception)), 15)

    def test_owners_and_reasons_of_any_text(self):
        owner = 'Tim & "Lassie" é \\ +%'
        self.client.acquire("/o", owner=owner, ttl=LONG)
        self.assertEqual([lock.owner for lock in self.client.locks(owner=owner)], [owner])
        self.client.force("/o", reason=owner)

    def test_the_default_owner_says_who_and_where(self):
        self.assertRegex(self.client.owner, rf".+@.+:{os.getpid()}$")
        self.assertEqual(self.client.acquire("/o", ttl=LONG).owner, self.client.owner)

    def test_what_the_environment_says_of_the_user_may_be_no_owner(self):
        print_owner = "import lockerclient; print(lockerclient.Client().owner)"
        for said, user in (("me", "me"), ("a\nb", os.getuid()), ("x" * 300, os.getuid()),
                           (b"\xff", os.getuid())):
            printed = subprocess.run([sys.executable, "-B", "-c", print_owner], check=True, text=True,
                                     env={**os.environ, "PYTHONPATH": PACKAGE, "LOGNAME": said},
                                     capture_output=True).stdout
            self.assertTrue(printed.startswith(f"{user}@"), printed)

    def test_urls(self):
        self.addCleanup(os.environ.pop, "LOCKER_URL", None)
        os.environ.pop("LOCKER_URL", None)
        self.assertEqual(lockerclient.Client().url, "http://127.0.0.1:8765")
        os.environ["LOCKER_URL"] = self.server.url + "/"
        client = lockerclient.Client()
        self.assertEqual(client.url, self.server.url)
        self.assertEqual(client.status()["locks"], 0)
        client.close()
        self.assertEqual(lockerclient.Client("https://[::1]/a b/").url, "https://[::1]:443/a%20b")
        self.assertEqual(lockerclient.Client("http://bücher.example").url,
                         "http://xn--bcher-kva.example:80")
        for bad in ("locker:8765", "ftp://x", "http://", "http://a:x", "http://u:p@a",
                    "http://a?b", "http://a..b", f"http://{'a' * 64}"):
            with self.assertRaisesRegex(ValueError, "not the address of a lock server"):
                lockerclient.Client(bad)


class SeedVerbs(ServerCase):
    def test_scripts_for_locker_1_0b(self):
        taken = self.client.canhaz("/this", id="timmy")
        self.assertEqual(set(taken), {"ok", "token"})
        self.assertEqual(self.client.canhaz("/this", id="lassie"),
                         {"ok": False, "lockedBy": "timmy"})
        self.assertEqual(self.client.dohaz("/this"), {"lockedBy": "timmy"})
        self.assertEqual(self.client.nowant("/this", "invalid-token"), {"ok": False})
        self.assertEqual(self.client.nowant("/this", taken["token"]), {"ok": True})
        self.assertEqual(self.client.dohaz("/this"), {"lockedBy": None})

    def test_flags(self):
        self.client.canhaz("/foo/bar", lock_parents=False)
        self.assertTrue(self.client.canhaz("/foo")["ok"])
        self.client.canhaz("/bar", lock_children=False)
        self.assertTrue(self.client.canhaz("/bar/foo")["ok"])


class OnTheWire(ServerCase):
    def setUp(self):
        super().setUp()
        self.proxy = LossyProxy(self.server.port)
        self.addCleanup(self.proxy.close)
        self.through = self.new_client(url=self.proxy.url, key="s3cret")

    def test_a_lost_reply_never_locks_twice(self):
        self.proxy.lose_replies(3, b"POST /v1/locks/once")
        grant = self.through.acquire("/once", ttl=LONG)
        self.assertEqual(self.proxy.lost, 3)
        self.assertEqual([lock.fence for lock in self.client.locks()], [grant.fence])
        self.proxy.lose_replies(2, b"DELETE /v1/leases")
        self.through.release(grant.token)
        self.assertEqual(self.proxy.lost, 5)
        self.assertEqual(list(self.client.locks()), [])

    def check_taken_back(self, acquire, release):
        """Calls `acquire` for /w; a copy of its request arrives while it waits."""
        holder = self.client.acquire("/w", ttl=LONG)
        self.proxy.duplicate(1, b"POST /v1/locks/w")
        waiting = self.in_background(acquire)
        wait_until(lambda: self.proxy.copies, "it is not sent twice")
        self.proxy.copies[0].settimeout(PATIENCE)
        self.assertIn(b"superseded", self.proxy.copies[0].recv(65536))
        self.client.release(holder.token)
        fence = waiting.result().fence
        self.assertEqual([lock.fence for lock in self.client.locks()], [fence])
        release(waiting.result())
        self.assertTrue(self.is_free("/w"))

    def test_a_place_that_a_copy_of_the_request_has_taken_is_taken_back(self):
        self.check_taken_back(lambda: self.through.acquire("/w", ttl=None),
                              lambda grant: self.through.release(grant.token))

    def test_so_it_is_in_a_lease(self):
        with self.through.lease(ttl=LONG) as lease:
            self.check_taken_back(lambda: lease.acquire("/w"),
                                  lambda grant: lease.release_path("/w"))

    def test_but_whose_token_is_given_ends(self):
        lease = self.client.acquire("/lease", ttl=LONG)
        self.client.acquire("/w", ttl=LONG)
        self.proxy.duplicate(1, b"POST /v1/locks/w")
        with self.assertRaises(LockerError) as caught:
            self.through.acquire("/w", token=lease.token)
        self.assertEqual(caught.exception.code, "superseded")

    def test_whose_wait_is_over_leaves_nothing_in_line(self):
        self.client.acquire("/w", ttl=LONG)
        self.proxy.duplicate(2, b"POST /v1/locks/w")
        with self.assertRaises(NotAcquired):
            self.through.acquire("/w", ttl=None, wait=2)
        wait_until(lambda: len(self.proxy.copies) == 2, "it is not sent twice")
        wait_until(lambda: self.client.status()["waiters"] == 0, "a copy stays in line")

    def test_what_an_answer_is_announced_with_is_read_over(self):
        self.proxy.answers = {b"GET /v1/status": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                              b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                              b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"locks\": 17}"}
        for _ in range(2):
            self.assertEqual(self.through.status(), {"locks": 17})

    def test_what_must_not_be_done_twice_is_not_sent_twice(self):
        held = self.client.acquire("/f", ttl=LONG)
        for call in (lambda: self.through.canhaz("/c"), lambda: self.through.force("/f")):
            self.through.status()  # leaves an idle connection that could be reused
            self.proxy.lose_replies(1)
            with self.assertRaisesRegex(Unreachable, "may have been carried out"):
                call()
        self.assertEqual(self.proxy.seen.count(b"/canhaz/c"), 1)
        self.assertEqual(self.proxy.seen.count(b"/v1/locks/f"), 1)
        with self.assertRaises(LockLost):
            self.client.renew(held.token)

    def test_nor_a_force_that_would_end_the_delay_that_it_began(self):
        held = self.client.acquire("/f", lock_delay=LONG, ttl=LONG)
        self.proxy.lose_replies(1)
        with self.assertRaisesRegex(Unreachable, "may have been carried out"):
            self.through.force("/f", fence=held.fence, cooling=True)
        self.assertEqual([lock.path for lock in self.client.locks(state="cooling")], ["/f"])

    def test_connections_are_kept_and_made_again(self):
        self.through.status()
        self.through.status()
        self.proxy.cut()
        self.through.status()

    def test_what_was_granted_without_an_answer_does_not_stay_in_the_lease(self):
        impatient = self.new_client(url=self.proxy.url, patience=0.5)
        with impatient.lease(ttl=LONG) as lease:
            lease.acquire("/e")
            self.proxy.lose_replies(1_000_000, b"POST /v1/locks/f")
            with self.assertRaises(Unreachable):
                lease.acquire("/f")
            self.assertFalse(self.is_free("/f"))
            self.proxy.lose_replies(0)
            wait_until(lambda: self.is_free("/f"))
            lease.check()
            self.assertFalse(self.is_free("/e"))

    def test_nor_for_ever_by_itself(self):
        impatient = self.new_client(url=self.proxy.url, patience=0.5)
        for acquire in (lambda: impatient.acquire("/f", ttl=None),
                        lambda: impatient.lock("/f", ttl=None).acquire()):
            self.proxy.lose_replies(1_000_000, b"POST /v1/locks/f")
            with self.assertRaises(Unreachable):
                acquire()
            self.assertFalse(self.is_free("/f"))
            self.proxy.lose_replies(0)
            wait_until(lambda: self.is_free("/f"))

        async def main():
            async with AsyncClient(self.proxy.url, patience=0.5) as client:
                for acquire in (lambda: client.acquire("/f", ttl=None),
                                lambda: client.lock("/f", ttl=None).acquire()):
                    self.proxy.lose_replies(1_000_000, b"POST /v1/locks/f")
                    with self.assertRaises(Unreachable):
                        await acquire()
                    self.assertFalse(self.is_free("/f"))
                    self.proxy.lose_replies(0)
                    while not self.is_free("/f"):
                        await asyncio.sleep(0.05)
        asyncio.run(asyncio.wait_for(main(), PATIENCE))

    def test_nor_with_asyncio(self):
        async def main():
            async with AsyncClient(self.proxy.url, patience=0.5) as client:
                async with client.lease(ttl=LONG) as lease:
                    await lease.acquire("/e")
                    self.proxy.lose_replies(1_000_000, b"POST /v1/locks/f")
                    with self.assertRaises(Unreachable):
                        await lease.acquire("/f")
                    self.assertFalse(self.is_free("/f"))
                    self.proxy.lose_replies(0)
                    while not self.is_free("/f"):
                        await asyncio.sleep(0.05)
                    lease.check()
                    self.assertFalse(self.is_free("/e"))
        asyncio.run(asyncio.wait_for(main(), PATIENCE))

    def await_connections(self, count):
        """Waits until the proxy has accepted so many connections."""
        wait_until(lambda: len(self.proxy._pairs) == count)

    def test_connections_that_are_dead_without_a_word_cost_no_lease(self):
        connections = self.through._connections
        with self.through.lock("/f", ttl=8) as lock:
            for connection in [connections._open(PATIENCE) for _ in range(4)]:
                connections._give_back(connection)
            self.await_connections(5)
            self.proxy.freeze()
            time.sleep(9)
            lock.check()

    def test_and_none_with_asyncio(self):
        async def main():
            async with AsyncClient(self.proxy.url, patience=PATIENCE) as client:
                async with client.lock("/f", ttl=8) as lock:
                    connections = client._connections
                    connections._idle().extend(
                        [(time.monotonic(), await connections._open(PATIENCE)) for _ in range(4)])
                    self.await_connections(5)
                    self.proxy.freeze()
                    await asyncio.sleep(9)
                    lock.check()
        asyncio.run(main())

    def test_the_key_goes_along_and_the_token_is_in_no_url(self):
        grant = self.through.acquire("/k", ttl=LONG)
        self.through.renew(grant.token)
        self.through.release(grant.token)
        self.assertEqual(self.proxy.seen.count(b"Authorization: Bearer s3cret\r\n"), 3)
        self.assertEqual(self.proxy.seen.count(grant.token.encode()), 3)
        for line in self.proxy.seen.splitlines():
            if b"HTTP/1.1" in line:
                self.assertNotIn(grant.token.encode(), line)
        self.assertNotIn("s3cret", repr(self.through))

    def test_who_is_not_there_is_unreachable(self):
        self.proxy.close()
        client = self.new_client(url=self.proxy.url, patience=0.3)
        for call in (client.status, lambda: client.acquire("/a", wait=0), client.lock("/a").acquire,
                     client.events, lambda: list(client.locks())):
            with self.assertRaises(Unreachable) as caught:
                call()
            self.assertEqual(caught.exception.code, "unreachable")

    def test_a_name_that_is_gone_for_a_while_is_waited_for(self):
        known = socket.getaddrinfo

        def unknown(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        with mock.patch.object(socket, "getaddrinfo", unknown):
            with self.assertRaisesRegex(Unreachable, "not known"):  # at once: never answered before
                self.through.status()
        self.through.status()
        self.proxy.cut()
        with mock.patch.object(socket, "getaddrinfo", unknown):
            asking = self.in_background(self.through.status)
            asking.join(0.3)
            self.assertTrue(asking.is_alive())
            socket.getaddrinfo = known
            self.assertIn("locks", asking.result())

    def test_an_answer_of_something_else_is_told(self):
        foreign = Foreign(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<html/>")
        self.addCleanup(foreign.close)
        client = self.new_client(url=foreign.url)
        for call in (client.status, lambda: client.acquire("/a"), lambda: client.dohaz("/a")):
            with self.assertRaisesRegex(LockerError, "not an answer of a lock server.*<html/>"):
                call()


class Foreign(LossyProxy):
    """Answers every request with the same bytes."""

    def __init__(self, reply):
        self._reply = reply
        super().__init__(0)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                client.sendall(self._reply)


if __name__ == "__main__":
    unittest.main()
