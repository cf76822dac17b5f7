"""The program from the operator's view: options, crashes, a second server, a damaged store."""

import concurrent.futures
import contextlib
import fcntl
import glob
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error

import abuse
from lockerd import LOCKER, LOCKERD, Lockerd, environment_with, run
from v1_client import Client, fresh_token

FAKE_TIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


class Program(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.store = self.directory.name + "/locks.db"

    def tearDown(self):
        self.directory.cleanup()

    def test_help_teaches_and_version_tells(self):
        code, text = run(LOCKERD, "--help")
        self.assertEqual(code, 0)
        for word in ("--ip", "--port", "--file", "--durability", "LOCKER_PORT", "curl"):
            self.assertIn(word, text)
        self.assertRegex(run(LOCKERD, "--version")[1], r"^lockerd \d+\.\d+\.\d+\n$")

    def test_a_wrong_option_is_a_sentence_and_exit_64(self):
        for options in (["--prot", "1"], ["--port", "70000"], ["--port", "x"], ["--ip", "nowhere"],
                        ["--durability", "maybe"], ["--durabilit", "none"], ["stray"],
                        ["--file", "a", "--data", "b"], ["--log-level", "loud"], ["--locks-max", "-1"],
                        ["--connections-max", "-1"], ["--waiters-max=-5"], ["--leases-max", "0"],
                        ["--event-readers-max", "-1"], ["--threads", "-1"],
                        ["--threads", "-4294967295"], ["--port", "-4294959531"],
                        ["--segment-size", "-4294967295"], ["--sync-interval", "-4294967295"],
                        ["--memory-max", "31"], ["--memory-max", "-1"],
                        ["--memory-max", "4294967296"],
                        ["--canhaz-ttl", "0.4ms"], ["--canhaz-ttl", "0.0001ms"]):
            code, text = run(LOCKERD, *options)
            self.assertEqual(code, 64, f"{options}: {text}")
            self.assertTrue(text.startswith("lockerd: "), text)

    def test_a_store_whose_name_is_not_utf8_is_told_in_good_json(self):
        name = os.fsdecode(os.fsencode(self.store) + b"\xff")
        with Lockerd(name) as server:
            self.assertEqual(server.get("/v1/status")["store"], "(not UTF-8)")

    def test_options_come_from_the_environment_and_a_config_file_too(self):
        config = self.directory.name + "/locker.conf"
        with open(config, "w", encoding="utf-8") as file:
            file.write("durability = none\nlog-format = json\n")
        environment = {"LOCKER_CONFIG": config, "LOCKER_DURABILITY": "interval"}
        with Lockerd(self.store, environment=environment) as server:
            self.assertEqual(server.get("/v1/status")["durability"], "interval")
            for line in server.text().splitlines():
                self.assertEqual(set(json.loads(line)), {"time", "level", "message"})

    def test_the_command_line_wins_over_the_environment_by_either_name_of_the_store(self):
        # As in the container image, which sets LOCKER_FILE.
        with Lockerd(self.store, environment={"LOCKER_DATA": "/no/such/directory/store"}) as server:
            self.assertEqual(server.stop(), 0)

    def test_a_bad_value_from_the_environment_says_where_it_came_from(self):
        code, text = run(LOCKERD, "--file", self.store,
                         environment={"LOCKER_PORT": "tcp://10.43.0.7:8765"})
        self.assertEqual(code, 64, text)
        self.assertIn("in the environment (LOCKER_...): the argument ('tcp://10.43.0.7:8765')", text)
        config = self.directory.name + "/locker.conf"
        for line, fault in (("colour = red", "'colour'"), ("port", "'port'"),
                            ("config = /other", "'config'")):
            with open(config, "w", encoding="utf-8") as file:
                file.write(line + "\n")
            code, text = run(LOCKERD, "--file", self.store, "--config", config)
            self.assertEqual(code, 64, text)
            self.assertIn(f"in the config file {config}: ", text)
            self.assertIn(fault, text)

    def test_variables_that_are_no_option_are_warned_of_but_not_those_of_others(self):
        unknown = {"LOCKER_TLS_CERT": "/x", "LOCKER_AUDITLOG": "/x", "LOCKER_MAXTTL": "1h",
                   "LOCKER_": "", "LOCKER_VERSION": "2", "LOCKER_UI_PORT": "80", "LOCKER_PORTS": "1"}
        of_others = {"LOCKER_URL": "http://locker:8765", "LOCKER_KEY": "k", "LOCKER_CA_FILE": "/x",
                     "LOCKER_TTL": "30", "LOCKER_SERVICE_HOST": "10.0.0.1",
                     "LOCKER_SERVICE_PORT": "80", "LOCKER_SERVICE_PORT_HTTP": "80",
                     "LOCKER_PORT_8765_TCP": "tcp://10.0.0.1:8765", "LOCKER_PORT_8765_TCP_PORT": "80",
                     "LOCKER_UI_SERVICE_HOST": "10.0.0.1", "LOCKER_UI_PORT": "tcp://10.0.0.1:80",
                     "LOCKER_UI_PORT_80_TCP_ADDR": "10.0.0.1", "LOCKER_MAX_TTL": "1h"}
        for environment, are_named in ((unknown, True), (of_others, False)):
            with Lockerd(self.store, environment=environment) as server:
                self.assertEqual(server.stop(), 0)
                for name in environment:
                    warned = f"warning: {name} in the environment is not an option" in server.text()
                    self.assertEqual(warned, are_named, name)

    def test_a_config_file_may_begin_with_a_mark_of_utf_8_and_come_through_a_pipe(self):
        config = self.directory.name + "/locker.conf"
        with open(config, "wb") as file:
            file.write(b"\xef\xbb\xbfdurability = none\r\n")
        with Lockerd(self.store, "--config", config) as server:
            self.assertEqual(server.get("/v1/status")["durability"], "none")
        pipe = self.directory.name + "/pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pathlib.Path(pipe).write_text("durability = none\n"))
        writer.start()
        with Lockerd(self.store, "--config", pipe) as server:
            self.assertEqual(server.get("/v1/status")["durability"], "none")
        writer.join()
        with Lockerd(self.store, "--config", "/dev/null") as server:
            self.assertEqual(server.stop(), 0)

    def test_what_cannot_be_a_config_file_is_refused(self):
        config = self.directory.name + "/locker.conf"
        for text, fault in (("version =\n", "'version' cannot be set in a file"),
                            ("help = 1\n", "'help' cannot be set in a file"),
                            ("# " + "x" * (1 << 20), "larger than 1 MiB")):
            with open(config, "w", encoding="utf-8") as file:
                file.write(text)
            code, said = run(LOCKERD, "--file", self.store, "--config", config)
            self.assertEqual(code, 64, said)
            self.assertIn(fault, said)
        for path, why in (("/no/such/file", "No such file or directory"),
                          (self.directory.name, "Is a directory")):
            code, said = run(LOCKERD, "--config", path)
            self.assertEqual(code, 64, said)
            self.assertIn(f"the config file {path} cannot be read: {why}", said)
        code, said = run("prlimit", "--cpu=10", LOCKERD, "--file", self.store, "--config", "/dev/zero")
        self.assertEqual(code, 64, said)
        self.assertIn("larger than 1 MiB", said)

    def test_a_wrong_option_is_told_as_json_to_who_wants_the_log_so(self):
        config = self.directory.name + "/locker.conf"
        with open(config, "w", encoding="utf-8") as file:
            file.write("log-format = json\n")
        json_by_environment = {"LOCKER_LOG_FORMAT": "json"}
        for options, environment in ((["--log-format", "json", "--prot", "1"], None),
                                     (["--log-format=json", "--port", "70000"], None),
                                     (["--prot", "1"], json_by_environment),
                                     (["--config", "/no/such/file"], json_by_environment),
                                     (["--config", config, "--port", "70000"], None)):
            code, text = run(LOCKERD, *options, environment=environment)
            self.assertEqual(code, 64, text)
            line = json.loads(text)
            self.assertEqual((set(line), line["level"]), ({"time", "level", "message"}, "critical"))
            self.assertIn("lockerd --help", line["message"])

    @unittest.skipIf(abuse.is_sanitized(), "a sanitizer has to be loaded first")
    @unittest.skipUnless(FAKE_TIME, "libfaketime is not there")
    def test_it_warns_of_fences_that_are_ahead_of_the_clock(self):
        ahead = {"LD_PRELOAD": FAKE_TIME[0], "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        with Lockerd(self.store, environment=ahead) as server:
            self.assertTrue(server.get("/canhaz/a?id=x")["ok"])
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("fences are ahead", server.text())
        with Lockerd(self.store) as server:
            self.assertEqual(server.stop(), 0)  # logged before it handles a signal
            self.assertEqual(server.text().count("fences are ahead of the clock by 3"), 1)

    def lockerd_with_little_memory(self, megabytes, *options):
        limit = f"--as={megabytes << 20}"
        try:
            server = Lockerd(self.store, *options, wrapper=("prlimit", limit))
        except RuntimeError as error:
            return str(error)
        self.addCleanup(server.__exit__)
        return server

    def test_too_little_memory_for_its_threads(self):
        enough = self.lockerd_with_little_memory(4096)
        if isinstance(enough, str):
            self.skipTest("this build wants all addresses there are")
        enough.kill()
        said = self.lockerd_with_little_memory(600, "--threads", "200")
        self.assertIsInstance(said, str, "it started")
        self.assertRegex(said, r"lockerd ended with 71: (.*\n)*\S+Z critical: "
                               r"cannot get more (threads.*--threads|memory.*--memory-max)")
        said = self.lockerd_with_little_memory(600, "--threads", "200", "--log-format", "json")
        lines = said.partition("lockerd ended with 71: ")[2].splitlines()
        self.assertEqual([set(json.loads(line)) for line in lines],
                         len(lines) * [{"time", "level", "message"}])
        self.assertIn("cannot get more", lines[-1])

    def test_too_few_descriptors_for_its_threads(self):
        for threads, limit in ((56, 256), (255, 1024)):
            code, text = run("prlimit", f"--nofile={limit}:{limit}", LOCKERD, "--port", "0",
                             "--file", self.store, "--threads", str(threads))
            self.assertEqual(code, 71, text)
            self.assertIn(f"(ulimit -n) is {limit}", text)
            self.assertIn("--threads", text)

    def test_with_as_few_descriptors_as_may_be_it_serves(self):
        wrapper = ("prlimit", "--nofile=64:64")
        with Lockerd(self.store, "--threads", "4", wrapper=wrapper) as server:
            self.assertEqual(server.get("/v1/status")["locks"], 0)
            self.assertEqual(server.stop(), 0)

    @unittest.skipIf(abuse.is_sanitized(), "a sanitizer looks at memory by descriptors of its own")
    def test_too_few_descriptors_are_not_taken_for_an_address_that_is_taken(self):
        with contextlib.ExitStack() as stack:
            null = os.open("/dev/null", os.O_RDONLY)
            stack.callback(os.close, null)
            inherited = [os.dup(null) for _ in range(60)]
            for descriptor in inherited:
                stack.callback(os.close, descriptor)
            refused = 0
            for count in range(20, len(inherited)):
                with subprocess.Popen(
                        ["prlimit", "--nofile=72:72", LOCKERD, "--port", "0", "--threads", "4",
                         "--file", self.store, "--segment-size", "1"],
                        pass_fds=inherited[:count], stdin=subprocess.DEVNULL,
                        stderr=subprocess.PIPE, text=True) as process:
                    log = process.stderr.readline()
                    while log.endswith("\n") and "listening" not in log:
                        line = process.stderr.readline()
                        log += line or "."
                    process.terminate()
                    self.assertIn(process.wait(timeout=30), (0, 71, 74, -signal.SIGTERM), log)
                refused += "cannot listen: Too many open files" in log
            self.assertGreater(refused, 0)

    def test_no_memory_for_a_lock_loses_none(self):
        server = self.lockerd_with_little_memory(300, "--threads", "1", "--durability", "none")
        if isinstance(server, str):
            self.skipTest("this build wants all addresses there are")
        client = Client(server.port)
        deep = "/s" * 30 + "s" * 200
        taken = 0
        try:
            while client.ask("GET", f"/canhaz/{taken}{deep}").status == 200:
                taken += 1
        except OSError:
            self.assertEqual(server.process.wait(), 71)
        server.kill()
        with Lockerd(self.store) as again:
            self.assertGreaterEqual(again.get("/v1/status")["locks"], taken)

    @unittest.skipIf(abuse.is_sanitized(), "a sanitizer ends a program that has no memory")
    def test_no_memory_for_connections_is_not_the_end_of_accepting(self):
        with Lockerd(self.store, "--threads", "1") as server, contextlib.ExitStack() as stack:
            pid, unlimited = server.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
                mapped = int(statm.read().split()[0]) * resource.getpagesize()
            resource.prlimit(pid, resource.RLIMIT_AS, (mapped, resource.RLIM_INFINITY))
            until = time.monotonic() + 20
            while "bad_alloc" not in server.text():
                if time.monotonic() > until:
                    self.skipTest("this build has memory enough")
                connection = socket.create_connection(("127.0.0.1", server.port))
                stack.enter_context(connection)
                try:
                    connection.sendall(b"POST /v1/locks HTTP/1.1\r\nHost: a\r\n"
                                       b"Content-Length: 200000\r\n\r\n" + b"[" * 60_000)
                except OSError:
                    pass
            stack.close()
            resource.prlimit(pid, resource.RLIMIT_AS, unlimited)
            client = Client(server.port, timeout=10)
            stack.callback(client.close)
            self.assertEqual(client.ask("GET", "/healthz").status, 200)
            self.assertEqual(server.stop(), 0)

    def test_the_service_manager_is_told(self):
        for name in (self.directory.name + "/notify", "\0locker-test-" + os.path.basename(self.directory.name)):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(name)
                manager.settimeout(60)
                environment = {"NOTIFY_SOCKET": name.replace("\0", "@")}
                with Lockerd(self.store, environment=environment) as server:
                    self.assertEqual(manager.recv(100), b"READY=1")
                    server.get("/healthz")
                    self.assertEqual(server.stop(), 0)
                    self.assertEqual(manager.recv(100), b"STOPPING=1")
        environment = {"NOTIFY_SOCKET": self.directory.name + "/nobody"}
        with Lockerd(self.store, environment=environment) as server:
            self.assertEqual(server.stop(), 0)
            self.assertIn("cannot be notified of READY=1", server.text())

    def test_sigterm_answers_syncs_and_exits_0_and_locks_survive_it(self):
        for stop in (signal.SIGTERM, signal.SIGINT):
            with Lockerd(self.store) as server:
                idle = socket.create_connection(("127.0.0.1", server.port))
                server.get(f"/canhaz/kept/{int(stop)}?id=me")
                begin = time.monotonic()
                server.process.send_signal(stop)
                self.assertEqual(server.process.wait(timeout=10), 0, server.text())
                self.assertLess(time.monotonic() - begin, 10)
                idle.close()
        with Lockerd(self.store) as server:
            self.assertIn("2 locks", server.text())
            self.assertEqual(server.get("/dohaz/kept/15"), {"lockedBy": "me"})

    def begun(self, server, text):
        """Returns a connection on which part of a request was sent."""
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.addCleanup(connection.close)
        connection.sendall(text)
        client = Client(server.port)
        for _ in range(2):  # by then, the only thread has read that part
            client.ask("GET", "/healthz")
        client.close()
        return connection

    def eventually(self, is_so, what):
        until = time.monotonic() + 30
        while not is_so():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.01)

    def test_what_stays_unfinished_does_not_hold_up_the_stop(self):
        over = threading.Event()

        def take_slowly(connection):
            with contextlib.suppress(OSError):
                while connection.recv(65536) and not over.wait(0.2):
                    pass

        with Lockerd(self.store) as server, socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            slow.connect(("127.0.0.1", server.port))
            # About 60 MB, which take minutes: each piece read counts as progress, so no request
            # timeout ends it.
            slow.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
            self.assertTrue(slow.recv(1))
            self.begun(server, b"POST /v1/leases HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
            taking = threading.Thread(target=take_slowly, args=(slow,))
            taking.start()
            try:
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(timeout=30), 0, server.text())
            finally:
                over.set()
                taking.join()

    def test_a_second_sigterm_ends_it_at_once_and_loses_nothing(self):
        with Lockerd(self.store, "--threads", "1") as server:
            self.begun(server, b"POST /v1/leases HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
            server.get("/canhaz/kept?id=me")
            server.process.send_signal(signal.SIGTERM)
            self.eventually(lambda: "stopping: SIGTERM" in server.text(), "it does not stop")
            server.process.send_signal(signal.SIGTERM)
            # It did not wait for unfinished requests; otherwise it would have exited with 0.
            self.assertEqual(server.process.wait(timeout=30), -signal.SIGTERM, server.text())
            self.assertNotIn("stopped", server.text())
        with Lockerd(self.store) as server:
            self.assertEqual(server.get("/dohaz/kept"), {"lockedBy": "me"})

    def test_while_it_stops_it_wants_no_traffic(self):
        def is_closed():
            try:
                socket.create_connection(("127.0.0.1", server.port)).close()
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                pass
            return False

        with Lockerd(self.store, "--threads", "1") as server:
            self.assertEqual(server.get("/readyz"), {"status": "ready"})
            asked = self.begun(server, b"GET /readyz HTTP/1.1\r\nHost: a\r\n")
            server.process.send_signal(signal.SIGTERM)
            self.eventually(is_closed, "it still listens")
            asked.sendall(b"\r\n")
            answer = http.client.HTTPResponse(asked)
            answer.begin()
            self.assertEqual(answer.status, 503)
            self.assertEqual(answer.headers["Retry-After"], "1")
            self.assertEqual(json.load(answer)["error"], "draining")
            self.assertEqual(server.process.wait(timeout=30), 0, server.text())

    @contextlib.contextmanager
    def server_whose_log_is_full(self, *options):
        """Yields the server's process, a client, and the end of its log, which nothing reads."""
        unread, log = os.pipe()
        fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, 4096)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, unread)
            stack.callback(os.close, log)
            process = subprocess.Popen(
                [LOCKERD, "--port", "0", "--file", self.store, "--segment-size", "1", *options],
                stdin=subprocess.DEVNULL, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            text = ""
            while not (found := re.search(r"listening on \S+:(\d+)", text)):
                text += os.read(unread, 4096).decode()
            os.set_blocking(log, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(log, b"." * 4095 + b"\n")
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(log, b"\n")
            os.set_blocking(log, True)  # the server shares it
            client = Client(int(found.group(1)), timeout=60)
            stack.callback(client.close)
            yield process, client, unread

    def test_a_log_that_nobody_reads_does_not_keep_it_from_stopping(self):
        with self.server_whose_log_is_full() as (process, _, _):
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=30), 0)

    def test_a_log_that_nobody_reads_holds_nobody_up_and_says_what_is_lost(self):
        with self.server_whose_log_is_full("--log-level", "debug") as (_, client, unread):
            for number in range(20):
                self.assertEqual(client.ask("GET", f"/canhaz/lost/{number}").status, 200)
            os.read(unread, 65536)
            self.assertEqual(client.ask("GET", "/canhaz/kept").status, 200)
            log = ""
            while "/canhaz/kept" not in log:
                log += os.read(unread, 65536).decode()
        self.assertRegex(log, "warning: [0-9]+ lines of this log are lost")

    def many_keys(self):
        """Returns a key file that takes a while to read."""
        keys = os.path.join(self.directory.name, "keys")
        with open(keys, "w", encoding="ascii") as file:
            file.writelines(f"k{n} sha256:{n:064x} lock /{n}\n" for n in range(100_000))
        return keys

    def test_sighup_does_not_end_a_server_that_starts(self):
        def looks_out_for_sigterm(process):
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                caught = next(line for line in status if line.startswith("SigCgt:"))
            return int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1

        keys = self.many_keys()
        with subprocess.Popen([LOCKERD, "--port", "0", "--file", self.store, "--keys", keys],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=environment_with()) as process:
            while not looks_out_for_sigterm(process):
                time.sleep(0.001)
            process.send_signal(signal.SIGHUP)  # it begins to read its keys
            log = [process.stderr.readline() for _ in range(3)]
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=30), 0, log)
        self.assertIn("100000 keys in", log[0])
        self.assertIn("listening", log[1])
        self.assertIn("100000 keys in", log[2])

    def test_sigterm_counts_also_when_sighup_comes_right_behind(self):
        keys = self.many_keys()
        with Lockerd(self.store, "--keys", keys) as server:
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
            server.process.send_signal(signal.SIGTERM)  # both are pending once it has read the file
            time.sleep(0.01)
            server.process.send_signal(signal.SIGHUP)
            self.assertEqual(server.process.wait(timeout=30), 0, server.text())

    def test_kill_9_under_load_loses_nothing_acknowledged(self):
        held, released = {}, set()

        def ask(server, target):
            while True:
                try:
                    return server.get(target)
                except urllib.error.HTTPError as refused:
                    if refused.code != 503:
                        raise
                    time.sleep(0.01)  # the journal prepares a segment

        def work(server, name, is_killed):
            for number in range(100_000):
                path = f"/kill/{name}/{number}"
                try:
                    granted = ask(server, f"/canhaz{path}?id={name}")
                    self.assertTrue(granted["ok"], path)
                    token = held[path] = granted["token"]
                    if number % 3 == 0:
                        del held[path]  # in doubt until the answer
                        gone = ask(server, f"/nowant{path}?token={token}")
                        self.assertEqual(gone, {"ok": True}, path)
                        released.add(path)
                except urllib.error.HTTPError:
                    raise
                except (OSError, http.client.HTTPException):
                    if not is_killed.is_set():
                        raise
                    return

        for cycle in range(5):
            is_killed = threading.Event()
            wanted = len(held) + 30  # 8 at most of these are being released
            with Lockerd(self.store) as server:
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    working = [pool.submit(work, server, f"c{cycle}w{worker}", is_killed)
                               for worker in range(8)]
                    time.sleep(0.3 + 0.17 * cycle)
                    until = time.monotonic() + 60
                    while len(held) < wanted and time.monotonic() < until:
                        time.sleep(0.01)
                    is_killed.set()
                    server.kill()
                for each in working:
                    each.result()
        self.assertGreater(len(held), 100)
        with Lockerd(self.store) as server:
            for path, token in held.items():
                owner = path.split("/")[2]
                self.assertEqual(server.get(f"/dohaz{path}"), {"lockedBy": owner}, path)
                self.assertEqual(server.get(f"/nowant{path}?token={token}"), {"ok": True})
            for path in released:
                self.assertEqual(server.get(f"/dohaz{path}"), {"lockedBy": None}, path)

    def test_a_second_server_on_the_store_or_the_port_is_refused(self):
        with Lockerd(self.store) as server:
            code, text = run(LOCKERD, "--port", "0", "--file", self.store)
            self.assertEqual(code, 73, text)
            self.assertIn(self.store, text)
            code, text = run(LOCKERD, "--port", str(server.port), "--file", self.store + "2",
                             "--segment-size", "1")
            self.assertEqual(code, 69, text)
            self.assertIn(str(server.port), text)

    @unittest.skipIf(shutil.which("strace") is None, "needs strace")
    def test_only_what_serves_listens(self):
        """A socket that listens and is closed again would cut off clients that have connected."""
        calls = self.directory.name + "/calls"
        trace = ["strace", "-f", "--seccomp-bpf", "-o", calls, "-e", "trace=listen"]
        with Lockerd(self.store, "--threads", "2", wrapper=trace) as server:
            with open(calls, encoding="utf-8") as file:
                listened = re.findall(r"listen\(\d+, \d+\) += 0", file.read())
            self.assertEqual(len(listened), 2)
            os.kill(server.child(), signal.SIGTERM)
            self.assertEqual(server.process.wait(timeout=15), 0)

    def test_a_damaged_store_is_named_and_never_taken_for_an_empty_one(self):
        with Lockerd(self.store) as server:
            for number in range(20):
                server.get(f"/canhaz/damage/{number}")
            server.stop()
        segment = sorted(glob.glob(self.store + "/journal-*"))[-1]
        with open(segment, "r+b") as file:
            file.seek(4096 + 200)
            byte = file.read(1)
            file.seek(4096 + 200)
            file.write(bytes([byte[0] ^ 1]))
        code, text = run(LOCKERD, "--port", "0", "--file", self.store)
        self.assertEqual(code, 78, text)
        self.assertIn(os.path.basename(segment), text)
        code, text = run(LOCKER, "store", "verify", self.store)
        self.assertNotEqual(code, 0, text)
        self.assertIn(os.path.basename(segment), text)
        for file in glob.glob(self.store + "/journal-*"):
            os.unlink(file)
        code, text = run(LOCKERD, "--port", "0", "--file", self.store)
        self.assertEqual(code, 78, text)

    def test_the_store_of_locker_1_is_refused_with_a_hint(self):
        with open(self.store, "wb") as file:
            file.write(b"\x80\x02}q\x00.")
        code, text = run(LOCKERD, "--port", "0", "--file", self.store)
        self.assertEqual(code, 78, text)
        self.assertIn("directory", text)

    def test_a_start_that_fails_says_why_also_where_nothing_is_logged(self):
        plain = self.directory.name + "/plain"
        with open(plain, "w", encoding="utf-8"):
            pass
        for store in (plain, plain + "/", plain + "/x", plain + "/x/y"):
            code, text = run(LOCKERD, "--port", "0", "--log-level", "off", "--file", store)
            self.assertEqual(code, 78, text)
            self.assertIn(f" {plain} is a file", text)
            self.assertIn("name another with --file", text)

    def test_a_directory_of_other_things_is_refused_by_the_name_of_one(self):
        os.makedirs(self.store + "/lost+found")  # every new ext4 file system has it
        with open(self.store + "/photos", "w", encoding="utf-8"):
            pass
        code, text = run(LOCKERD, "--port", "0", "--file", self.store)
        self.assertEqual(code, 78, text)
        self.assertIn("something else in it (photos)", text)
        os.remove(self.store + "/photos")
        with Lockerd(self.store) as server:
            self.assertEqual(server.stop(), 0)

    def small_disk(self, size):
        """Mounts a small file system, returns its directory; skips the test if it may not mount."""
        mount = self.directory.name + "/small"
        os.mkdir(mount)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount],
                              capture_output=True, check=False)
        if made.returncode != 0:
            self.skipTest("needs the right to mount a file system")
        return mount

    def test_a_full_disk_refuses_locks_and_still_lets_go(self):
        mount = self.small_disk("4m")
        try:
            with Lockerd(mount + "/locks.db") as server:
                filler = mount + "/filler"
                with open(filler, "wb", buffering=0) as file:
                    try:
                        while file.write(b"x" * 65536):
                            file.flush()
                    except OSError:
                        pass
                tokens = {}
                refused = None
                for number in range(200_000):
                    path = f"/disk/{'d' * 200}/{'e' * 200}/{'f' * 200}/{number}"
                    try:
                        tokens[path] = server.get(f"/canhaz{path}")["token"]
                    except OSError as error:
                        refused = error
                        break
                self.assertEqual(getattr(refused, "code", None), 507, refused)
                for path in list(tokens)[:50]:
                    self.assertEqual(server.get(f"/nowant{path}?token={tokens[path]}"),
                                     {"ok": True})
                os.unlink(filler)
                for _ in range(100):
                    try:
                        self.assertTrue(server.get("/canhaz/again")["ok"])
                        break
                    except OSError:
                        time.sleep(0.1)
                else:
                    self.fail("acquires do not go on after space was freed")
        finally:
            subprocess.run(["umount", "-l", mount], check=False)

    def test_a_full_disk_lets_go_of_all_that_is_held_however_much(self):
        # Room for the first segment, of 1 MiB, and no other.
        mount = self.small_disk("3300k")
        try:
            with Lockerd(mount + "/locks.db") as server:
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

                def ask(target):
                    connection.request("GET", target)
                    answer = connection.getresponse()
                    return answer.status, json.load(answer)

                tokens = {}
                for number in range(20_000):
                    status, body = ask(f"/canhaz/disk/{number}")
                    if status != 200:
                        break
                    tokens[number] = body["token"]
                self.assertEqual(status, 507, body)
                self.assertGreater(len(tokens), 3_000)
                for number, token in tokens.items():
                    self.assertEqual(ask(f"/nowant/disk/{number}?token={token}"),
                                     (200, {"ok": True}), f"{number} of {len(tokens)}")
                connection.close()
        finally:
            subprocess.run(["umount", "-l", mount], check=False)

    def test_started_without_standard_streams_it_writes_its_log_into_nothing_else(self):
        with subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh",
                               LOCKERD, "--port", "0", "--file", self.store]) as process:
            with contextlib.ExitStack() as stack:
                stack.callback(process.kill)
                self.eventually(lambda: os.path.exists(self.store + "/STORE"), "it does not start")
                streams = {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)}
            self.assertEqual(streams, {"/dev/null"})

    def test_a_limit_of_the_size_of_files_is_as_a_full_disk(self):
        with Lockerd(self.store, wrapper=("prlimit", f"--fsize={512 << 10}")) as server:
            client = Client(server.port)
            for number in range(300):  # more than the file size limit
                while (taken := client.acquire(f"/{number}", meta="m" * 4000)).status == 503:
                    time.sleep(0.01)  # the journal prepares a segment
                self.assertEqual(taken.status, 201, taken)
            client.close()
            self.assertEqual(server.stop(), 0)
        with Lockerd(self.store) as server:
            self.assertEqual(server.get("/v1/status")["locks"], 300)
        code, text = run("prlimit", f"--fsize={128 << 10}", LOCKERD, "--port", "0",
                         "--file", self.store + "2")
        self.assertEqual(code, 74, text)
        self.assertIn("File too large", text)

    def test_store_dump_tells_records_and_no_token(self):
        with Lockerd(self.store) as server:
            token = server.get("/canhaz/dump/me?id=someone")["token"]
            code, text = run(LOCKER, "store", "verify", self.store)
            self.assertIn("in use", text)
            self.assertNotIn("--file", text)  # that is an option of lockerd
            server.stop()
        code, text = run(LOCKER, "store", "verify", self.store)
        self.assertEqual(code, 0, text)
        code, text = run(LOCKER, "store", "dump", self.store)
        self.assertEqual(code, 0, text)
        self.assertIn("someone", text)
        self.assertNotIn(token, text)
        self.assertNotIn(token.replace("-", ""), text)

    def test_store_dump_names_locks_and_leases(self):
        with Lockerd(self.store) as server:
            client = Client(server.port)
            mine, other = fresh_token(), fresh_token()
            client.several(locks=[{"path": "/a"}, {"path": "/b"}], token=mine, owner="me")
            client.acquire("/c", token=other, owner="other")
            client.acquire("/a", token=mine, mode="shared")
            client.release("/b", mine)
            client.call("DELETE", "/v1/leases", token=other)
            client.acquire("/c", token=other, owner="again", lock_delay=60)
            client.call("DELETE", "/v1/locks", force="true", owner="again")
            client.call("DELETE", "/v1/locks", force="true", owner="again", cooling="true")
            client.close()
            server.stop()
        code, text = run(LOCKER, "store", "dump", self.store)
        self.assertEqual(code, 0, text)
        records = [json.loads(line) for line in text.splitlines()]
        self.assertEqual(
            [(r["record"], r.get("path"), r["lease"], r["position"]) for r in records],
            [("granted", "/a", 1, 0), ("granted", "/b", 1, 1), ("granted", "/c", 2, 0),
             ("changed", None, 1, 0), ("granted", "/a", 1, 0), ("released", None, 1, 1),
             ("released", None, 2, 0), ("granted", "/c", 3, 0), ("cooling", None, 3, 0),
             ("forced", None, None, 0)])
        self.assertEqual([r["index"] for r in records], list(range(1, 11)))
        self.assertEqual(records[5]["fence"], records[1]["fence"])

    def test_no_token_in_any_log(self):
        with Lockerd(self.store, "--log-level", "trace") as server:
            token = server.get("/canhaz/secret")["token"]
            server.get(f"/nowant/secret?token={token}")
            server.stop()
            self.assertNotIn(token, server.text())
            self.assertIn("/nowant/secret", server.text())


if __name__ == "__main__":
    unittest.main()
