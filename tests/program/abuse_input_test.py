"""Malicious input to the real program: ambiguous requests (smuggling), oversized ones, and invalid
JSON. None of it ever acquires a lock."""

import socket
import tempfile
import unittest

from abuse import PATIENCE, GoodClients, Watch
from lockerd import Lockerd
from v1_client import Client

SMUGGLED = b"GET /canhaz/smuggled?id=thief HTTP/1.1\r\nHost: a\r\n\r\n"


def post(fields, body=b""):
    return b"POST /dohaz/x HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n" + body


def get(fields=b"X: y", line=b"GET /dohaz/x HTTP/1.1"):
    return line + b"\r\nHost: a\r\n" + fields + b"\r\n\r\n"


def ambiguous():
    """Yields requests after which the beginning of the next one is ambiguous."""
    for coding in (b"xchunked", b"identity", b"\x0bchunked", b"chunked\0", b"chunked, identity",
                   b"chunked, chunked", b"chunked;q=1", b'"chunked"', b"", b"gzip, chunked"):
        yield post(b"Transfer-Encoding:" + coding, b"0\r\n\r\n")
    for coding in (b"chunked", b"xchunked", b"identity", b" chunked", b"\tchunked", b"CHUNKED", b""):
        yield post(b"Content-Length: 5\r\nTransfer-Encoding:" + coding, b"0\r\n\r\n")
        yield post(b"Transfer-Encoding:" + coding + b"\r\nContent-Length: 5", b"0\r\n\r\n")
    yield post(b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", b"0\r\n\r\n")
    for chunks in (b"0;x\r\n\r\n", b"0;\r\n\r\n", b"0 \r\n\r\n", b" 0\r\n\r\n", b"0\n\n", b"0\r\r",
                   b"0\r\nX: y\r\n\r\n", b"0x0\r\n\r\n", b"-0\r\n\r\n", b"+0\r\n\r\n", b"\r\n", b"g",
                   b"0000000000\r\n\r\n", b"100000000\r\n", b"ffffffffffffffff\r\n", b"2\r\nx\r\n0\r\n\r\n",
                   b"1\r\nxy\r\n0\r\n\r\n", b"1\r\nx\n0\r\n\r\n", b"1\nx\n0\n\n"):
        yield post(b"Transfer-Encoding: chunked", chunks)
    for method in (b"GET", b"HEAD", b"DELETE"):
        yield (method + b" /dohaz/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n"
               % len(SMUGGLED))
    for name in (b"Transfer-Encoding ", b" Transfer-Encoding", b"\tTransfer-Encoding",
                 b"Transfer-Encoding\t", b"Transfer-Encoding\0", b"X: y\r\n Transfer-Encoding",
                 b"X: y\rTransfer-Encoding", b"X: y\nTransfer-Encoding", b"Transfer Encoding",
                 b"\xefTransfer-Encoding", b"Content-Length ", b" Content-Length", b"Content-Length\0"):
        yield post(name + b": 5", b"0\r\n\r\n")
    for length in (b"5\r\nContent-Length: 6", b"5\r\nContent-Length: 5", b"5, 5", b"+5", b"-5", b"0x5",
                   b"5\0", b"5\x0b", b"5.0", b"5e0", b"", b"5_0", b"5\r\n 0", b"\xd9\xa5",
                   b"4294967301", b"18446744073709551621", b"9" * 40):
        yield post(b"Content-Length: " + length, b"x=abc")
    for method in (b"GET", b"HEAD", b"DELETE"):
        yield method + b" /dohaz/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED)
    for line in (b"GET http:///dohaz/x HTTP/1.1", b"GET http://b@a/dohaz/x HTTP/1.1",
                 b"GET ftp://a/dohaz/x HTTP/1.1", b"GET /dohaz/x", b"GET /dohaz/x HTTP/0.9",
                 b"GET /dohaz/x HTTP/2.0", b"GET /dohaz/x HTTP/1.9", b"GET /dohaz/x HTTP/1.10",
                 b"GET /dohaz/x  HTTP/1.1", b"GET\t/dohaz/x HTTP/1.1", b"GET /dohaz/x\tHTTP/1.1",
                 b"GET /dohaz/x HTTP/1.1\0", b"GET /dohaz/x\0 HTTP/1.1", b"GET /doh\xc3\xa4z HTTP/1.1",
                 b"CONNECT a:80 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"PRI * HTTP/2.0", b"G\0T / HTTP/1.1"):
        yield get(line=line)
    for field in (b"X\0Y: a", b"X: a\0b", b"X: a\x01b", b"X: a\rb", b"Host: b", b"no colon", b": x",
                  b" ", b"Expect: 200-ok", b"Lock-Token: a\r\nLock-Token: b"):
        yield get(field)
    yield b"GET /dohaz/x HTTP/1.1\r\n\r\n"
    for host in (b"a b/c", b"a/c", b"a@b", b"a:b", b"[::1", b"a, b", b"\xc3\xa4"):
        yield b"GET /dohaz/x HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    yield b"GET /dohaz/x HTTP/1.1\nHost: a\n\n"
    yield b"GET /dohaz/x HTTP/1.1\r\nHost: a\r\n\n"
    yield b"GET /dohaz/x HTTP/1.1\rHost: a\r\r"
    yield b"\n" + get()
    yield b"\r" + get()
    yield b"\r\n" * 5 + get()
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)
    yield get() + b"\0\xff\xfe garbage\r\n\r\n"
    yield get() + b"x=abc"


# Answered on their merits; the beginning of the next request is unambiguous.
CLEAR = [get(line=b"get /dohaz/x HTTP/1.1"), get(line=b"GET //a/dohaz/x HTTP/1.1"),
         get(line=b"BREW /dohaz/x HTTP/1.1"), get(line=b"GET /dohaz/%00 HTTP/1.1"),
         get(line=b"GET /dohaz/%ff HTTP/1.1"), get(line=b"GET /dohaz/%2e%2e/x HTTP/1.1"),
         get(line=b"GET http://b/dohaz/x HTTP/1.1"), get(line=b"GET HTTPS://b:1 HTTP/1.1"),
         get(b"X: \xff"), get(b"X:"), post(b"Content_Length: 5"), b"\r\n" + get(),
         post(b"Transfer-Encoding: chunked", b"0\r\n\r\n"),
         post(b"Transfer-Encoding:\tCHUNKED \r\nContent-Type: application/x-www-form-urlencoded",
              b"0005\r\nx=abc\r\n00\r\n\r\n"),
         post(b"Content-Length: 05\r\nContent-Type: application/x-www-form-urlencoded", b"x=abc"),
         get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__")]


def oversize():
    """Yields oversized requests, each with the status that must refuse it."""
    target = b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    yield 414, target
    yield 414, b"GET /" + b"x" * 100_000
    yield 431, get(b"X: " + b"x" * 20_000)
    yield 431, get(b"X: " + b"x" * 100_000)
    yield 431, get(b"\r\n".join(b"X: y" for _ in range(70)))
    yield 431, get(b"\r\n".join(b"X%d: y" % number for number in range(3000)))
    yield 414, b"x" * 100_000
    yield 413, post(b"Content-Length: 65537", b" " * 65537)
    yield 413, post(b"Content-Length: 9999999999", b" " * 65537)
    yield 413, b"POST /v1/locks HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n" + b" " * 65537
    yield 400, b"\r\n" * 50_000


BODIES = [
    b'{"owner": "a", "owner": "b"}', b'{"owner": "a", "\\u006fwner": "b"}',
    b'{"locks": [{"path": "/x", "path": "/y"}]}', b'{"locks": [{"path": "/x"}], "locks": []}',
    b"[" * 17 + b"]" * 17, b"[" * 60_000, b'{"a":' * 12_000, b'{"locks": ' + b"[" * 16 + b"]" * 16 + b"}",
    b'{"locks": [' + b"[]," * 20_000 + b"[]]}", b"{" + b'"k": 0,' * 8_000 + b'"k": 0}',
    b"{" + b",".join(b'"%d": 0' % number for number in range(5_000)) + b"}",
    b'{"ttl": ' + b"9" * 60_000 + b"}", b'{"ttl": 1e308}', b'{"ttl": 1e999999999}', b'{"ttl": NaN}',
    b'{"ttl": -1}', b'{"ttl": 18446744073709551616}', b'{"ttl": "nan"}', b'{"ttl": null}',
    b'{"ttl": {}}', b'{"owner": "%s"}' % (b"o" * 256), b'{"%s": 1}' % (b"k" * 60_000),
    b'{"owner": "a\\u0000b"}', b'{"owner": "a\0b"}', b'{"owner": "\xff\xfe"}', b'{"owner": "\xc0\xaf"}',
    b'{"owner": "\\ud800"}', b'{"owner": "\xed\xa0\x80"}', b'{"meta": "%s"}' % (b"m" * 4_097),
    b'{"owner": "a"} {"owner": "b"}', b'{"owner": "a"}\0', b'\xef\xbb\xbf{"owner": "a"}', b"", b"\0",
    b'{/**/"owner": "a"}', b"{'owner': 'a'}", b'{"owner": "a",}', b'{"owner": "a"', b"null", b"[]",
    b'{"locks": [%s]}' % b",".join(b'{"path": "/%d"}' % number for number in range(257)),
    b'{"locks": [{"path": "/q"}, {"path": "//%71/"}]}', b'{"locks": [{"path": "/a\\u0000"}]}',
    b'{"locks": [{"path": ["/a"]}]}', b'{"locks": [{"path": "/q"}], "any": 99999999999999999999}',
    b'{"locks": [{"path": "/q"}], "any": -1}', b'{"locks": [{"path": "/%s"}]}' % (b"p" * 256),
    b'{"locks": [{"path": "%s"}]}' % (b"/p" * 65),
]


class AbuseInput(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.server = Lockerd(directory.name + "/locks.db", "--durability", "none")
        self.addCleanup(lambda: self.server.__exit__())
        self.watch = Watch(self.server)
        self.good = GoodClients(self.server.port, count=1)

    def check(self):
        self.good.check()
        status = self.server.get("/v1/status")
        self.assertEqual((status["locks"], status["leases"]), (0, 0))
        self.watch.check_recovered(self.watch.memory_before + 48)

    def ask(self, data):
        """Sends data and nothing more; returns everything that is answered."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE) as one:
            received = b""
            try:
                one.sendall(data)
                one.shutdown(socket.SHUT_WR)
                while data := one.recv(65536):
                    received += data
            except OSError:  # closed by the server
                pass
            return received

    @staticmethod
    def statuses(received):
        heads = [b""] + received.split(b"HTTP/1.1 ")
        return [int(head[:3]) for head in heads[2:]]

    def test_what_two_programs_could_read_differently_is_refused_and_the_connection_ends(self):
        count = 0
        for attack in ambiguous():
            received = self.ask(attack + SMUGGLED)
            self.assertNotIn(b'"ok": true', received, attack)
            self.assertGreaterEqual(self.statuses(received)[-1], 400, attack)
            self.assertIn(b"Connection: close", received, attack)
            count += 1
        self.assertGreater(count, 100)
        for harmless in CLEAR:
            self.assertEqual(len(self.statuses(self.ask(harmless + get()))), 2, harmless)
        self.check()

    def test_what_is_too_large_is_refused(self):
        for status, attack in oversize():
            received = self.ask(attack + SMUGGLED)
            # A reset may overtake the answer if the client goes on sending.
            self.assertLessEqual(set(self.statuses(received)), {status}, attack[:100])
            self.assertNotIn(b'"ok": true', received)
        self.assertEqual(self.statuses(self.ask(next(oversize())[1])), [414])
        self.check()

    def test_what_is_no_json_or_says_a_thing_twice_takes_no_lock(self):
        client = Client(self.server.port, PATIENCE)
        headers = {"Content-Type": "application/json"}
        for body in BODIES:
            for method, path in (("POST", "/v1/locks"), ("POST", "/v1/locks/json"),
                                 ("POST", "/canhaz/json"), ("POST", "/v1/leases"),
                                 ("LOCK", "/terraform/json")):
                if not body and path != "/v1/locks" and method == "POST":
                    continue  # a valid request without parameters
                answer = client.ask(method, path, body, headers)
                self.assertEqual(answer.status, 400, f"{method} {path} {body[:80]}: {answer}")
        client.close()
        self.check()


if __name__ == "__main__":
    unittest.main()
