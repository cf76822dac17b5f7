"""The recipe with-lock, in every shell that is here."""

import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from recipe_case import LONG, PATIENCE, RecipeCase, recipe, wait_until
from keys import new_key
from lockerd import Lockerd
from lossy_proxy import LossyProxy


class WithLock(RecipeCase):
    shell = None

    def setUp(self):
        if shutil.which(self.shell[0]) is None:
            self.skipTest(f"{self.shell[0]} is not installed")
        super().setUp()
        self.script = self.write("with-lock", recipe("with-lock"))
        bin_directory = os.path.join(self.directory, "sh-bin")
        os.mkdir(bin_directory)
        os.symlink(shutil.which(self.shell[0]), os.path.join(bin_directory, "sh"))
        self.environment["PATH"] = f"{bin_directory}:{os.environ['PATH']}"

    def with_lock(self, path, *command, **environment):
        return self.start(*self.shell, self.script, path, *command, **environment)

    def held(self, path):
        return bool(self.client.state(path).holders)

    def test_it_runs_a_command_under_the_lock(self):
        run = self.with_lock("/a/b", "sh", "-c", "echo $LOCKER_PATH $LOCKER_FENCE; curl -s "
                             "$LOCKER_URL/v1/locks/a/b; exit 7")
        self.assertEqual(run.wait(), 7)
        path, fence, state = run.said().split(None, 2)
        self.assertEqual(path, "/a/b")
        self.assertIn(f'"fence": {fence}', state)
        self.assertTrue(self.is_free("/a/b"))

    def test_arguments_and_input_stay_what_they_are(self):
        done = subprocess.run([*self.shell, self.script, "/a", "sh", "-c", 'cat; echo "$1|$2"', "x",
                               "two  words", "*"], input="in\n", capture_output=True, text=True,
                              timeout=PATIENCE, cwd=self.directory,
                              env={**os.environ, **self.environment}, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "in\ntwo  words|*\n"), done.stderr)

    def test_without_an_input(self):
        done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "-", *self.shell, self.script, "/a", "echo",
                               "in"], capture_output=True, text=True, timeout=PATIENCE,
                              cwd=self.directory, env={**os.environ, **self.environment},
                              check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "in\n", ""))

    def test_turns(self):
        self.write("counter", "0\n", executable=False)
        count = self.write("count", "#!/bin/sh\nvalue=$(cat counter); sleep 0.02\n"
                           "echo $((value + 1)) >counter\n")
        for run in [self.with_lock("/counter", count) for _ in range(8)]:
            self.assertEqual(run.wait(), 0, run.said())
        self.assertEqual(self.text_of("counter"), "8\n")

    def test_who_says_200_and_is_no_lock_server_grants_and_renews_nothing(self):
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nWelcome"
        with LossyProxy(self.server.port) as proxy:
            proxy.answers = {b"POST /": page, b"DELETE /": page}
            run = self.with_lock("/a", "touch", "ran", LOCKER_URL=proxy.url)
            self.assertEqual(run.wait(), 75)
            self.assertIn("of no lock server", run.said())
            self.assertFalse(os.path.exists(os.path.join(self.directory, "ran")))
            proxy.answers = {}
            run = self.with_lock("/a", "sh", "-c", "touch ran; exec sleep 1000", LOCKER_TTL="15",
                                 LOCKER_URL=proxy.url)
            wait_until(lambda: os.path.exists(os.path.join(self.directory, "ran")))
            proxy.answers = {b"POST /": page}
            self.assertEqual(run.wait(), 70)
            self.assertIn("of no lock server", run.said())

    def test_the_wait_ends(self):
        with self.client.lock("/a", ttl=LONG, owner="timmy"):
            for wait in ("0", "2"):
                run = self.with_lock("/a", "touch", "ran", LOCKER_WAIT=wait)
                self.assertEqual(run.wait(), 75)
                self.assertEqual(run.said(), "with-lock /a: /a is held by timmy\n")
        run = self.with_lock("/a", "touch", "ran", LOCKER_WAIT="0",
                             LOCKER_URL="http://127.0.0.1:1")
        self.assertEqual(run.wait(), 75)
        self.assertRegex(run.said(), "^with-lock /a: No answer: .*connect.*\n$")
        self.assertFalse(os.path.exists(os.path.join(self.directory, "ran")))

    def test_a_place_that_a_copy_of_the_request_has_taken_is_taken_back(self):
        with LossyProxy(self.server.port) as proxy:
            with self.client.lock("/a", ttl=LONG):
                proxy.duplicate(1, b"POST /v1/locks/a")
                run = self.with_lock("/a", "sh", "-c", "exit 7", LOCKER_URL=proxy.url)
                wait_until(lambda: proxy.copies, "it is not sent twice")
                proxy.copies[0].settimeout(PATIENCE)
                self.assertIn(b"superseded", proxy.copies[0].recv(65536))
            self.assertEqual(run.wait(), 7, run.said())
            self.assertTrue(self.is_free("/a"))

    def test_no_copy_is_left_by_who_has_waited_for_long_enough(self):
        with self.client.lock("/a", ttl=LONG), LossyProxy(self.server.port) as proxy:
            proxy.duplicate(2, b"POST /v1/locks/a")
            run = self.with_lock("/a", "true", LOCKER_URL=proxy.url, LOCKER_WAIT="3")
            self.assertEqual(run.wait(), 75)
            self.assertIn(" is held by ", run.said())
            wait_until(lambda: self.client.status()["waiters"] == 0, "a copy stays in line")

    def test_a_user_without_a_name(self):
        self.write("id", "#!/bin/sh\necho 12345\n[ $1 = -u ]\n")  # as that of GNU does
        run = self.with_lock("/a", "curl", "-s", self.server.url + "/v1/locks/a",
                             PATH=f"{self.directory}:{os.environ['PATH']}")
        self.assertEqual(run.wait(), 0, run.said())
        self.assertIn('"owner": "12345@', run.said())

    def test_what_is_wrong_is_told_at_once(self):
        for path, environment, sentence in (
                ("/a/../b", {}, r" /a/../b: .+\."),
                ("a/b", {}, ": a path begins with a slash: write '/a/b'."),
                ("/a\tb", {}, ": to curl '.*/a\tb' is no URL: .*"),
                ("/a", {"LOCKER_URL": "banana"}, ": LOCKER_URL is 'banana': write .*"),
                ("/a", {"LOCKER_URL": "http://one two"}, ": to curl 'http://one two/.*"),
                ("/a", {"LOCKER_WAIT": "5m"}, ": LOCKER_WAIT is '5m': write whole seconds, .*"),
                ("/a", {"LOCKER_WAIT": "08"}, ": LOCKER_WAIT is '08': .*"),
                ("/a", {"LOCKER_WAIT": "9" * 20}, ": LOCKER_WAIT is '9*': .*"),
                ("/a", {"LOCKER_TTL": "-30"}, ": LOCKER_TTL is '-30': .*"),
                ("/a", {"LOCKER_TTL": "14s"}, ": LOCKER_TTL is 14: write at least 15, .*"),
                ("/a", {"LOCKER_TTL": "99999999"}, " /a: Parameter 'ttl' must be .*")):
            run = self.with_lock(path, "touch", "ran", **environment)
            self.assertEqual(run.wait(), 64, run.said())
            self.assertRegex(run.said(), rf"^with-lock{sentence}\n$")
        run = self.start(*self.shell, self.script, "/a")
        self.assertEqual((run.wait(), run.said()),
                         (64, "with-lock: write with-lock PATH COMMAND…\n"))
        self.assertFalse(os.path.exists(os.path.join(self.directory, "ran")))

    def test_what_stands_in_no_url_is_escaped(self):
        run = self.with_lock("/a b?c#d", "sh", "-c",
                             "echo $LOCKER_PATH; curl -s $LOCKER_URL/v1/locks")
        self.assertEqual(run.wait(), 0, run.said())
        self.assertRegex(run.said(), r'(?s)^/a b\?c#d\n.*"path": "/a%20b%3Fc%23d"')

    def test_seconds_may_have_their_unit_and_a_url_a_slash_at_its_end(self):
        run = self.with_lock("/a", "curl", "-s", self.server.url + "/v1/locks/a", LOCKER_TTL="59s",
                             LOCKER_WAIT="0s", LOCKER_URL=self.server.url + "/")
        self.assertEqual(run.wait(), 0, run.said())
        self.assertIn('"ttl_ms": 59000', run.said())

    def test_lost_by_force_ends_all_that_was_started(self):
        run = self.with_lock("/f", "sh", "-c", "trap '' TERM; sleep 1000 & echo $! >child; "
                             "trap 'touch asked' TERM; echo $$ >command; "
                             "while :; do sleep 1; done", LOCKER_TTL="60")
        pids = [self.pid_in("child"), self.pid_in("command")]
        self.client.force("/f", reason="maintenance")
        self.assertEqual(run.wait(), 70)
        asked = os.stat(os.path.join(self.directory, "asked")).st_mtime
        self.assertLess(time.time() - asked, 12, "others have the lock")
        self.assertRegex(run.said(), "with-lock /f: lost, and the command was ended. An admin")
        for pid in pids:
            wait_until(lambda: not self.is_alive(pid), "something of it lives on")

    def test_what_has_no_lease_and_is_no_lock_server_ends_nothing(self):
        page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 21\r\n\r\ndefault backend - 404"
        renewal = b"POST /v1/leases/renew"
        with LossyProxy(self.server.port) as proxy:
            run = self.with_lock("/a", "sh", "-c", "echo $$ >command; "
                                 "until [ -e enough ]; do sleep 0.1; done; exit 7",
                                 LOCKER_TTL="15", LOCKER_URL=proxy.url)
            self.pid_in("command")
            proxy.answers = {renewal: page}
            count = proxy.seen.count(renewal)
            wait_until(lambda: proxy.seen.count(renewal) > count, "it is not renewed")
            proxy.answers = {}
            wait_until(lambda: proxy.seen.count(renewal) > count + 1, "it is not renewed again")
            self.write("enough", "", executable=False)
            self.assertEqual(run.wait(), 7, run.said())

    def test_a_signal_ends_the_command_and_gives_the_lock_back(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            run = self.with_lock("/t", "sh", "-c", "echo $$ >command; exec sleep 1000")
            pid = self.pid_in("command")
            os.kill(run.process.pid, number)
            by_key = number == signal.SIGINT
            self.assertEqual(run.wait(), -signal.SIGINT if by_key else 128 + signal.SIGTERM)
            self.assertFalse(self.is_alive(pid))
            self.assertTrue(self.is_free("/t"))
            os.unlink(os.path.join(self.directory, "command"))

    def children_of(self, run):
        """The command and who renews, once each is in a session of its own."""
        children = []

        def have_begun():
            pid = run.process.pid
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                children[:] = [int(child) for child in file.read().split()]
            return len(children) == 2 and all(os.getsid(child) == child for child in children)

        wait_until(have_begun, "who renews does not begin")
        return children

    def await_renewal(self, path):
        seen = []

        def is_renewed():
            holders = self.client.state(path).holders
            self.assertTrue(holders, f"the lease of {path} has ended")
            seen.append(holders[0].expires_in)
            return seen[-1] > min(seen) + 1

        wait_until(is_renewed, "nobody renews it")

    def test_a_signal_to_all_of_its_group_leaves_the_command_its_lock(self):
        """As from `timeout`, a terminal that is closed, its keys, and `kill -9 -PGID`."""
        numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP,
                   signal.SIGSTOP, signal.SIGKILL)
        runs = []
        for number in numbers:
            run = self.with_lock(f"/g/{number.name}", "sh", "-c", "trap '' TERM; echo $$ "
                                 f">{number.name}; while :; do sleep 1; done", LOCKER_TTL="15")
            runs.append((run, self.pid_in(number.name)))
        for run, _ in runs:
            self.children_of(run)
        for number, (run, _) in zip(numbers, runs):
            os.killpg(run.process.pid, number)
        for number, (run, pid) in zip(numbers, runs):
            self.await_renewal(f"/g/{number.name}")
            self.assertTrue(self.is_alive(pid))
            self.kill(pid)
            if number not in (signal.SIGQUIT, signal.SIGKILL):
                os.killpg(run.process.pid, signal.SIGCONT)
                run.wait()
                self.assertTrue(self.is_free(f"/g/{number.name}"))

    def test_a_signal_to_each_of_its_processes_leaves_the_command_its_lock(self):
        """As systemd ends a service."""
        run = self.with_lock("/c", "sh", "-c", "trap '' TERM; echo $$ >command; "
                             "while :; do sleep 1; done", LOCKER_TTL="15")
        pid = self.pid_in("command")
        children = self.children_of(run)
        for each in (run.process.pid, *children):
            os.kill(each, signal.SIGTERM)
        self.await_renewal("/c")
        self.kill(pid)
        self.assertEqual(run.wait(), 128 + signal.SIGKILL)
        for child in children:
            self.assertFalse(self.is_alive(child))
        self.assertTrue(self.is_free("/c"))

    @unittest.skipUnless(shutil.which("bash"), "needs bash")
    def test_the_interrupt_key_ends_the_script_around_it(self):
        script = f"{' '.join(self.shell)} {self.script} /t sh -c 'echo >begun; exec sleep 1000'; echo >next"

        def interrupt(begins):
            run = self.start("bash", "-c", script)
            wait_until(begins, "it does not begin")
            os.killpg(run.process.pid, signal.SIGINT)
            self.assertEqual(run.wait(), -signal.SIGINT)
            self.assertEqual(self.text_of("next"), "")
            wait_until(lambda: self.client.state("/t").waiter_count == 0)
        interrupt(lambda: self.text_of("begun"))
        self.assertTrue(self.is_free("/t"))
        with self.client.lock("/t", ttl=LONG):
            interrupt(lambda: self.client.state("/t").waiter_count == 1)

    def test_a_signal_while_waiting_leaves_the_line(self):
        with self.client.lock("/t", ttl=LONG):
            run = self.with_lock("/t", "touch", "ran")
            self.wait_in_line("/t")
            os.killpg(run.process.pid, signal.SIGINT)  # as Ctrl-C does
            self.assertEqual(run.wait(), -signal.SIGINT)
            run = self.with_lock("/t", "touch", "ran")
            wait_until(lambda: self.client.state("/t").waiter_count == 1)
            began = time.monotonic()
            run.process.terminate()  # the shell alone, as CI systems do
            self.assertEqual(run.wait(), 143)
            self.assertLess(time.monotonic() - began, 8)
            wait_until(lambda: self.client.state("/t").waiter_count == 0)
        self.assertTrue(self.is_free("/t"))

    def test_the_server_is_killed_while_it_holds_and_while_it_waits(self):
        holding = self.with_lock("/s", "sh", "-c", "while ! [ -e stop ]; do sleep 0.1; done",
                                 LOCKER_TTL=str(LONG))
        wait_until(lambda: self.held("/s"))
        waiting = self.with_lock("/s", "true")
        self.wait_in_line("/s")
        for _ in range(2):
            self.restart()
            self.wait_in_line("/s")
            self.assertTrue(self.held("/s"))
        self.write("stop", "")
        self.assertEqual(holding.wait(), 0, holding.said())
        self.assertEqual(waiting.wait(), 0, waiting.said())
        self.assertEqual(list(self.client.locks()), [])

    def test_it_says_once_that_the_server_is_away(self):
        self.server.kill()
        run = self.with_lock("/a", "true")
        wait_until(lambda: "trying again" in run.said())
        self.restart()
        self.assertEqual(run.wait(), 0, run.said())
        self.assertRegex(run.said(), r"^with-lock /a: No answer: .*connect.* \(trying again\)\n$")

    def test_a_key_is_sent(self):
        keys = os.path.join(self.directory, "keys")
        key = new_key("ci", "lock /a", file=keys)[0]
        self.server.kill()
        self.server = Lockerd(self.store, "--keys", keys, port=self.server.port)
        refused = self.with_lock("/a", "true")
        self.assertEqual(refused.wait(), 75)
        self.assertIn("key", refused.said())
        run = self.with_lock("/a", "echo", "in", LOCKER_KEY=key)
        self.assertEqual((run.wait(), run.said()), (0, "in\n"))

    def test_it_leaves_nothing_behind(self):
        temporary = os.path.join(self.directory, "temporary")
        os.mkdir(temporary)
        done = subprocess.run([*self.shell, self.script, "/a", "echo", "done"], cwd=self.directory,
                              env={**os.environ, **self.environment, "TMPDIR": temporary},
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        # It returned: nothing holds the pipe any more.
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "done\n", ""))
        self.assertEqual(os.listdir(temporary), [])

    def test_it_leaves_nothing_behind_when_it_is_ended_at_its_beginning(self):
        temporary = os.path.join(self.directory, "temporary")
        os.mkdir(temporary)
        self.write("mktemp", f'#!/bin/sh\n{shutil.which("mktemp")} "$@"; kill -s TERM $PPID\n')
        run = self.with_lock("/a", "true", TMPDIR=temporary,
                             PATH=f"{self.directory}:{self.environment['PATH']}")
        self.assertEqual(abs(run.wait()) % 128, signal.SIGTERM, run.said())
        self.assertEqual(os.listdir(temporary), [])

    def test_the_token_is_in_no_command_line(self):
        with LossyProxy(self.server.port) as proxy:
            with self.client.lock("/w", ttl=LONG):
                run = self.with_lock("/w", "true", LOCKER_URL=proxy.url)
                self.wait_in_line("/w")
                lines = []
                for pid in filter(str.isdigit, os.listdir("/proc")):
                    try:
                        with open(f"/proc/{pid}/cmdline", "rb") as file:
                            lines.append(file.read())
                    except OSError:
                        pass
                self.assertTrue(any(b"/v1/locks/w" in line for line in lines), "nobody asks")
            run.wait()
            (token,) = set(re.findall(rb"Lock-Token: (\S+)\r\n", proxy.seen))
            self.assertFalse(any(token in line for line in lines))


class Sh(WithLock):
    shell = ["sh"]

    # These take long, and what they look at does not depend on the shell.

    def test_kill_9_of_with_lock_leaves_the_command_its_lock(self):
        run = self.with_lock("/k", "sh", "-c", "echo $$ >command; exec sleep 1000")
        pid = self.pid_in("command")
        self.children_of(run)
        os.kill(run.process.pid, signal.SIGKILL)
        run.wait()
        self.await_renewal("/k")
        self.kill(pid)
        self.client.acquire("/k")  # by the end of its TTL: the keeper has ended, too

    def test_it_says_once_for_whom_it_waits(self):
        with self.client.lock("/a", ttl=LONG, owner="timmy"):
            run = self.with_lock("/a", "true", LOCKER_WAIT="21")
            self.assertEqual(run.wait(), 75)
        self.assertEqual(run.said(), "with-lock /a: /a is held by timmy (waiting)\n"
                         "with-lock /a: /a is held by timmy\n")

    def test_time_in_which_the_machine_was_suspended_counts(self):
        """The clock of `sleep` stands still then: here for three quarters of the time."""
        os.mkdir(os.path.join(self.directory, "bin"))
        self.write("bin/sleep", "#!/bin/sh\n"
                   f'exec {shutil.which("sleep")} $(($1 * 4))\n')
        os.mkfifo(os.path.join(self.directory, "fifo"))
        run = self.with_lock("/s", "sh", "-c", "echo $$ >command; cat fifo", LOCKER_TTL="30",
                             PATH=f'{os.path.join(self.directory, "bin")}:{os.environ["PATH"]}')
        self.pid_in("command")
        time.sleep(33)
        self.assertTrue(self.held("/s"), "its lease has ended")
        run.process.terminate()
        run.wait()

    def test_a_machine_that_was_suspended_before_the_first_renewal_ends_the_command(self):
        os.mkdir(os.path.join(self.directory, "bin"))
        self.write("bin/sleep", f'#!/bin/sh\nexec {shutil.which("sleep")} $(($1 * 12))\n')
        run = self.with_lock("/s", "sh", "-c", "echo $$ >command; while :; do :; done",
                             LOCKER_TTL="15",
                             PATH=f'{os.path.join(self.directory, "bin")}:{os.environ["PATH"]}')
        pid = self.pid_in("command")
        self.assertEqual(run.wait(), 70)
        self.assertIn("lost, and the command was ended", run.said())
        self.assertFalse(self.is_alive(pid))

    def test_a_server_that_stays_away_ends_the_command_before_others_have_the_lock(self):
        # The machine may be too slow for that, which is no fault of the recipe: once is enough.
        for attempt in range(5):
            if self.cut_off(attempt):
                return
        self.fail("each time the command lived when another had the lock")

    def cut_off(self, attempt):
        name = f"command-{attempt}"
        with LossyProxy(self.server.port) as proxy:
            run = self.with_lock(
                f"/away/{attempt}", "sh", "-c",
                f"trap '' TERM; echo $$ >{name}; while :; do sleep 0.1; done", LOCKER_TTL="15",
                LOCKER_URL=proxy.url)
            pid = self.pid_in(name)
        grant = self.client.acquire(f"/away/{attempt}", ttl=LONG)
        is_right = not self.is_alive(pid)
        self.assertEqual(run.wait(), 70)
        self.assertFalse(self.is_alive(pid))
        self.client.release(grant.token)
        return is_right


class Bash(WithLock):
    shell = ["bash"]


class Busybox(WithLock):
    shell = ["busybox", "sh"]


del WithLock  # it is no test by itself


if __name__ == "__main__":
    unittest.main()
