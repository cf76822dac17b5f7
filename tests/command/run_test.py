"""`locker run`: whichever process is killed, the command and the lock end together."""

import contextlib
import os
import pty
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

from command_case import LOCKER, LONG, CommandCase, Lockerd
from keys import new_key
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
from lossy_proxy import LossyProxy  # pylint: disable=wrong-import-position

# Writes its process id, then waits.
SLEEP = 'echo $$ >"$HOME/pid.new"; mv "$HOME/pid.new" "$HOME/pid"; exec sleep 1000'
# The same, but ignores TERM.
STUBBORN = ('trap "" TERM INT; echo $$ >"$HOME/pid.new"; mv "$HOME/pid.new" "$HOME/pid"; '
            'while :; do sleep 1; done')


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class RunTest(CommandCase):
    def run_in_background(self, script=SLEEP, *options):
        process = self.start("run", *options, "/a", "--", "sh", "-c", script)
        pid = int(self.await_file("pid"))
        self.addCleanup(self.kill_group, pid)
        self.assertFalse(self.is_free("/a"))
        return process, pid

    @staticmethod
    def kill_group(pid):
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def await_end(self, process, code):
        out, said = process.communicate(timeout=LONG)
        self.assertEqual(process.returncode, code, out + said)
        return said

    def test_the_commands_exit_code_and_output_are_its_own(self):
        out = self.locker("run", "/a", "--", "sh", "-c", "cat; echo err >&2; exit 7", code=7,
                          input="in")
        self.assertEqual(out, "in")
        self.assertEqual(self.said, "err\n")
        self.assertTrue(self.is_free("/a"))

    def test_a_signal_that_ends_the_command_is_told_as_a_shell_does(self):
        self.locker("run", "/a", "--", "sh", "-c", "kill -KILL $$", code=128 + 9)
        self.assertTrue(self.is_free("/a"))

    def test_the_environment(self):
        out = self.locker("run", "/a", "b", "--", "sh", "-c",
                          "echo $LOCKER_PATH; echo $LOCKER_TOKEN $LOCKER_FENCE; echo $LOCKER_URL")
        paths, lease, url = out.splitlines()
        self.assertEqual(paths, "/a /b")
        token, fence = lease.split()
        self.assertEqual(len(token), 36)
        self.assertGreater(int(fence), 0)
        self.assertEqual(url, self.server.url)

    def test_what_cannot_be_run_holds_nothing(self):
        self.locker("run", "/a", "--", "/no/such", code=127)
        self.locker("run", "/a", "--", "/etc/passwd", code=126)
        self.assertTrue(self.is_free("/a"))

    def test_without_a_descriptor_left_it_says_that_the_lock_stays(self):
        def keep_nine():
            resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))
        self.locker("run", "/a", "--", "true", code=126, preexec_fn=keep_nine)
        self.assertFalse(self.is_free("/a"))
        self.assertIn("the lock could not be released and ends with its TTL: "
                      "The lock server cannot be called: Too many open files.", self.said)

    def test_used_wrongly(self):
        for arguments in (["/a"], ["/a", "--"], ["--", "true"], ["--ttl", "soon", "/a", "--", "true"],
                          ["--wait", "-1", "/a", "--", "true"], ["--nonsense", "/a", "--", "true"],
                          ["", "--", "true"], ["/a", "", "--", "true"], ["/a/../b", "--", "true"],
                          ["--any", "0", "/a", "/b", "--", "true"], ["/a", "/a", "--", "true"],
                          ["--any", "3", "/a", "/b", "--", "true"], ["--ttl", "0", "/a", "--", "true"],
                          ["--url", "http://127.0.0.1:99999", "/a", "--", "true"]):
            self.locker("run", *arguments, code=64)
            self.assertIn("locker: ", self.said)

    def test_not_acquired(self):
        self.run_in_background()
        self.locker("run", "--wait", "0", "/a/b", "--", "touch", self.file("ran"), code=75)
        self.locker("run", "--wait", "200ms", "/a", "--", "touch", self.file("ran"), code=75)
        self.assertRegex(self.said, r"locker: /a is held by \S+\n$")
        self.assertFalse(os.path.exists(self.file("ran")))

    def test_a_refusal_is_not_taken_for_an_end_of_the_command(self):
        with Lockerd(self.file("full"), "--locks-max", "1") as full:
            self.environment["LOCKER_URL"] = full.url
            self.locker("acquire", "/b")
            self.locker("run", "--wait", "0", "/a", "--", "touch", self.file("ran"), code=75)
            self.assertIn("--locks-max", self.said)
            self.locker("run", "--url", full.url + "/wrong", "/a", "--", "touch", self.file("ran"),
                        code=64)
        self.assertFalse(os.path.exists(self.file("ran")))

    def test_unreachable(self):
        self.server.kill()
        self.locker("run", "/a", "--", "touch", self.file("ran"), code=69)
        self.assertFalse(os.path.exists(self.file("ran")))

    def test_that_a_server_is_silent_is_told_by_the_first_look(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            process = self.start("run", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}", "/a",
                                 "--", "true")
            self.assertRegex(process.stderr.readline(), r"it takes too long\.$")
            accepted = []  # and kept open: what is cut is asked for again
            while select.select([silent], [], [], 0)[0]:
                accepted.append(silent.accept()[0])
                self.addCleanup(accepted[-1].close)
            self.assertEqual(sorted(each.recv(4) for each in accepted), [b"GET ", b"POST"])
            process.terminate()
            self.await_end(process, 128 + signal.SIGTERM)

    def test_and_nothing_else_where_nothing_is_tried_again(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.locker("run", "--wait", "0", "--url",
                        f"http://127.0.0.1:{silent.getsockname()[1]}", "/a", "--", "true", code=69)
        self.assertIn("it takes too long.", self.said)
        self.assertNotIn("Trying again", self.said)

    def test_it_waits_for_its_turn_and_says_for_whom(self):
        holder, pid = self.run_in_background(SLEEP, "--owner", "somebody")
        waiting = self.start("run", "--owner", "me", "/a", "--", "echo", "ran")
        line = waiting.stderr.readline()
        self.assertIn("waiting for /a: held by somebody for ", line)
        self.assertIn("number 1 of 1 in line", line)
        os.kill(pid, signal.SIGTERM)
        self.await_end(holder, 128 + signal.SIGTERM)
        self.assertEqual(waiting.communicate(timeout=LONG)[0], "ran\n")
        self.assertEqual(waiting.returncode, 0)

    def test_who_waits_for_the_one_it_runs_in_is_told(self):
        process = self.start("run", "/a", "--", LOCKER, "run", "/a/b", "--", "true")
        self.assertIn("the `locker run` around this command", process.stderr.readline())
        process.terminate()
        self.await_end(process, 128 + signal.SIGTERM)

    def test_who_is_ended_while_it_waits_leaves_the_line(self):
        _, _ = self.run_in_background()
        for number in (signal.SIGTERM, signal.SIGALRM):
            waiting = self.start("run", "/a", "--", "true")
            self.eventually(lambda: self.state("/a")["waiter_count"] == 1)
            waiting.send_signal(number)
            self.await_end(waiting, 128 + number)
            self.assertEqual(self.state("/a")["waiter_count"], 0)
            self.assertEqual(self.server.get("/v1/status")["waiters"], 0)  # nor is a place kept

    def test_a_waiter_survives_a_restart_of_the_server(self):
        holder, pid = self.run_in_background()
        waiting = self.start("run", "/a", "--", "echo", "ran")
        self.eventually(lambda: self.state("/a")["waiter_count"] == 1)
        self.restart()
        self.eventually(lambda: self.state("/a")["waiter_count"] == 1)
        os.kill(pid, signal.SIGTERM)
        self.await_end(holder, 128 + signal.SIGTERM)
        self.assertEqual(waiting.communicate(timeout=LONG)[0], "ran\n")

    def test_a_waiter_outlasts_a_server_that_is_away_for_long(self):
        held = self.locker("acquire", "/a").strip()
        process = self.start("run", "/a", "--", "echo", "at last")
        self.eventually(lambda: self.state("/a")["waiter_count"] == 1)
        time.sleep(0.5)
        self.server.kill()
        time.sleep(7)
        self.assertIsNone(process.poll())
        self.server = type(self.server)(self.file("store"), port=self.server.port)
        self.locker("release", "--token", held)
        out, said = process.communicate(timeout=LONG)
        self.assertEqual((process.returncode, out), (0, "at last\n"), said)

    def test_a_holder_survives_a_restart_of_the_server(self):
        process, pid = self.run_in_background(SLEEP, "--ttl", "9s")
        self.restart()
        time.sleep(10)
        self.assertTrue(is_alive(pid))
        self.assertFalse(self.is_free("/a"))
        process.send_signal(signal.SIGTERM)
        self.await_end(process, 128 + signal.SIGTERM)
        self.assertTrue(self.is_free("/a"))

    def test_it_renews(self):
        # The lock counts as lost if the machine stalls for a third of the TTL.
        process, pid = self.run_in_background(SLEEP, "--ttl", "6s")
        time.sleep(9)
        self.assertFalse(self.is_free("/a"))
        self.assertTrue(is_alive(pid))
        os.kill(pid, signal.SIGKILL)
        self.await_end(process, 128 + signal.SIGKILL)

    def test_signals_go_to_the_command_and_the_lock_is_released(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
                       signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGXCPU,
                       signal.SIGIO, signal.SIGPWR, signal.SIGSTKFLT, signal.SIGRTMIN,
                       signal.SIGRTMAX):
            with self.subTest(number):
                if os.path.exists(self.file("pid")):
                    os.remove(self.file("pid"))
                process, pid = self.run_in_background()
                process.send_signal(number)
                self.await_end(process, 128 + number)
                self.assertFalse(is_alive(pid))
                self.assertTrue(self.is_free("/a"))

    def test_a_command_that_takes_a_signal_well_ends_as_it_wants(self):
        process, _ = self.run_in_background('trap "exit 5" TERM; ' + SLEEP.replace(
            "exec sleep 1000", "while :; do sleep 0.05; done"))
        process.send_signal(signal.SIGTERM)
        self.await_end(process, 5)
        self.assertTrue(self.is_free("/a"))

    def test_forced(self):
        process, pid = self.run_in_background(SLEEP, "--ttl", "12s")
        self.force("/a", "maintenance now")
        # Reported by the next renewal, after a third of the TTL.
        said = self.await_end(process, 70)
        self.assertIn("maintenance now", said)
        self.assertFalse(is_alive(pid))

    def test_one_of_its_paths_is_forced(self):
        process, pid = self.run_in_background(SLEEP, "--ttl", "1h", "/b")
        self.force("/a", "maintenance now")
        process.send_signal(signal.SIGCONT)  # makes it renew
        self.assertIn("maintenance now", self.await_end(process, 70))
        self.assertFalse(is_alive(pid))
        self.assertTrue(self.is_free("/b"))

    def test_forced_when_the_command_has_added_another_lock(self):
        process, pid = self.run_in_background(
            f"{LOCKER} acquire --token $LOCKER_TOKEN /other; " + SLEEP, "--ttl", "6s")
        self.force("/a", "maintenance now")
        self.assertIn("maintenance now", self.await_end(process, 70))
        self.assertFalse(is_alive(pid))
        self.assertTrue(self.is_free("/other"))

    def test_one_of_its_paths_is_forced_just_before_the_end(self):
        process, pid = self.run_in_background(SLEEP, "--ttl", "1h", "/b")
        self.force("/a", "maintenance now")
        os.kill(pid, signal.SIGTERM)
        self.assertIn("maintenance now", self.await_end(process, 70))
        self.assertTrue(self.is_free("/b"))

    def test_forced_and_the_command_does_not_want_to_end(self):
        process, pid = self.run_in_background(STUBBORN, "--ttl", "3s", "--kill-after", "500ms")
        self.force("/a")
        said = self.await_end(process, 70)
        self.assertIn("is killed", said)
        self.assertFalse(is_alive(pid))

    def test_the_command_ends_before_the_lease_can_when_the_server_is_gone(self):
        for script, ttl in ((SLEEP, 4), (STUBBORN, 8)):  # it is killed a twentieth before the end
            with self.subTest(script):
                if os.path.exists(self.file("pid")):
                    os.remove(self.file("pid"))
                process, pid = self.run_in_background(script, "--ttl", f"{ttl}s")
                self.server.kill()
                killed = time.monotonic()
                self.await_end(process, 70)
                self.assertLess(time.monotonic() - killed, ttl)  # the longest that the lease lives
                self.assertFalse(is_alive(pid))
                self.server = type(self.server)(self.file("store"), port=self.server.port)
                self.eventually(lambda: self.is_free("/a"))

    def test_locker_is_killed(self):
        for script in (SLEEP, STUBBORN):
            with self.subTest(script):
                if os.path.exists(self.file("pid")):
                    os.remove(self.file("pid"))
                process, pid = self.run_in_background(script, "--ttl", "6s")
                process.kill()
                process.wait()
                self.eventually(lambda: not is_alive(pid) or self.is_free("/a"))
                self.assertFalse(is_alive(pid), "the lease ended before the command")
                self.eventually(lambda: self.is_free("/a"))

    def test_locker_is_stopped_for_longer_than_the_ttl(self):
        for script, ttl in ((SLEEP, "4s"), (STUBBORN, "12s")):  # killed a fortieth before the end
            with self.subTest(script):
                if os.path.exists(self.file("pid")):
                    os.remove(self.file("pid"))
                process, pid = self.run_in_background(script, "--ttl", ttl)
                process.send_signal(signal.SIGSTOP)
                self.eventually(lambda: not is_alive(pid) or self.is_free("/a"))
                self.assertFalse(is_alive(pid), "the lease ended before the command")
                self.eventually(lambda: self.is_free("/a"))
                process.send_signal(signal.SIGCONT)
                said = self.await_end(process, 70)
                self.assertIn("lost", said)

    def test_locker_is_killed_when_it_has_been_stopped_for_long(self):
        process, pid = self.run_in_background(STUBBORN, "--ttl", "12s")
        process.send_signal(signal.SIGSTOP)
        self.eventually(lambda: self.expires_in("/a") < 3000)
        process.kill()
        self.eventually(lambda: not is_alive(pid) or self.is_free("/a"))
        self.assertFalse(is_alive(pid), "the lease ended before the command")

    @unittest.skipIf(shutil.which("strace") is None, "needs strace")
    def test_locker_is_killed_while_the_command_begins(self):
        """As from a slow disk: strace delays exec."""
        with open(self.file("begin"), "w", encoding="ascii") as script:
            script.write("#!/bin/sh\n" + STUBBORN)
        os.chmod(self.file("begin"), 0o755)
        tracer = subprocess.Popen(
            ["strace", "-f", "-o", self.file("trace"), "-e", "trace=execve", "-e",
             "inject=execve:delay_enter=2000000:when=1", LOCKER, "run", "--ttl", "3s", "/a", "--",
             self.file("begin")],
            env={**self.environment, "ASAN_OPTIONS": "detect_leaks=0"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(tracer.wait)
        self.addCleanup(tracer.kill)

        def children_of(pid):
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                return [int(child) for child in file.read().split()]
        self.eventually(lambda: not self.is_free("/a"))
        (locker,) = children_of(tracer.pid)
        self.eventually(lambda: len(children_of(locker)) == 2)
        time.sleep(0.5)
        os.kill(locker, signal.SIGKILL)
        tracer.wait(LONG)  # and all that it traces
        self.assertFalse(os.path.exists(self.file("pid")), "the command ran alone")

    def test_locker_is_stopped_when_the_lock_has_been_forced(self):
        process, pid = self.run_in_background(STUBBORN, "--ttl", "1h", "--kill-after", "2s")
        self.force("/a")
        process.send_signal(signal.SIGCONT)  # makes it renew
        self.assertIn("the lock is lost", process.stderr.readline())
        process.send_signal(signal.SIGSTOP)
        self.eventually(lambda: not is_alive(pid), "the end of the command")

    def test_nobody_reads_what_it_says(self):
        """The command is ended even if the output is a full pipe, or one without a reader."""
        for is_full in (True, False):
            with self.subTest(is_full=is_full):
                if os.path.exists(self.file("pid")):
                    os.remove(self.file("pid"))
                read, write = os.pipe()
                process = subprocess.Popen(  # these times are too long for the guardian to end it
                    [LOCKER, "run", "--ttl", "1h", "--kill-after", "1h", "/a", "--", "sh", "-c",
                     SLEEP],
                    env=self.environment, stdin=subprocess.DEVNULL, stderr=write)
                pid = int(self.await_file("pid"))
                self.addCleanup(self.kill_group, pid)
                if is_full:
                    self.addCleanup(os.close, read)
                    os.set_blocking(write, False)
                    try:
                        while os.write(write, b"x"):
                            pass
                    except BlockingIOError:
                        os.set_blocking(write, True)
                else:
                    os.close(read)
                os.close(write)
                self.force("/a")
                process.send_signal(signal.SIGCONT)  # makes it renew
                self.eventually(lambda: not is_alive(pid), "the end of the command")
                if is_full:
                    os.read(read, 100_000)
                self.assertEqual(process.wait(LONG), 70)

    def test_a_limit_that_its_words_exceed_ends_neither_the_wait_nor_the_command(self):
        token = self.locker("acquire", "/a").strip()
        proxy = self.behind_proxy()
        with open(self.file("said"), "wb") as said:
            process = self.start("run", "/a", "--", "sh", "-c", "kill -XFSZ $$", stderr=said,
                                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                       (0, 0)))
        looked = lambda: proxy.seen.count(b"GET /v1/locks/a")
        self.eventually(lambda: looked() > 1 or process.poll() is not None)
        self.assertIsNone(process.poll())
        self.locker("release", "--token", token)
        self.assertEqual(process.wait(LONG), 128 + signal.SIGXFSZ)  # which it does not ignore
        self.assertTrue(self.is_free("/a"))

    def behind_proxy(self):
        proxy = LossyProxy(self.server.port)
        self.addCleanup(proxy.close)
        self.environment["LOCKER_URL"] = proxy.url
        return proxy

    def test_who_says_200_and_is_no_lock_server_renews_nothing(self):
        for page in (b"<html>Please log in.</html>", b'{"ttl_ms": 2.5e40, "locks": -1}'):
            with self.subTest(page):
                if os.path.exists(self.file("pid")):
                    os.remove(self.file("pid"))
                proxy = self.behind_proxy()
                process, pid = self.run_in_background(SLEEP, "--ttl", "4s")
                proxy.answers[b"POST /v1/leases/renew"] = (
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))
                self.eventually(lambda: not is_alive(pid) or self.is_free("/a"))
                self.assertFalse(is_alive(pid), "the lease ended before the command")
                self.assertIn("does not come from a lock server", self.await_end(process, 70))

    def test_an_answer_that_is_announced_is_waited_for(self):
        proxy = self.behind_proxy()
        grant = b'{"path": "/a", "token": "t", "owner": "me", "fence": 1, "ttl_ms": 1000}'
        proxy.answers[b"POST /v1/locks/a"] = (
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s"
            % (len(grant), grant))
        self.assertEqual(self.locker("acquire", "/a"), "t\n")

    def test_a_token_that_cannot_be_told_is_given_back(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([LOCKER, "acquire", "/a"], env=self.environment, stdout=full,
                                  stderr=subprocess.PIPE, timeout=LONG, check=False)
        self.assertEqual(done.returncode, 74)
        self.assertTrue(self.is_free("/a"))
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([LOCKER, "acquire", "/a"], env=self.environment, stdout=write,
                              stderr=subprocess.PIPE, timeout=LONG, check=False)
        os.close(write)
        self.assertEqual(done.returncode, 74)
        self.assertTrue(self.is_free("/a"))

    def test_a_connection_that_is_dead_without_a_word_is_replaced(self):
        proxy = self.behind_proxy()
        process, pid = self.run_in_background(SLEEP, "--ttl", "12s")
        self.eventually(lambda: b"/v1/leases/renew" in proxy.seen)
        time.sleep(0.2)
        proxy.freeze()
        time.sleep(13)
        self.assertTrue(is_alive(pid))
        self.assertFalse(self.is_free("/a"))
        process.terminate()
        self.await_end(process, 128 + signal.SIGTERM)

    def test_it_is_given_back_to_a_server_that_is_being_restarted(self):
        process, pid = self.run_in_background(SLEEP, "--ttl", "1m")
        self.server.kill()
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        self.restart()
        self.assertNotIn("TTL", self.await_end(process, 128 + signal.SIGKILL))
        self.assertTrue(self.is_free("/a"))

    def test_what_is_ignored_stays_so(self):
        """As nohup needs it, and a shell for its background jobs."""
        process = self.start("run", "/a", "--", "sh", "-c", SLEEP, preexec_fn=lambda: signal.signal(
            signal.SIGHUP, signal.SIG_IGN))
        pid = int(self.await_file("pid"))
        self.addCleanup(self.kill_group, pid)
        process.send_signal(signal.SIGHUP)
        os.kill(pid, signal.SIGHUP)
        time.sleep(0.5)
        self.assertTrue(is_alive(pid))
        process.terminate()
        self.await_end(process, 128 + signal.SIGTERM)

    def test_what_is_blocked_is_waited_for_all_the_same(self):
        process = self.start("run", "/a", "--", "sleep", "0.5",
                             preexec_fn=lambda: signal.pthread_sigmask(
                                 signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM}))
        self.await_end(process, 0)
        self.assertTrue(self.is_free("/a"))

    def test_a_request_that_is_late_leaves_no_lock(self):
        """An interrupted request arrives after it was given up."""
        proxy = self.behind_proxy()
        flows = proxy.flows
        flows.clear()
        process = self.start("run", "/a", "--", "true")
        self.eventually(lambda: b"POST /v1/locks/a" in proxy.seen)
        proxy.flows = threading.Event()
        proxy.flows.set()  # lets all later requests pass
        process.send_signal(signal.SIGINT)
        self.eventually(lambda: proxy.hung_up)
        time.sleep(0.5)
        flows.set()
        self.await_end(process, -signal.SIGINT)
        time.sleep(0.5)
        self.assertTrue(self.is_free("/a"))

    def test_a_place_that_a_copy_of_the_request_has_taken_is_taken_back(self):
        proxy = self.behind_proxy()
        holder = self.locker("acquire", "/a").strip()
        proxy.duplicate(1, b"POST /v1/locks/a")
        process = self.start("run", "/a", "--", "sh", "-c", "exit 7")
        self.eventually(lambda: proxy.copies)
        proxy.copies[0].settimeout(LONG)
        self.assertIn(b"superseded", proxy.copies[0].recv(65536))
        self.locker("release", "--token", holder)
        self.await_end(process, 7)
        self.assertTrue(self.is_free("/a"))

    def test_no_copy_is_left_by_who_has_waited_for_long_enough(self):
        proxy = self.behind_proxy()
        self.locker("acquire", "/a")
        proxy.duplicate(2, b"POST /v1/locks/a")
        self.locker("run", "--wait", "2s", "/a", "--", "true", code=75)
        self.eventually(lambda: len(proxy.copies) == 2)
        self.eventually(lambda: self.server.get("/v1/status")["waiters"] == 0)

    def test_who_joins_a_lease_leaves_the_place_to_who_asks_later(self):
        proxy = self.behind_proxy()
        token = self.locker("acquire", "/lease").strip()
        self.locker("acquire", "/a")
        proxy.duplicate(1, b"POST /v1/locks/a")
        self.locker("acquire", "--token", token, "/a", code=1)

    def test_the_command_can_ask_with_the_same_key(self):
        key_file = self.file("key")
        with open(key_file, "w", encoding="ascii") as file:
            file.write(new_key("ci", "lock /a", file=self.file("keys"))[0])
        os.chmod(key_file, 0o600)
        self.server.kill()
        self.server = type(self.server)(self.file("store"), "--keys", self.file("keys"))
        self.environment["LOCKER_URL"] = self.server.url
        self.locker("run", "--key-file", os.path.relpath(key_file), "/a", "--", "sh", "-c",
                    f"cd / && {os.path.abspath(LOCKER)} renew")

    def test_an_interruption_amid_a_handshake(self):
        """The server accepts and stays silent; a sanitizer would detect a use after free."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            process = self.start("run", "--url", f"https://127.0.0.1:{port}", "/a", "--", "true")
            accepted, _ = silent.accept()
            self.assertTrue(accepted.recv(1))  # the ClientHello
            process.send_signal(signal.SIGINT)
            self.await_end(process, -signal.SIGINT)
            accepted.close()

    def test_the_suspend_signal_from_elsewhere_stops_the_command_and_not_the_renewing(self):
        process, pid = self.run_in_background(SLEEP, "--ttl", "6s")
        process.send_signal(signal.SIGTSTP)
        self.eventually(lambda: self.state_of(pid) == "T")
        time.sleep(7)
        self.assertFalse(self.is_free("/a"))
        process.send_signal(signal.SIGCONT)
        self.eventually(lambda: self.state_of(pid) == "S")
        process.terminate()
        self.assertIn("the command is stopped", self.await_end(process, 128 + signal.SIGTERM))

    def test_a_command_that_is_stopped_keeps_its_lock(self):
        process, pid = self.run_in_background(SLEEP, "--ttl", "6s")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(7)
        self.assertFalse(self.is_free("/a"))
        os.kill(pid, signal.SIGCONT)
        time.sleep(4)
        self.assertFalse(self.is_free("/a"))
        self.assertTrue(is_alive(pid))
        process.terminate()
        self.await_end(process, 128 + signal.SIGTERM)

    def test_a_signal_that_ends_reaches_a_command_that_is_stopped(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number):
                if os.path.exists(self.file("pid")):
                    os.remove(self.file("pid"))
                process, pid = self.run_in_background()
                os.kill(pid, signal.SIGSTOP)
                self.eventually(lambda: self.state_of(pid) == "T")
                process.send_signal(number)
                self.await_end(process, 128 + number)
                self.assertTrue(self.is_free("/a"))

    @staticmethod
    def state_of(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    @staticmethod
    def guardian_of(process):
        """Returns the id of the guardian process, whose name `killall locker` does not match."""
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            children = file.read().split()
        for child in children:
            # The child may end in between.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                with open(f"/proc/{child}/comm", encoding="ascii") as file:
                    if file.read() == "lockguard\n":
                        return int(child)
        return None

    def await_guardian(self, process):
        """Waits for the guardian's name, which may be set after the command has begun."""
        self.eventually(lambda: self.guardian_of(process) is not None, "having a guardian")
        return self.guardian_of(process)

    def test_a_guardian_keeps_nothing_open_that_others_wait_for(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        process = self.start("run", "/a", "--", "sh", "-c", SLEEP, pass_fds=[write])
        os.close(write)
        self.addCleanup(self.kill_group, int(self.await_file("pid")))
        folder = f"/proc/{self.await_guardian(process)}/fd"
        self.eventually(lambda: len(os.listdir(folder)) == 1, "closing all but its socket")
        self.assertIn("socket:", os.readlink(os.path.join(folder, os.listdir(folder)[0])))

    def test_a_guardian_that_was_stopped_for_long_believes_what_came_last(self):
        process, pid = self.run_in_background(SLEEP, "--ttl", "6s")
        guardian = self.await_guardian(process)
        os.kill(guardian, signal.SIGSTOP)
        time.sleep(7)
        os.kill(guardian, signal.SIGCONT)
        time.sleep(0.5)
        self.assertTrue(is_alive(pid), "it was ended by what was true long ago")
        process.terminate()
        self.await_end(process, 128 + signal.SIGTERM)

    def test_a_guardian_that_is_killed_is_replaced(self):
        process, pid = self.run_in_background(SLEEP, "--ttl", "6s")
        first = self.await_guardian(process)
        os.kill(first, signal.SIGKILL)
        self.eventually(lambda: self.guardian_of(process) not in (None, first))
        self.renew_twice(process)  # before, the guardian may not know the command yet
        process.kill()
        process.wait()
        self.eventually(lambda: not is_alive(pid) or self.is_free("/a"))
        self.assertFalse(is_alive(pid), "the lease ended before the command")

    def run_with_later_ttl(self, script, ttl, *options):
        """Runs a command that gives its lease without a TTL one; `locker` has learned of it."""
        program = os.path.abspath(LOCKER)  # `run` always requests a TTL
        self.behind_proxy().rewrites[b'"ttl":"30s"'] = b'"meta":"xx"'
        process, pid = self.run_in_background(
            f'{program} ls --json /a >"$HOME/before"; {program} renew --ttl {ttl}; '
            f"{script}", *options)
        self.assertIn('"ttl_ms":null', self.await_file("before"))
        self.renew_twice(process)
        return process, pid

    def renew_twice(self, process):
        """By the second renewal, the guardian knows the result of the first."""
        def is_renewed():
            nonlocal left
            before, left = left, self.expires_in("/a")
            return left > before
        for _ in range(2):
            time.sleep(0.2)  # so much more is left after a renewal, which shows
            left = self.expires_in("/a")
            process.send_signal(signal.SIGCONT)
            self.eventually(is_renewed)

    def expires_in(self, path):
        return self.state(path)["holders"][0]["expires_in_ms"]

    def test_a_ttl_that_came_later_counts_when_the_server_is_gone(self):
        process, pid = self.run_with_later_ttl(STUBBORN, "12s")
        self.server.kill()
        killed = time.monotonic()
        said = self.await_end(process, 70)
        self.assertIn("the command has not ended, and is killed", said)
        self.assertLess(time.monotonic() - killed, 12)
        self.assertFalse(is_alive(pid))

    def test_a_ttl_that_came_later_counts_when_locker_is_stopped(self):
        process, pid = self.run_with_later_ttl(
            'trap \'echo >"$HOME/asked"; exit\' TERM; ' + SLEEP.replace(
                "exec sleep 1000", "while :; do sleep 0.05; done"), "8s")
        process.send_signal(signal.SIGSTOP)
        self.eventually(lambda: not is_alive(pid) or self.is_free("/a"))
        self.assertFalse(is_alive(pid), "the lease ended before the command")
        self.assertTrue(os.path.exists(self.file("asked")), "it was killed without a word")

    def test_a_ttl_that_came_later_counts_when_locker_is_killed(self):
        process, pid = self.run_with_later_ttl(STUBBORN, "4s", "--kill-after", "1m")
        process.kill()
        self.eventually(lambda: not is_alive(pid) or self.is_free("/a"))
        self.assertFalse(is_alive(pid), "the lease ended before the command")

    def test_a_lease_with_a_ttl_that_came_later_ends_without_a_release(self):
        process, pid = self.run_with_later_ttl(SLEEP, "1m")
        self.server.kill()
        os.kill(pid, signal.SIGKILL)
        self.assertIn("ends with its TTL", self.await_end(process, 128 + signal.SIGKILL))

    def test_a_lock_that_was_lost_unnoticed_is_told_at_the_end(self):
        process, _ = self.run_in_background(SLEEP.replace(
            "exec sleep 1000", 'while ! [ -e "$HOME/go" ]; do sleep 0.05; done; exit 3'),
            "--ttl", "1h")
        self.force("/a", "by mistake")
        open(self.file("go"), "w", encoding="ascii").close()
        self.assertIn("lost before the command ended", self.await_end(process, 70))

    def test_processes_of_the_command_end_with_it_when_the_lock_is_lost(self):
        process, pid = self.run_in_background(
            'sleep 1000 & echo $! >"$HOME/child"; ' + SLEEP, "--ttl", "3s")
        child = int(self.await_file("child"))
        self.force("/a")
        self.await_end(process, 70)
        self.eventually(lambda: not is_alive(child) and not is_alive(pid))

    def test_what_the_command_leaves_behind_is_left_alone(self):
        self.locker("run", "/a", "--", "sh", "-c",
                    'sleep 1000 >/dev/null 2>&1 & echo $! >"$HOME/child"')
        child = int(self.await_file("child"))
        self.addCleanup(os.kill, child, signal.SIGKILL)
        self.assertTrue(is_alive(child))
        self.assertTrue(self.is_free("/a"))

    def test_nothing_of_ours_is_open_in_the_command(self):
        out = self.locker("run", "/a", "--", "sh", "-c", "ls /proc/$$/fd | sort -n | tr '\\n' ' '")
        self.assertEqual([int(number) for number in out.split()][:3], [0, 1, 2])
        links = self.locker("run", "/a", "--", "sh", "-c", "ls -l /proc/$$/fd")
        self.assertNotIn("socket:", links)
        self.assertNotIn("eventpoll", links)

    def test_any_of_several(self):
        self.run_in_background()
        out = self.locker("run", "--any", "1", "/a", "/b", "--", "sh", "-c", "echo $LOCKER_PATH")
        self.assertEqual(out, "/b\n")

    def test_shared(self):
        self.run_in_background(SLEEP, "--shared")
        self.assertEqual(self.locker("run", "--shared", "--wait", "0", "/a", "--", "echo", "x"),
                         "x\n")
        self.locker("run", "--wait", "0", "/a", "--", "true", code=75)


class TerminalTest(CommandCase):
    """On its own terminal, in its own session, as a shell would start it."""

    def start_on_terminal(self, *arguments, program=LOCKER):
        main, other = pty.openpty()
        self.addCleanup(os.close, main)
        import fcntl  # pylint: disable=import-outside-toplevel
        import termios  # pylint: disable=import-outside-toplevel

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        process = self.start_with(other, own_terminal, program, *arguments)
        os.close(other)
        return process, main

    def start_with(self, terminal, prepare, *command):
        process = subprocess.Popen(command, env=self.environment, stdin=terminal,
                                   stdout=terminal, stderr=terminal, preexec_fn=prepare)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_the_command_can_read_the_terminal(self):
        process, main = self.start_on_terminal("run", "/a", "--", "sh", "-c",
                                               'read line; echo "got $line"')
        os.write(main, b"hello\n")
        text = b""
        while b"got hello" not in text:
            text += os.read(main, 1000)
        self.assertEqual(process.wait(LONG), 0)

    def read_until(self, main, wanted):
        text = b""
        while wanted not in text:
            self.assertTrue(select.select([main], [], [], LONG)[0], f"{wanted} after {text}")
            text += os.read(main, 1000)
        return text

    def test_a_pager_behind_it_can_read_the_terminal(self):
        with open(self.file("pager"), "w", encoding="ascii") as file:
            file.write("import os, sys\nsys.stdin.readline()\nprint('more?', flush=True)\n"
                       "os.read(os.open('/dev/tty', os.O_RDONLY), 1)\n"
                       "print('pages', len(sys.stdin.readlines()))\n")
        process, main = self.start_on_terminal(
            "-c", f'{LOCKER} run /a -- seq 100000 | {sys.executable} "$HOME/pager"', program="sh")
        self.read_until(main, b"more?")
        os.write(main, b"\n")
        self.read_until(main, b"pages 99999")
        self.assertEqual(process.wait(LONG), 0)

    def test_what_is_piped_can_read_the_terminal_too(self):
        process, main = self.start_on_terminal(
            "-c", f"{LOCKER} run /a -- sh -c 'echo line?; read line; echo \"got $line\"' | cat",
            program="sh")
        self.read_until(main, b"line?")
        os.write(main, b"hello\n")
        self.read_until(main, b"got hello")
        self.assertEqual(process.wait(LONG), 0)

    def test_the_interrupt_key_ends_the_command(self):
        process, main = self.start_on_terminal("run", "/a", "--", "sh", "-c", SLEEP)
        self.await_file("pid")
        os.write(main, b"\x03")
        self.assertEqual(process.wait(LONG), -signal.SIGINT)  # a shell reports 130
        self.assertTrue(self.is_free("/a"))

    @unittest.skipIf(shutil.which("bash") is None, "needs bash")
    def test_the_interrupt_key_ends_the_script_around_it(self):
        process, main = self.start_on_terminal(
            "-c", f'for i in 1 2; do {LOCKER} run /a -- sh -c \'{SLEEP}\'; '
            'touch "$HOME/went-on"; done', program="bash")
        self.await_file("pid")
        os.write(main, b"\x03")
        self.assertEqual(process.wait(LONG), -signal.SIGINT)
        self.assertFalse(os.path.exists(self.file("went-on")))
        self.assertTrue(self.is_free("/a"))

    @unittest.skipIf(shutil.which("bash") is None, "needs bash")
    def test_the_interrupt_key_ends_the_script_around_what_waits(self):
        self.locker("acquire", "--ttl", "1h", "/a")
        process, main = self.start_on_terminal(
            "-c", f'for i in 1 2; do {LOCKER} run /a -- true; touch "$HOME/went-on"; done',
            program="bash")
        self.read_until(main, b"number 1 of 1 in line")
        os.write(main, b"\x03")
        self.assertEqual(process.wait(LONG), -signal.SIGINT)
        self.assertFalse(os.path.exists(self.file("went-on")))

    def test_the_suspend_key_stops_both_and_continuing_goes_on(self):
        process, main = self.start_on_terminal("run", "/a", "--", "sh", "-c", SLEEP)
        pid = int(self.await_file("pid"))
        os.write(main, b"\x1a")
        found, status = os.waitpid(process.pid, os.WUNTRACED)
        self.assertEqual(found, process.pid)
        self.assertTrue(os.WIFSTOPPED(status))
        process.send_signal(signal.SIGCONT)

        def is_running():
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "T"
        self.eventually(is_running)
        os.write(main, b"\x03")
        self.assertEqual(process.wait(LONG), -signal.SIGINT)
        self.assertTrue(self.is_free("/a"))

    def run_shell(self, *command, after):
        """Plays the shell: it has the terminal, and the command is its job, stopped by the key.

        Returns what `after` prints, up to its full stop."""
        main, other = pty.openpty()
        self.addCleanup(os.close, main)
        job = "; ".join([
            "import fcntl, os, signal, subprocess, sys, termios, time",
            "fcntl.ioctl(0, termios.TIOCSCTTY, 0)",
            "signal.signal(signal.SIGTTOU, signal.SIG_IGN)",
            "job = subprocess.Popen(sys.argv[1:], preexec_fn=lambda: (os.setpgid(0, 0), "
            "os.tcsetpgrp(0, os.getpid()), signal.signal(signal.SIGTTOU, signal.SIG_DFL)))",
            "os.waitpid(job.pid, os.WUNTRACED)",
            "os.tcsetpgrp(0, os.getpgrp())", *after])
        shell = subprocess.Popen([sys.executable, "-c", job, *command], env=self.environment,
                                 stdin=other, stdout=other, stderr=other, start_new_session=True)
        os.close(other)
        self.addCleanup(shell.wait)
        self.addCleanup(shell.kill)
        self.await_file("pid")
        os.write(main, b"\x1a")
        text = b""
        while b"." not in text.partition(b"then")[2]:
            text += os.read(main, 1000)
        return text.decode()

    def run_shell_with_background_job(self, script, *steps, around=()):
        """The same, but starts the command as `command &`, in `around`. Returns the terminal."""
        main, other = pty.openpty()
        self.addCleanup(os.close, main)
        job = "\n".join([
            "import fcntl, os, signal, subprocess, sys, termios, time",
            "fcntl.ioctl(0, termios.TIOCSCTTY, 0)",
            "signal.signal(signal.SIGTTOU, signal.SIG_IGN)",
            "job = subprocess.Popen(sys.argv[1:], preexec_fn=lambda: (os.setpgid(0, 0), "
            "signal.signal(signal.SIGTTOU, signal.SIG_DFL)))",
            "def is_stopped(): return os.WIFSTOPPED(os.waitpid(job.pid, os.WUNTRACED)[1])",
            "def file(name): return os.path.join(os.environ['HOME'], name)",
            "while not os.path.exists(file('begun')): time.sleep(0.02)", *steps])
        shell = subprocess.Popen([sys.executable, "-c", job, *around, LOCKER, "run", "/a", "--",
                                  "sh", "-c", 'echo >"$HOME/begun"; ' + script],
                                 env=self.environment,
                                 stdin=other, stdout=other, stderr=other, start_new_session=True)
        os.close(other)
        self.addCleanup(shell.wait)
        self.addCleanup(shell.kill)
        return main

    def test_begun_in_the_background_it_stops_when_it_wants_the_terminal_and_fg_gives_it(self):
        to_foreground = ("os.tcsetpgrp(0, job.pid)", "os.killpg(job.pid, signal.SIGCONT)")
        main = self.run_shell_with_background_job(
            'read line; echo "got $line"; exec sleep 1000',
            "print('first', is_stopped(), flush=True)", *to_foreground,
            "print('then', is_stopped(), flush=True)", *to_foreground,
            "print('again', flush=True)",
            "print(f'at the end {job.wait()}.', flush=True)")
        self.read_until(main, b"first True")
        os.write(main, b"hello\n")
        self.read_until(main, b"got hello")
        os.write(main, b"\x1a")
        self.assertIn(b"then True", self.read_until(main, b"again"))
        os.write(main, b"\x03")
        # 130 if the key came before the command had the terminal.
        self.assertRegex(self.read_until(main, b"."), rb"at the end (-2|130)\.")
        self.assertTrue(self.is_free("/a"))

    def test_begun_in_the_background_by_who_is_gone_it_keeps_the_lock_of_what_wants_the_terminal(self):
        main = self.run_shell_with_background_job(
            "read line </dev/tty", "job.wait()", "time.sleep(1000)",
            around=("sh", "-c", '"$@" &', "sh"))
        self.read_until(main, b"the command is stopped; the lock is kept for it")

    def test_of_a_job_whose_shell_is_gone_it_keeps_the_lock_too(self):
        main = self.run_shell_with_background_job(
            "read line", "job.wait()", "time.sleep(1000)",
            around=("sh", "-c", """sh -c '"$@"; true' sh "$@" </dev/tty &""", "sh"))
        self.read_until(main, b"the command is stopped; the lock is kept for it")

    def test_begun_in_the_background_it_is_lent_the_terminal_of_a_foreground_that_came_later(self):
        main = self.run_shell_with_background_job(
            'while ! [ -e "$HOME/go-on" ]; do sleep 0.05; done; read line; echo "got $line"',
            "os.tcsetpgrp(0, job.pid)",  # it runs, so that a shell continues nothing
            "open(file('go-on'), 'w').close()",
            "print(f'at the end {job.wait()}.', flush=True)")
        self.await_file("go-on")
        os.write(main, b"hello\n")
        self.read_until(main, b"got hello")
        self.read_until(main, b"at the end 0.")

    def test_begun_in_the_background_it_is_stopped_by_the_key_in_the_foreground(self):
        main = self.run_shell_with_background_job(
            "exec sleep 1000", "os.tcsetpgrp(0, job.pid)", "print('there', flush=True)",
            "print('then', is_stopped(), flush=True)")
        self.read_until(main, b"there")
        os.write(main, b"\x1a")
        self.read_until(main, b"then True")

    def test_continued_in_the_background_it_leaves_the_terminal_to_the_shell(self):
        text = self.run_shell(LOCKER, "run", "/a", "--", "sh", "-c", SLEEP, after=[
            "os.killpg(job.pid, signal.SIGCONT)",
            "time.sleep(0.5)",
            "first = os.tcgetpgrp(0) == os.getpgrp()",
            "os.killpg(job.pid, signal.SIGTERM)",
            "code = job.wait()",
            'print(f"then {first}, at the end {os.tcgetpgrp(0) == os.getpgrp()}, {code}.")'])
        self.assertIn("then True, at the end True, 143.", text)

    def test_the_suspend_key_stops_the_script_around_it(self):
        text = self.run_shell("sh", "-c", f"{LOCKER} run /a -- sh -c '{SLEEP}'; true", after=[
            'print("then the shell goes on.")', "os.killpg(job.pid, signal.SIGKILL)"])
        self.assertIn("then the shell goes on.", text)


if __name__ == "__main__":
    unittest.main()
