"""A proxy that terminates TLS in front of lockerd, with its own certificate."""

import asyncio
import os
import shutil
import ssl
import subprocess
import threading

import server_case  # noqa: F401, extends sys.path
from lockerclient.aio.connections import abort


def openssl_is_there():
    return shutil.which("openssl") is not None


class TlsProxy:
    """`certificate` is the file that clients must trust."""

    def __init__(self, port, directory):
        self._port = port
        self.certificate = os.path.join(directory, "certificate.pem")
        key = os.path.join(directory, "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out",
             self.certificate], check=True, capture_output=True)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate, key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _serve(self, reader, writer):
        reader_there, writer_there = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(self._pipe(reader, writer_there), self._pipe(reader_there, writer))
        except asyncio.CancelledError:  # from close()
            pass
        finally:
            abort(writer)
            abort(writer_there)

    @staticmethod
    async def _pipe(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass
        writer.close()

    async def _end(self):
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the aborted connections close

    def close(self):
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
