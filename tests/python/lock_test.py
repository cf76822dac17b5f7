"""Locks as blocks, against the real server: held, lost, waited for, and across crashes."""

import gc
import os
import re
import signal
import threading
import time
import unittest
import weakref
from unittest import mock

from child import Child
from lossy_proxy import LossyProxy
from server_case import (LONG, PATIENCE, Interrupted, ServerCase, interrupted_waits, lockerclient,
                         renewing_often, wait_until)
from lockerclient import (Deadlock, LockerError, LockLost, NotAcquired, Unreachable, acquisition,
                          deadline, farewell)
from lockerclient.exchange import NoAnswer


# Lost by the local clock, or by the server's answer if the machine was slow.
BY_TIME = ("unrenewed", "expired")


def no_threads_are_left():
    return not any(thread.name.startswith("locker-") for thread in threading.enumerate())


class Blocks(ServerCase):
    def test_held_inside_and_free_after(self):
        with self.client.lock("/a/b", ttl=LONG) as lock:
            self.assertEqual(self.client.state("/a/b").holders[0].fence, lock.fence)
            lock.check()
            self.assertTrue(lock.held)
            self.assertFalse(lock.lost.is_set())
            self.assertGreater(lock.sure_for, 0)
            self.assertLess(lock.sure_for, LONG)
            self.assertEqual((lock.path, lock.paths, lock.ttl), ("/a/b", ("/a/b",), LONG))
            self.assertEqual(self.client.renew(lock.token).locks, 1)
            self.assertNotIn(lock.token, repr(lock))
        self.assertFalse(lock.held)
        self.assertTrue(self.is_free("/a/b"))
        with self.assertRaises(LockerError) as caught:
            lock.check()
        self.assertEqual(caught.exception.code, "not_held")

    def test_one_object_for_one_block_after_the_other(self):
        lock = self.client.lock("/a", ttl=LONG)
        fences = []
        for _ in range(3):
            with lock:
                fences.append(lock.fence)
                with self.assertRaises(LockerError) as caught:
                    lock.acquire()
                self.assertEqual(caught.exception.code, "held_already")
        self.assertEqual(fences, sorted(set(fences)))
        lock.acquire()
        self.assertFalse(self.is_free("/a"))
        lock.release()
        self.assertTrue(self.is_free("/a"))

    def test_one_object_for_one_thread_at_a_time(self):
        with self.client.lease(ttl=LONG) as lease:
            for block in (self.client.lock("/a", mode="shared", ttl=LONG),
                          self.client.lease(ttl=LONG), lease.lock("/a", mode="shared")):
                asked, goes_on = threading.Event(), threading.Event()
                send = self.client._connections.send

                def hesitate(step):
                    if not asked.is_set():
                        asked.set()
                        goes_on.wait(PATIENCE)
                    return send(step)

                with mock.patch.object(self.client._connections, "send", hesitate):
                    first = self.in_background(block.__enter__)
                    self.assertTrue(asked.wait(PATIENCE))
                    with self.assertRaises(LockerError) as caught:
                        block.__enter__()
                    goes_on.set()
                    first.result()
                self.assertEqual(caught.exception.code, "held_already")
                block.__exit__(None, None, None)
                self.assertEqual(self.client.status()["leases"], 1)
                with block:
                    pass
        self.assertEqual(list(self.client.locks()), [])

    def test_what_the_program_tells_the_server_by_a_call_is_known(self):
        with self.assertRaises(LockLost) as caught:
            with self.client.lock("/a", ttl=LONG) as lock:
                self.client.renew(lock.token, ttl=LONG / 2)
                self.assertEqual(lock.ttl, LONG / 2)
                self.client.renew(lock.token, ttl=2 * LONG)
                self.assertGreater(lock.sure_for, LONG)
                self.client.release(lock.token)
                self.assertFalse(lock.held)
        self.assertEqual(caught.exception.reason, "released")

    def test_a_release_by_a_call_that_failed_has_released_nothing(self):
        client = self.new_client(patience=0)
        with client.lock("/a", ttl=None) as lock:
            with mock.patch.object(client._connections, "send", side_effect=NoAnswer("x", False)):
                with self.assertRaises(Unreachable):
                    client.release(lock.token)
            self.assertTrue(lock.held)
        self.assertTrue(self.is_free("/a"))

    def test_what_is_given_back_by_a_call_is_not_kept_in_mind(self):
        for take in (self.client.lock("/a", ttl=LONG).acquire, self.client.lease(ttl=None).open):
            self.client.release(take().token)
            self.assertNotIn(self.client._farewells, farewell._in_debt)
        wait_until(no_threads_are_left)

    def test_a_client_ends_when_it_is_forgotten(self):
        self.addCleanup(gc.enable)
        gc.disable()  # the client must end without it
        for use in (lambda client: client.status(), self.hold_a_lock, self.hold_a_lease):
            client = lockerclient.Client(self.server.url)
            use(client)
            forgotten = weakref.ref(client)
            del client
            wait_until(lambda: forgotten() is None)

    def hold_a_lock(self, client):
        with client.lock("/a", ttl=LONG) as lock:
            lock.check()

    def hold_a_lease(self, client):
        with client.lease(ttl=LONG) as lease, lease.lock("/a") as lock:
            lock.check()

    def test_a_ttl_that_the_program_changes_is_kept(self):
        with self.client.lock("/a", ttl=10 * LONG) as lock:
            self.client.renew(lock.token, ttl=LONG)
            with renewing_often():
                self.client.renew(lock.token)  # the next renewal is due soon
            first = lock._held().deadline.ends
            wait_until(lambda: lock._held().deadline.ends > first)

    def test_an_error_in_the_block_gives_the_lock_back_and_is_told(self):
        with self.assertRaises(ZeroDivisionError) as caught:
            with self.client.lock("/a"):
                raise ZeroDivisionError
        self.assertIsNone(caught.exception.__context__)
        self.assertTrue(self.is_free("/a"))

    def test_released_inside_of_the_block(self):
        with self.client.lock("/a") as lock:
            lock.release()
            self.assertTrue(self.is_free("/a"))

    def test_several_and_any_of_them(self):
        with self.client.lock(["/p/1", "/p/2"], ttl=LONG) as both:
            self.assertEqual(both.paths, ("/p/1", "/p/2"))
            with self.client.lock(["/p/1", "/p/3"], any=1, ttl=LONG) as one:
                self.assertEqual(one.path, "/p/3")
        self.assertTrue(self.is_free("/p"))

    def test_not_acquired(self):
        with self.client.lock("/a", ttl=LONG, owner="me"):
            with self.assertRaises(NotAcquired) as caught:
                with self.client.lock("/a", wait=0):
                    self.fail("two hold it")
            self.assertEqual(caught.exception.blocked_by[0].owner, "me")
        with self.assertRaises(LockerError) as caught:
            with self.client.lock("/a", ttl=0):
                pass
        self.assertEqual(caught.exception.code, "bad_request")

    def test_it_is_renewed_in_the_background(self):
        with renewing_often(), self.client.lock("/a", ttl=LONG) as lock:
            first = lock._held().deadline.ends
            wait_until(lambda: lock._held().deadline.ends > first + 1)
            lock.check()

    def test_without_a_ttl(self):
        with self.client.lock("/a", ttl=None) as lock:
            self.assertIsNone(lock.ttl)
            lock.check()
        self.assertTrue(self.is_free("/a"))


class Losing(ServerCase):
    def lose_by_force(self, lock):
        self.client.force("/f", fence=lock.fence, reason="maintenance")

    def test_by_force(self):
        told = []
        with renewing_often(), self.assertRaises(LockLost) as caught:
            with self.client.lock("/f", ttl=LONG, on_lost=told.append) as lock:
                lock.check()
                self.lose_by_force(lock)
                self.assertTrue(lock.lost.wait(PATIENCE))
                self.assertFalse(lock.held)
                with self.assertRaises(LockLost) as checked:
                    lock.check()
                self.assertEqual(checked.exception.detail, "maintenance")
                wait_until(lambda: told)
        self.assertEqual((caught.exception.reason, caught.exception.detail, len(told)),
                         ("forced", "maintenance", 1))
        self.assertIsInstance(told[0], LockLost)

    def test_by_force_just_before_the_end_of_the_block(self):
        with self.assertRaises(LockLost) as caught:
            with self.client.lock("/f", ttl=LONG) as lock:
                self.lose_by_force(lock)
        self.assertEqual(caught.exception.reason, "forced")

    def test_without_a_ttl_by_force(self):
        with mock.patch.object(deadline, "LOOK_WITHOUT_TTL", 0.2), self.assertRaises(LockLost):
            with self.client.lock("/f", ttl=None) as lock:
                self.lose_by_force(lock)
                self.assertTrue(lock.lost.wait(PATIENCE))

    def test_another_error_stays_what_it_is_and_tells_of_the_loss(self):
        with self.assertRaises(KeyError) as caught:
            with self.client.lock("/f", ttl=LONG) as lock:
                self.lose_by_force(lock)
                try:
                    raise ValueError("first")
                except ValueError:
                    raise KeyError("second")
        first = caught.exception.__context__
        self.assertIsInstance(first, ValueError)
        self.assertIsInstance(first.__context__, LockLost)

    def test_the_loss_that_was_raised_inside_is_the_one_that_comes_out(self):
        with renewing_often(), self.assertRaises(LockLost) as caught:
            with self.client.lock("/f", ttl=LONG) as lock:
                self.lose_by_force(lock)
                lock.lost.wait(PATIENCE)
                lock.check()
        self.assertIsNone(caught.exception.__context__)

    def test_when_the_server_is_away_for_longer_than_the_ttl(self):
        told = threading.Event()
        with self.assertRaises(LockLost) as caught:
            with self.client.lock("/f", ttl=2, on_lost=lambda _: told.set()) as lock:
                self.server.kill()
                self.assertTrue(lock.lost.wait(PATIENCE))
                self.assertTrue(told.wait(PATIENCE))
                with self.assertRaises(LockLost):
                    lock.check()
                self.restart()
                with self.assertRaises(LockLost):  # stays lost for ever
                    lock.check()
        self.assertIn(caught.exception.reason, BY_TIME)

    def test_a_server_that_is_silent_is_noticed_by_the_clock_alone(self):
        with self.assertRaises(LockLost) as caught:
            with self.client.lock("/f", ttl=2) as lock:
                self.server.process.send_signal(signal.SIGSTOP)
                self.addCleanup(self.server.process.send_signal, signal.SIGCONT)
                self.assertTrue(lock.lost.wait(PATIENCE))
                self.server.process.send_signal(signal.SIGCONT)
        self.assertIn(caught.exception.reason, BY_TIME)

    def test_what_is_lost_is_given_back_all_the_same(self):
        with self.assertRaises(LockLost):
            with self.client.lock("/f", ttl=LONG) as lock:
                lock._held().lose(LockLost("by the clock", "unrenewed"))
                self.assertFalse(self.is_free("/f"))  # the server does not know of the loss
        self.assertTrue(self.is_free("/f"))

    def test_the_clock_is_watched_while_a_keeper_hangs(self):
        hanging = threading.Event()
        self.addCleanup(hanging.set)
        send = self.client._connections.send

        def hang_in_renewals(step):
            if step.request.target == "/v1/leases/renew":
                hanging.wait(PATIENCE)  # as resolving a name can
            return send(step)

        with mock.patch.object(self.client._connections, "send", hang_in_renewals):
            with self.assertRaises(LockLost) as caught:
                with self.client.lock("/f", ttl=2) as lock:
                    self.assertTrue(lock.lost.wait(PATIENCE))
        self.assertIn(caught.exception.reason, BY_TIME)

    def test_a_server_that_stays_away_is_no_error_after_the_work_is_done(self):
        impatient = self.new_client(patience=0.2)
        with self.assertLogs("lockerclient", "WARNING") as logged:
            with impatient.lock("/f", ttl=LONG):
                self.server.kill()
        self.assertTrue(logged.output)
        self.restart()
        with self.assertRaises(Unreachable):  # held for ever, so it must raise
            with impatient.lock("/g", ttl=None):
                self.server.kill()

    def test_no_patience_lasts_longer_than_the_lease(self):
        with self.client.lock("/f", ttl=2) as lock:
            self.server.kill()
            began = time.monotonic()
            try:
                lock.release()
            except LockLost:  # on a slow machine
                pass
        self.assertLess(time.monotonic() - began, PATIENCE)


class Waiting(ServerCase):
    def test_turns_in_order(self):
        order = []

        def take(name):
            with self.client.lock("/w", ttl=LONG):
                order.append(name)

        with self.client.lock("/w", ttl=LONG):
            threads = []
            for number in range(3):
                threads.append(self.in_background(lambda number=number: take(number)))
                self.wait_in_line("/w", number + 1)
        for thread in threads:
            thread.result()
        self.assertEqual(order, [0, 1, 2])

    def test_a_long_wait_is_made_of_pieces_and_keeps_its_place(self):
        with mock.patch.object(acquisition, "WAIT_PIECE", 0.3), \
                LossyProxy(self.server.port) as proxy:
            with self.client.lock("/w", ttl=LONG):
                through = self.new_client(url=proxy.url)
                first = self.in_background(lambda: through.acquire("/w", ttl=LONG))
                self.wait_in_line("/w")
                wait_until(lambda: proxy.seen.count(b"POST /v1/locks/w") >= 4)
                with mock.patch.object(acquisition, "WAIT_PIECE", 20):
                    second = self.in_background(
                        lambda: self.client.acquire("/w", ttl=LONG, owner="second"))
                    # Not by count: the first is disconnected between its requests.
                    wait_until(lambda: "second" in [waiter.owner for waiter in
                                                    self.client.state("/w").waiters])
            granted = first.result()
            self.assertTrue(second.is_alive())
            through.release(granted.token)
            self.assertGreater(second.result().fence, granted.fence)
            self.assertEqual(len(set(tokens_in(proxy.seen))), 1)

    def test_the_wait_ends(self):
        with self.client.lock("/w", ttl=LONG):
            with mock.patch.object(acquisition, "WAIT_PIECE", 0.1):
                began = time.monotonic()
                with self.assertRaises(NotAcquired) as caught:
                    self.client.lock("/w", wait=0.5).acquire()
                self.assertGreaterEqual(time.monotonic() - began, 0.5)
            self.assertEqual(caught.exception.blocked_by[0].state, "held")
        self.assertEqual(list(self.client.locks()), [])

    def test_a_connection_that_breaks_while_waiting(self):
        with LossyProxy(self.server.port) as proxy:
            through = self.new_client(url=proxy.url)
            with self.client.lock("/w", ttl=LONG):
                waiting = self.in_background(lambda: through.acquire("/w", ttl=LONG))
                for _ in range(3):
                    self.wait_in_line("/w")
                    seen = proxy.seen.count(b"POST /v1/locks/w")
                    proxy.cut()
                    wait_until(lambda: proxy.seen.count(b"POST /v1/locks/w") > seen)
            self.assertEqual(waiting.result().path, "/w")
            self.assertEqual(len(set(tokens_in(proxy.seen))), 1)

    def test_a_wait_that_is_cut_is_not_begun_anew(self):
        with LossyProxy(self.server.port) as proxy:
            through = self.new_client(url=proxy.url)
            through.status()  # leaves an idle connection
            with self.client.lock("/w", ttl=LONG):
                asking = self.in_background(lambda: through.acquire("/w", wait=15))
                self.wait_in_line("/w")
                time.sleep(1.1)
                proxy.cut()
                waits = re.compile(rb'"wait": "(\d+)ms"')
                wait_until(lambda: len(waits.findall(proxy.seen)) == 2)
                first, second = map(int, waits.findall(proxy.seen))
                self.assertLess(second, first - 1000)
            asking.result()  # before the proxy ends, since it would retry

    def test_an_interruption_leaves_the_line_and_takes_nothing(self):
        entered = threading.Event()

        send = self.client._connections.send

        def interrupt_after_the_grant(step):
            answer = send(step)
            if step.request.body and "wait" in step.request.body and not entered.is_set():
                entered.set()
                raise Interrupted  # after the grant, before the caller gets it
            return answer

        with mock.patch.object(self.client._connections, "send", interrupt_after_the_grant):
            with self.assertRaises(Interrupted):
                with self.client.lock("/w", ttl=None):
                    self.fail("it was interrupted")
        self.assertTrue(self.is_free("/w"))


    def test_an_interruption_while_the_request_is_still_on_its_way(self):
        with LossyProxy(self.server.port) as proxy:
            proxy.flows.clear()
            with Child(proxy.url, """
                threading.Thread(target=lambda: (sys.stdin.readline(),
                                                 os.kill(os.getpid(), signal.SIGINT))).start()
                locker.acquire("/w", ttl=None)
            """) as child:
                wait_until(lambda: b"POST /v1/locks/w" in proxy.seen)
                child.go_on()
                wait_until(lambda: proxy.hung_up)
                proxy.flows.set()  # the request arrives after the client gave it up
                self.assertIn("KeyboardInterrupt", child.end()[2])
            self.assertTrue(self.is_free("/w"))


def tokens_in(seen):
    return [line for line in seen.split(b"\r\n") if line.startswith(b"Lock-Token: ")]


class Crashes(ServerCase):
    """The server is killed (kill -9) and restarted with the same store."""

    def test_while_a_lock_is_held(self):
        with renewing_often(), self.client.lock("/a", ttl=LONG) as lock:
            for _ in range(3):
                self.restart()
                before = lock._held().deadline.ends
                wait_until(lambda: lock._held().deadline.ends > before)  # renewed
                lock.check()
                self.assertEqual(self.client.state("/a").holders[0].fence, lock.fence)
        self.assertTrue(self.is_free("/a"))

    def test_while_waiting(self):
        with self.client.lock("/a", ttl=LONG) as holder:
            waiting = self.in_background(lambda: self.client.acquire("/a", ttl=LONG))
            for _ in range(3):
                self.wait_in_line("/a")
                self.restart()
            self.wait_in_line("/a")
            self.assertTrue(waiting.is_alive())
        self.assertGreater(waiting.result().fence, holder.fence)

    def test_while_waiting_to_join_a_lease_that_has_ended(self):
        """The server would grant a lock without an owner or a TTL."""
        with self.client.lock("/a", ttl=LONG):
            ending = self.client.acquire("/b", ttl=LONG)
            waiting = self.in_background(lambda: self.client.acquire("/a", token=ending.token))
            self.wait_in_line("/a")
            self.client.release(ending.token)
            self.restart()
        with self.assertRaises(LockLost):
            waiting.result()
        self.assertTrue(self.is_free("/a"))

    def test_before_the_reply_of_an_acquire(self):
        with LossyProxy(self.server.port) as proxy:
            through = self.new_client(url=proxy.url)
            for number in range(5):
                proxy.lose_replies(1, b"POST /v1/locks/a")
                with self.server_that_dies_when(lambda: proxy.lost == number + 1):
                    grant = through.acquire("/a", ttl=LONG)
                self.assertEqual([lock.fence for lock in self.client.locks()], [grant.fence])
                through.release(grant.token)

    def server_that_dies_when(self, condition):
        case = self

        class Dying:
            def __enter__(self):
                self.thread = case.in_background(self.die)

            def die(self):
                wait_until(condition)
                case.restart()

            def __exit__(self, *_):
                self.thread.result()

        return Dying()

    def test_while_it_is_released(self):
        lock = self.client.lock("/a", ttl=LONG).acquire()
        self.server.kill()
        releasing = self.in_background(lock.release)
        time.sleep(0.1)
        self.restart()
        releasing.result()
        self.assertTrue(self.is_free("/a"))

    def test_a_server_that_is_stopped_in_order_sends_waiters_away_and_they_come_back(self):
        with self.client.lock("/a", ttl=LONG):
            waiting = self.in_background(lambda: self.client.acquire("/a", ttl=LONG))
            self.wait_in_line("/a")
            port = self.server.port
            self.assertEqual(self.server.stop(), 0)
            self.server = type(self.server)(self.store, port=port)
            self.wait_in_line("/a")
        self.assertEqual(waiting.result().path, "/a")


class Leases(ServerCase):
    def test_locks_come_and_go(self):
        with self.client.lease(ttl=LONG, owner="worker") as lease:
            grant = lease.acquire("/a")
            self.assertEqual((grant.owner, grant.token), ("worker", lease.token))
            lease.acquire(["/b", "/c"], mode="shared")
            with lease.lock("/a/below") as lock:
                self.assertGreater(lock.fence, grant.fence)
                lock.check()
                self.assertEqual((lock.path, lock.paths), ("/a/below", ("/a/below",)))
                self.assertEqual(len(list(self.client.locks(owner="worker"))), 4)
            lease.release_path("/b")
            self.assertEqual({lock.path for lock in self.client.locks()}, {"/a", "/c"})
            lease.check()
        self.assertEqual(list(self.client.locks()), [])

    def test_it_is_renewed_without_locks(self):
        with renewing_often(), self.client.lease(ttl=LONG) as lease:
            first = lease._held().deadline.ends
            wait_until(lambda: lease._held().deadline.ends > first + 0.5)

    def test_deadlocks_are_refused(self):
        with self.client.lease(ttl=LONG, owner="one") as one, \
                self.client.lease(ttl=LONG, owner="two") as two:
            one.acquire("/1")
            two.acquire("/2")
            waiting = self.in_background(lambda: one.acquire("/2"))
            self.wait_in_line("/2")
            with self.assertRaises(Deadlock) as caught:
                two.acquire("/1")
            self.assertEqual(caught.exception.cycle, [("two", "/1"), ("one", "/2")])
            two.release_path("/2")
            self.assertEqual(waiting.result().path, "/2")

    def test_an_error_while_waiting_leaves_the_line_and_keeps_the_rest(self):
        with self.client.lease(ttl=LONG) as lease:
            lease.acquire("/kept")
            with interrupted_waits(self.client):
                with self.assertRaises(Interrupted):
                    lease.acquire("/given-back")
            self.assertEqual([lock.path for lock in self.client.locks()], ["/kept"])

    def test_lost(self):
        with renewing_often(), self.assertRaises(LockLost):
            with self.client.lease(ttl=LONG, owner="victim") as lease:
                lease.acquire("/a")
                self.client.force("/a", reason="enough")
                self.assertTrue(lease.lost.wait(PATIENCE))
                with self.assertRaisesRegex(LockLost, "enough"):
                    lease.acquire("/b")


class Threads(ServerCase):
    def test_two_threads_contend(self):
        inside = []

        def work():
            for _ in range(50):
                with self.client.lock("/two", ttl=LONG) as lock:
                    inside.append(lock.fence)
                    self.assertEqual(len(inside), 1)
                    inside.remove(lock.fence)

        for thread in [self.in_background(work) for _ in range(2)]:
            thread.result()

    def test_a_hundred_threads_take_turns_on_a_counter(self):
        counter = os.path.join(self.directory, "counter")
        with open(counter, "w", encoding="ascii") as file:
            file.write("0 0")

        def count():
            for _ in range(3):
                with self.client.lock("/counter", ttl=LONG) as lock:
                    with open(counter, encoding="ascii") as file:
                        value, fence = map(int, file.read().split())
                    self.assertGreater(lock.fence, fence)
                    lock.check()
                    with open(counter, "w", encoding="ascii") as file:
                        file.write(f"{value + 1} {lock.fence}")

        for thread in [self.in_background(count) for _ in range(100)]:
            thread.result()
        with open(counter, encoding="ascii") as file:
            self.assertEqual(file.read().split()[0], "300")
        wait_until(no_threads_are_left, "threads are left")


class Events(ServerCase):
    def test_what_happens_is_told(self):
        with self.client.events("/e") as events:
            self.client.acquire("/elsewhere", ttl=LONG)
            grant = self.client.acquire("/e/1", owner="x", ttl=LONG)
            self.client.release(grant.token)
            first, second = next(events), next(events)
        self.assertEqual((first.kind, first.path, first.owner, first.mode, first.fence),
                         ("granted", "/e/1", "x", "exclusive", grant.fence))
        self.assertEqual((second.kind, second.path), ("released", "/e/1"))
        self.assertGreater(second.index, first.index)
        with self.assertRaises(StopIteration):
            next(events)

    def test_it_goes_on_after_an_interruption_without_a_gap(self):
        with LossyProxy(self.server.port) as proxy:
            through = self.new_client(url=proxy.url)
            seen = []
            with through.events("/n") as events:
                for number in range(40):
                    self.client.acquire(f"/n/{number}", ttl=LONG)
                    if number % 10 == 5:
                        proxy.cut()
                    if number % 3 == 0:
                        seen.append(next(events))
                while len(seen) < 40:
                    seen.append(next(events))
                last = events.last_event_id
        self.assertEqual([event.path for event in seen], [f"/n/{n}" for n in range(40)])
        self.assertEqual({event.kind for event in seen}, {"granted"})
        self.client.acquire("/n/later", ttl=LONG)
        with self.client.events("/n", last) as events:
            self.assertEqual(next(events).path, "/n/later")

    def test_a_gap_is_told(self):
        events = self.client.events()
        self.addCleanup(events.close)
        self.client.acquire("/a", ttl=LONG)
        self.assertEqual(next(events).kind, "granted")
        self.restart()
        self.client.acquire("/missed", ttl=LONG)
        self.restart()
        self.assertEqual(next(events).kind, "reset")
        self.client.acquire("/b", ttl=LONG)
        self.assertEqual(next(events).path, "/b")
        # Also before the first event, when the client has no id to resume from.
        unseen = self.client.events("/nothing")
        self.addCleanup(unseen.close)
        self.restart()
        self.assertEqual(next(unseen).kind, "reset")


if __name__ == "__main__":
    unittest.main()
