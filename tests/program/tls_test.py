"""HTTPS: who can connect, what is refused, and that everything else works as without it."""

import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from certificates import Authority
from lockerd import LOCKER, LOCKERD, Lockerd, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../client/python"))
import lockerclient  # pylint: disable=wrong-import-position

PATIENCE = 60


def wait_until(condition, what):
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(what)
        time.sleep(0.02)


def has_ipv6():
    """Returns whether the machine has IPv6; socket.has_ipv6 says only how Python was built."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


class TlsCase(unittest.TestCase):
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.ca = Authority(cls.directory)
        cls.other_ca = Authority(cls.directory, "other-ca")
        cls.certificate, cls.key = cls.ca.issue("server", "DNS:localhost", "IP:127.0.0.1")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory, ignore_errors=True)

    def setUp(self):
        self.server = self.start()

    def start(self, *options):
        store = tempfile.mkdtemp(dir=self.directory)
        server = Lockerd(os.path.join(store, "store"), "--tls-certificate", self.certificate,
                         "--tls-key", self.key, *self.options, *options)
        self.addCleanup(server.__exit__)
        return server

    def trusting(self, client=None):
        context = ssl.create_default_context(cafile=self.ca.file)
        if client is not None:
            context.load_cert_chain(*client)
        return context

    def connection(self, client=None):
        connection = http.client.HTTPSConnection("localhost", self.server.port, timeout=PATIENCE,
                                                 context=self.trusting(client))
        self.addCleanup(connection.close)
        return connection

    @staticmethod
    def ask(connection, method, target):
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def wrap(self, raw):
        return self.trusting().wrap_socket(raw, server_hostname="localhost")

    def raw(self):
        raw = socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE)
        self.addCleanup(raw.close)
        return raw

    def curl(self, *arguments):
        done = subprocess.run(["curl", "-sS", "--max-time", str(PATIENCE), *arguments],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def url(self, target="", host="localhost", scheme="https"):
        return f"{scheme}://{host}:{self.server.port}{target}"

    def metric(self, name):
        text = self.ask(self.connection(), "GET", "/metrics")[1].decode()
        return int(float(next(line.split()[1] for line in text.splitlines()
                              if line.startswith(name + " "))))


class Https(TlsCase):
    def test_calls_and_keep_alive(self):
        connection = self.connection()
        taken = json.loads(self.ask(connection, "GET", "/canhaz/a?id=me")[1])
        self.assertTrue(taken["ok"])
        for _ in range(200):
            self.assertEqual(json.loads(self.ask(connection, "GET", "/dohaz/a")[1]),
                             {"lockedBy": "me"})
        self.assertEqual(self.ask(connection, "GET", "/nowant/a?token=" + taken["token"])[0], 200)
        self.assertEqual(self.metric("locker_http_connections_accepted_total"), 2)

    def test_curl(self):
        code, out, _ = self.curl("--cacert", self.ca.file, "-w", "%{http_version}",
                                 self.url("/dohaz/a"))
        self.assertEqual((code, out), (0, '{"lockedBy": null}1.1'))
        self.assertEqual(self.curl(self.url("/dohaz/a"))[0], 60)  # signed by an unknown CA
        self.assertEqual(self.curl("--cacert", self.other_ca.file, self.url("/dohaz/a"))[0], 60)
        self.assertEqual(self.curl("--cacert", self.ca.file, "--resolve",
                                   f"elsewhere:{self.server.port}:127.0.0.1",
                                   self.url("/dohaz/a", "elsewhere"))[0], 60)

    def test_old_versions_are_refused(self):
        for version in ("-tls1", "-tls1_1"):
            done = subprocess.run(
                ["openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect",
                 f"127.0.0.1:{self.server.port}"], input="", capture_output=True, text=True,
                timeout=PATIENCE, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("alert protocol version", done.stdout + done.stderr)
        context = self.trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with context.wrap_socket(self.raw(), server_hostname="localhost") as old:
            old.sendall(b"GET /dohaz/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            self.assertIn(b"200 OK", old.recv(65536))

    def test_plain_http_is_told_so(self):
        code, out, _ = self.curl("-w", "%{http_code}", self.url("/dohaz/a", scheme="http"))
        self.assertEqual(code, 0)
        self.assertIn('"https_only"', out)
        self.assertTrue(out.endswith("400"))

    def test_what_is_neither(self):
        before = self.metric("locker_tls_failed_total")
        for bytes_ in (b"\x00" * 100, b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x03\xff\xff" + b"a" * 70000):
            raw = self.raw()
            try:
                raw.sendall(bytes_)
                while raw.recv(65536):
                    pass
            except ConnectionError:
                pass
        self.assertEqual(self.metric("locker_tls_failed_total"), before + 3)

    LAST = b"GET /dohaz/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    def answers_to(self, requests):
        with self.wrap(self.raw()) as connection:
            connection.sendall(requests)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def test_pipelined_requests_and_large_answers(self):
        text = self.answers_to(b"GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 30 + self.LAST)
        self.assertEqual(text.count(b"HTTP/1.1 200 OK"), 31)
        self.assertTrue(text.endswith(b'{"lockedBy": null}'))

    def test_a_record_that_holds_more_than_one_read_takes(self):
        text = self.answers_to(b"GET /dohaz/x HTTP/1.1\r\nHost: a\r\n\r\n" * 400 + self.LAST)
        self.assertEqual(text.count(b"HTTP/1.1 200 OK"), 401)

    def test_a_slow_reader_gets_all(self):
        raw = socket.socket()
        self.addCleanup(raw.close)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", self.server.port))
        with self.wrap(raw) as connection:
            connection.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20 + self.LAST)
            size = 0
            while piece := connection.recv(3000):
                size += len(piece)
                if size < 100_000:
                    time.sleep(0.005)
        whole = len(self.ask(self.connection(), "GET", "/v1/openapi.json")[1])
        self.assertGreater(size, 20 * whole)

    def test_a_large_body(self):
        connection = self.connection()
        locks = [{"path": f"/many/{i:0100}"} for i in range(256)]
        connection.request("POST", "/v1/locks", json.dumps({"locks": locks}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 201, answer.read())

    def test_waiting_and_who_goes_away_leaves(self):
        holder, waiter = self.connection(), self.connection()
        held = json.loads(self.ask(holder, "POST", "/v1/locks/w")[1])
        waiter.request("POST", "/v1/locks/w?wait=60s")
        def waiters():
            return json.loads(self.ask(holder, "GET", "/v1/locks/w")[1])["waiter_count"]
        wait_until(lambda: waiters() == 1, "it does not wait")
        waiter.close()
        wait_until(lambda: waiters() == 0, "who has gone still waits")
        another = self.connection()
        another.request("POST", "/v1/locks/w?wait=60s")
        wait_until(lambda: waiters() == 1, "it does not wait")
        self.assertEqual(self.ask(holder, "DELETE", "/v1/locks/w?token=" + held["token"])[0], 200)
        self.assertEqual(another.getresponse().status, 201)

    def test_events(self):
        context = self.trusting()
        client = lockerclient.Client(self.url(), ssl_context=context)
        with client, client.events("/e") as events:
            with client.lock("/e/x", ttl=PATIENCE) as lock:
                self.assertEqual(next(events).fence, lock.fence)

    def test_unfinished_handshakes_are_closed(self):
        silent, half = self.raw(), self.raw()
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        for raw in (silent, half):
            raw.settimeout(PATIENCE)
            try:
                self.assertEqual(raw.recv(10), b"")
            except ConnectionResetError:
                pass

    def test_too_many_connections(self):
        server = self.start("--connections-max", "2")
        port, self.server = self.server.port, server
        self.assertNotEqual(port, server.port)
        kept = [self.connection(), self.connection()]
        for connection in kept:
            self.assertEqual(self.ask(connection, "GET", "/dohaz/a")[0], 200)
        status, body = self.ask(self.connection(), "GET", "/dohaz/a")
        self.assertEqual(status, 503, body)

    def test_many_at_once(self):
        def work(number):
            connection = self.connection()
            path = f"/many/{number % 7}"
            taken = json.loads(self.ask(connection, "POST", f"/v1/locks{path}?ttl=60s&wait=60s")[1])
            self.assertIn("token", taken)
            status, _ = self.ask(connection, "DELETE", f"/v1/locks{path}?token={taken['token']}")
            connection.close()
            return status
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            self.assertEqual(set(pool.map(work, range(300))), {200})
        self.assertEqual(self.server.stop(), 0)

    def test_stopping_answers_what_was_asked(self):
        connection = self.connection()
        self.ask(connection, "GET", "/dohaz/a")
        waiter = self.connection()
        self.ask(connection, "POST", "/v1/locks/s")
        waiter.request("POST", "/v1/locks/s?wait=60s")
        wait_until(lambda: json.loads(self.ask(connection, "GET", "/v1/locks/s")[1])["waiter_count"],
                   "it does not wait")
        ended = []
        stopper = threading.Thread(target=lambda: ended.append(self.server.stop()))
        stopper.start()
        self.assertEqual(waiter.getresponse().status, 503)
        stopper.join()
        self.assertEqual(ended, [0])

    def test_stopping_does_not_wait_for_an_unfinished_handshake(self):
        self.raw().sendall(b"\x16\x03\x01\x02\x00\x01")
        self.ask(self.connection(), "GET", "/dohaz/a")
        begin = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - begin, 5)


class Reload(TlsCase):
    def setUp(self):
        self.original = self.certificate, self.key
        self.certificate = os.path.join(self.directory, "live.pem")
        self.key = os.path.join(self.directory, "live.key")
        self.install(*self.original)
        super().setUp()

    def install(self, certificate, key):
        shutil.copy(certificate, self.certificate)
        shutil.copy(key, self.key)

    def serial(self):
        with self.wrap(self.raw()) as connection:
            return connection.getpeercert()["serialNumber"]

    def hang_up(self, what):
        before = self.server.text().count(what)
        self.server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.server.text().count(what) > before, f"'{what}' is not logged")

    def test_a_new_certificate(self):
        kept = self.connection()
        self.assertEqual(self.ask(kept, "GET", "/dohaz/a")[0], 200)
        before = self.serial()
        self.install(*self.ca.issue("renewed", "DNS:localhost", days=60))
        self.hang_up("the TLS certificate is valid until")
        self.assertNotEqual(self.serial(), before)
        self.assertEqual(self.ask(kept, "GET", "/dohaz/a")[0], 200)

    def test_a_mistake_changes_nothing(self):
        before = self.serial()
        other = self.ca.issue("mismatched", "DNS:localhost")
        shutil.copy(other[0], self.certificate)
        self.assertEqual(self.metric("locker_tls_is_current"), 1)
        self.hang_up("does not belong to the certificate")
        self.assertEqual(self.serial(), before)
        self.assertEqual(self.metric("locker_tls_is_current"), 0)
        os.remove(self.key)
        self.hang_up("cannot be read: No such file")
        self.assertEqual(self.serial(), before)
        self.install(*other)
        self.hang_up("the TLS certificate is valid until")
        self.assertNotEqual(self.serial(), before)
        self.assertEqual(self.metric("locker_tls_is_current"), 1)

    def test_expiry_is_told(self):
        expires = self.metric("locker_tls_certificate_expiry_timestamp_seconds")
        self.assertAlmostEqual(expires, time.time() + 30 * 86_400, delta=3600)
        self.install(*self.ca.issue("short", "DNS:localhost", days=3))
        self.hang_up("is valid only until")
        expires = self.metric("locker_tls_certificate_expiry_timestamp_seconds")
        self.assertAlmostEqual(expires, time.time() + 3 * 86_400, delta=3600)


class ClientCertificates(TlsCase):
    def setUp(self):
        self.audit = os.path.join(self.directory, "audit.log")
        self.options = ("--tls-client-ca", self.ca.file, "--audit-log", self.audit)
        super().setUp()

    def test_who_has_one_gets_in(self):
        worker = self.ca.issue("worker")
        self.assertEqual(self.ask(self.connection(worker), "GET", "/dohaz/a")[0], 200)
        context = self.trusting(worker)
        session = None
        for _ in range(2):  # the second time, a resumed session
            with context.wrap_socket(self.raw(), server_hostname="localhost",
                                     session=session) as connection:
                connection.sendall(b"GET /dohaz/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                self.assertIn(b"200 OK", connection.recv(65536))
                session = connection.session

    def test_the_audit_log_says_whose_certificate_it_was(self):
        context = self.trusting(self.ca.issue("build-7"))
        session = None
        for path in (b"/a", b"/b"):  # the second time, a resumed session
            with context.wrap_socket(self.raw(), server_hostname="localhost",
                                     session=session) as connection:
                connection.sendall(b"GET /canhaz" + path + b" HTTP/1.1\r\nHost: a\r\n"
                                   b"Connection: close\r\n\r\n")
                self.assertIn(b"200 OK", connection.recv(65536))
                self.assertEqual(connection.session_reused, session is not None)
                session = connection.session
        self.assertEqual(self.server.stop(), 0)
        with open(self.audit, encoding="utf-8") as log:
            lines = [json.loads(line) for line in log]
        self.assertEqual([(line["paths"], line["certificate"]) for line in lines[-2:]],
                         [(["/a"], "CN=build-7"), (["/b"], "CN=build-7")])

    def test_nobody_else_does(self):
        for client in (None, self.other_ca.issue("stranger")):
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                self.ask(self.connection(client), "GET", "/canhaz/a")
        self.assertEqual(self.ask(self.connection(self.ca.issue("looker")), "GET", "/dohaz/a")[1],
                         b'{"lockedBy": null}')

    def test_clients(self):
        certificate, key = self.ca.issue("clients")
        environment = {"LOCKER_URL": self.url(), "LOCKER_CA_FILE": self.ca.file,
                       "LOCKER_CLIENT_CERTIFICATE": certificate, "LOCKER_CLIENT_KEY": key}
        code, out = run(LOCKER, "run", "/c", "--", "sh", "-c", "echo $LOCKER_URL",
                        environment=environment)
        self.assertEqual((code, out), (0, self.url() + "\n"))
        code, out = run(sys.executable, "-c",
                        "import sys; sys.path.insert(0, sys.argv[1]); import lockerclient\n"
                        "with lockerclient.Client() as c, c.lock('/c'): print('held')",
                        os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                     "../../client/python"), environment=environment)
        self.assertEqual((code, out), (0, "held\n"))
        del environment["LOCKER_CLIENT_CERTIFICATE"]
        code, out = run(LOCKER, "ls", environment=environment)
        self.assertEqual(code, 69, out)


class Command(TlsCase):
    """The program `locker`, with an environment made by the test."""

    def locker(self, *arguments, ca=None, url=None):
        environment = {"LOCKER_URL": url or self.url()}
        if ca:
            environment["LOCKER_CA_FILE"] = ca
        return run(LOCKER, *arguments, environment=environment, timeout=PATIENCE)

    def test_commands(self):
        code, token = self.locker("acquire", "/a", "--ttl", "60s", ca=self.ca.file)
        self.assertEqual(code, 0, token)
        self.assertIn("/a", self.locker("ls", ca=self.ca.file)[1])
        self.assertEqual(self.locker("release", "/a", "--token", token.strip(),
                                     ca=self.ca.file)[0], 0)
        self.assertIn(self.url(), self.locker("status", ca=self.ca.file)[1])
        self.assertEqual(self.locker("status", "--ca-file", self.ca.file)[0], 0)

    def test_who_is_not_trusted(self):
        code, said = self.locker("ls")
        self.assertEqual(code, 69)
        self.assertIn("cannot be trusted", said)
        code, said = self.locker("ls", ca=self.other_ca.file)
        self.assertEqual(code, 69)
        self.assertIn("cannot be trusted", said)
        self.certificate, self.key = self.ca.issue("elsewhere", "DNS:elsewhere")
        self.server = self.start()
        code, said = self.locker("ls", ca=self.ca.file)
        self.assertEqual(code, 69)
        self.assertIn("hostname mismatch", said)
        code, said = self.locker("ls", ca=self.ca.file, url=self.url(host="127.0.0.1"))
        self.assertEqual(code, 69)
        self.assertIn("IP address mismatch", said)
        if has_ipv6():  # with a zone, which certificates cannot contain
            self.server = self.start("--ip", "::1")
            code, said = self.locker("ls", ca=self.ca.file, url=self.url(host="[::1%1]"))
            self.assertEqual(code, 69)
            self.assertIn("IP address mismatch", said)

    def test_a_lock_outlives_a_restart(self):
        store = os.path.join(self.directory, "restarted")
        options = ("--tls-certificate", self.certificate, "--tls-key", self.key)
        with Lockerd(store, *options) as server:
            port, url = server.port, f"https://localhost:{server.port}"
            process = subprocess.Popen(
                [LOCKER, "run", "/r", "--ttl", "12s", "--", "sh", "-c", "echo in; sleep 14"],
                env={**os.environ, "LOCKER_URL": url, "LOCKER_CA_FILE": self.ca.file}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(process.kill)
            self.assertEqual(process.stdout.readline(), "in\n")
            server.kill()
            with Lockerd(store, *options, port=port):
                out, said = process.communicate(timeout=PATIENCE)
                self.assertEqual(process.returncode, 0, out + said)


class BadFiles(TlsCase):
    def setUp(self):
        pass

    def refused(self, code, *options):
        store = os.path.join(self.directory, "never")
        ended, said = run(LOCKERD, "--port", "0", "--file", store, *options)
        self.assertEqual(ended, code, said)
        self.assertFalse(os.path.exists(store))
        return said

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def test_half_of_the_options(self):
        self.assertIn("go together", self.refused(64, "--tls-certificate", self.certificate))
        self.assertIn("go together", self.refused(64, "--tls-key", self.key))
        self.assertIn("--tls-client-ca needs", self.refused(64, "--tls-client-ca", self.ca.file))

    def test_what_is_in_them(self):
        def said(certificate=self.certificate, key=self.key, *more):
            return self.refused(78, "--tls-certificate", certificate, "--tls-key", key, *more)
        self.assertIn("cannot be read: No such file", said("/nowhere.pem"))
        self.assertIn("cannot be read: No such file", said(self.certificate, "/nowhere.key"))
        empty = self.write("empty.pem", "")
        self.assertIn(f"{empty} has no usable TLS certificate", said(empty))
        self.assertIn(f"{empty} has no usable TLS key", said(self.certificate, empty))
        other = self.ca.issue("others", "DNS:localhost")
        self.assertIn("does not belong to the certificate", said(self.certificate, other[1]))
        self.assertIn("has no usable CA certificate",
                      said(self.certificate, self.key, "--tls-client-ca", empty))
        locked = os.path.join(self.directory, "locked.key")
        subprocess.run(["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", self.key,
                        "-out", locked], check=True, capture_output=True, timeout=60)
        self.assertIn("without a passphrase", said(self.certificate, locked))


class Warnings(TlsCase):
    def setUp(self):
        pass

    def test_at_start(self):
        keys = os.path.join(self.directory, "keys")
        run(LOCKER, "token", "new", "all", "--allow", "admin /", "--file", keys)
        tls = ("--tls-certificate", self.certificate, "--tls-key", self.key)
        for options, there, missing in (
                (("--keys", keys), "there is no TLS", "there are no keys"),
                (tls, "there are no keys", "there is no TLS"),
                ((*tls, "--keys", keys), "listening", "warning"),
                ((*tls, "--tls-client-ca", self.ca.file), "listening", "warning")):
            store = tempfile.mkdtemp(dir=self.directory)
            with Lockerd(os.path.join(store, "store"), "--ip", "0.0.0.0", *options) as server:
                wait_until(lambda: there in server.text(), f"{there}: {server.text()}")
                server.stop()
                self.assertNotIn(missing, server.text())


if __name__ == "__main__":
    unittest.main()
