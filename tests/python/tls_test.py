"""Both clients through a proxy that speaks TLS."""

import asyncio
import ssl
import unittest

from server_case import LONG, ServerCase
from tls_proxy import TlsProxy, openssl_is_there
from lockerclient import Unreachable
from lockerclient.aio import AsyncClient


@unittest.skipUnless(openssl_is_there(), "needs openssl, to make a certificate")
class Tls(ServerCase):
    def setUp(self):
        super().setUp()
        self.proxy = TlsProxy(self.server.port, self.directory)
        self.addCleanup(self.proxy.close)
        self.trusting = ssl.create_default_context(cafile=self.proxy.certificate)

    def test_blocking(self):
        client = self.new_client(url=self.proxy.url, ssl_context=self.trusting)
        with client.events("/a") as events:
            with client.lock("/a", ttl=LONG) as lock:
                self.assertEqual(self.client.state("/a").holders[0].fence, lock.fence)
                self.assertEqual(next(events).fence, lock.fence)

    def test_asyncio(self):
        async def body():
            async with AsyncClient(self.proxy.url, ssl_context=self.trusting) as client:
                async with client.events("/a") as events, client.lock("/a", ttl=LONG) as lock:
                    self.assertEqual(self.client.state("/a").holders[0].fence, lock.fence)
                    self.assertEqual((await events.__anext__()).fence, lock.fence)
                    waiting = asyncio.ensure_future(client.acquire("/a"))
                    while self.client.state("/a").waiter_count == 0:
                        await asyncio.sleep(0.01)
                    waiting.cancel()
                    with self.assertRaises(asyncio.CancelledError):
                        await waiting
        asyncio.run(body())
        self.assertTrue(self.is_free("/a"))

    def test_who_is_not_trusted_is_told_at_once(self):
        client = self.new_client(url=self.proxy.url)  # its patience is longer than the test's
        with self.assertRaisesRegex(Unreachable, "certificate verify failed"):
            client.lock("/a").acquire()

        async def body():
            async with AsyncClient(self.proxy.url, patience=3600) as client:
                await client.status()
        with self.assertRaisesRegex(Unreachable, "certificate verify failed"):
            asyncio.run(body())


if __name__ == "__main__":
    unittest.main()
