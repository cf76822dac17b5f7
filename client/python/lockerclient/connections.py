"""Sends requests over blocking sockets (http.client), on keep-alive connections."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from typing import Iterator, Tuple

from . import deadline
from .address import Address
from .exchange import Answer, NoAnswer, Request, Send

CONNECT_TIMEOUT = 10.0
HANG_UP_TIMEOUT = 2.0
LONGEST_TIMEOUT = 2e6  # seconds; poll() takes 31-bit milliseconds, and Python truncates the rest
IDLE_KEPT = 16
IDLE_FOR = 50.0  # seconds; the server closes connections that are idle for 75 s
CLOSED_BEFORE = 1.0  # seconds; a connection cut later was open when the request was sent
# The reasons that versions of OpenSSL give when the peer does not speak TLS.
NO_TLS = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")
CLOCK_GRAIN = 0.05  # seconds; some clocks are coarse
SWITCHED = http.client.SWITCHING_PROTOCOLS
Stream = Tuple[http.client.HTTPResponse, Iterator[bytes]]


def is_of_connection(error: BaseException, since: float, timeout: float) -> bool:
    """Return whether an error comes from the connection, not from a signal handler.

    Signal handlers typically raise TimeoutError, or OSError itself. Errors of sockets have an
    errno, except timeouts, which come only once the timeout is over.
    """
    if isinstance(error, (http.client.HTTPException, ssl.SSLError)):
        return True
    if isinstance(error, socket.timeout) and error.errno is None:
        return time.monotonic() - since >= timeout - CLOCK_GRAIN
    return isinstance(error, OSError) and error.errno is not None


def failure_of(error: BaseException, was_sent: bool, has_answered: bool) -> NoAnswer:
    """Convert a socket error. `has_answered`: whether the server has ever answered."""
    # A name that once resolved will again: Docker Compose drops it while its container restarts.
    no_such_host = (isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME and
                    not has_answered)
    untrusted = isinstance(error, ssl.SSLCertVerificationError)
    is_no_tls = not was_sent and isinstance(error, ssl.SSLError) and error.reason in NO_TLS
    timed_out = isinstance(error, (socket.timeout, TimeoutError))
    text = "it took too long" if timed_out else str(error) or type(error).__name__
    if is_no_tls:
        text = "the server there does not speak TLS; begin the URL with http://, or fix its port"
    return NoAnswer(text, was_sent, was_sent and not timed_out,
                    no_such_host or untrusted or is_no_tls)


class _Reply(http.client.HTTPResponse):
    """Skips all 1xx replies before the final one; http.client itself skips only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not SWITCHED < line[1] < http.client.OK:
                return line
            http.client.parse_headers(self.fp)


def hang_up(connection: http.client.HTTPConnection) -> None:
    """Close a connection whose answer is not wanted, and wait until the server has closed it, too.

    By then the server has read the request, so it cannot carry it out after the request that undoes
    it.
    """
    until = time.monotonic() + HANG_UP_TIMEOUT
    try:
        connection.sock.shutdown(socket.SHUT_WR)
        while (left := until - time.monotonic()) > 0:
            connection.sock.settimeout(left)
            if not connection.sock.recv(64 * 1024):
                break
    except (OSError, AttributeError):  # it is closed already
        pass
    finally:
        connection.close()


class Connections:
    """A pool of connections. Thread-safe."""

    def __init__(self, address: Address, key: str | None, tls: ssl.SSLContext | None):
        self._mutex = threading.RLock()  # a signal handler may re-enter in the same thread
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._address = address
        self._headers = {"Host": address.host_header}
        if key is not None:
            self._headers["Authorization"] = "Bearer " + key
        self._tls = tls
        self._has_answered = False

    def forget(self) -> None:
        """Drop the connections in a forked child: its parent goes on using them."""
        self._mutex = threading.RLock()  # another thread may have held the old one
        self.close()

    def close(self) -> None:
        with self._mutex:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def __del__(self) -> None:
        self.close()  # a socket that has to do that by itself warns

    def send(self, step: Send) -> Answer:
        request, timeout = step.request, step.timeout
        connection = self._take_idle() if request.is_repeatable else None
        if connection is not None:
            began = time.monotonic()
            try:
                return self._exchange(connection, request, timeout)
            except NoAnswer as failure:
                if not failure.was_cut:
                    self.close()  # they may all be dead; finding out one by one is slow
                    raise
                if time.monotonic() - began >= CLOSED_BEFORE:
                    raise
                # Perhaps it was closed while idle: that says nothing about the server.
        return self._exchange(self._open(timeout), request, timeout)

    @contextlib.contextmanager
    def stream(self, request: Request, timeout: float) -> Iterator[Stream]:
        """Open an endless reply and its lines. The end of the block closes its connection."""
        connection = self._open(timeout)
        silent_since = time.monotonic()

        def lines() -> Iterator[bytes]:
            nonlocal silent_since
            while True:
                silent_since = time.monotonic()
                line = reply.readline()
                if not line:
                    return
                yield line

        try:
            reply = self._begin(connection, request, timeout)
            yield reply, lines()
        except (OSError, http.client.HTTPException) as error:
            if not is_of_connection(error, silent_since, timeout):
                raise
            raise failure_of(error, True, True) from error
        finally:
            connection.close()

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        connect_timeout = min(timeout, CONNECT_TIMEOUT)
        address = self._address
        connection: http.client.HTTPConnection
        if address.is_tls:
            connection = http.client.HTTPSConnection(address.host, address.port, context=self._tls,
                                                     timeout=connect_timeout)
        else:
            connection = http.client.HTTPConnection(address.host, address.port,
                                                    timeout=connect_timeout)
        connection.response_class = _Reply
        began = time.monotonic()
        try:
            connection.connect()
        except BaseException as error:
            connection.close()
            if not is_of_connection(error, began, connect_timeout):
                raise
            raise failure_of(error, False, self._has_answered) from error
        return connection

    def _begin(self, connection: http.client.HTTPConnection, request: Request,
               timeout: float) -> http.client.HTTPResponse:
        connection.sock.settimeout(timeout if timeout < LONGEST_TIMEOUT else None)
        connection.request(request.method, self._address.prefix + request.target,
                           request.encoded_body(), {**self._headers, **request.all_headers()})
        return connection.getresponse()

    def _exchange(self, connection: http.client.HTTPConnection, request: Request,
                  timeout: float) -> Answer:
        sent = deadline.now()
        began = time.monotonic()
        try:
            reply = self._begin(connection, request, timeout)
            text = reply.read().decode("utf-8", "replace")
        except BaseException as error:
            if not is_of_connection(error, began, timeout):  # Ctrl-C, for example
                hang_up(connection)
                raise
            connection.close()
            raise failure_of(error, True, True) from error
        self._has_answered = True
        if reply.will_close:
            connection.close()
        else:
            self._give_back(connection)
        return Answer(reply.status, text, sent)

    def _take_idle(self) -> http.client.HTTPConnection | None:
        oldest = time.monotonic() - IDLE_FOR
        with self._mutex:
            while True:
                try:
                    since, connection = self._idle.pop()
                except IndexError:
                    return None
                if since >= oldest:
                    return connection
                connection.close()

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._mutex:
            if len(self._idle) < IDLE_KEPT:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()
