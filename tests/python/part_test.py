"""One lock of a lease that has several: its loss, and nested blocks that share it."""

import asyncio
import random
import threading
import unittest
from unittest import mock

from server_case import (LONG, PATIENCE, Interrupted, ServerCase, interrupted_waits, renewing_often,
                         wait_until)
from lockerclient import LockerError, LockLost, NotAcquired, Unreachable


class PartCase(ServerCase):
    def held(self):
        return {lock.path: lock.mode for lock in self.client.locks()}

    @staticmethod
    def await_renewals(block, count):
        for _ in range(count):
            before = block._held().deadline.ends
            wait_until(lambda: block._held().deadline.ends > before)


class Losing(PartCase):
    def test_one_path_of_a_lock(self):
        told = []
        with renewing_often(), self.assertRaises(LockLost) as caught:
            with self.client.lock(["/f/1", "/f/2"], ttl=LONG, on_lost=told.append) as lock:
                self.client.force("/f/2", reason="maintenance")
                self.assertTrue(lock.lost.wait(PATIENCE))
                wait_until(lambda: told)
                with self.assertRaisesRegex(LockLost, "^/f/2: .*maintenance"):
                    lock.check()
                self.assertFalse(lock.held)
                # The other path stays held until the block has noticed.
                before = lock._held().deadline.ends
                while lock._held().deadline.ends == before:
                    self.assertFalse(self.is_free("/f/1"))
        self.assertEqual((caught.exception.reason, caught.exception.detail, len(told)),
                         ("forced", "maintenance", 1))
        self.assertEqual(self.held(), {})

    def test_one_path_just_before_the_end_of_the_block(self):
        with self.assertRaisesRegex(LockLost, "^/f/2: .*maintenance") as caught:
            with self.client.lock(["/f/1", "/f/2"], ttl=LONG):
                self.client.force("/f/2", reason="maintenance")
        self.assertEqual(caught.exception.reason, "forced")
        self.assertEqual(self.held(), {})

    def test_one_lock_of_a_lease(self):
        told = []
        with renewing_often(), self.assertRaises(LockLost):
            with self.client.lease(ttl=LONG, on_lost=told.append) as lease:
                with lease.lock("/kept") as kept:
                    with self.assertRaises(LockLost), lease.lock("/f") as lost:
                        self.client.force("/f", reason="maintenance")
                        self.assertTrue(lease.lost.wait(PATIENCE))
                        for check in (lost.check, lease.check):
                            with self.assertRaisesRegex(LockLost, "^/f: .*maintenance"):
                                check()
                        wait_until(lambda: told)
                        kept.check()
                    kept.check()
                    self.assertEqual(self.held(), {"/kept": "exclusive"})
        self.assertEqual(len(told), 1)

    def test_what_the_client_does_not_know_of_hides_no_loss_for_long(self):
        with renewing_often(), self.assertRaises(LockLost):
            with self.client.lease(ttl=LONG) as lease:
                lease.acquire("/f")
                for number in range(3):
                    self.client.acquire(f"/by-hand/{number}", token=lease.token)
                self.client.force("/f")
                self.assertTrue(lease.lost.wait(PATIENCE))

    def test_nor_when_there_are_as_many_as_it_knows_of(self):
        for paths in (["/f"], ["/f", "/kept"]):
            with renewing_often(), self.assertRaisesRegex(LockLost, "^/f: .*maintenance"):
                with self.client.lock(paths, ttl=LONG) as lock:
                    self.client.acquire("/by-hand", token=lock.token)
                    self.client.force("/f", reason="maintenance")
                    self.assertTrue(lock.lost.wait(PATIENCE))

    def test_nor_when_it_has_been_renewed_with_as_many(self):
        with renewing_often(), self.assertRaisesRegex(LockLost, "^/f: .*maintenance"):
            with self.client.lease(ttl=LONG) as lease:
                lease.acquire(["/f", "/kept"])
                self.await_renewals(lease, 2)
                self.client.force("/f", reason="maintenance")
                self.client.acquire("/by-hand", token=lease.token)
                self.assertTrue(lease.lost.wait(PATIENCE))

    def test_what_others_have_lost_and_taken_anew_was_lost(self):
        with renewing_often(), self.assertRaisesRegex(LockLost, "^/f"):
            with self.client.lock(["/f", "/kept"], ttl=LONG) as lock:
                self.await_renewals(lock, 2)
                self.client.force("/f")
                self.client.acquire("/f", token=lock.token)
                self.assertTrue(lock.lost.wait(PATIENCE))

    def test_a_mode_that_others_change_is_no_loss(self):
        with renewing_often(), self.client.lock("/e", ttl=LONG) as exclusive, \
                self.client.lock("/s", ttl=LONG, mode="shared") as shared:
            self.client.acquire("/e", mode="shared", token=exclusive.token)
            self.client.acquire("/s", token=shared.token)
            self.client.acquire("/s", mode="shared", token=shared.token)
            for lock in (exclusive, shared):
                self.await_renewals(lock, 2)
                lock.check()

    def test_what_was_lost_and_is_taken_anew_was_lost(self):
        with self.assertRaises(LockLost), self.client.lease(ttl=LONG) as lease:
            lease.acquire("/kept")
            lease.acquire("/f")
            self.client.force("/f")
            with self.assertRaises(LockLost):
                lease.acquire("/f")

    def test_what_is_given_back_is_not_lost(self):
        with renewing_often():
            with self.client.lease(ttl=LONG) as lease:
                lease.acquire(["/f/1", "/f/2", "/f/3"])
                self.client.release(lease.token, "//f/%32/")
                for number in range(200):
                    with lease.lock(["/x", f"/y/{number}"]):
                        lease.acquire("/z")
                    lease.release_path("/z")
                first = lease._held().deadline.ends
                while lease._held().deadline.ends < first + 1:
                    lease.check()

    def test_what_is_given_back_by_an_order_is_lost_to_the_blocks_that_have_it(self):
        with self.client.lease(ttl=LONG) as lease:
            for number, give_back in enumerate((
                    lease.release_path, lambda path: self.client.release(lease.token, path))):
                path = f"/f/{number}"
                blocks = [lease.lock(path), lease.lock(path, mode="shared")]
                for block in blocks:
                    block.__enter__()
                self.in_background(lambda: give_back(path)).result()
                with self.client.lock(path, ttl=LONG):
                    for block in blocks:
                        for tell in (block.check, lambda: block.__exit__(None, None, None)):
                            with self.assertRaisesRegex(LockLost, path) as caught:
                                tell()
                            self.assertEqual(caught.exception.reason, "released")
                with lease.lock(path) as anew:
                    anew.check()
                lease.check()  # it released the path itself
            self.assertEqual(self.held(), {})

    def test_what_is_no_path_gives_nothing_back(self):
        with self.client.lease(ttl=LONG) as lease, lease.lock(["/", "/b"]) as lock:
            for path, kind in (("b", ValueError), ("", ValueError), (b"/b", TypeError)):
                for give_back in (lease.release_path,
                                  lambda path: self.client.release(lease.token, path)):
                    with self.assertRaises(kind):
                        give_back(path)
            lock.check()
        self.assertEqual(self.held(), {})

    def test_a_block_that_gives_it_back_by_itself_ends_in_order(self):
        with self.client.lease(ttl=LONG) as lease:
            with lease.lock(["/a", "/b"]) as lock:
                lease.release_path("/a")
                self.assertEqual(self.held(), {"/b": "exclusive"})
                with self.assertRaisesRegex(LockLost, "^/a was released"):
                    lock.check()
            lease.acquire("/kept")
            self.assertEqual(self.held(), {"/kept": "exclusive"})
            with self.assertRaisesRegex(LockLost, "maintenance"), lease.lock(["/a", "/b"]):
                lease.release_path("/a")
                self.client.force("/b", reason="maintenance")

    def test_but_the_block_around_it_has_lost_it(self):
        with self.client.lease(ttl=LONG) as lease:
            with self.assertRaisesRegex(LockLost, "^/a was released"), lease.lock("/a"):
                with lease.lock("/a"):
                    lease.release_path("/a")
                inner_has_ended = True
            self.assertTrue(inner_has_ended)

    def test_so_it_is_to_a_lock_that_has_its_own_lease(self):
        told = []
        with self.assertRaisesRegex(LockLost, "^/f/2 was released"):
            with self.client.lock(["/f/1", "/f/2"], ttl=LONG, on_lost=told.append) as lock:
                self.client.release(lock.token, "/f/2")
                self.assertTrue(lock.lost.wait(PATIENCE))
                with self.assertRaisesRegex(LockLost, "released"):
                    lock.check()
                wait_until(lambda: told)
        self.assertEqual(self.held(), {})

    def test_more_than_one_page(self):
        with renewing_often(), self.assertRaisesRegex(LockLost, "^/n/1099: "):
            with self.client.lease(ttl=LONG) as lease:
                for start in range(0, 1100, 100):
                    lease.acquire([f"/n/{start + number}" for number in range(100)])
                self.client.force("/n/1099")
                self.assertTrue(lease.lost.wait(PATIENCE))

    def test_a_lease_that_another_thread_releases(self):
        lease = self.client.lease(ttl=LONG).open()
        with self.assertRaisesRegex(LockLost, "released") as caught, lease.lock("/a") as lock:
            lock.check()
            lease.release()
            self.assertTrue(self.is_free("/a"))
            with self.assertRaisesRegex(LockLost, "released"):
                lock.check()
        self.assertEqual(caught.exception.reason, "released")

    def test_a_block_that_another_thread_ends_by_release(self):
        for block in (self.client.lock, lambda _, **options: self.client.lease(**options)):
            told = []
            with self.assertRaisesRegex(LockLost, "released") as caught:
                with block("/a", ttl=LONG, on_lost=told.append) as held:
                    self.in_background(held.release).result()
                    self.assertTrue(held.lost.wait(PATIENCE))
                    wait_until(lambda: told)
                    with self.assertRaisesRegex(LockLost, "released"):
                        held.check()
                    with self.assertRaisesRegex(LockLost, "released"):
                        self.in_background(held.release).result()
                    self.assertEqual(self.client.status()["leases"], 0)
            self.assertEqual((caught.exception.reason, len(told)), ("released", 1))

    def test_a_block_of_a_lease_that_is_lost_as_a_whole(self):
        """Although the server may still have it."""
        with self.assertRaisesRegex(LockLost, "^late"), self.client.lease(ttl=LONG) as lease:
            with self.assertRaisesRegex(LockLost, "^late"), lease.lock("/a"):
                lease._held().lose(LockLost("late", "unrenewed"))
            self.assertEqual(self.held(), {})

    def test_a_block_of_a_lease_that_another_thread_ends_by_release(self):
        with self.assertRaisesRegex(LockLost, "released"):
            with self.client.lease(ttl=LONG) as lease, self.client.lease(ttl=LONG) as other:
                with self.assertRaisesRegex(LockLost, "released"), lease.lock("/a") as lock:
                    self.in_background(lease.release).result()
                    other.acquire("/a")
                    with self.assertRaisesRegex(LockLost, "released"):
                        lock.check()
                self.assertEqual(self.held(), {"/a": "exclusive"})

    def test_what_no_block_has_ends_by_the_release_of_any_thread(self):
        told = []
        lock = self.client.lock("/a", ttl=LONG, on_lost=told.append).acquire()
        self.in_background(lock.release).result()
        self.assertEqual((self.held(), told, lock.lost.is_set()), ({}, [], False))

    def test_who_waits_while_another_thread_releases_the_lease_gets_nothing(self):
        """The server opens a lease without a TTL for it, which nothing would renew or release."""
        with self.client.lock("/a", ttl=LONG):
            lease = self.client.lease(ttl=LONG).open()
            waiting = self.in_background(lambda: lease.acquire("/a"))
            self.wait_in_line("/a")
            lease.release()
        with self.assertRaisesRegex(LockLost, "released"):
            waiting.result()
        self.assertEqual(self.held(), {})

    def test_who_asks_while_another_thread_releases_the_lease_gets_nothing(self):
        lease = self.client.lease(ttl=LONG).open()
        lease.acquire("/a")
        send = self.client._connections.send

        def release_before(step):
            if step.request.target == "/v1/locks/a":
                self.client._connections.send = send
                lease.release()
            return send(step)

        self.client._connections.send = release_before
        with self.assertRaises(LockLost):
            lease.acquire("/a")
        self.assertEqual(self.held(), {})

    def test_with_asyncio(self):
        async def body(client):
            lease = await client.lease(ttl=LONG).open()
            with self.assertRaisesRegex(LockLost, "released"):
                async with lease.lock("/a") as lock:
                    await lease.release()
                    with self.assertRaisesRegex(LockLost, "released"):
                        lock.check()
            told = []
            with self.assertRaisesRegex(LockLost, "released"):
                async with client.lock("/a", ttl=LONG, on_lost=told.append) as lock:
                    await asyncio.ensure_future(lock.release())
                    await asyncio.wait_for(lock.lost.wait(), PATIENCE)
                    with self.assertRaisesRegex(LockLost, "released"):
                        lock.check()
            self.assertEqual(len(told), 1)
            with self.assertRaisesRegex(LockLost, "released"):
                async with client.lease(ttl=LONG, cancel_on_loss=True) as lease:
                    asyncio.ensure_future(lease.release())
                    await asyncio.sleep(10 * PATIENCE)
            async with client.lock("/a", ttl=LONG, cancel_on_loss=True) as lock:
                await lock.release()  # by its own task
            block = client.lock("/a", ttl=LONG)
            await asyncio.ensure_future(block.__aenter__())
            await block.release()  # not by the task that acquired it
            await block.__aexit__(None, None, None)
            with self.assertRaisesRegex(LockLost, "^/a was released"):
                async with client.lock("/a", ttl=LONG, cancel_on_loss=True) as lock:
                    asyncio.ensure_future(client.release(lock.token, "/a"))
                    await asyncio.sleep(10 * PATIENCE)
            async with client.lease(ttl=LONG) as lease:
                async with lease.lock("/a") as lock:
                    await lease.release_path("/a")
                    with self.assertRaisesRegex(LockLost, "^/a was released"):
                        lock.check()
                with self.assertRaisesRegex(LockLost, "^/a was released"):
                    async with lease.lock("/a"):
                        await asyncio.ensure_future(lease.release_path("/a"))
                lease.check()
            with self.assertRaisesRegex(LockLost, "^late"):
                async with client.lease(ttl=LONG) as lease:
                    with self.assertRaisesRegex(LockLost, "^late"):
                        async with lease.lock("/a"):
                            lease._held().lose(LockLost("late", "unrenewed"))
                    self.assertEqual(self.held(), {})
            lease = await client.lease(ttl=LONG).open()
            async with client.lock("/a", ttl=LONG):
                waiting = asyncio.ensure_future(lease.acquire("/a"))
                while not (await client.state("/a")).waiter_count:
                    pass
                await lease.release()
            with self.assertRaisesRegex(LockLost, "released"):
                await waiting
            self.assertEqual(self.held(), {})
            with renewing_often():
                with self.assertRaisesRegex(LockLost, "^/f/2: .*maintenance"):
                    async with client.lock(["/f/1", "/f/2"], ttl=LONG, cancel_on_loss=True):
                        await client.force("/f/2", reason="maintenance")
                        await asyncio.sleep(10 * PATIENCE)
                with self.assertRaisesRegex(LockLost, "^/f: .*maintenance"):
                    async with client.lock("/f", ttl=LONG) as lock:
                        await client.acquire("/by-hand", token=lock.token)
                        await client.force("/f", reason="maintenance")
                        await asyncio.wait_for(lock.lost.wait(), PATIENCE)
                told = []
                with self.assertRaises(LockLost):
                    async with client.lease(ttl=LONG, on_lost=told.append) as lease:
                        async with lease.lock("/kept") as kept:
                            await lease.acquire("/f")
                            await client.force("/f")
                            await asyncio.wait_for(lease.lost.wait(), PATIENCE)
                            with self.assertRaises(LockLost):
                                lease.check()
                            kept.check()
                self.assertEqual(len(told), 1)
            with self.assertRaisesRegex(LockLost, "^/f/2: "):  # just before the end of the block
                async with client.lock(["/f/1", "/f/2"], ttl=LONG):
                    await client.force("/f/2")
        self.run_async(body)
        self.assertEqual(self.held(), {})


class Nesting(PartCase):
    def test_the_outer_one_keeps_what_it_has(self):
        with self.client.lease(ttl=LONG) as lease:
            with lease.lock("/a") as outer:
                with lease.lock("/a") as inner:
                    self.assertEqual(inner.fence, outer.fence)
                self.assertEqual(self.held(), {"/a": "exclusive"})
                with lease.lock("/a", mode="shared"):
                    self.assertEqual(self.held(), {"/a": "exclusive"})
                self.assertEqual(self.held(), {"/a": "exclusive"})
                outer.check()
            self.assertEqual(self.held(), {})
            lease.acquire("/b")
            with lease.lock("/b"):
                pass
            with lease.lock("/c"):
                lease.acquire("/c")
            self.assertEqual(self.held(), {"/b": "exclusive", "/c": "exclusive"})
            lease.release_path("/b")
            lease.acquire("/c", mode="shared")  # outside of blocks, this changes the mode
            self.assertEqual(self.held(), {"/c": "shared"})

    def test_an_upgrade_is_for_the_inner_block(self):
        with self.client.lease(ttl=LONG) as lease, lease.lock("/a", mode="shared") as outer:
            first = outer.fence
            with lease.lock("/a") as inner:
                self.assertEqual(self.held(), {"/a": "exclusive"})
                self.assertEqual(outer.fence, inner.fence)
                self.assertGreater(inner.fence, first)
            self.assertEqual(self.held(), {"/a": "shared"})
            self.assertEqual(outer.fence, self.client.state("/a").holders[0].fence)
            outer.check()
            with self.client.lock("/a", mode="shared", wait=0):
                with self.assertRaises(NotAcquired), lease.lock("/a", wait=0):
                    self.fail("others have it, too")
            self.assertEqual(self.held(), {"/a": "shared"})

    def test_whoever_ends_last_gives_it_back(self):
        with self.client.lease(ttl=LONG) as lease:
            one, two = lease.lock("/a"), lease.lock("/a")
            one.__enter__()
            two.__enter__()
            one.__exit__(None, None, None)
            self.assertEqual(self.held(), {"/a": "exclusive"})
            two.__exit__(None, None, None)
            self.assertEqual(self.held(), {})

    def test_threads_that_share_a_lease(self):
        with self.client.lease(ttl=LONG) as lease:
            def work():
                for _ in range(50):
                    with lease.lock("/a") as lock:
                        lock.check()
                        self.assertEqual(self.client.lease_state(lease.token).locks[0].path, "/a")

            for thread in [self.in_background(work) for _ in range(4)]:
                thread.result()
            lease.check()

    def test_an_interruption_takes_nothing_from_the_outer_one(self):
        with self.client.lease(ttl=LONG) as lease, lease.lock("/a", mode="shared") as outer:
            for mode in ("shared", "exclusive"):
                with interrupted_waits(self.client):
                    with self.assertRaises(Interrupted), lease.lock("/a", mode=mode):
                        self.fail("it was interrupted")
                self.assertEqual(self.held(), {"/a": "shared"})
                outer.check()
            with lease.lock("/a"):  # must not look like a loss
                pass

    def test_a_lost_path_does_not_keep_the_others_of_its_block(self):
        with self.assertRaises(LockLost), self.client.lease(ttl=LONG) as lease:
            lease.acquire("/kept")
            with lease.lock(["/1", "/2"]):
                self.client.force("/1")
        self.assertEqual(self.held(), {})

    def test_with_asyncio(self):
        async def body(client):
            async with client.lease(ttl=LONG) as lease:
                async with lease.lock("/a", mode="shared") as outer:
                    async with lease.lock("/a") as inner:
                        self.assertEqual(self.held(), {"/a": "exclusive"})
                        self.assertEqual(inner.fence, outer.fence)
                    self.assertEqual(self.held(), {"/a": "shared"})
                    outer.check()
                self.assertEqual(self.held(), {})
                await lease.acquire("/b")
                async with lease.lock("/b"):
                    pass
                self.assertEqual(self.held(), {"/b": "exclusive"})
        self.run_async(body)


class Sharing(PartCase):
    """Threads and tasks that share a lease, and request one path in different modes."""

    def on_its_way(self, path):
        return HeldBack(self.client, "/v1/locks" + path)

    def let_in(self, lease, path, mode):
        return InBlock(self, lease.lock(path, mode=mode))

    def test_nobody_gets_less_than_it_was_granted(self):
        for number, (first, second) in enumerate((("exclusive", "shared"),
                                                  ("shared", "exclusive")) * 2):
            path = f"/a/{number}"
            with self.client.lease(ttl=LONG) as lease:
                with self.on_its_way(path) as request:
                    request.arrives = number >= 2
                    one = self.let_in(lease, path, first)
                    self.assertTrue(request.is_there.wait(PATIENCE))
                    two = self.let_in(lease, path, second)
                    two.has_entered.wait(0.3)  # should not enter; gives it time to do so wrongly
                    request.go_on.set()
                    for block in (one, two):
                        self.assertTrue(block.has_entered.wait(PATIENCE))
                self.assertEqual(self.held(), {path: "exclusive"})
                with self.assertRaises(NotAcquired):
                    self.client.acquire(path, mode="shared", wait=0)
                blocks = {first: one, second: two}
                blocks["exclusive"].leave()
                self.assertEqual(self.held(), {path: "shared"})
                blocks["shared"].leave()
                self.assertEqual(self.held(), {})
                lease.check()

    def test_what_is_not_lost_is_not_told_to_be(self):
        with renewing_often(), self.client.lease(ttl=LONG) as lease:
            def work(seed):
                choices = random.Random(seed)

                def any_mode():
                    path = choices.choice(("/a", "/b"))
                    return lease.lock(path, mode=choices.choice(("shared", "exclusive")))

                for _ in range(40):
                    with any_mode() as outer, any_mode() as inner:
                        for lock in (outer, inner):
                            lock.check()

            for thread in [self.in_background(lambda seed=seed: work(seed)) for seed in range(5)]:
                thread.result()
            lease.check()
            self.assertEqual(self.held(), {})

    def test_a_block_that_ends_while_another_one_is_asked_for(self):
        with self.client.lease(ttl=LONG) as lease:
            exclusive = self.let_in(lease, "/a", "exclusive")
            self.assertTrue(exclusive.has_entered.wait(PATIENCE))
            with self.on_its_way("/a") as request:
                shared = self.let_in(lease, "/a", "shared")
                self.assertTrue(request.is_there.wait(PATIENCE))
                exclusive.leave()
                self.assertEqual(self.held(), {"/a": "exclusive"})
                request.go_on.set()
                self.assertTrue(shared.has_entered.wait(PATIENCE))
            self.assertEqual(self.held(), {"/a": "shared"})
            shared.leave()
            self.assertEqual(self.held(), {})

    def test_two_wait_in_line(self):
        for first, second in (("exclusive", "exclusive"), ("exclusive", "shared")):
            with self.client.lease(ttl=LONG) as lease:
                with self.client.lock("/a", ttl=LONG):
                    one = self.let_in(lease, "/a", first)
                    self.wait_in_line("/a")
                    two = self.let_in(lease, "/a", second)
                    with self.assertRaises(NotAcquired):
                        lease.acquire("/a", wait=0)
                    with self.assertRaises(NotAcquired):
                        lease.acquire(["/a", "/other"], mode="shared", wait=0.1)
                    lease.acquire("/b", wait=0)  # an independent path
                for block in (one, two):
                    self.assertTrue(block.has_entered.wait(PATIENCE))
                    block.leave()
                self.assertEqual(self.held(), {"/b": "exclusive"})

    def test_nothing_that_is_given_back_waits_for_who_stands_in_line(self):
        with self.client.lock("/a", ttl=LONG, mode="shared") as strangers:
            with self.client.lease(ttl=LONG) as lease:
                outer = self.let_in(lease, "/a", "shared")
                self.assertTrue(outer.has_entered.wait(PATIENCE))
                waiting = self.let_in(lease, "/a", "exclusive")
                self.wait_in_line("/a")
                outer.leave()
                lease.release_path("/a")
                strangers.release()
                self.assertTrue(waiting.has_entered.wait(PATIENCE))
                waiting.leave()
        self.assertEqual(self.held(), {})

    def test_who_is_interrupted_lets_the_next_one_ask(self):
        with self.client.lease(ttl=LONG) as lease:
            with interrupted_waits(self.client):
                with self.assertRaises(Interrupted), lease.lock("/a"):
                    self.fail("it was interrupted")
            with self.client.lock("/a", ttl=LONG), self.assertRaises(NotAcquired):
                lease.acquire("/a", wait=0)
            with self.on_its_way("/a") as request:
                one = self.let_in(lease, "/a", "exclusive")
                self.assertTrue(request.is_there.wait(PATIENCE))
                with mock.patch("lockerclient.lease.queue.SimpleQueue") as woken:
                    woken.return_value.get.side_effect = Interrupted
                    with self.assertRaises(Interrupted), lease.lock("/a", mode="shared"):
                        self.fail("it was interrupted")
                request.go_on.set()
            one.leave()
            with lease.lock("/a"):
                pass
        self.assertEqual(self.held(), {})

    def test_a_signal_handler_does_not_wait_for_its_own_thread(self):
        send = self.client._connections.send

        def ask_meanwhile(step):
            if step.request.method == "POST" and step.request.target == "/v1/locks/a":
                with self.assertRaisesRegex(LockerError, "signal handler"):
                    lease.acquire("/a", mode="shared")
                lease.acquire("/b")
            return send(step)

        with self.client.lease(ttl=LONG) as lease:
            with mock.patch.object(self.client._connections, "send", ask_meanwhile), \
                    lease.lock("/a"):
                self.assertEqual(self.held(), {"/a": "exclusive", "/b": "exclusive"})

    def test_a_server_that_does_not_answer_the_one_before(self):
        impatient = self.new_client(patience=0.3)
        with impatient.lease(ttl=LONG) as lease:
            self.server.kill()
            for _ in range(2):  # the second follows the first, which goes on in the background
                with self.assertRaises(Unreachable):
                    lease.acquire("/a")
            self.restart()
            wait_until(lambda: not lease._held().turns._line)
            with lease.lock("/a"):
                pass
        self.assertEqual(self.held(), {})

    def test_with_asyncio(self):
        async def body(client):
            entered, leave = [asyncio.Event() for _ in range(2)], asyncio.Event()

            async def work(number, lease, path, mode):
                async with lease.lock(path, mode=mode):
                    entered[number].set()
                    await leave.wait()

            for path, first, second in (("/1", "exclusive", "shared"),
                                        ("/2", "shared", "exclusive")):
                async with client.lease(ttl=LONG) as lease:
                    with HeldBackTask(client, "/v1/locks" + path) as request:
                        tasks = [asyncio.ensure_future(work(0, lease, path, first))]
                        await request.is_there.wait()
                        tasks.append(asyncio.ensure_future(work(1, lease, path, second)))
                        cancelled = asyncio.ensure_future(lease.acquire(path, mode="shared"))
                        await asyncio.wait({cancelled}, timeout=0.3)
                        cancelled.cancel()
                        await asyncio.wait({cancelled})
                        self.assertTrue(cancelled.cancelled())
                        request.go_on.set()
                        for each in entered:
                            await each.wait()
                    self.assertEqual(self.held(), {path: "exclusive"})
                    leave.set()
                    await asyncio.gather(*tasks)
                    self.assertEqual(self.held(), {})
                    for each in (*entered, leave):
                        each.clear()

            async with client.lease(ttl=LONG) as lease:  # in the queue
                async with client.lock("/a", ttl=LONG):
                    waiting = [asyncio.ensure_future(lease.acquire("/a", mode=mode))
                               for mode in ("exclusive", "shared", "exclusive")]
                    while not (await client.state("/a")).waiter_count:
                        pass
                    with self.assertRaises(NotAcquired):
                        await lease.acquire("/a", wait=0)
                    waiting[0].cancel()
                    await lease.acquire("/b", wait=0)
                self.assertEqual([grant.path for grant in await asyncio.gather(*waiting[1:])],
                                 ["/a", "/a"])

            async with client.lease(ttl=LONG) as lease:  # a block that ends during a request
                exclusive = lease.lock("/c")
                await exclusive.__aenter__()
                with HeldBackTask(client, "/v1/locks/c") as request:
                    asking = asyncio.ensure_future(lease.acquire("/c", mode="shared"))
                    await request.is_there.wait()
                    await exclusive.__aexit__(None, None, None)
                    request.go_on.set()
                    await asking
                self.assertEqual(self.held(), {"/c": "shared"})

            async with client.lease(ttl=LONG) as lease:  # everything concurrently
                async def take_some(seed):
                    choices = random.Random(seed)
                    for _ in range(40):
                        modes = choices.choices(("shared", "exclusive"), k=2)
                        async with lease.lock(f"/{choices.randint(0, 1)}", mode=modes[0]) as outer:
                            async with lease.lock(f"/{choices.randint(0, 1)}", mode=modes[1]):
                                outer.check()

                await asyncio.gather(*(take_some(seed) for seed in range(5)))
                lease.check()
                self.assertEqual(self.held(), {})
        self.run_async(body)

    def test_what_ends_late_leaves_the_next_use_of_a_lease_alone(self):
        async def body(client):
            lease = await client.lease(ttl=LONG).open()
            block = lease.lock("/a")
            await block.__aenter__()
            with HeldBackTask(client, "/v1/locks/a") as request:
                ending = asyncio.ensure_future(block.__aexit__(None, None, None))
                await request.is_there.wait()
                await lease.release()
                await lease.open()
                async with lease._held().inventory.giving_back:
                    request.go_on.set()
                    await ending
                    self.assertTrue(lease._held().inventory.giving_back.locked())
            await lease.release()
        self.run_async(body)


class HeldBack:
    """Delays the first request for a target until `go_on`: before it is sent, or, with `arrives`,
    before its answer is returned."""

    def __init__(self, client, target):
        self.arrives = False
        self.is_there, self.go_on = threading.Event(), threading.Event()
        send = client._connections.send

        def hold_back(step):
            if step.request.target != target or self.is_there.is_set():
                return send(step)
            answer = send(step) if self.arrives else None
            self.is_there.set()
            self.go_on.wait(PATIENCE)
            return answer or send(step)

        self._patch = mock.patch.object(client._connections, "send", hold_back)

    def __enter__(self):
        self._patch.start()
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self._patch.stop()


class HeldBackTask:
    """The same for asyncio, always before the request is sent."""

    def __init__(self, client, target):
        self.is_there, self.go_on = asyncio.Event(), asyncio.Event()
        send = client._connections.send

        async def hold_back(step):
            if step.request.target == target and not self.is_there.is_set():
                self.is_there.set()
                await self.go_on.wait()
            return await send(step)

        self._patch = mock.patch.object(client._connections, "send", hold_back)

    def __enter__(self):
        self._patch.start()
        return self

    def __exit__(self, *_):
        self._patch.stop()


class InBlock:
    """A thread that stays in a block until told to leave."""

    def __init__(self, case, block):
        self.has_entered, self._leaves = threading.Event(), threading.Event()

        def work():
            with block:
                self.has_entered.set()
                self._leaves.wait(PATIENCE)

        self._thread = case.in_background(work)

    def leave(self):
        self._leaves.set()
        self._thread.result()


if __name__ == "__main__":
    unittest.main()
