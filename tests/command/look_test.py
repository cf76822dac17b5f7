"""The read-only commands of `locker`, and those for scripts."""

import http.server
import json
import os
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest
import uuid

from command_case import LOCKER, LONG, CommandCase


COMPLETION = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "client",
                          "completion")


class ScriptTest(CommandCase):
    def test_acquire_renew_release(self):
        token = self.locker("acquire", "--ttl", "1m", "/a", "/b").strip()
        self.assertFalse(self.is_free("/a"))
        self.locker("renew", "--token", token, "--ttl", "2m")
        (lock,) = self.json_lines("ls", "--json", "/a")
        self.assertEqual(lock["ttl_ms"], 120_000)
        self.locker("release", "--token", token, "/a")
        self.assertTrue(self.is_free("/a"))
        self.assertFalse(self.is_free("/b"))
        self.environment["LOCKER_TOKEN"] = token
        self.locker("release")
        self.locker("release")
        self.assertTrue(self.is_free("/b"))
        self.locker("renew", code=70)

    def test_what_was_lost_does_not_keep_the_other_paths_from_being_released(self):
        token = self.locker("acquire", "/a", "/b").strip()
        self.force("/a", "maintenance now")
        self.locker("release", "--token", token, "/a", "/b", code=70)
        self.assertIn("maintenance now", self.said)
        self.assertTrue(self.is_free("/b"))

    def test_export_is_for_a_shell(self):
        exports = self.locker("acquire", "--export", "/it's here", "/b")
        out = subprocess.run(["sh", "-c", f"{exports}\necho $LOCKER_PATH"], text=True, check=True,
                             capture_output=True).stdout
        self.assertEqual(out, "/it%27s%20here /b\n")

    def test_who_keeps_a_lease_waits_for_a_server_that_is_being_restarted(self):
        token = self.locker("acquire", "--ttl", "9s", "/a").strip()
        self.server.kill()
        keeper = self.start("renew", "--token", token, "--keep")
        time.sleep(0.5)
        self.restart()
        time.sleep(10)
        self.assertIsNone(keeper.poll())
        self.assertFalse(self.is_free("/a"))

    def test_who_keeps_a_lease_goes_on_as_long_as_it_lives(self):
        token = self.locker("acquire", "--ttl", "12s", "/a").strip()
        keeper = self.start("renew", "--token", token, "--keep", "--json")
        keeper.stdout.readline()  # the first renewal
        self.server.process.send_signal(signal.SIGSTOP)
        time.sleep(9)  # more than two thirds, after which `run` would end its command
        self.server.process.send_signal(signal.SIGCONT)
        self.eventually(lambda: self.state("/a")["holders"][0]["expires_in_ms"] > 6_000, "renewal")
        self.assertIsNone(keeper.poll())

    def test_who_joins_or_ends_a_lease_waits_for_a_server_that_is_being_restarted(self):
        token = self.locker("acquire", "--ttl", "1m", "/a").strip()
        for arguments in (["acquire", "--token", token, "/b"], ["release", "--token", token]):
            self.server.kill()
            asking = self.start(*arguments)
            time.sleep(0.5)
            self.restart()
            said = asking.communicate(timeout=LONG)[1]
            self.assertEqual(asking.returncode, 0, said)
        self.assertTrue(self.is_free("/a") and self.is_free("/b"))

    def test_that_nobody_reads_what_it_says_keeps_nobody_from_trying_again(self):
        token = self.locker("acquire", "--ttl", "1m", "/a").strip()
        read, unread = os.pipe()
        os.close(read)
        self.addCleanup(os.close, unread)

        def start_without_server(*arguments):
            self.server.kill()
            asking = self.start(*arguments, "--token", token, stderr=unread)
            with socket.create_server(("127.0.0.1", self.server.port)) as away:
                away.settimeout(LONG)
                for _ in range(2):  # after the first failure it prints that it retries
                    away.accept()[0].close()
            self.restart()
            return asking

        keeper = start_without_server("renew", "--ttl", "2m", "--keep")
        self.eventually(lambda: self.state("/a")["holders"][0]["expires_in_ms"] > 60_000)
        self.assertIsNone(keeper.poll())
        keeper.kill()
        self.assertEqual(start_without_server("release").wait(LONG), 0)
        self.assertTrue(self.is_free("/a"))

    def test_what_is_given_back_waits_for_room_on_the_disk(self):
        asked = []

        class Full(http.server.BaseHTTPRequestHandler):
            def do_DELETE(self):
                asked.append(self.path)
                status, body = (507, b'{"error": "disk_full", "message": "No room."}') if (
                    len(asked) < 3) else (200, b'{"released": 1}')
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Full) as full:
            threading.Thread(target=full.serve_forever, daemon=True).start()
            self.locker("release", "--url", f"http://127.0.0.1:{full.server_port}",
                        "--token", "1e0e9a0c-6e0c-4b62-a5f0-6d3c5b9f3a55", "/a")
            full.shutdown()
        self.assertEqual(asked, ["/v1/locks/a"] * 3)
        self.assertIn("No room. Trying again.", self.said)

    def test_acquire_as_json(self):
        grant = json.loads(self.locker("acquire", "--json", "--ttl", "5s", "--owner", "x", "/a"))
        self.assertEqual((grant["paths"], grant["owner"], grant["ttl_ms"]), (["/a"], "x", 5000))

    def test_a_lock_joins_a_lease(self):
        token = self.locker("acquire", "/a").strip()
        self.assertEqual(self.locker("acquire", "--token", token, "/b").strip(), token)
        self.locker("release", "--token", token)
        self.assertTrue(self.is_free("/a") and self.is_free("/b"))

    def test_nothing_joins_a_lease_that_is_not_there(self):
        """The server would open a lease without a TTL and without an owner."""
        unknown = str(uuid.uuid4())
        self.locker("acquire", "--token", unknown, "/a", code=70)
        self.assertIn("No lease has this token", self.said)
        token = self.locker("acquire", "/a").strip()
        self.locker("release", "--token", token)
        self.assertEqual(
            self.locker("acquire", "--token", token, "--export", "/b", code=70), "false\n")
        self.assertTrue(self.is_free("/a") and self.is_free("/b"))

    def test_a_token_that_cannot_be_printed_holds_nothing(self):
        for name in ("/dev/full", self.file("limited")):
            with self.subTest(name), open(name, "wb") as out:
                acquiring = self.start("acquire", "--ttl", "10m", "/a", stdout=out,
                                       preexec_fn=lambda: resource.setrlimit(
                                           resource.RLIMIT_FSIZE, (0, 0)))
                self.assertIn("the lock is released", acquiring.communicate(timeout=LONG)[1])
                self.assertEqual(acquiring.returncode, 74)
                self.assertTrue(self.is_free("/a"))

    def test_output_that_cannot_be_written_is_no_success(self):
        token = self.locker("acquire", "/a").strip()
        for arguments in (["--version"], ["--help"], ["ls", "--help"], ["ls"], ["status"],
                          ["renew", "--token", token, "--json"]):
            with open("/dev/full", "wb") as full:
                asked = self.start(*arguments, stdout=full)
            asked.communicate(timeout=LONG)
            self.assertEqual(asked.returncode, 74, arguments)
        self.assertIn("74 output not written", self.locker("--help"))

    def test_json_and_export_are_one_too_many(self):
        self.locker("acquire", "--json", "--export", "/a", code=64)
        self.assertTrue(self.is_free("/a"))

    def test_an_empty_value_is_not_taken_for_none(self):
        """Such as an unset variable: it would end others' locks, or those of an enclosing lease."""
        self.environment["LOCKER_TOKEN"] = self.locker("acquire", "/a").strip()
        owner = self.state("/a")["holders"][0]["owner"]
        force = ["force", "--yes", "--reason", "x"]
        for arguments in (["release", "--token", ""], ["renew", "--token", ""],
                          ["renew", "--token", "", "--keep"], ["renew", "--ttl", ""],
                          *(["acquire", option, "", "/b"]
                            for option in ("--token", "--ttl", "--wait", "--lock-delay")),
                          *(["run", option, "", "/b", "--", "true"]
                            for option in ("--ttl", "--wait", "--lock-delay")),
                          [*force, "--fence", "", "/a"], [*force, "--owner", owner, "--fence", ""],
                          [*force, "--owner", owner, "--prefix", ""],
                          [*force, "--prefix", "/", "--owner", ""]):
            with self.subTest(arguments):
                self.locker(*arguments, code=64)
                self.assertRegex(self.said, "^locker: --[a-z-]+ is empty, ")
                self.assertFalse(self.is_free("/a"))
                self.assertTrue(self.is_free("/b"))

    def test_text_that_is_not_utf_8_is_named(self):
        for option in ("--owner", "--meta"):
            for arguments in (["acquire", option, b"a\xff", "/a"],
                              ["run", option, b"a\xff", "/a", "--", "true"]):
                self.locker(*arguments, code=64)
                self.assertEqual(self.said, f"locker: {option} must be valid UTF-8.\n")

    def test_an_empty_path_is_not_the_whole_tree(self):
        for arguments in (("show", ""), ("acquire", ""), ("force", "--yes", "")):
            self.locker(*arguments, code=64)
            self.assertIn("empty", self.said)
        self.assertTrue(self.is_free("/"))

    def test_export_fails_for_the_shell_too(self):
        self.locker("acquire", "/a")
        self.assertEqual(self.locker("acquire", "--export", "--wait", "0", "/a", code=75), "false\n")

    def test_a_key_is_one_word(self):
        self.environment["LOCKER_KEY"] = "secret\n"
        self.locker("ls")
        self.environment["LOCKER_KEY"] = "secret\nX-Other: field"
        self.locker("ls", code=64)
        self.assertIn("API key", self.said)

    def test_a_directory_is_no_config_file(self):
        self.environment["LOCKER_CLIENT_CONFIG"] = self.directory.name
        self.locker("ls", code=64)
        self.assertIn("cannot be read", self.said)

    def test_renew_keep_ends_with_the_process_that_wants_it(self):
        token = self.locker("acquire", "--ttl", "6s", "/a").strip()
        script = subprocess.Popen(["sleep", "1000"])
        keeping = self.start("renew", "--token", token, "--keep", "--while", str(script.pid))
        time.sleep(7)
        self.assertFalse(self.is_free("/a"))
        script.kill()
        script.wait()
        self.assertEqual(keeping.wait(LONG), 0)
        self.eventually(lambda: self.is_free("/a"))
        self.locker("renew", "--token", token, "--while", "1", code=64)

    def test_renew_keep_ends_with_a_process_that_nobody_asks_for(self):
        token = self.locker("acquire", "--ttl", "1m", "/a").strip()
        script = subprocess.Popen(["sleep", "1000"])
        keeping = self.start("renew", "--token", token, "--keep", "--while", str(script.pid))
        script.kill()  # and leaves a zombie
        self.assertEqual(keeping.wait(LONG), 0)
        script.wait()

    def test_renew_keep_notices_the_loss(self):
        token = self.locker("acquire", "--ttl", "2s", "/a").strip()
        keeping = self.start("renew", "--token", token, "--keep")
        self.force("/a", "enough")
        self.assertIn("enough", keeping.communicate(timeout=LONG)[1])
        self.assertEqual(keeping.returncode, 70)

    def test_without_a_token(self):
        self.locker("release", code=64)
        self.locker("renew", code=64)


class LookTest(CommandCase):
    def acquire(self, path, *options):
        return self.locker("acquire", "--owner", "somebody", *options, path).strip()

    def test_the_tree(self):
        self.acquire("/a/b/c")
        self.acquire("/a/b/d", "--shared", "--meta", "because")
        self.acquire("/e")
        lines = self.locker("ls").splitlines()
        self.assertEqual([line.split("  [")[0] for line in lines], ["/a/b", "  /c", "  /d", "/e"])
        self.assertRegex(lines[1], r"\[somebody, \d\.\ds, expires in \d+s\]")
        self.assertRegex(lines[2], r"\[somebody, shared, .*: because\]")
        self.assertEqual(len(self.locker("ls", "/a/b").splitlines()), 3)
        self.assertEqual(self.locker("ls", "/nothing"), "")

    def test_the_root_too(self):
        self.acquire("/")
        self.assertRegex(self.locker("ls"), r"^/  \[somebody, ")

    def test_table_and_json(self):
        self.acquire("/a")
        header, line = self.locker("ls", "--table").splitlines()
        self.assertEqual(header.split()[:2], ["PATH", "OWNER"])
        self.assertEqual(line.split()[:3], ["/a", "somebody", "exclusive"])
        self.assertEqual(header.index("OWNER"), line.index("somebody"))
        self.assertEqual([lock["path"] for lock in self.json_lines("ls", "--json")], ["/a"])

    def test_many_pages(self):
        token = self.acquire("/p/0")
        for first in range(1, 2_500, 250):
            self.acquire_many(token, [f"/p/{n}" for n in range(first, first + 250)])
        self.assertEqual(len(self.json_lines("ls", "--json")), 2_501)

    def acquire_many(self, token, paths):
        self.locker("acquire", "--token", token, *paths)

    def test_by_owner_and_state(self):
        self.acquire("/a")
        self.locker("acquire", "--owner", "other", "/b")
        self.assertEqual([lock["path"] for lock in self.json_lines("ls", "--json", "--owner",
                                                                   "other")], ["/b"])
        waiting = self.start("acquire", "--owner", "third", "/a")
        self.eventually(lambda: "third, waiting for" in self.locker("ls", "--state", "waiting"))
        waiting.kill()

    def test_show(self):
        self.acquire("/a/b")
        self.assertIn("/c is free", self.locker("show", "/c"))
        self.assertRegex(self.locker("show", "/a/b"), r"/a/b is taken\nheld by\n.*\n  /a/b  somebody ")
        self.assertRegex(self.locker("show", "/a"), r"in its way\n.*\n  /a/b  somebody ")
        self.assertEqual(json.loads(self.locker("show", "--json", "/a/b"))["path"], "/a/b")
        waiting = self.start("acquire", "--owner", "third", "/a/b")
        self.eventually(lambda: "1 waiting for it" in self.locker("show", "/a/b"))
        waiting.kill()

    def test_show_says_how_many_it_does_not_show(self):
        for _ in range(103):
            self.acquire("/sh", "--shared", "--ttl", "1h")
        self.assertIn("  … and 3 more\n", self.locker("show", "/sh"))
        self.assertRegex(self.locker("show", "/sh/below"), r"in its way\n(.*\n)*  … and 3 more\n$")
        self.acquire("/b")
        self.assertNotIn("…", self.locker("show", "/b"))

    def test_a_place_that_is_only_kept_is_marked(self):
        self.acquire("/a")
        waiting = self.start("acquire", "--owner", "third", "/a")
        self.eventually(lambda: "third, waiting for" in self.locker("ls", "--state", "waiting"))
        waiting.kill()  # without telling the server, which keeps its place for a while
        self.eventually(lambda: "third, place kept for" in self.locker("ls", "--state", "waiting"))
        self.assertRegex(self.locker("ls", "--table", "--state", "waiting"), r"/a +\S+ +exclusive +kept ")

    def test_status(self):
        self.assertRegex(self.locker("status"), r"ready +yes\n")
        self.assertEqual(json.loads(self.locker("status", "--json"))["durability"], "always")
        self.server.kill()
        self.locker("status", code=69)

    def test_force_wants_a_reason_and_something_to_end(self):
        self.acquire("/a")
        self.locker("force", "/a", code=64)
        self.locker("force", "--reason", "x", code=64)
        self.locker("force", "--reason", "x", "--fence", "1", "/a", code=1)
        self.assertFalse(self.is_free("/a"))
        self.assertEqual(self.locker("force", "--reason", "x", "--owner", "somebody"), "ended 1\n")
        self.assertTrue(self.is_free("/a"))

    def test_force_ends_who_waits(self):
        self.acquire("/a")
        waiting = self.start("acquire", "--wait", "60s", "/a")
        self.eventually(lambda: self.state("/a")["waiter_count"] == 1)
        self.assertEqual(self.locker("force", "--reason", "x", "--waiting", "--prefix", "/"), "ended 2\n")
        self.assertNotEqual(waiting.wait(LONG), 0)
        self.assertTrue(self.is_free("/a"))

    def test_force_asks_on_a_terminal(self):
        self.acquire("/a", "--meta", "the reason", "--wait", "0")
        for path, answer, code, question in (("/a", "n", 1, "End this lock? [y/N]"),
                                             ("/b", "y", 1, "No such lock is held."),
                                             ("//a/", "y", 0, "End this lock? [y/N]")):
            main, other = pty.openpty()
            with subprocess.Popen([LOCKER, "force", "--reason", "x", path], env=self.environment,
                                  stdin=other, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True) as process:
                os.write(main, answer.encode() + b"\n")
                said = process.communicate(timeout=LONG)[1]
            os.close(main)
            os.close(other)
            self.assertIn(question, said)
            self.assertEqual("the reason" in said, path != "/b")
            self.assertEqual(process.returncode, code)
            self.assertEqual(self.is_free("/a"), code == 0)

    def test_nothing_commands_the_terminal(self):
        # The server rejects control characters, but accepts C1 ones and bidirectional marks.
        self.locker("acquire", "--owner", "a\u202eb", "--meta", "x\ny", "/a", code=64)
        self.locker("acquire", "--owner", "evil", "/a\x1b[31m", code=64)
        self.assertNotIn("\x1b", self.said)

    def test_watch(self):
        watching = self.start("watch", "/a")
        json_too = self.start("watch", "--json", "/a")
        token = ""

        def sees():
            nonlocal token
            token = self.acquire("/a/b")
            self.locker("release", "--token", token)
            return self.server.get("/v1/status")["event_readers"] == 2
        self.eventually(sees)
        token = self.acquire("/a/last")
        line = ""
        while "/a/last" not in line:
            line = watching.stdout.readline()
        self.assertRegex(line, r"^granted +/a/last  somebody  fence \d+$")
        event = {}
        while event.get("path") != "/a/last":
            event = json.loads(json_too.stdout.readline())
        self.assertEqual(event["event"], "granted")
        self.restart()
        line = watching.stdout.readline()
        self.assertRegex(line, "^reset ")  # what happened in between is unknown
        self.locker("release", "--token", token)
        line = watching.stdout.readline()
        self.assertRegex(line, r"^released +/a/last ")
        watching.send_signal(signal.SIGINT)
        self.assertEqual(watching.wait(LONG), -signal.SIGINT)

    def test_watch_tells_what_goes_on_blocking(self):
        watching = self.start("watch", "/a")
        self.eventually(lambda: self.server.get("/v1/status")["event_readers"] == 1)
        self.acquire("/a", "--lock-delay", "90s")
        self.locker("force", "--yes", "--reason", "x", "/a")
        self.assertRegex(watching.stdout.readline(), r"^granted +/a  somebody  fence \d+$")
        self.assertRegex(watching.stdout.readline(),
                         r"^forced +/a  somebody  fence \d+  blocks for 1m30s more$")
        self.locker("force", "--yes", "--cooling", "--reason", "x", "/a")
        self.assertRegex(watching.stdout.readline(), r"^cooled +/a  somebody  fence \d+$")

    def test_watch_tells_of_a_break_before_the_first_event(self):
        watching, json_too = self.start("watch", "/a"), self.start("watch", "--json", "/a")

        def both_follow():
            return self.server.get("/v1/status")["event_readers"] == 2
        self.eventually(both_follow)
        self.restart()
        self.eventually(both_follow)
        self.acquire("/a")
        self.assertRegex(watching.stdout.readline(), "^reset ")
        self.assertRegex(watching.stdout.readline(), "^granted +/a ")
        self.assertEqual([json.loads(json_too.stdout.readline())["event"] for _ in range(2)],
                         ["reset", "granted"])

    def test_watch_through_a_proxy_that_cuts_the_stream_anew(self):
        stream = ("".join(f"id: 1.{n}\nevent: granted\ndata: {{\"path\": \"/{n}\", "
                          f"\"owner\": \"x\", \"fence\": {n}}}\n\n" for n in range(1, 4)))
        pieces = [stream[at:at + 7] for at in range(0, len(stream), 7)]
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            watching = self.start("watch", "--url", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            with proxy.accept()[0] as connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                   b"Transfer-Encoding: chunked\r\n\r\n")
                for piece in pieces:
                    connection.sendall(f"{len(piece):x}\r\n{piece}\r\n".encode())
                for number in range(1, 4):
                    self.assertEqual(watching.stdout.readline(),
                                     f"granted   /{number}  x  fence {number}\n")

    def test_watch_through_a_proxy_whose_server_is_away(self):
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            proxy.settimeout(LONG)
            watching = self.start("watch", "--url", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            for status in (502, 504, 200):
                with proxy.accept()[0] as connection:
                    connection.recv(65_536)
                    connection.sendall(f"HTTP/1.1 {status} Status\r\n".encode())
                    if status != 200:
                        connection.sendall(b"Content-Length: 6\r\n\r\n<html>")
                        continue
                    event = b'event: granted\ndata: {"path": "/a", "owner": "x", "fence": 1}\n\n'
                    connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"
                                       % (len(event), event))
                    self.assertEqual(watching.stdout.readline(), "granted   /a  x  fence 1\n")

    def test_watch_goes_on_behind_the_last_whole_event(self):
        granted = 'event: granted\ndata: {"path": "/a", "owner": "x", "fence": 1}\n\n'
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            proxy.settimeout(LONG)
            watching = self.start("watch", "--url", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            for behind, sent, shown in (([], f"id: 1.1\n{granted}id: 1.2\nevent: gr", "granted "),
                                        (["1.1"], "event: reset\ndata: {}\n\n", "reset "),
                                        (["1.1"], f"id: 1.3\n{granted}", "granted ")):
                with proxy.accept()[0] as connection:
                    asked = connection.recv(65_536).decode()
                    self.assertEqual(re.findall(r"(?i)last-event-id: *(\S+)", asked), behind)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       b"%x\r\n%s\r\n" % (len(sent), sent.encode()))
                    self.assertTrue(watching.stdout.readline().startswith(shown))

    def test_watch_goes_on_from_where_the_stream_began(self):
        granted = 'event: granted\ndata: {"path": "/a", "owner": "x", "fence": 1}\n\n'
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            proxy.settimeout(LONG)
            watching = self.start("watch", "--url", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            quiet = ": \n\n: \nid: 4.12\n\n: \nid: 4.1"  # comments with ids, the last cut off
            for behind, sent in (([], "retry: 1000\nid: 4.9\n\n"),
                                 (["4.9"], f"retry: 1000\nid: 4.9\n\n{quiet}"),
                                 (["4.12"], f"retry: 1000\nid: 4.12\n\nid: 5.0\n{granted}")):
                with proxy.accept()[0] as connection:
                    asked = connection.recv(65_536).decode()
                    self.assertEqual(re.findall(r"(?i)last-event-id: *(\S+)", asked), behind)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       b"%x\r\n%s\r\n" % (len(sent), sent.encode()))
            self.assertEqual(watching.stdout.readline(), "granted   /a  x  fence 1\n")

    def test_watch_ends_when_nobody_reads(self):
        watching = self.start("watch")
        self.eventually(lambda: self.server.get("/v1/status")["event_readers"] == 1)
        watching.stdout.close()
        self.acquire("/a")
        self.acquire("/b")
        self.assertEqual(watching.wait(LONG), 74)


class ServerTest(CommandCase):
    """Which server `locker` uses, and as whom."""

    def test_option_before_environment_before_config_file(self):
        os.makedirs(self.file(".config/locker"))
        with open(self.file(".config/locker/locker.conf"), "w", encoding="ascii") as file:
            file.write(f"# ours\nurl = {self.server.url}\n")
        del self.environment["LOCKER_URL"]
        self.locker("status")
        self.environment["LOCKER_URL"] = "http://127.0.0.1:1"
        self.locker("status", code=69)
        self.locker("status", "--url", self.server.url)

    def test_the_config_file_of_lockerd_is_not_ours(self):
        self.environment["LOCKER_CONFIG"] = self.file("lockerd.conf")
        self.locker("status")

    def test_a_config_file_that_is_wrong(self):
        self.environment["LOCKER_CLIENT_CONFIG"] = self.file("conf")
        self.locker("status", code=64)
        with open(self.file("conf"), "w", encoding="ascii") as file:
            file.write("urk = x\n")
        self.locker("status", code=64)
        self.assertIn("conf", self.said)

    def test_urls_that_are_wrong(self):
        for url in ("", "locker", "ftp://locker", "http://", "http://a:b", "http://a:1/?x",
                    "http://u@a", "http://[::1"):
            if url:
                self.locker("status", "--url", url, code=64)

    def test_help(self):
        commands = self.locker("help")
        for line in commands.splitlines():
            if line.startswith("  ") and not line.startswith("  locker"):
                name = line.split()[0]
                if name != "store":
                    self.assertIn(f"locker {name}", self.locker(name, "--help"))
                    self.assertEqual(self.locker("help", name), self.locker(name, "--help"))
        self.locker(code=64)
        self.locker("nonsense", code=64)
        self.locker("status", "--jso", code=64)
        self.assertRegex(self.locker("--version"), r"^locker \d")


class CompletionTest(CommandCase):
    """Completion in a real bash."""

    def setUp(self):
        super().setUp()
        # In place of the real one, whose second is too short for a busy machine.
        os.mkdir(self.file("bin"))
        with open(self.file("bin/timeout"), "w", encoding="ascii") as script:
            script.write('#!/bin/sh\nshift\nexec "$@"\n')
        os.chmod(self.file("bin/timeout"), 0o755)
        self.environment["PATH"] = ":".join((
            self.file("bin"), os.path.dirname(os.path.abspath(LOCKER)), os.environ["PATH"]))
        self.environment["TERM"] = "dumb"

    def complete(self, *words):
        line = " ".join(f"'{word}'" for word in words)
        return subprocess.run(
            ["bash", "-c", f"source {COMPLETION}/locker.bash; COMP_WORDS=({line}); "
             f"COMP_CWORD={len(words) - 1}; _locker; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
            env=self.environment, capture_output=True, text=True, check=True).stdout.split()

    def test_commands_options_and_paths(self):
        self.assertEqual(sorted(self.complete("locker", "re")), ["release", "renew"])
        self.assertEqual(self.complete("locker", "run", "--wa"), ["--wait"])
        self.locker("acquire", "/deploy/production")
        self.assertEqual(self.complete("locker", "show", "/dep"), ["/deploy/production"])
        self.server.kill()
        self.assertEqual(self.complete("locker", "show", "/dep"), [])

    def test_what_a_path_says_is_not_carried_out(self):
        path = "/x/$(touch$IFS$HOME/touched)`touch$IFS$HOME/touched`;it's"
        self.locker("acquire", path)
        (completed,) = self.complete("locker", "show", "/x")
        self.assertFalse(os.path.exists(self.file("touched")))
        typed = subprocess.run(["bash", "-c", f"printf %s {completed}"], env=self.environment,
                               capture_output=True, text=True, check=True).stdout
        self.assertFalse(os.path.exists(self.file("touched")))
        self.assertIn("is taken", self.locker("show", typed))
        self.assertEqual(self.complete("locker", "show", completed[:8]), [completed])

    def test_what_is_no_path_is_not_completed_as_one(self):
        self.locker("acquire", "/deploy/production")
        self.assertEqual(self.complete("locker", "store", ""), ["verify", "dump", "backup"])
        self.assertEqual(self.complete("locker", "token", ""), ["new"])
        self.assertEqual(self.complete("locker", "token", "new", ""), [])
        self.assertIn("release", self.complete("locker", "help", ""))
        self.assertEqual(self.complete("locker", "ls", "--state", ""), ["held", "cooling", "waiting"])
        for words in (("store", "verify"), ("token", "new", "x", "--file"), ("ls", "--ca-file"),
                      ("ls", "--client-key")):
            self.assertEqual(self.complete("locker", *words, self.file("sto")), [self.file("store")])

    @unittest.skipUnless(shutil.which("fish"), "needs fish")
    def test_fish(self):
        def complete(line):
            done = subprocess.run(
                ["fish", "--no-config", "-c", f"source {COMPLETION}/locker.fish; complete -C '{line}'"],
                env=self.environment, capture_output=True, text=True, check=True)
            return [found.split("\t")[0] for found in done.stdout.splitlines()]
        self.assertEqual(sorted(complete("locker re")), ["release", "renew"])
        self.assertEqual(complete("locker run --wa"), ["--wait"])
        self.locker("acquire", "/deploy/production")
        self.assertEqual(complete("locker show /dep"), ["/deploy/production"])
        self.assertEqual(sorted(complete("locker store ")), ["backup", "dump", "verify"])
        self.assertEqual(complete("locker token "), ["new"])
        self.assertEqual(sorted(complete("locker ls --state ")), ["cooling", "held", "waiting"])
        self.assertEqual(complete("locker store verify " + self.file("sto")), [self.file("store/")])
        self.assertEqual(complete("locker ls --ca-file " + self.file("sto")), [self.file("store/")])

    @unittest.skipUnless(shutil.which("zsh"), "needs zsh")
    def test_zsh(self):
        self.locker("acquire", "/deploy/production")
        main, other = pty.openpty()
        self.addCleanup(os.close, main)
        with subprocess.Popen(["zsh", "-f", "-i"], env=self.environment, stdin=other, stdout=other,
                              stderr=other, start_new_session=True) as shell:
            os.close(other)
            seen = ""

            def read_until(text):
                nonlocal seen
                while text not in seen:
                    seen += os.read(main, 65536).decode(errors="replace")
                seen = ""
            os.write(main, f"fpath=({COMPLETION} $fpath); autoload -U compinit; "
                           "compinit -u -D; echo rea''dy\n".encode())
            read_until("ready")
            for typed, completed in (("locker rele", "release"), ("locker run --wa", "--wait"),
                                     ("locker show /dep", "/deploy/production"),
                                     ("locker store ver", "verify"), ("locker token n", "new"),
                                     ("locker ls --state wai", "waiting"),
                                     ("locker store verify " + self.file("sto"), "store/")):
                os.write(main, typed.encode() + b"\t")
                read_until(completed)
                os.write(main, b"\x15")  # discards the line
            os.write(main, b"exit\n")
            shell.wait(LONG)


if __name__ == "__main__":
    unittest.main()
