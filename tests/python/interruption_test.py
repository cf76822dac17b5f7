"""Interruptions at the worst moments: between a grant and its block, and during the release."""

import asyncio
import gc
import os
import signal
import sys
import threading
import unittest
import warnings
from unittest import mock

from child import Child
from server_case import (LONG, PATIENCE, Interrupted, ServerCase, interrupted_waits, lockerclient,
                         wait_until)
from lockerclient import LockerError, LockLost, NotAcquired, Unreachable, deadline, farewell
from lockerclient.aio import AsyncClient
from lockerclient.aio import block as aio_block
from lockerclient.block import Holding
from lockerclient.deadline import Deadline
from lockerclient.exchange import NoAnswer
from lockerclient.keeper import DeadlineWatch, in_background
from lockerclient.tenure import Tenure


def raising(kind=Interrupted):
    def fail(*_, **__):
        raise kind("x")
    return fail


def tear(*_):
    """The error that a Condition raises after a signal handler has raised inside of it."""
    try:
        raise Interrupted
    finally:
        raise RuntimeError("cannot release un-acquired lock")


class InterruptionCase(ServerCase):
    def setUp(self):
        super().setUp()
        self.threads_before = threading.enumerate()  # includes threads broken while they started

    def held(self):
        return [lock.path for lock in self.client.locks()]

    def blocks(self, client=None):
        client = client or self.client
        return client.lock("/a", ttl=None), client.lease(ttl=None)

    def sending(self, client, *failures, after=False):
        """Makes the next requests fail, before they are sent or after they are answered."""
        left = list(failures)
        send = client._connections.send

        def fail(step):
            answer = send(step) if after or not left else None
            if left:
                raise left.pop(0)
            return answer

        return mock.patch.object(client._connections, "send", fail)

    def check_no_threads(self):
        wait_until(lambda: "locker-keeper" not in [
            each.name for each in threading.enumerate() if each not in self.threads_before])


class BeforeTheBlock(InterruptionCase):
    def leases(self):
        return self.client.status()["leases"]

    def test_nothing_is_left(self):
        for holder, name in ((threading.Thread, "start"), (Holding, "start"),
                             (Holding, "__init__"), (DeadlineWatch, "add")):
            for kind in (Interrupted, RuntimeError):
                for block in self.blocks():
                    with mock.patch.object(holder, name, raising(kind)):
                        with self.assertRaises(kind):
                            block.__enter__()
                    self.assertEqual((self.held(), self.leases()), ([], 0), (name, kind))
                    self.assertFalse(block.held)
        self.check_no_threads()
        with self.client.lock("/a", ttl=2) as lock:  # the watch still works
            self.assertTrue(self.client._watch._is_running)
            lock.check()

    def start_while_handling(self, start, what):
        """Begins blocks while another exception is handled; `start` replaces Thread.start."""
        for block in self.blocks():
            with mock.patch.object(threading.Thread, "start", start), self.assertRaises(what):
                try:
                    raise NotAcquired("another one")
                except NotAcquired:
                    block.__enter__()
            self.assertEqual((self.held(), self.leases()), ([], 0))
            self.assertFalse(block.held)

    def test_what_is_raised_is_not_what_the_caller_handles(self):
        self.start_while_handling(raising(RuntimeError), RuntimeError)
        self.start_while_handling(tear, Interrupted)

    def test_nothing_is_left_by_a_signal_handler_that_asks_the_client(self):
        self.start_while_handling(raising(LockLost), LockLost)

    def test_what_cannot_be_given_back_at_once_is_at_the_end_of_the_process(self):
        for block in self.blocks():
            with self.sending(self.client, Interrupted(), Interrupted(), after=True):
                with self.assertRaises(Interrupted):
                    block.__enter__()
            farewell._say_all()
            self.assertEqual((self.held(), self.leases()), ([], 0))
        self.assertEqual(farewell._in_debt, set())

    def test_at_the_end_of_a_process(self):
        with Child(self.server.url, """
            import unittest.mock as mock
            def no_thread(*_): raise RuntimeError("can't create new thread at interpreter shutdown")
            def late():
                with mock.patch.object(threading.Thread, "start", no_thread):
                    locker.lock("/a", ttl=None).acquire()
            import atexit
            atexit.register(late)
        """) as child:
            self.assertIn("can't create new thread", child.end()[2])
        self.assertEqual(self.held(), [])

    def test_with_asyncio(self):
        async def body(client):
            for kind in (RuntimeError, asyncio.CancelledError):
                for block in (client.lock("/a", ttl=None), client.lease(ttl=None)):
                    with mock.patch.object(aio_block, "Tenure", raising(kind)):
                        with self.assertRaises(kind):
                            await block.__aenter__()
                    self.assertEqual((self.held(), self.leases()), ([], 0))
        self.run_async(body)

    def test_what_asyncio_left_is_given_back_at_the_end_of_a_process(self):
        with Child(self.server.url, """
            import asyncio, lockerclient.aio
            async def main():
                await lockerclient.aio.AsyncClient().lock("/a", ttl=None).acquire()
                say("held")
            asyncio.run(main())
        """) as child:
            self.assertEqual(child.line(), "held")
            child.end()
        self.assertEqual(self.held(), [])


class WhileItIsGivenBack(InterruptionCase):
    def test_it_is_tried_once_more(self):
        for after in (False, True):
            for block in self.blocks():
                with self.assertRaises(Interrupted), block:
                    sending = self.sending(self.client, Interrupted(), after=after)
                    sending.start()
                sending.stop()
                self.assertEqual((self.held(), self.client.status()["leases"]), ([], 0))
        self.check_no_threads()
        self.assertEqual(farewell._in_debt, set())

    def test_not_by_a_child_of_the_process(self):
        with self.client.lock("/a", ttl=LONG) as lock:
            with mock.patch.object(lock._held(), "process", 1):
                lock._holding.end_quickly()
            self.assertEqual(self.held(), ["/a"])

        async def body(client):
            async with client.lease(ttl=LONG) as lease:
                block = lease.lock("/b")
                await block.__aenter__()
                with mock.patch.object(lease._held(), "process", 1):
                    await block.__aexit__(None, None, None)
                self.assertEqual(self.held(), ["/b"])
        self.run_async(body)

    def test_the_watch_of_the_deadlines_ends(self):
        over = Deadline(1, deadline.now() - 0.8)
        tenure = Tenure("t", "/a", over, deadline.now, raising())
        tenure.finish()  # and nothing removes it
        watch = DeadlineWatch()
        watch.add(tenure)
        wait_until(lambda: not watch._is_running)

    def test_and_at_the_end_of_the_process(self):
        lock = self.client.lock("/a", ttl=None).acquire()
        with self.sending(self.client, Interrupted(), Interrupted()):
            with self.assertRaises(Interrupted):
                lock.release()
        self.assertEqual(self.held(), ["/a"])
        farewell._say_all()
        self.assertEqual(self.held(), [])

    def test_a_lock_of_a_lease(self):
        with self.client.lease(ttl=LONG) as lease:
            block = lease.lock(["/a", "/b"])
            block.__enter__()
            with self.sending(self.client, Interrupted()), self.assertRaises(Interrupted):
                block.__exit__(None, None, None)
            self.assertEqual(self.held(), [])

    def test_while_another_lock_of_the_lease_is_given_back(self):
        begun, may_end = threading.Event(), threading.Event()

        def give_another_back():
            with lease._held().inventory.giving_back:
                begun.set()
                may_end.wait(PATIENCE)

        def interrupt(*_):
            may_end.set()
            raise Interrupted

        with self.client.lease(ttl=LONG) as lease:
            block = lease.lock("/a")
            block.__enter__()
            thread = self.in_background(give_another_back)
            begun.wait()
            before = signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with self.assertRaises(Interrupted):
                block.__exit__(None, None, None)
            signal.signal(signal.SIGALRM, before)
            thread.result()
            self.assertEqual(self.held(), [])

    def test_with_asyncio(self):
        async def body(client):
            async with client.lease(ttl=LONG) as lease:
                for block in (client.lock("/a", ttl=None), lease.lock("/a")):
                    entered, releasing = asyncio.Event(), asyncio.Event()
                    send = client._connections.send

                    async def hang(step):
                        if step.request.method == "DELETE" and not releasing.is_set():
                            releasing.set()
                            await asyncio.sleep(10 * PATIENCE)
                        return await send(step)

                    async def work():
                        async with block:
                            entered.set()

                    with mock.patch.object(client._connections, "send", hang):
                        task = asyncio.ensure_future(work())
                        await releasing.wait()
                        task.cancel()
                        with self.assertRaises(asyncio.CancelledError):
                            await task
                    self.assertEqual(self.held(), [])
        self.run_async(body)
        self.assertEqual(farewell._in_debt, set())


class OfALease(InterruptionCase):
    """An interrupted acquire leaves no unused lock in its lease."""

    def check(self, lease):
        with lease.lock("/a"):
            pass
        self.assertEqual(self.held(), [])

    def test_what_cannot_be_withdrawn_at_once_is_later(self):
        for failure in (Interrupted(), NoAnswer("x", True)):
            with self.client.lease(ttl=LONG) as lease:
                with self.sending(self.client, Interrupted(), failure, after=True):
                    with self.assertRaises(Interrupted):
                        lease.acquire("/a")
                wait_until(lambda: self.held() == [])
                self.check(lease)

    def test_so_it_is_with_asyncio(self):
        async def body(client):
            send = client._connections.send
            failures = [asyncio.CancelledError(), NoAnswer("x", True)]

            async def fail(step):
                answer = await send(step)
                if failures:
                    raise failures.pop(0)
                return answer

            async with client.lease(ttl=LONG) as lease:
                with mock.patch.object(client._connections, "send", fail):
                    with self.assertRaises(asyncio.CancelledError):
                        await lease.acquire("/a")
                while self.held():
                    await asyncio.sleep(0.01)
        self.run_async(body)

    def test_interrupted_before_it_was_asked_for(self):
        with self.client.lease(ttl=LONG) as lease:
            with mock.patch("lockerclient.lease.Acquisition", raising()):
                with self.assertRaises(Interrupted):
                    lease.acquire("/a")
            self.check(lease)

    def test_by_a_signal_handler_with_an_error_of_the_client(self):
        with self.client.lease(ttl=LONG) as lease:
            with self.sending(self.client, LockLost("x"), after=True):
                with self.assertRaises(LockLost):
                    lease.acquire("/a")
            self.assertEqual(self.held(), [])
            block = lease.lock("/a")
            block.__enter__()
            with self.sending(self.client, LockLost("x")), self.assertRaises(LockLost):
                block.__exit__(None, None, None)
            self.check(lease)

    def test_what_a_lease_had_it_keeps(self):
        for mode in ("shared", "exclusive"):
            token = self.client.acquire("/a", mode="shared", ttl=LONG).token
            with interrupted_waits(self.client), self.assertRaises(Interrupted):
                self.client.acquire("/a", mode=mode, token=token)
            with interrupted_waits(self.client), self.assertRaises(Interrupted):
                self.client.acquire("/b", mode=mode, token=token)
            self.assertEqual(self.held(), ["/a"])
            self.client.release(token)

    def test_and_with_asyncio(self):
        async def body(client):
            token = (await client.acquire("/a", mode="shared", ttl=LONG)).token
            send = client._connections.send

            async def cancel(step):
                answer = await send(step)
                if "wait" in (step.request.body or {}):
                    raise asyncio.CancelledError
                return answer

            with mock.patch.object(client._connections, "send", cancel):
                with self.assertRaises(asyncio.CancelledError):
                    await client.acquire("/a", mode="shared", token=token)
            self.assertEqual(self.held(), ["/a"])
        self.run_async(body)


class AtALimit(InterruptionCase):
    options = ("--locks-max", "1")

    def setUp(self):
        super().setUp()
        self.client.acquire("/full", ttl=LONG)

    def test_nothing_goes_on_after_a_refusal(self):
        client = self.new_client(patience=0)
        with client.lease(ttl=LONG) as lease:
            for take in (lambda: client.acquire("/a", ttl=None, wait=0),
                         client.lock("/a", ttl=None, wait=0).acquire,
                         lambda: lease.acquire("/a", wait=0), lambda: lease.acquire("/a", wait=0)):
                with self.assertRaises(LockerError) as caught:
                    take()
                self.assertEqual(caught.exception.code, "too_many_locks")
            self.assertEqual([each.name for each in threading.enumerate()
                              if each.name.startswith("lockerclient-")], [])

    def test_with_asyncio(self):
        async def body(client):
            client._settings = self.new_client(patience=0)._settings
            async with client.lease(ttl=LONG) as lease:
                for take in (lambda: client.acquire("/a", ttl=None, wait=0),
                             client.lock("/a", ttl=None, wait=0).acquire,
                             lambda: lease.acquire("/a", wait=0),
                             lambda: lease.acquire("/a", wait=0)):
                    with self.assertRaises(LockerError) as caught:
                        await take()
                    self.assertEqual(caught.exception.code, "too_many_locks")
                self.assertEqual(client._background, set())
        self.run_async(body)


class InTheBackground(InterruptionCase):
    def test_a_thread_that_cannot_be_is_no_error(self):
        with mock.patch.object(threading.Thread, "start", raising(RuntimeError)):
            try:
                raise Interrupted
            except Interrupted:
                self.assertFalse(in_background("x", lambda: None))

    def test_an_interruption_of_its_start_is_not_lost(self):
        client = self.new_client(patience=0)
        with client.lease(ttl=LONG) as lease:
            for start in (tear, raising()):
                with mock.patch.object(client._connections, "send",
                                       side_effect=NoAnswer("x", True)):
                    with mock.patch.object(threading.Thread, "start", start):
                        with self.assertRaises(Interrupted):
                            lease.acquire("/a")
                lease.acquire("/a")  # no other turn is ahead of it


class WithoutAReference(InterruptionCase):
    """Locks and leases that nothing refers to."""

    def forget(self, begin):
        """Returns whether the blocks that `begin` has begun are released once collected."""
        are_given_back = []
        blocks = list(self.blocks())
        while blocks:
            block = blocks.pop()
            with mock.patch.object(Holding, "forsake") as forsake:
                begin(block)
                del block
                gc.collect()
            are_given_back.append(forsake.called)
            farewell._say_all()
        return are_given_back

    @staticmethod
    def take(block):
        begin = block.open if isinstance(block, lockerclient.Lease) else block.acquire
        begin()

    def test_a_block_is_given_back(self):
        self.assertEqual(self.forget(lambda block: block.__enter__()), [True, True])

    def test_of_one_that_was_lost_nothing_is_kept_in_mind(self):
        blocks = list(self.blocks())
        while blocks:
            block = blocks.pop()
            block.__enter__()
            self.new_client().release(block.token)
            block._held().lose(LockLost("x", "forced"))
            self.check_no_threads()
            self.assertIn(self.client._farewells, farewell._in_debt)
            del block
            gc.collect()
            self.assertNotIn(self.client._farewells, farewell._in_debt)

    def test_what_was_taken_without_a_block_is_not(self):
        def after_a_block(block):
            with block:
                pass
            self.take(block)

        def after_one_that_failed(block):
            with mock.patch.object(self.client, "_run", raising(LockLost)):
                with self.assertRaises(LockLost):
                    block.__enter__()
            self.take(block)

        def before_one_that_failed(block):
            self.take(block)
            with self.assertRaisesRegex(LockerError, "already held"):
                block.__enter__()

        for begin in (self.take, after_a_block, after_one_that_failed, before_one_that_failed):
            self.assertEqual(self.forget(begin), [False, False], begin)


class OnceMore(InterruptionCase):
    """A task that is cancelled again while it releases what it has."""

    async def cancel_twice(self, client, work):
        """Cancels `work` when its lock is granted, and again while the lock is being released."""
        granted, returning = asyncio.Event(), asyncio.Event()
        send = client._connections.send

        async def hesitate(step):
            if "wait" in (step.request.body or {}):
                await send(step)
                granted.set()
                await asyncio.sleep(10 * PATIENCE)
            returning.set()
            await asyncio.sleep(0.1)
            return await send(step)

        with mock.patch.object(client._connections, "send", hesitate):
            task = asyncio.ensure_future(work)
            await granted.wait()
            self.assertEqual(self.held(), ["/w"])
            task.cancel()
            await returning.wait()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            while self.held():
                await asyncio.sleep(0.01)

    def test_it_goes_on_in_the_background(self):
        async def body(client):
            await self.cancel_twice(client, client.acquire("/w", ttl=None))
            await self.cancel_twice(client, client.lock("/w", ttl=None).acquire())
            async with client.lease(ttl=LONG) as lease:
                await self.cancel_twice(client, lease.acquire("/w"))
                self.assertEqual(lease._held().inventory.paths(), [])
        self.run_async(body)

    def test_when_it_had_not_begun(self):
        async def body(client):
            async with client.lease(ttl=LONG) as lease:
                async def work():
                    async with lease.lock("/a"):
                        asyncio.current_task().cancel()  # nothing is awaited before the block ends

                with self.assertRaises(asyncio.CancelledError):
                    await asyncio.ensure_future(work())
                self.assertEqual(self.held(), [])
        self.run_async(body)

    def test_while_another_one_is_given_back(self):
        async def body(client):
            async with client.lease(ttl=LONG) as lease:
                block = lease.lock("/a")
                await block.__aenter__()
                await lease._held().inventory.giving_back.acquire()
                leaving = asyncio.ensure_future(block.__aexit__(None, None, None))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                leaving.cancel()
                asyncio.get_running_loop().call_later(
                    0.1, lease._held().inventory.giving_back.release)
                with self.assertRaises(asyncio.CancelledError):
                    await leaving
                self.assertEqual(self.held(), [])
        self.run_async(body)


class AtAnyMoment(InterruptionCase):
    def interrupt(self, number, block, events, files):
        """Interrupts at the event with this number in these files.

        Returns the name of the function in which it came; None: there are fewer events."""
        where = None

        def count(frame, event, _):
            nonlocal number, where
            if not frame.f_code.co_filename.startswith(files):
                return None
            number -= event in events
            if number == 0 and where is None:
                where = frame.f_code.co_name
                sys.settrace(None)
                raise Interrupted
            return count

        before = sys.gettrace()
        try:
            sys.settrace(count)
            with block:
                pass
        except Interrupted:
            pass
        finally:
            sys.settrace(before)
        return where

    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore", ResourceWarning)  # sockets are closed when collected
        hook = mock.patch.object(sys, "unraisablehook", lambda _: None)  # of destructors
        hook.start()
        self.addCleanup(hook.stop)
        self.ours = os.path.dirname(lockerclient.__file__)

    def test_nothing_stays_held(self):
        """Not at each line of `threading`: Python handles no signal where a mutex stays locked."""
        client = self.new_client()
        number = 1
        while self.interrupt(number, client.lock("/a", ttl=LONG), ("call", "return"),
                             (self.ours, threading.__file__)):
            wait_until(lambda: self.held() == [], f"it stays held after event {number}")
            number += 1
        self.assertGreater(number, 100)

    def check_that_it_begins_again(self, block, give_back, leases=0):
        """An interruption at any line of the client leaves nothing held while its object lives,
        unless it comes before the end of the block has begun."""
        def is_given_back():
            return self.held() == [] and self.client.status()["leases"] == leases

        number = 1
        ends_not_begun = 0
        while where := self.interrupt(number, block, ("line",), self.ours):
            if block._is_taken():
                self.assertEqual(where, "__exit__", f"it is held after line {number}")
                ends_not_begun += 1
                give_back()
            wait_until(is_given_back, f"it stays held after line {number}")
            gc.collect(1)  # before Python 3.11, some frames are in reference cycles
            with block:
                pass
            wait_until(is_given_back)
            number += 1
        self.assertGreater(number, 100)
        self.assertLess(ends_not_begun, 4)

    def test_a_lock_begins_again(self):
        lock = self.new_client().lock("/a", ttl=LONG)
        self.check_that_it_begins_again(lock, lock.release)

    def test_a_lease_begins_again(self):
        lease = self.new_client().lease(ttl=LONG)
        self.check_that_it_begins_again(lease, lease.release)

    def test_a_lock_of_a_lease_begins_again(self):
        with self.new_client().lease(ttl=LONG) as lease:
            block = lease.lock("/a")
            self.check_that_it_begins_again(block, lambda: block.__exit__(None, None, None), 1)


class BySignalHandlers(InterruptionCase):
    def test_an_error_of_the_client_is_an_interruption_too(self):
        """Such as the LockLost of another lock that a handler checks."""
        for error in (LockLost("x"), NotAcquired("x"), Unreachable("x")):
            with self.sending(self.client, error, after=True), self.assertRaises(type(error)):
                self.client.acquire("/a", ttl=None)
            self.assertEqual(self.held(), [])
            for block in self.blocks():
                with self.sending(self.client, error, after=True), self.assertRaises(type(error)):
                    block.__enter__()
                self.assertEqual((self.held(), self.client.status()["leases"]), ([], 0))
            for block in self.blocks():
                with self.assertRaises(type(error)), block:
                    sending = self.sending(self.client, error)
                    sending.start()
                sending.stop()
                self.assertEqual((self.held(), self.client.status()["leases"]), ([], 0))
        self.check_no_threads()

    def test_events_go_on_after_them(self):
        with self.client.events("/a") as events:
            token = self.client.acquire("/a").token
            self.assertEqual(next(events).kind, "granted")
            self.client.release(token)
            with mock.patch.object(events._stream, "feed", raising()):
                with self.assertRaises(Interrupted):
                    next(events)
            self.assertEqual(next(events).kind, "released")
        self.assertEqual(list(events), [])  # it is closed

    def test_they_may_ask_whatever_their_thread_is_at(self):
        """Simulates a signal after each line in which a mutex is held."""
        asked = []

        def handle(frame, event, _):
            name = os.path.basename(frame.f_code.co_filename)
            mutex = getattr(frame.f_locals.get("self"), "_mutex", None)
            is_held = event == "line" and mutex is not None and "locked" in repr(mutex) and (
                "unlocked" not in repr(mutex))
            if name in ("tenure.py", "connections.py", "inventory.py") and is_held:
                sys.settrace(None)
                asked.append((name, frame.f_lineno))
                self.client.status()
                self.assertIsInstance(lock.held, bool)
                sys.settrace(handle)
            return handle

        def work():
            nonlocal lock
            lock = self.client.lock("/a", ttl=LONG)
            sys.settrace(handle)
            with lock:
                pass
            sys.settrace(None)

        lock = None
        self.in_background(work).result()
        self.assertEqual({name for name, _ in asked}, {"tenure.py", "connections.py", "inventory.py"})


class WhileTheServerIsAway(InterruptionCase):
    def test_it_is_given_back_in_the_background(self):
        impatient = self.new_client(patience=0.2)
        with self.assertLogs("lockerclient", "WARNING"), impatient.lock("/a", ttl=LONG):
            self.server.kill()
        self.restart()
        wait_until(lambda: self.held() == [])
        forever = impatient.lock("/b", ttl=None).acquire()
        self.server.kill()
        with self.assertRaises(Unreachable):
            forever.release()
        self.restart()
        wait_until(lambda: self.held() == [])
        wait_until(lambda: not farewell._in_debt)

    def test_so_is_a_lock_of_a_lease_that_lives_on(self):
        impatient = self.new_client(patience=0.2)
        with impatient.lease(ttl=LONG) as lease:
            with self.assertLogs("lockerclient", "WARNING"), lease.lock(["/a", "/b"]):
                self.server.kill()
            self.restart()
            wait_until(lambda: self.held() == [])
            lease.check()
            with lease.lock("/a", mode="shared"):
                with self.assertLogs("lockerclient", "WARNING"), lease.lock("/a"):
                    self.server.kill()
                self.restart()
                wait_until(lambda: self.client.state("/a").holders[0].mode == "shared")
        with impatient.lease(ttl=None) as lease:
            with self.assertRaises(Unreachable), lease.lock("/a"):
                self.server.kill()
            self.restart()
            wait_until(lambda: self.held() == [])

    def test_nobody_knows_meanwhile_whether_a_mode_was_changed_back(self):
        impatient = self.new_client(patience=0)
        for was_carried_out in (False, True):
            for mode in ("shared", "exclusive"):
                with impatient.lease(ttl=LONG) as lease, lease.lock("/a", mode="shared"):
                    inner = lease.lock("/a")
                    inner.__enter__()
                    with lease._held().inventory.giving_back:  # no work in the background meanwhile
                        with self.sending(impatient, NoAnswer("x", True), after=was_carried_out):
                            inner.__exit__(None, None, None)
                        with lease.lock("/a", mode=mode):
                            lease.check()
                    self.assertEqual(self.client.state("/a").holders[0].mode, "shared")

    def test_so_it_is_after_an_interruption(self):
        with self.client.lease(ttl=LONG) as lease:
            for block in (lease.lock("/a"), self.client.lock("/a", ttl=None)):
                block.__enter__()
                with self.sending(self.client, Interrupted(), NoAnswer("x", True)):
                    with self.assertRaises(Interrupted):
                        block.__exit__(None, None, None)
                wait_until(lambda: self.held() == [])
            for take in (lambda: self.client.acquire("/a", ttl=None),
                         self.client.lock("/a", ttl=None).acquire, self.client.lease(ttl=None).open):
                with self.sending(self.client, Interrupted(), NoAnswer("x", True), after=True):
                    with self.assertRaises(Interrupted):
                        take()
                wait_until(lambda: self.client.status()["leases"] == 1)
        wait_until(lambda: not farewell._in_debt)

    def test_so_is_what_was_asked_for_without_a_ttl(self):
        client = self.new_client(patience=0)
        for take in (lambda: client.acquire("/a", ttl=None), client.lock("/a", ttl=None).acquire,
                     client.lease(ttl=None).open):
            with self.sending(client, NoAnswer("x", True), after=True):
                with self.assertRaises(Unreachable):
                    take()
            wait_until(lambda: self.client.status()["leases"] == 0)
        wait_until(lambda: not farewell._in_debt)

    def test_so_it_is_with_asyncio(self):
        async def body(client):
            send = client._connections.send
            failures = []

            async def fail(step):
                answer = await send(step) if step.request.method == "POST" else None
                if failures:
                    raise failures.pop(0)
                return answer or await send(step)

            with mock.patch.object(client._connections, "send", fail):
                lock = await client.lock("/a", ttl=None).acquire()
                asking = (lambda: client.acquire("/a", ttl=None),
                          client.lock("/a", ttl=None).acquire, client.lease(ttl=None).open)
                for call in (lock.release, *asking):
                    failures += [asyncio.CancelledError(), NoAnswer("x", True)]
                    with self.assertRaises(asyncio.CancelledError):
                        await call()
                    while self.client.status()["leases"]:
                        await asyncio.sleep(0.01)
                client._settings = self.new_client(patience=0)._settings
                for call in asking:
                    failures += [NoAnswer("x", True)]
                    with self.assertRaises(Unreachable):
                        await call()
                    while self.client.status()["leases"]:
                        await asyncio.sleep(0.01)
            while farewell._in_debt:
                await asyncio.sleep(0.01)
        self.run_async(body)

    def test_what_is_asked_for_anew_meanwhile_is_not(self):
        def goes_on():
            return "lockerclient-leave" in [each.name for each in threading.enumerate()]

        impatient = self.new_client(patience=0.2)
        with impatient.lease(ttl=LONG) as lease:
            with self.assertLogs("lockerclient", "WARNING"), lease.lock("/a"):
                self.server.kill()
            self.assertTrue(goes_on())
            with lease._held().inventory.giving_back:
                self.restart()
                again = lease.lock("/a")
                again.__enter__()
            wait_until(lambda: not goes_on())
            self.assertEqual(self.held(), ["/a"])
            again.__exit__(None, None, None)
            self.assertEqual(self.held(), [])

    def test_with_asyncio(self):
        async def main():
            async with AsyncClient(self.server.url, patience=0.2) as client:
                with self.assertLogs("lockerclient", "WARNING"):
                    async with client.lock("/a", ttl=LONG):
                        self.server.kill()
                self.restart()
                while farewell._in_debt:
                    await asyncio.sleep(0.01)
                self.assertEqual(self.held(), [])
                async with client.lease(ttl=LONG) as lease:
                    with self.assertLogs("lockerclient", "WARNING"):
                        async with lease.lock("/a"):
                            self.server.kill()
                    self.restart()
                    while self.held():
                        await asyncio.sleep(0.01)
                    lease.check()
                async with client.lease(ttl=None) as lease:
                    with self.assertRaises(Unreachable):
                        async with lease.lock("/a"):
                            self.server.kill()
                    self.restart()
                    while self.held():
                        await asyncio.sleep(0.01)
        asyncio.run(asyncio.wait_for(main(), PATIENCE))


if __name__ == "__main__":
    unittest.main()
