"""Both clients through a TLS proxy."""

import asyncio
import os
import ssl
import threading
import unittest
import unittest.mock

from server_case import LONG, PATIENCE, ServerCase
from tls_proxy import TlsProxy, openssl_is_there
import lockerclient
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

    def test_asyncio_closes_what_does_not_answer_any_more(self):
        goes_on = threading.Event()

        async def body():
            async with AsyncClient(self.proxy.url, ssl_context=self.trusting) as client:
                await client.state("/a")
                self.proxy._loop.call_soon_threadsafe(goes_on.wait)

        with unittest.mock.patch("asyncio.constants.SSL_SHUTDOWN_TIMEOUT", 10 * PATIENCE,
                                 create=True):
            try:
                asyncio.run(asyncio.wait_for(body(), PATIENCE))
            finally:
                goes_on.set()

    def test_a_ca_file(self):
        client = self.new_client(url=self.proxy.url, ca_file=self.proxy.certificate)
        self.assertTrue(client.state("/a").free)

        async def body():
            async with AsyncClient(self.proxy.url, ca_file=self.proxy.certificate) as client:
                return (await client.state("/a")).free
        self.assertTrue(asyncio.run(body()))
        os.environ["LOCKER_CA_FILE"] = self.proxy.certificate
        self.addCleanup(os.environ.pop, "LOCKER_CA_FILE")
        self.assertTrue(self.new_client(url=self.proxy.url).state("/a").free)

    def test_files_that_are_no_good_are_named(self):
        for client in (lockerclient.Client, AsyncClient):
            with self.assertRaisesRegex(ValueError, "'/nowhere.pem' cannot be used: .*No such file"):
                client(self.proxy.url, ca_file="/nowhere.pem")
            with self.assertRaisesRegex(ValueError, "ca_file or ssl_context"):
                client(self.proxy.url, ca_file=self.proxy.certificate, ssl_context=self.trusting)
        with unittest.mock.patch.dict(os.environ, LOCKER_CLIENT_CERTIFICATE="/nowhere.crt"):
            with self.assertRaisesRegex(ValueError, "'/nowhere.crt' .* belong together"):
                lockerclient.Client(self.proxy.url)
            lockerclient.Client(self.server.url)  # http needs no certificate

    def test_who_is_not_trusted_is_told_at_once(self):
        client = self.new_client(url=self.proxy.url)  # it is more patient than the test
        with self.assertRaisesRegex(Unreachable, "certificate verify failed"):
            client.lock("/a").acquire()

        async def body():
            async with AsyncClient(self.proxy.url, patience=3600) as client:
                await client.status()
        with self.assertRaisesRegex(Unreachable, "certificate verify failed"):
            asyncio.run(body())

    def test_a_server_without_tls_is_told_at_once(self):
        url = self.server.url.replace("http:", "https:")
        client = self.new_client(url=url)
        with self.assertRaisesRegex(Unreachable, "does not speak TLS; .*http://"):
            client.status()

        async def body():
            async with AsyncClient(url, patience=3600) as client:
                await client.status()
        with self.assertRaisesRegex(Unreachable, "does not speak TLS; .*http://"):
            asyncio.run(body())


if __name__ == "__main__":
    unittest.main()
