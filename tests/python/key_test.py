"""A server that requires API keys."""

import asyncio
import os
import unittest
from unittest import mock

import server_case  # extends sys.path
from server_case import PATIENCE, ServerCase, lockerclient

from keys import new_key
from lockerclient import LockerError
from lockerclient.aio import AsyncClient
from lockerd import Lockerd


class WithKeys(ServerCase):
    def setUp(self):
        super().setUp()
        self.server.kill()
        file = os.path.join(self.directory, "keys")
        self.key = new_key("ci", "lock /ci", file=file)[0]
        self.server = Lockerd(self.store, "--keys", file)

    def check_refusal(self, status, call):
        with self.assertRaises(LockerError) as caught:
            call()
        self.assertEqual(caught.exception.status, status)
        return caught.exception

    def test_the_key_is_given_or_stands_in_the_environment(self):
        with mock.patch.dict(os.environ):
            os.environ.pop("LOCKER_KEY", None)
            self.check_refusal(401, self.new_client().status)
            self.assertIn("locks", self.new_client(key=self.key).status())
            os.environ["LOCKER_KEY"] = self.key
            client = self.new_client()
            with client.lock("/ci/a") as lock:
                self.assertGreater(lock.fence, 0)
            error = self.check_refusal(403, lambda: client.acquire("/prod", wait=0))
            self.assertEqual(error.code, "not_permitted")
            self.assertIn("lock /prod", str(error))
            self.check_refusal(403, lambda: list(client.locks()))
            self.assertEqual(list(client.locks("/ci")), [])
            self.check_refusal(401, self.new_client(key="wrong").status)

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def in_environment(self, **variables):
        """Sets the environment; no other variable names a server or a key."""
        names = [name for name in os.environ if name.startswith("LOCKER_")]
        home = {"HOME": self.directory, "XDG_CONFIG_HOME": ""}
        patched = mock.patch.dict(os.environ, {**home, **variables})
        patched.start()
        self.addCleanup(patched.stop)
        for name in set(names) - set(variables):
            del os.environ[name]

    def check_finds(self, **variables):
        self.in_environment(**variables)
        client = lockerclient.Client(patience=PATIENCE)
        self.addCleanup(client.close)
        self.assertEqual(client.url, self.server.url)
        self.assertIn("locks", client.status())

        async def main():
            async with AsyncClient(patience=PATIENCE) as client:
                self.assertIn("locks", await client.status())
        asyncio.run(main())

    def test_the_key_stands_in_a_file(self):
        file = self.write("key", self.key + " \r\n")
        self.check_finds(LOCKER_URL=self.server.url, LOCKER_KEY_FILE=file)
        self.check_finds(LOCKER_URL=self.server.url, LOCKER_KEY_FILE="nowhere", LOCKER_KEY=self.key)
        for bad in ("nowhere", self.write("empty", "\n" + self.key)):
            self.in_environment(LOCKER_KEY_FILE=bad)
            for kind in (lockerclient.Client, AsyncClient):
                with self.assertRaisesRegex(ValueError, f"The key file '{bad}' cannot be read"):
                    kind()

    def test_server_and_key_stand_where_the_command_finds_them(self):
        key = self.write("key", self.key)
        text = f"# ours\nurl = {self.server.url} # the one\n\n  key-file={key}\n"
        named = self.write("named.conf", text)
        self.check_finds(LOCKER_CLIENT_CONFIG=named)
        other = self.write("other.conf", "url = http://127.0.0.1:1\nkey-file = nowhere\n")
        self.check_finds(LOCKER_CLIENT_CONFIG=other, LOCKER_URL=self.server.url,
                         LOCKER_KEY=self.key)
        elsewhere = {"XDG_CONFIG_HOME": os.path.join(self.directory, "x")}
        for variables, directory in (({}, ".config/locker"), (elsewhere, "x/locker")):
            os.makedirs(os.path.join(self.directory, directory))
            file = self.write(directory + "/locker.conf", text)
            self.check_finds(**variables)
            os.remove(file)

    def test_a_file_that_is_no_good_is_told(self):
        for file, said in (
                ("nowhere", "nowhere cannot be read"), (self.directory, "cannot be read"),
                (self.write("a", "url http://x\n"), "/a: 'url http://x' is not a valid line"),
                (self.write("b", "key = x\n"), "/b: .*'key = x'.* It takes url, key-file"),
                (self.write("c", "url = http://x\nurl = http://y\n"), "/c: .*twice")):
            self.in_environment(LOCKER_CLIENT_CONFIG=file)
            for kind in (lockerclient.Client, AsyncClient):
                with self.assertRaisesRegex(ValueError, said):
                    kind()

    def test_with_asyncio(self):
        async def main():
            async with AsyncClient(self.server.url, patience=PATIENCE, key=self.key) as client:
                async with client.lock("/ci/b"):
                    return await client.status()
        self.assertEqual(asyncio.run(main())["locks"], 1)

    def test_events_of_a_prefix(self):
        client = self.new_client(key=self.key)
        with client.events("/ci") as events:
            thread = self.in_background(lambda: next(iter(events)))
            server_case.wait_until(lambda: client.status()["event_readers"] == 1)
            client.acquire("/ci/e")
            self.assertEqual(thread.result().path, "/ci/e")
        error = self.check_refusal(403, lambda: next(iter(client.events())))
        self.assertIn("prefix=/ci", str(error))


if __name__ == "__main__":
    unittest.main()
