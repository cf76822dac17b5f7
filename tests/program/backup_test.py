"""`locker store backup` of a running server: the copy contains everything acknowledged before it,
and a server starts on it. It never overwrites anything, and leaves nothing half done."""

import concurrent.futures
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from lockerd import LOCKER, Lockerd, run
from v1_client import Client


class BackupTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.store = os.path.join(self.directory, "store")
        self.copy = os.path.join(self.directory, "copy")

    def test_under_load_nothing_acknowledged_before_is_missing(self):
        with Lockerd(self.store) as server:
            kept = []

            def churn(number):
                client, round_ = Client(server.port), 0
                while not done.is_set():
                    path = f"/load/{number}/{round_}"
                    taken = client.acquire(path, meta="x" * 4000)
                    if taken.status == 503:
                        time.sleep(0.01)  # the journal prepares a segment
                        continue
                    self.assertEqual(taken.status, 201, taken)
                    if round_ % 20 == 0:
                        kept.append((path, taken["fence"]))
                    else:
                        released = client.release(path, taken["token"])
                        self.assertEqual(released.status, 200, released)
                    round_ += 1
                client.close()

            done = threading.Event()
            pool = concurrent.futures.ThreadPoolExecutor(8)
            churning = [pool.submit(churn, number) for number in range(8)]
            try:
                for number in range(4):
                    done.wait(0.8)
                    before = list(kept)
                    copy = f"{self.copy}{number}"
                    code, text = run(LOCKER, "store", "backup", self.store, copy, timeout=120)
                    self.assertEqual(code, 0, text)
                    self.assertIn("intact", text)
                    with Lockerd(copy) as restored:
                        client = Client(restored.port)
                        for path, fence in before:
                            holders = client.ask("GET", "/v1/locks" + path)["holders"]
                            self.assertEqual([h["fence"] for h in holders], [fence], path)
                        fresh = client.acquire("/fresh")
                        self.assertGreater(fresh["fence"], max([f for _, f in before] or [0]))
                        client.close()
                until = time.monotonic() + 60
                while len(kept) <= 20 and time.monotonic() < until:
                    time.sleep(0.01)
            finally:
                done.set()
                pool.shutdown()
            for each in churning:
                each.result()
            self.assertGreater(len(kept), 20)

    def test_a_stopped_store(self):
        with Lockerd(self.store) as server:
            client = Client(server.port)
            client.acquire("/a")
            client.close()
            server.stop()
        code, text = run(LOCKER, "store", "backup", self.copy, environment={"LOCKER_FILE": self.store})
        self.assertEqual(code, 0, text)
        self.assertIn("1 locks", text)

    def test_a_store_that_is_mounted_read_only_is_read(self):
        mount = os.path.join(self.directory, "mount")
        os.mkdir(mount)
        with Lockerd(self.store) as server:
            client = Client(server.port)
            client.acquire("/a")
            client.close()
            for options in (["--bind", self.store], ["-o", "remount,bind,ro"]):
                if subprocess.run(["mount", *options, mount], capture_output=True,
                                  check=False).returncode != 0:
                    subprocess.run(["umount", "-l", mount], capture_output=True, check=False)
                    self.skipTest("needs the right to mount a file system")
            self.addCleanup(subprocess.run, ["umount", "-l", mount], check=False)
            self.assertRaises(OSError, open, os.path.join(mount, "new"), "w", encoding="ascii")
            code, text = run(LOCKER, "store", "verify", mount)
            self.assertEqual(code, 73, text)
            server.stop()
        for has_lock_file in (True, False):
            if not has_lock_file:  # a server starts without it, too
                os.remove(os.path.join(self.store, "LOCK"))
            code, text = run(LOCKER, "store", "verify", mount)
            self.assertEqual(code, 0, text)
            self.assertIn("1 locks", text)
            code, text = run(LOCKER, "store", "dump", mount)
            self.assertEqual(code, 0, text)
            self.assertIn('"/a"', text)
        code, text = run(LOCKER, "store", "backup", mount, self.copy)
        self.assertEqual(code, 0, text)

    def test_refuses_what_is_not_empty_or_no_store(self):
        with Lockerd(self.store):
            os.mkdir(self.copy)
            with open(os.path.join(self.copy, "mine"), "w", encoding="ascii"):
                pass
            self.assertEqual(run(LOCKER, "store", "backup", self.store, self.copy)[0], 73)
            self.assertEqual(os.listdir(self.copy), ["mine"])
        self.assertEqual(run(LOCKER, "store", "backup", self.directory, self.copy + "2")[0], 78)
        self.assertFalse(os.path.exists(self.copy + "2"))

    def test_refuses_to_write_into_the_store(self):
        link = os.path.join(self.directory, "link")
        os.symlink(self.store, link)
        with Lockerd(self.store) as server:
            before = sorted(os.listdir(self.store))
            for source, destination in ((self.store, self.store + "/copy"),
                                        (self.store, link + "/copy/"), (link, self.store + "/copy"),
                                        (self.store, self.store), (".", "copy")):
                done = subprocess.run([os.path.abspath(LOCKER), "store", "backup", source, destination],
                                      cwd=self.store, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 64, (source, destination, done.stderr))
                self.assertIn("inside the store", done.stderr)
            server.stop()
        self.assertEqual([name for name in before if name != "prepared.tmp"],
                         [name for name in sorted(os.listdir(self.store)) if name != "prepared.tmp"])
        code, text = run(LOCKER, "store", "backup", self.store, self.store + "2")  # a common prefix
        self.assertEqual(code, 0, text)

    def test_a_damaged_store_gives_no_copy(self):
        with Lockerd(self.store) as server:
            client = Client(server.port)
            for i in range(20):
                client.acquire(f"/a/{i}")
            server.kill()
        segment = [name for name in os.listdir(self.store) if name.endswith(".segment")][0]
        with open(os.path.join(self.store, segment), "r+b") as file:
            file.seek(4096 + 40)
            file.write(b"\xff\xfe")
        code, text = run(LOCKER, "store", "backup", self.store, self.copy)
        self.assertEqual(code, 78, text)
        self.assertEqual(os.listdir(self.copy), ["LOCK"])

    def make_store(self, locks):
        with Lockerd(self.store) as server:
            client = Client(server.port)
            for number in range(locks):
                client.acquire(f"/a/{number}", meta="m" * 1000)
            client.close()
            server.stop()

    def test_what_is_missing_is_said_and_no_server_blamed(self):
        self.make_store(3)
        segment = [name for name in os.listdir(self.store) if name.endswith(".segment")][0]
        os.rename(os.path.join(self.store, segment),
                  os.path.join(self.store, f"journal-{10:016x}.segment"))
        code, verified = run(LOCKER, "store", "verify", self.store)
        self.assertEqual(code, 78, verified)
        self.assertIn("index 1 to 9", verified)
        code, text = run(LOCKER, "store", "backup", self.store, self.copy)
        self.assertEqual((code, text), (78, verified))
        self.assertEqual(os.listdir(self.copy), ["LOCK"])

    def test_a_limit_of_the_size_of_files_is_told(self):
        self.make_store(100)
        code, text = run("prlimit", "--fsize=10000", LOCKER, "store", "backup", self.store, self.copy)
        self.assertEqual(code, 74, text)
        self.assertIn("File too large", text)
        self.assertEqual(os.listdir(self.copy), ["LOCK"])
        with open(os.path.join(self.directory, "records"), "w", encoding="utf-8") as records:
            dumped = subprocess.run(["prlimit", "--fsize=10000", LOCKER, "store", "dump", self.store],
                                    stdout=records, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(dumped.returncode, 74, dumped.stderr)
        self.assertIn("output", dumped.stderr)


if __name__ == "__main__":
    unittest.main()
