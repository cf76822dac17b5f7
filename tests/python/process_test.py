"""Processes that hold a lock and are stopped, forked, interrupted, killed, or exit."""

import os
import signal
import time
import unittest
from unittest import mock

from child import Child
from server_case import LONG, ServerCase, wait_until
from lockerclient import deadline


class Processes(ServerCase):
    def child(self, program):
        return Child(self.server.url, program)

    def test_stopped_for_longer_than_its_ttl(self):
        with self.child("""
            from lockerclient import deadline
            try:
                with locker.lock("/p", ttl=2) as lock:
                    while True:
                        looked = deadline.now()
                        lock.check()
                        say(looked)
                        time.sleep(0.05)
            except lockerclient.LockLost as lost:
                say("lost", lost.reason)
        """) as child:
            first = child.line()
            if first.startswith("lost"):
                self.skipTest("the machine is too slow: it lost its lock at once")
            child.process.send_signal(signal.SIGSTOP)
            mine = self.client.acquire("/p", ttl=LONG)  # granted once the lease has expired
            taken = deadline.now()
            child.process.send_signal(signal.SIGCONT)
            code, lines, err = child.end()
            self.assertEqual(code, 0, err)
            *looks, end = lines
            self.assertIn(end, ("lost unrenewed", "lost expired"))
            for look in looks:
                self.assertLess(float(look), taken)  # no successful check after the new grant
            self.assertEqual(self.client.renew(mine.token).locks, 1)

    def test_stopped_for_a_short_while(self):
        with self.child(f"""
            with locker.lock("/p", ttl={LONG}) as lock:
                say("held")
                sys.stdin.readline()
                lock.check()
        """) as child:
            child.line()
            child.process.send_signal(signal.SIGSTOP)
            time.sleep(0.5)
            child.process.send_signal(signal.SIGCONT)
            child.go_on()
            self.assertEqual(child.end()[0], 0)

    def test_fork_in_a_block(self):
        with self.child(f"""
            with locker.lock("/p", ttl={LONG}) as lock:
                child = os.fork()
                if child == 0:
                    try:
                        lock.check()
                    except lockerclient.LockLost as lost:
                        say("child", lost.reason)
                    with locker.lock("/q", ttl={LONG}) as other:   # a client works in a child, too
                        other.check()
                        say("child", locker.owner.endswith(":" + str(os.getpid())))
                    sys.exit(0)  # leaves the block, and runs what runs at exit
                _, status = os.waitpid(child, 0)
                say("child ended", status)
                lock.check()
                say("parent", locker.state("/p").holders[0].fence == lock.fence)
            say("free", locker.state("/p").free and locker.state("/q").free)
        """) as child:
            code, lines, err = child.end()
            self.assertEqual((code, lines), (0, ["child forked", "child True", "child ended 0",
                                                 "parent True", "free True"]), err)

    def test_fork_in_a_block_of_asyncio(self):
        with self.child(f"""
            import asyncio
            from lockerclient.aio import AsyncClient
            async def main():
                async with AsyncClient() as locker, locker.lock("/p", ttl={LONG}) as lock:
                    child = os.fork()
                    if child == 0:
                        try:
                            lock.check()
                        except lockerclient.LockLost as lost:
                            say("child", lost.reason, lock.held)
                        os._exit(0)
                    os.waitpid(child, 0)
                    lock.check()
                    say("parent", lock.held)
            asyncio.run(main())
        """) as child:
            code, lines, err = child.end()
            self.assertEqual((code, lines), (0, ["child forked False", "parent True"]), err)

    def test_a_child_gives_no_path_of_a_lease_back(self):
        with self.child(f"""
            import asyncio
            from lockerclient.aio import AsyncClient
            def in_child(give_back):
                child = os.fork()
                if child == 0:
                    try:
                        give_back()
                    except lockerclient.LockLost as lost:
                        say("child", lost.reason)
                    os._exit(0)
                os.waitpid(child, 0)
            with locker.lease(ttl={LONG}) as lease, lease.lock("/p") as lock:
                in_child(lambda: lease.release_path("/p"))
                say("parent", locker.state("/p").holders[0].fence == lock.fence)
            async def main():
                async with AsyncClient() as locker, locker.lease(ttl={LONG}) as lease:
                    await lease.acquire("/p")
                    def give_back():
                        try:
                            lease.release_path("/p").send(None)
                        except StopIteration:
                            pass
                    in_child(give_back)
                    say("parent", not (await locker.state("/p")).free)
            asyncio.run(main())
        """) as child:
            code, lines, err = child.end()
            self.assertEqual((code, lines), (0, ["child forked", "parent True"] * 2), err)

    def test_fork_while_other_threads_ask(self):
        with self.child(f"""
            stop = threading.Event()
            def work(number):
                while not stop.is_set():
                    with locker.lock(f"/t/{{number}}", ttl={LONG}):
                        locker.status()
            threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
            for thread in threads: thread.start()
            for number in range(20):
                child = os.fork()
                if child == 0:
                    with locker.lock("/c", ttl={LONG}): pass
                    os._exit(0)
                _, status = os.waitpid(child, 0)
                say(status)
            stop.set()
            for thread in threads: thread.join()
            say(len(list(locker.locks())))
        """) as child:
            code, lines, err = child.end()
            self.assertEqual((code, lines), (0, ["0"] * 21), err)

    def test_what_is_held_at_the_end_of_a_process_is_given_back(self):
        for ending in ("", "sys.exit(3)", "raise RuntimeError"):
            with self.child("""
                one = locker.lock("/p", ttl=None).acquire()
                two = locker.lock("/q", ttl=3600).acquire()
                say("held")
                """ + ending) as child:
                child.line()
                child.end()
                self.assertEqual(list(self.client.locks()), [])

    def test_no_socket_is_left_open_to_be_warned_of(self):
        with mock.patch.dict(os.environ, PYTHONWARNINGS="error::ResourceWarning"), self.child(f"""
            lockerclient.Client().status()  # and is forgotten at once
            locker.status()
            if os.fork() == 0:
                locker.status()
                sys.exit(0)
            os.wait()
            held = locker.lock("/p", ttl={LONG}).acquire()
        """) as child:
            self.assertEqual(child.end(), (0, [], ""))

    def test_the_end_of_a_process_is_not_held_up_by_a_server_that_is_silent(self):
        with self.child("""
            held = [locker.lock(f"/{n}", ttl=3600).acquire() for n in range(100)]
            say("held")
            sys.stdin.readline()
        """) as child:
            child.line()
            self.server.process.send_signal(signal.SIGSTOP)
            child.go_on()
            try:
                self.assertEqual(child.end()[0], 0)  # 100 times any timeout would be too long
            finally:
                self.server.process.send_signal(signal.SIGCONT)

    def test_killed(self):
        with self.child("""
            with locker.lock("/p", ttl=2):
                say("held")
                time.sleep(3600)
        """) as child:
            child.line()
            child.process.kill()
            self.assertEqual(self.client.acquire("/p").path, "/p")

    def test_ctrl_c_while_waiting_leaves_the_line(self):
        with self.client.lock("/p", ttl=LONG), self.child("""
            say("waits")
            locker.acquire("/p", ttl=None)
        """) as child:
            child.line()
            self.wait_in_line("/p")
            child.process.send_signal(signal.SIGINT)
            code, _, err = child.end()
            self.assertNotEqual(code, 0)
            self.assertIn("KeyboardInterrupt", err)
            self.assertEqual(self.client.status()["waiters"], 0)  # nor is a place kept
        self.assertEqual(list(self.client.locks()), [])

    # Sockets raise similar errors; the client must not mistake these for connection failures.
    HANDLER_RAISES = ("OSError('mine')", "TimeoutError('mine')", "ConnectionError('mine')",
                      "InterruptedError('mine')", "ValueError('mine')")

    def check_interrupted(self, child, error):
        child.process.send_signal(signal.SIGALRM)
        code, _, err = child.end()
        self.assertEqual(code, 1)
        self.assertRegex(err.splitlines()[-1], error.partition("(")[0] + ": mine")

    def test_what_a_signal_handler_raises_leaves_the_line(self):
        for error in self.HANDLER_RAISES:
            with self.client.lock("/p", ttl=LONG), self.child(f"""
                def handle(*_): raise {error}
                signal.signal(signal.SIGALRM, handle)
                locker.acquire("/p", ttl=None)
            """) as child:
                self.wait_in_line("/p")
                self.check_interrupted(child, error)
                self.wait_in_line("/p", 0)
            self.assertEqual(list(self.client.locks()), [])

    def test_and_ends_the_waiting_for_events(self):
        for error in self.HANDLER_RAISES:
            with self.child(f"""
                def handle(*_): raise {error}
                signal.signal(signal.SIGALRM, handle)
                events = locker.events()
                say("follows")
                next(events)
            """) as child:
                child.line()
                self.check_interrupted(child, error)

    def test_ctrl_c_in_the_block_gives_back(self):
        with self.child("""
            with locker.lock("/p", ttl=None):
                say("held")
                time.sleep(3600)
        """) as child:
            child.line()
            child.process.send_signal(signal.SIGINT)
            self.assertIn("KeyboardInterrupt", child.end()[2])
            self.assertTrue(self.is_free("/p"))

    def test_a_loss_that_nobody_catches_is_a_traceback(self):
        with self.child(f"""
            with locker.lock("/p", ttl={LONG}) as lock:
                say("held")
                sys.stdin.readline()
        """) as child:
            child.line()
            self.client.force("/p", reason="maintenance")
            child.go_on()
            code, _, err = child.end()
            self.assertEqual(code, 1)
            self.assertRegex(err, "LockLost: .*maintenance")

    def test_counters_of_many_processes(self):
        counter = os.path.join(self.directory, "counter")
        with open(counter, "w", encoding="ascii") as file:
            file.write("0")
        program = f"""
            for _ in range(20):
                with locker.lock("/counter", ttl={LONG}):
                    with open({counter!r}) as file: value = int(file.read())
                    with open({counter!r}, "w") as file: file.write(str(value + 1))
        """
        children = [self.child(program) for _ in range(5)]
        for child in children:
            with child:
                self.assertEqual(child.end()[0], 0)
        with open(counter, encoding="ascii") as file:
            self.assertEqual(file.read(), "100")


if __name__ == "__main__":
    unittest.main()
