"""The store's directory is moved, replaced or removed under lockerd: it exits and says where the
acknowledged data is, which is complete; it does not touch what has the store's name now."""

import http.client
import os
import shutil
import tempfile
import unittest

from lockerd import LOCKER, Lockerd, run
from v1_client import Client

DISK = 74


class MovedStoreTest(unittest.TestCase):
    def setUp(self):
        self.directory = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.store = os.path.join(self.directory, "locks.db")
        self.moved = os.path.join(self.directory, "moved")

    def copy(self, source, destination):
        os.mkdir(destination)
        for name in os.listdir(source):
            try:
                shutil.copy(os.path.join(source, name), destination)
            except FileNotFoundError:
                pass  # prepared.tmp has become a segment
        with open(os.path.join(destination, "prepared.tmp"), "ab"):
            pass  # would be renamed to the next segment

    def take(self, server, prefix, count):
        """Acquires locks until the server is gone; returns the paths that were granted."""
        granted = []
        client = Client(server.port)
        try:
            for number in range(count):
                path = f"/{prefix}/{number}"
                taken = client.acquire(path, meta="m" * 4000)
                if taken.status == 201:
                    granted.append(path)
                else:
                    self.assertEqual(taken.status, 503, taken)  # the journal prepares a segment
        except (OSError, http.client.HTTPException):
            pass
        client.close()
        return granted

    def files(self, directory):
        contents = {}
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), "rb") as file:
                contents[name] = file.read()
        return contents

    def expect_end(self, server, *words):
        self.assertEqual(server.process.wait(timeout=30), DISK, server.text())
        said = server.text()
        for word in words:
            self.assertIn(word, said)

    def expect_held(self, store, paths):
        code, text = run(LOCKER, "store", "verify", store)
        self.assertEqual(code, 0, text)
        code, text = run(LOCKER, "store", "dump", store)
        self.assertEqual(code, 0, text)
        for path in paths:
            self.assertIn(f'"{path}"', text)

    def test_a_copy_in_its_place_is_not_written_to(self):
        for store in (self.store, os.path.relpath(self.store)):
            for name in (self.store, self.moved):
                shutil.rmtree(name, ignore_errors=True)
            with Lockerd(store) as server:
                granted = self.take(server, "before", 20)
                self.assertEqual(len(granted), 20)
                os.rename(self.store, self.moved)
                self.copy(self.moved, self.store)
                copied = self.files(self.store)
                granted += self.take(server, "after", 5000)
                self.expect_end(server, os.path.join(os.getcwd(), store), self.moved)
            self.assertEqual(self.files(self.store), copied)
            self.expect_held(self.moved, granted)
            shutil.rmtree(self.store)
            os.rename(self.moved, self.store)
            with Lockerd(store) as server:
                client = Client(server.port)
                self.assertEqual(client.acquire(granted[-1]).status, 423)
                client.close()
                self.assertEqual(server.stop(), 0)

    def test_it_ends_also_where_nobody_asks(self):
        with Lockerd(self.store) as server:
            granted = self.take(server, "a", 3)
            os.rename(self.store, self.moved)
            self.expect_end(server, self.moved)
        self.expect_held(self.moved, granted)
        self.assertFalse(os.path.exists(self.store))

    def test_a_stop_tells_it_too(self):
        with Lockerd(self.store) as server:
            granted = self.take(server, "a", 3)
            os.rename(self.store, self.moved)
            server.stop()
            self.expect_end(server, self.moved)
        self.expect_held(self.moved, granted)

    def test_what_is_removed_is_not_said_to_be_on_the_disk(self):
        with Lockerd(self.store) as server:
            self.take(server, "a", 3)
            while os.path.exists(self.store):  # the server may be creating a file
                shutil.rmtree(self.store, ignore_errors=True)
            self.assertEqual(server.process.wait(timeout=30), DISK, server.text())
            self.assertNotIn("is on the disk", server.text())


if __name__ == "__main__":
    unittest.main()
