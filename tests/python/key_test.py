"""A server that wants keys."""

import asyncio
import os
import unittest
from unittest import mock

import server_case  # it makes the packages known
from server_case import PATIENCE, ServerCase

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
