"""The asyncio client, against the real server."""

import asyncio
import contextlib
import dataclasses
import gc
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import unittest
import warnings
from unittest import mock

from lossy_proxy import LossyProxy
from server_case import LONG, PACKAGE, PATIENCE, ServerCase, renewing_often
from lockerclient import (Deadlock, LockerError, LockLost, NotAcquired, Unreachable, acquisition,
                          deadline)
from lockerclient.aio import AsyncClient
from lockerclient.exchange import NoAnswer
from certificates import Authority
from lockerd import Lockerd


def in_loop(test):
    """Runs a coroutine test, with its own client."""
    def run(self):
        async def body():
            async with AsyncClient(self.server.url, patience=PATIENCE) as client:
                await asyncio.wait_for(test(self, client), 2 * PATIENCE)
        asyncio.run(body())
    run.__name__ = test.__name__
    return run


async def until(condition, what="it does not happen"):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(what)
        await asyncio.sleep(0.01)


class AioCase(ServerCase):
    def waiting(self, path, count=1):
        return lambda: self.client.state(path).waiter_count == count


class Blocks(AioCase):
    @in_loop
    async def test_held_inside_and_free_after(self, client):
        async with client.lock("/a/b", ttl=LONG, meta="why") as lock:
            (holder,) = (await client.state("/a/b")).holders
            self.assertEqual((holder.fence, holder.owner, holder.meta),
                             (lock.fence, client.owner, "why"))
            lock.check()
            self.assertTrue(lock.held)
            self.assertEqual((lock.path, lock.paths, lock.ttl), ("/a/b", ("/a/b",), LONG))
            self.assertLess(lock.sure_for, LONG)
            self.assertNotIn(lock.token, repr(lock))
            with self.assertRaises(LockerError):
                await lock.acquire()
            with self.assertRaises(NotAcquired) as caught:
                async with client.lock("/a", wait=0.1):
                    self.fail("two hold it")
            self.assertEqual(caught.exception.blocked_by[0].fence, lock.fence)
        self.assertFalse(lock.held)
        self.assertTrue((await client.state("/a/b")).free)

    @in_loop
    async def test_one_object_for_one_task_at_a_time(self, client):
        async with client.lease(ttl=LONG) as lease:
            for block in (client.lock("/a", mode="shared", ttl=LONG), client.lease(ttl=LONG),
                          lease.lock("/a", mode="shared")):
                first, second = await asyncio.gather(block.__aenter__(), block.__aenter__(),
                                                     return_exceptions=True)
                self.assertIs(first, block)
                self.assertEqual(second.code, "held_already")
                await block.__aexit__(None, None, None)
                self.assertEqual((await client.status())["leases"], 1)
                async with block:
                    pass

    @in_loop
    async def test_what_the_program_tells_the_server_by_a_call_is_known(self, client):
        with self.assertRaises(LockLost) as caught:
            async with client.lock("/a", ttl=LONG) as lock:
                await client.renew(lock.token, ttl=2 * LONG)
                self.assertGreater(lock.sure_for, LONG)
                await client.release(lock.token)
                self.assertFalse(lock.held)
        self.assertEqual(caught.exception.reason, "released")

    @in_loop
    async def test_a_release_by_a_call_that_failed_has_released_nothing(self, client):
        impatient = AsyncClient(self.server.url, patience=0)
        async with impatient.lock("/a", ttl=None) as lock:
            with mock.patch.object(impatient._connections, "send", side_effect=NoAnswer("x", False)):
                with self.assertRaises(Unreachable):
                    await impatient.release(lock.token)
            self.assertTrue(lock.held)
        self.assertTrue((await client.state("/a")).free)
        await impatient.close()

    @in_loop
    async def test_who_releases_by_a_call_is_not_cancelled_for_that(self, client):
        lock = await client.lock("/a", ttl=LONG, cancel_on_loss=True).acquire()
        await client.release(lock.token)
        await asyncio.sleep(0)
        self.assertTrue(lock.lost.is_set())

    @in_loop
    async def test_another_task_that_releases_by_a_call_cancels_the_block(self, client):
        begun = asyncio.get_running_loop().create_future()

        async def work():
            async with client.lock("/a", ttl=LONG, cancel_on_loss=True) as lock:
                begun.set_result(lock.token)
                await asyncio.sleep(PATIENCE)

        task = asyncio.ensure_future(work())
        await client.release(await begun)
        with self.assertRaises(LockLost):
            await task

    @in_loop
    async def test_without_threads(self, client):
        before = threading.active_count()
        async with client.lock("/a", ttl=LONG), client.lease(ttl=LONG), client.events():
            self.assertEqual(threading.active_count(), before)

    @in_loop
    async def test_renewed_by_a_task(self, client):
        with renewing_often():
            async with client.lock("/a", ttl=LONG) as lock:
                first = lock._held().deadline.ends
                await until(lambda: lock._held().deadline.ends > first + 1)

    @in_loop
    async def test_an_error_in_the_block_is_told(self, client):
        with self.assertRaises(ZeroDivisionError):
            async with client.lock("/a"):
                raise ZeroDivisionError
        self.assertTrue((await client.state("/a")).free)

    @in_loop
    async def test_several_any_and_leases(self, client):
        async with client.lock(["/p/1", "/p/2"], ttl=LONG):
            async with client.lock(["/p/1", "/p/3"], any=1, ttl=LONG) as one:
                self.assertEqual(one.paths, ("/p/3",))
        async with client.lease(ttl=LONG, owner="worker") as lease:
            grant = await lease.acquire("/a")
            self.assertEqual((grant.owner, grant.token), ("worker", lease.token))
            async with lease.lock("/a/below") as lock:
                self.assertGreater(lock.fence, grant.fence)
                lock.check()
            await lease.release_path("/a")
            self.assertEqual((await client.lease_state(lease.token)).locks, ())
        self.assertEqual([lock async for lock in client.locks()], [])

    @in_loop
    async def test_nothing_joins_a_lease_that_is_not_there(self, client):
        released = await client.acquire("/x", ttl=LONG)
        await client.release(released.token)
        with self.assertRaises(LockLost):
            await client.acquire("/y", token=released.token)
        self.assertTrue((await client.state("/y")).free)

    @in_loop
    async def test_deadlock(self, client):
        async with client.lease(ttl=LONG, owner="one") as one, \
                client.lease(ttl=LONG, owner="two") as two:
            await one.acquire("/1")
            await two.acquire("/2")
            waiting = asyncio.ensure_future(one.acquire("/2"))
            await until(self.waiting("/2"))
            with self.assertRaises(Deadlock):
                await two.acquire("/1")
            await two.release_path("/2")
            self.assertEqual((await waiting).path, "/2")

    @in_loop
    async def test_fifty_tasks_take_turns_on_a_counter(self, client):
        before = asyncio.all_tasks()
        value, last_fence = 0, 0

        async def count():
            nonlocal value, last_fence
            for _ in range(3):
                async with client.lock("/counter", ttl=LONG) as lock:
                    seen = value
                    self.assertGreater(lock.fence, last_fence)
                    await asyncio.sleep(0.001)  # lets other tasks run in between
                    value, last_fence = seen + 1, lock.fence

        await asyncio.gather(*(count() for _ in range(50)))
        self.assertEqual(value, 150)
        await until(lambda: asyncio.all_tasks() == before, "tasks are left")


class Losing(AioCase):
    @in_loop
    async def test_by_force(self, client):
        told = []
        with renewing_often():
            with self.assertRaises(LockLost) as caught:
                async with client.lock("/f", ttl=LONG, on_lost=told.append) as lock:
                    await client.force("/f", fence=lock.fence, reason="maintenance")
                    await asyncio.wait_for(lock.lost.wait(), PATIENCE)
                    await asyncio.sleep(0.01)
                    with self.assertRaises(LockLost):
                        lock.check()
        self.assertEqual((caught.exception.detail, len(told)), ("maintenance", 1))

    @in_loop
    async def test_the_block_is_cancelled_if_wanted(self, client):
        with renewing_often():
            with self.assertRaises(LockLost) as caught:
                async with client.lock("/f", ttl=LONG, cancel_on_loss=True):
                    await client.force("/f", reason="maintenance")
                    await asyncio.sleep(10 * PATIENCE)
                    self.fail("it was not cancelled")
            self.assertEqual(caught.exception.reason, "forced")
            await asyncio.sleep(0.01)  # this task continues
            if sys.version_info >= (3, 11):
                self.assertEqual(asyncio.current_task().cancelling(), 0)

    @in_loop
    async def test_it_is_the_loss_too_when_the_block_releases_it(self, client):
        with self.assertRaises(LockLost) as caught:
            async with client.lock("/f", ttl=LONG, cancel_on_loss=True) as lock:
                lock._held().lose(LockLost("x", "forced"))
                await lock.release()  # cancelled
        self.assertEqual(caught.exception.reason, "forced")
        self.assertTrue(self.is_free("/f"))

    @in_loop
    async def test_a_block_that_ends_by_itself_when_it_is_cancelled(self, client):
        with self.assertRaises(LockLost):
            async with client.lock("/f", ttl=LONG, cancel_on_loss=True) as lock:
                lock._held().lose(LockLost("x", "forced"))  # cancels; nothing awaits until the end
        await asyncio.sleep(0.01)

    @in_loop
    async def test_a_cancellation_by_others_stays_one(self, client):
        entered = asyncio.Event()

        async def work():
            async with client.lock("/f", ttl=LONG, cancel_on_loss=True):
                entered.set()
                await asyncio.sleep(10 * PATIENCE)

        task = asyncio.ensure_future(work())
        await entered.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertTrue((await client.state("/f")).free)

    @in_loop
    async def test_after_a_suspend_it_is_renewed_if_it_lives(self, client):
        suspended = 0
        now = deadline.now

        def clock():
            return now() + suspended

        settings = dataclasses.replace(client._settings, now=clock)
        with mock.patch.object(deadline, "now", clock), \
                mock.patch.object(client, "_settings", settings):
            async with client.lock("/a", ttl=3600) as lock:
                await asyncio.sleep(0.1)  # its task is waiting by now
                suspended = 3000
                await until(lambda: lock._held().deadline.sent > now() + 2000)
                lock.check()

    @in_loop
    async def test_noticed_by_a_thread(self, client):
        told = []
        with self.assertRaises(LockLost):
            async with client.lock("/f", ttl=LONG, on_lost=told.append,
                                   cancel_on_loss=True) as lock:
                with mock.patch.object(lock._held(), "_now", lambda: deadline.now() + LONG):
                    def check():
                        with self.assertRaises(LockLost):
                            lock.check()
                    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, check))
                await asyncio.sleep(10 * PATIENCE)
        self.assertEqual(len(told), 1)

    @in_loop
    async def test_both_at_once_is_a_cancellation_by_others(self, client):
        if sys.version_info < (3, 11):
            self.skipTest("nobody counts cancellations there")
        entered = asyncio.Event()
        held = []

        async def work():
            async with client.lock("/f", ttl=LONG, cancel_on_loss=True) as lock:
                held.append(lock)
                entered.set()
                await asyncio.sleep(10 * PATIENCE)

        task = asyncio.ensure_future(work())
        await entered.wait()
        held[0]._held().lose(LockLost("x", "forced"))
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task

    @in_loop
    async def test_so_it_is_where_the_block_ends_by_itself(self, client):
        if sys.version_info < (3, 11):
            self.skipTest("nobody counts cancellations there")

        async def work():
            with contextlib.suppress(LockLost):
                async with client.lock("/f", ttl=LONG, cancel_on_loss=True) as lock:
                    lock._held().lose(LockLost("x", "forced"))
                    asyncio.current_task().cancel()

        with self.assertRaises(asyncio.CancelledError):
            await asyncio.ensure_future(work())
        await until(lambda: self.is_free("/f"))

    @in_loop
    async def test_the_clock_is_watched_while_the_server_is_silent(self, client):
        with self.assertRaises(LockLost) as caught:
            async with client.lock("/f", ttl=2, cancel_on_loss=True):
                self.server.process.send_signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(10 * PATIENCE)
                finally:
                    self.server.process.send_signal(signal.SIGCONT)
        self.assertIn(caught.exception.reason, ("unrenewed", "expired"))

    @in_loop
    async def test_another_error_stays_what_it_is_and_tells_of_the_loss(self, client):
        with self.assertRaises(KeyError) as caught:
            async with client.lock("/f", ttl=LONG):
                await client.force("/f")
                raise KeyError
        self.assertIsInstance(caught.exception.__context__, LockLost)

    @in_loop
    async def test_a_lease(self, client):
        with renewing_often():
            with self.assertRaises(LockLost):
                async with client.lease(ttl=LONG, cancel_on_loss=True) as lease:
                    await lease.acquire("/f")
                    await client.force("/f")
                    await asyncio.sleep(10 * PATIENCE)

    def test_a_process_that_stood_still(self):
        program = f"""
            import asyncio, sys
            from lockerclient import LockLost, deadline
            from lockerclient.aio import AsyncClient
            async def main():
                async with AsyncClient(patience={PATIENCE}) as client:
                    try:
                        async with client.lock("/p", ttl=2, cancel_on_loss=True) as lock:
                            while True:
                                looked = deadline.now()
                                lock.check()
                                print(looked, flush=True)
                                await asyncio.sleep(0.05)
                    except LockLost as lost:
                        print("lost", flush=True)
            asyncio.run(main())
        """
        child = subprocess.Popen(
            [sys.executable, "-B", "-c", textwrap.dedent(program)], stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": PACKAGE, "LOCKER_URL": self.server.url})
        try:
            if child.stdout.readline().startswith(b"lost"):
                self.skipTest("the machine is too slow: it lost its lock at once")
            child.send_signal(signal.SIGSTOP)
            self.client.acquire("/p", ttl=LONG)
            taken = deadline.now()
            child.send_signal(signal.SIGCONT)
            *looks, end = child.communicate(timeout=PATIENCE)[0].decode().split()
            self.assertEqual(end, "lost")
            self.assertTrue(all(float(look) < taken for look in looks))
        finally:
            child.kill()
            child.communicate()


class Waiting(AioCase):
    @in_loop
    async def test_cancelled_while_waiting(self, client):
        async with client.lock("/w", ttl=LONG):
            waiting = asyncio.ensure_future(client.acquire("/w", ttl=None))
            await until(self.waiting("/w"))
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            self.assertEqual((await client.status())["waiters"], 0)  # nor is a place kept
        self.assertEqual([lock async for lock in client.locks()], [])

    @in_loop
    async def test_cancelled_at_any_moment_nothing_is_left(self, client):
        # Each round is cancelled a little later: before, during and after the grant.
        for number in range(60):
            acquiring = asyncio.ensure_future(client.acquire("/w", ttl=None))
            await asyncio.sleep(number / 30_000)
            acquiring.cancel()
            try:
                grant = await acquiring
            except asyncio.CancelledError:
                pass
            else:
                await client.release(grant.token)
            await until(lambda: self.is_free("/w"), f"something is left in round {number}")

    @in_loop
    async def test_cancelled_while_the_request_is_still_on_its_way(self, client):
        with LossyProxy(self.server.port) as proxy:
            async with AsyncClient(proxy.url) as through:
                proxy.flows.clear()
                acquiring = asyncio.ensure_future(through.acquire("/w", ttl=None))
                await until(lambda: b"POST /v1/locks/w" in proxy.seen)
                acquiring.cancel()
                await until(lambda: proxy.hung_up)
                proxy.flows.set()  # the request arrives after the client gave it up
                with self.assertRaises(asyncio.CancelledError):
                    await acquiring
        self.assertTrue((await client.state("/w")).free)

    async def cancel_while_it_is_on_its_way(self, proxy, through):
        """Cancels twice; the withdrawal would overtake the request if nothing prevented that."""
        held_back = proxy.flows
        held_back.clear()
        acquiring = asyncio.ensure_future(through.acquire("/w", ttl=None))
        await until(lambda: proxy.is_holding_back)
        acquiring.cancel()
        await until(lambda: proxy.hung_up)
        acquiring.cancel()
        proxy.flows = threading.Event()
        proxy.flows.set()
        await asyncio.wait({acquiring}, timeout=1)
        held_back.set()
        with self.assertRaises(asyncio.CancelledError):
            await acquiring
        await until(lambda: not through._background)
        await asyncio.sleep(0.1)
        self.assertTrue(self.client.state("/w").free)

    @in_loop
    async def test_cancelled_twice_while_the_request_is_still_on_its_way(self, _):
        with LossyProxy(self.server.port) as proxy:
            async with AsyncClient(proxy.url) as through:
                await self.cancel_while_it_is_on_its_way(proxy, through)

    @unittest.skipUnless(shutil.which("openssl"), "needs openssl, to make a certificate")
    @in_loop
    async def test_the_same_with_https(self, _):
        authority = Authority(self.directory)
        certificate, key = authority.issue("localhost", "IP:127.0.0.1")
        with Lockerd(self.store + "-tls", "--tls-certificate", certificate, "--tls-key",
                     key) as server, LossyProxy(server.port) as proxy:
            url = proxy.url.replace("http:", "https:")
            self.client = self.new_client(url=url, ca_file=authority.file)
            trusting = ssl.create_default_context(cafile=authority.file)
            trusting.verify_flags |= ssl.VERIFY_X509_STRICT  # the default since Python 3.13
            async with AsyncClient(url, ssl_context=trusting) as through:
                await through.status()  # leaves an idle connection
                await self.cancel_while_it_is_on_its_way(proxy, through)

    @in_loop
    async def test_kill_9_while_held_and_while_waiting(self, client):
        async with client.lock("/a", ttl=LONG) as holder:
            waiting = asyncio.ensure_future(client.acquire("/a", ttl=LONG))
            for _ in range(2):
                await until(self.waiting("/a"))
                await asyncio.get_running_loop().run_in_executor(None, self.restart)
                await until(self.waiting("/a"))
            holder.check()
            self.assertEqual((await client.state("/a")).holders[0].fence, holder.fence)
        self.assertGreater((await waiting).fence, holder.fence)

    @in_loop
    async def test_kill_9_while_waiting_to_join_a_lease_that_has_ended(self, client):
        async with client.lock("/a", ttl=LONG):
            ending = await client.acquire("/b", ttl=LONG)
            waiting = asyncio.ensure_future(client.acquire("/a", token=ending.token))
            await until(self.waiting("/a"))
            await client.release(ending.token)
            await asyncio.get_running_loop().run_in_executor(None, self.restart)
        with self.assertRaises(LockLost):
            await waiting
        self.assertTrue(self.is_free("/a"))

    @in_loop
    async def test_lost_replies_and_cut_waits(self, client):
        with LossyProxy(self.server.port) as proxy:
            async with AsyncClient(proxy.url, patience=PATIENCE, key="s3cret") as through:
                proxy.lose_replies(3, b"POST /v1/locks/once")
                grant = await through.acquire("/once", ttl=LONG)
                self.assertEqual(proxy.lost, 3)
                self.assertEqual([lock.fence async for lock in client.locks()], [grant.fence])
                proxy.lose_replies(1, b"POST /canhaz")
                with self.assertRaisesRegex(Unreachable, "may have been carried out"):
                    await through.canhaz("/c")
                self.assertEqual(proxy.seen.count(b"POST /canhaz"), 1)
                waiting = asyncio.ensure_future(through.acquire("/once", ttl=LONG))
                await until(self.waiting("/once"))
                proxy.cut()
                await until(lambda: proxy.seen.count(b"POST /v1/locks/once") == 6)
                await client.release(grant.token)
                self.assertEqual((await waiting).path, "/once")
                self.assertIn(b"Authorization: Bearer s3cret\r\n", proxy.seen)

    @in_loop
    async def test_a_place_that_a_copy_of_the_request_has_taken_is_taken_back(self, client):
        with LossyProxy(self.server.port) as proxy:
            async with AsyncClient(proxy.url, patience=PATIENCE) as through:
                holder = await client.acquire("/w", ttl=LONG)
                proxy.duplicate(1, b"POST /v1/locks/w")
                waiting = asyncio.ensure_future(through.acquire("/w", ttl=None))
                await until(lambda: proxy.seen.count(b"POST /v1/locks/w") == 2)
                await until(self.waiting("/w"))
                await client.release(holder.token)
                await through.release((await waiting).token)
                self.assertTrue(self.is_free("/w"))

    @in_loop
    async def test_a_wait_that_is_cut_is_not_begun_anew(self, client):
        with LossyProxy(self.server.port) as proxy:
            async with AsyncClient(proxy.url) as through, client.lock("/w", ttl=LONG):
                await through.status()  # leaves an idle connection
                waiting = asyncio.ensure_future(through.acquire("/w", wait=15))
                await until(self.waiting("/w"))
                await asyncio.sleep(1.1)
                proxy.cut()
                waits = re.compile(rb'"wait": "(\d+)ms"')
                await until(lambda: len(waits.findall(proxy.seen)) == 2)
                first, second = map(int, waits.findall(proxy.seen))
                self.assertLess(second, first - 1000)
                waiting.cancel()

    @in_loop
    async def test_pieces(self, client):
        with mock.patch.object(acquisition, "WAIT_PIECE", 0.1):
            async with client.lock("/w", ttl=LONG):
                with self.assertRaises(NotAcquired):
                    await client.acquire("/w", wait=0.5)
                waiting = asyncio.ensure_future(client.acquire("/w", ttl=LONG))
                await asyncio.sleep(0.3)
            self.assertEqual((await waiting).path, "/w")


class Calls(AioCase):
    @in_loop
    async def test_all_of_them(self, client):
        grant = await client.acquire("/a", ttl=LONG, owner="me")
        self.assertEqual((await client.renew(grant.token, ttl=2 * LONG)).ttl, 2 * LONG)
        more = await client.acquire("/b", token=grant.token)
        self.assertEqual([lock.path async for lock in client.locks(owner="me", page_size=1)],
                         ["/a", "/b"])
        await client.release(grant.token, "/b")
        self.assertEqual((await client.status())["locks"], 1)
        self.assertEqual(await client.force_matching(owner="me"), 1)
        for force in (lambda: client.force("/c", cooling=True),
                      lambda: client.force_matching(prefix="/c", cooling=True)):
            await client.acquire("/c", lock_delay=LONG, ttl=LONG)
            self.assertEqual((await client.force("/c"), await force()), (1, 1))
        for force in (lambda: client.force("/w", waiting=True),
                      lambda: client.force_matching(prefix="/w", waiting=True)):
            await client.acquire("/w", ttl=LONG)
            waiting = asyncio.ensure_future(client.acquire("/w", wait=LONG))
            while not (await client.state("/w")).waiter_count:
                await asyncio.sleep(0.01)
            self.assertEqual(await force(), 2)
            with self.assertRaises(LockLost):
                await waiting
        with self.assertRaises(LockLost):
            await client.release(more.token)
        with self.assertRaises(LockerError) as caught:
            await client.acquire("/a/../b")
        self.assertEqual(caught.exception.code, "bad_request")
        taken = await client.canhaz("/seed", id="timmy", lock_parents=False, lock_children=False)
        self.assertEqual(await client.dohaz("/seed"), {"lockedBy": "timmy"})
        self.assertEqual(await client.nowant("/seed", taken["token"]), {"ok": True})
        self.assertRegex(repr(client), self.server.url)

    @in_loop
    async def test_a_name_that_is_gone_for_a_while_is_waited_for(self, _):
        loop = asyncio.get_running_loop()

        async def unknown(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        with LossyProxy(self.server.port) as proxy:
            url = f"http://localhost:{proxy.port}"  # a name: asyncio does not resolve addresses
            async with AsyncClient(url, patience=PATIENCE) as client:
                with mock.patch.object(loop, "getaddrinfo", unknown):
                    with self.assertRaisesRegex(Unreachable, "not known"):  # never answered before
                        await client.status()
                await client.status()
                proxy.cut()
                with mock.patch.object(loop, "getaddrinfo", unknown):
                    asking = asyncio.ensure_future(client.status())
                    await asyncio.wait({asking}, timeout=0.3)
                    self.assertFalse(asking.done())
                self.assertIn("locks", await asking)

    @in_loop
    async def test_an_address_that_is_silent_takes_not_the_time_of_the_next(self, _):
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, self.server.port))
                     for host in ("127.0.0.2", "127.0.0.1")]

        async def two(*_, **__):
            return addresses

        with socket.create_server(("127.0.0.2", self.server.port), backlog=0) as silent, \
                socket.create_connection(silent.getsockname()):  # the backlog is full now
            loop = asyncio.get_running_loop()
            async with AsyncClient(f"http://localhost:{self.server.port}", timeout=2,
                                   patience=0) as client:
                with mock.patch.object(loop, "getaddrinfo", two):
                    self.assertIn("locks", await client.status())

    @in_loop
    async def test_who_is_not_there_is_unreachable(self, _):
        proxy = LossyProxy(self.server.port)
        proxy.close()
        async with AsyncClient(proxy.url, patience=0.3) as client:
            with self.assertRaises(Unreachable):
                await client.status()
            with self.assertRaises(Unreachable):
                async with client.events():
                    pass

    @in_loop
    async def test_events(self, client):
        with LossyProxy(self.server.port) as proxy:
            async with AsyncClient(proxy.url, patience=PATIENCE) as through:
                seen = []
                async with through.events("/n") as events:
                    for number in range(30):
                        await client.acquire(f"/n/{number}", ttl=LONG)
                        if number % 10 == 5:
                            proxy.cut()
                    async for event in events:
                        seen.append(event.path)
                        if len(seen) == 30:
                            break
                    last = events.last_event_id
        self.assertEqual(seen, [f"/n/{number}" for number in range(30)])
        await client.acquire("/n/later", ttl=LONG)
        events = client.events("/n", last)
        self.assertEqual((await events.__anext__()).path, "/n/later")
        await events.aclose()

    @in_loop
    async def test_events_are_waited_for_for_a_while_again_and_again(self, client):
        async with client.events("/n") as events:
            tries = 0
            while tries < 3 or events.last_event_id is None:  # the server sends an id immediately
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(events.__anext__(), 0.3)
                tries += 1
            await client.acquire("/n", ttl=LONG)
            self.assertEqual((await events.__anext__()).path, "/n")
        self.assertEqual([event async for event in events], [])

    @in_loop
    async def test_events_may_begin_again(self, client):
        events = client.events("/n")
        with mock.patch.object(client._connections, "stream", side_effect=asyncio.CancelledError):
            with self.assertRaises(asyncio.CancelledError):
                await events.__aenter__()
        async with events:
            await client.acquire("/n")
            self.assertEqual((await events.__anext__()).path, "/n")

    def test_a_client_serves_several_event_loops(self):
        client = AsyncClient(self.server.url, patience=PATIENCE)

        async def work(path):
            for _ in range(20):
                async with client.lock(path, ttl=LONG):
                    await client.status()
                    await asyncio.sleep(0.001)

        async def last():
            await work("/a")
            await client.close()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # loops end without close()
            for _ in range(2):
                asyncio.run(work("/a"))
            threads = [self.in_background(lambda: asyncio.run(work("/a"))) for _ in range(3)]
            for thread in threads:
                thread.result()
            asyncio.run(last())
            gc.collect()
        self.assertEqual(list(self.client.locks()), [])

    def test_nothing_is_left_open(self):
        gc.collect()  # garbage of other tests
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")

            async def body():
                async with AsyncClient(self.server.url) as client:
                    async with client.lock("/a"):
                        await asyncio.gather(*(client.status() for _ in range(30)))
                    async with client.events() as events:
                        await client.acquire("/b", ttl=LONG)
                        await events.__anext__()

            asyncio.run(body())
            gc.collect()
        self.assertEqual([str(warning.message) for warning in caught], [])

    def test_a_request_is_dropped_with_its_loop(self):
        async def ask_in_vain(client):
            await asyncio.wait({asyncio.ensure_future(client.status())}, timeout=0.1)

        with socket.create_server(("127.0.0.1", 0)) as silent, \
                mock.patch.object(sys, "unraisablehook") as complain, \
                warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # its connection is collected with it
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(lambda *_: None)  # says that nothing waits for the answer
            loop.run_until_complete(
                ask_in_vain(AsyncClient(f"http://127.0.0.1:{silent.getsockname()[1]}")))
            loop.close()
            del loop
            gc.collect()
        complain.assert_not_called()


if __name__ == "__main__":
    unittest.main()
