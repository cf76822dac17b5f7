"""`locker top`: on a terminal, and without one."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest
import urllib.error
import urllib.request

from command_case import LOCKER, LONG, CommandCase


class TopCase(CommandCase):
    def hold(self, path, owner, *options):
        return self.locker("acquire", "--owner", owner, *options, path).strip()

    def wait_for(self, path, owner):
        before = self.state(path)["waiter_count"]
        process = self.start("acquire", "--owner", owner, "--wait", "1h", path)
        self.eventually(lambda: self.state(path)["waiter_count"] == before + 1, "it waits")
        return process


class OnceTest(TopCase):
    def test_nothing(self):
        out = self.locker("top")
        self.assertIn(f"at {self.server.url}, durability always\n0 locks held", out)
        self.assertIn("Nobody waits.\n\nNothing is held.\n", out)

    def test_who_waits_for_whom(self):
        self.hold("/old", "first", "--meta", "m" * 100)
        self.hold("/a/b", "holder")
        for owner in ("one", "two"):
            self.wait_for("/a", owner)
        self.wait_for("/old", "three")
        out = self.locker("top", "--once")
        self.assertIn("2 locks held by 2 leases, 3 requests wait\n", out)
        rows = [line.split() for line in out.splitlines()]
        queues = rows.index("WAITED FOR IN LINE LONGEST FIRST HELD BY AT SINCE EXPIRES".split())
        self.assertEqual([rows[queues + 1][i] for i in (0, 1, 3, 4, 5)],
                         ["/a", "2", "one", "holder", "/a/b"])
        self.assertEqual([rows[queues + 2][i] for i in (0, 1, 3, 4)], ["/old", "1", "three", "first"])
        oldest = rows.index("HELD LONGEST OWNER MODE SINCE EXPIRES META".split())
        self.assertEqual([rows[oldest + 1][i] for i in (0, 1, 5)], ["/old", "first", "m" * 39 + "…"])
        self.assertEqual(rows[oldest + 2][:2], ["/a/b", "holder"])

    def test_who_waits_no_more_is_counted_and_explained(self):
        self.hold("/a", "holder")
        token = "0d1b7a52-6f0c-4c5e-9a57-2f1f3f1f7c11"  # chosen by the client, which may reuse it
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{self.server.url}/v1/locks/a?wait=100ms&token={token}", b"")
        self.assertEqual(refused.exception.code, 423)
        out = self.locker("top", "--once")
        self.assertIn(", 1 requests wait\n", out)
        self.assertIn("Nobody is in line now; a client that left keeps its place for 15 s.\n", out)

    def test_what_owners_say_cannot_command_the_terminal(self):
        self.hold("/x", "\u202eevil")
        self.assertNotIn("\x1b", self.locker("top"))

    def test_without_a_server(self):
        self.server.kill()
        self.locker("top", code=69)

    def test_options(self):
        self.locker("top", "--interval", "1ms", code=64)
        self.locker("top", "--interval", "soon", code=64)


class TerminalTest(TopCase):
    def setUp(self):
        super().setUp()
        self.main, self.other = pty.openpty()
        self.addCleanup(os.close, self.main)
        self.addCleanup(os.close, self.other)
        self.size(24, 80)
        self.before = termios.tcgetattr(self.other)
        self.seen = ""

    def size(self, rows, columns):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def top(self, *options):
        process = subprocess.Popen(
            [LOCKER, "top", "--interval", "200ms", *options], env=self.environment,
            stdin=self.other, stdout=self.other, stderr=self.other, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(self._end, process)
        return process

    def read(self):
        while select.select([self.main], [], [], 0)[0]:
            self.seen += os.read(self.main, 65536).decode(errors="replace")
        return self.seen

    def await_text(self, text):
        self.eventually(lambda: text in self.read(), f"{text!r} in {self.seen!r}")

    def await_end(self, process, code=0):
        until = time.monotonic() + LONG
        while process.poll() is None:
            self.assertLess(time.monotonic(), until, "it does not end")
            self.read()
            time.sleep(0.02)
        self.assertEqual(process.returncode, code)
        self.assertEqual(termios.tcgetattr(self.other), self.before)
        self.assertTrue(os.get_blocking(self.other), "others could not read it")
        self.assertTrue(self.read().endswith("\x1b[?25h\x1b[?1049l"), repr(self.seen[-200:]))

    def press(self, keys):
        os.write(self.main, keys.encode())

    def test_it_is_live_and_ends_by_q(self):
        process = self.top()
        self.await_text("Nothing is held.")
        self.hold("/a", "somebody")
        self.await_text("somebody")
        self.await_text("changes a second")
        self.press("xq")
        self.await_end(process)

    def test_signals_give_the_terminal_back(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            process = self.top()
            self.await_text("Nothing is held.")
            process.send_signal(number)
            self.await_end(process)
            self.seen = ""

    def test_control_c(self):
        process = self.top()
        self.await_text("Nothing is held.")
        self.press("\x03")
        self.await_end(process)

    def test_control_z_and_back(self):
        process = self.top()
        self.await_text("Nothing is held.")
        process.send_signal(signal.SIGTSTP)
        self.eventually(lambda: self.read().endswith("\x1b[?1049l"), "the terminal is given back")
        self.eventually(lambda: " T " in self.stat(process), "it stops")
        self.assertEqual(termios.tcgetattr(self.other), self.before)
        process.send_signal(signal.SIGCONT)
        self.eventually(lambda: self.read().rpartition("\x1b[?1049h")[2].count("Nothing is held."),
                        "it goes on")
        self.press("q")
        self.await_end(process)

    @staticmethod
    def stat(process):
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            return file.read()

    def test_a_terminal_that_is_slow_or_stopped(self):
        self.size(50, 160)
        for i in range(50):
            self.hold(f"/{i}/" + "long" * 20, "somebody")
        process = self.top()
        self.await_text("HELD LONGEST")
        time.sleep(2)  # nothing reads, so the terminal is full
        process.send_signal(signal.SIGWINCH)
        time.sleep(0.5)
        self.assertIsNone(process.poll())
        self.press("q")
        self.await_end(process)

    def test_lines_fit(self):
        self.size(10, 40)
        self.hold("/" + "long" * 30, "somebody")
        for i in range(20):
            self.hold(f"/{i}", "somebody")
        process = self.top()
        self.await_text("HELD LONGEST")
        self.press("q")
        self.await_end(process)
        picture = self.seen.split("\x1b[H")[1].split("\x1b[J")[0]
        lines = re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", picture).split("\r\n")
        self.assertLessEqual(len(lines), 10)
        self.assertLessEqual(max(len(line) for line in lines), 40)

    def test_a_server_that_goes_and_comes_back(self):
        process = self.top()
        self.await_text("Nothing is held.")
        port = self.server.port
        self.server.kill()
        self.await_text("No answer from the lock server")
        self.seen = ""
        self.assertIsNone(process.poll())
        self.restart()
        self.assertEqual(self.server.port, port)
        self.eventually(lambda: "No answer" not in self.read().rpartition("\x1b[H")[2] and
                        "Nothing is held." in self.seen.rpartition("\x1b[H")[2], "it is there again")
        self.press("q")
        self.await_end(process)


if __name__ == "__main__":
    unittest.main()
