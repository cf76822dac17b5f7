"""The program as its operators meet it: options, crashes, a second server, a damaged store."""

import concurrent.futures
import glob
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from lockerd import LOCKER, LOCKERD, Lockerd, run
from v1_client import Client, fresh_token


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
                        ["--durability", "maybe"], ["--config", "/no/such/file"], ["stray"],
                        ["--file", "a", "--data", "b"], ["--log-level", "loud"]):
            code, text = run(LOCKERD, *options)
            self.assertEqual(code, 64, f"{options}: {text}")
            self.assertTrue(text.startswith("lockerd: "), text)

    def test_options_come_from_the_environment_and_a_config_file_too(self):
        config = self.directory.name + "/locker.conf"
        with open(config, "w", encoding="utf-8") as file:
            file.write("durability = none\nlog-format = json\n")
        environment = {"LOCKER_CONFIG": config, "LOCKER_DURABILITY": "interval"}
        with Lockerd(self.store, environment=environment) as server:
            self.assertEqual(server.get("/v1/status")["durability"], "interval")
            for line in server.text().splitlines():
                self.assertEqual(set(json.loads(line)), {"time", "level", "message"})

    def test_a_bad_value_from_the_environment_says_where_it_came_from(self):
        code, text = run(LOCKERD, "--file", self.store,
                         environment={"LOCKER_PORT": "tcp://10.43.0.7:8765"})
        self.assertEqual(code, 64, text)
        self.assertIn("in the environment (LOCKER_...): the argument ('tcp://10.43.0.7:8765')", text)
        config = self.directory.name + "/locker.conf"
        for line, fault in (("colour = red", "'colour'"), ("port", "'port'")):
            with open(config, "w", encoding="utf-8") as file:
                file.write(line + "\n")
            code, text = run(LOCKERD, "--file", self.store, "--config", config)
            self.assertEqual(code, 64, text)
            self.assertIn(f"in the config file {config}: ", text)
            self.assertIn(fault, text)

    def lockerd_with_little_memory(self, megabytes, *options):
        limit = f"--as={megabytes << 20}"
        try:
            return Lockerd(self.store, *options, wrapper=("prlimit", limit))
        except RuntimeError as error:
            return str(error)

    def test_too_little_memory_for_its_threads(self):
        enough = self.lockerd_with_little_memory(4096)
        if isinstance(enough, str):
            self.skipTest("this build wants all addresses there are")
        enough.kill()
        said = self.lockerd_with_little_memory(600, "--threads", "200")
        self.assertRegex(said, "lockerd ended with 71: (.*\n)*lockerd: cannot go on: .+")

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
            self.assertIn("cannot be told READY=1", server.text())

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

    def test_kill_9_under_load_loses_nothing_acknowledged(self):
        held, released = {}, set()

        def work(server, name):
            for number in range(100_000):
                path = f"/kill/{name}/{number}"
                try:
                    token = server.get(f"/canhaz{path}?id={name}")["token"]
                    held[path] = token
                    if number % 3 == 0:
                        del held[path]  # in doubt from here until the answer
                        if server.get(f"/nowant{path}?token={token}")["ok"]:
                            released.add(path)
                except OSError:
                    return

        for cycle in range(5):
            with Lockerd(self.store) as server:
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    for worker in range(8):
                        pool.submit(work, server, f"c{cycle}w{worker}")
                    time.sleep(0.3 + 0.17 * cycle)
                    server.kill()
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

    def test_a_full_disk_refuses_locks_and_still_lets_go(self):
        mount = self.directory.name + "/small"
        os.mkdir(mount)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount],
                              capture_output=True, check=False)
        if made.returncode != 0:
            self.skipTest("needs the right to mount a file system")
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

    def test_store_dump_tells_records_and_no_token(self):
        with Lockerd(self.store) as server:
            token = server.get("/canhaz/dump/me?id=someone")["token"]
            code, text = run(LOCKER, "store", "verify", self.store)
            self.assertIn("in use", text)
            self.assertNotIn("--file", text)  # an option of lockerd
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
            client.call("DELETE", "/v1/locks", force="true", owner="again")
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
