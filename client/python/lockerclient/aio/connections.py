"""Sends requests over asyncio streams, on keep-alive connections."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import time
from typing import AsyncGenerator, AsyncIterator, Awaitable, Callable, TypeVar

from .. import deadline
from ..address import Address
from ..connections import (CLOSED_BEFORE, CONNECT_TIMEOUT, HANG_UP_TIMEOUT, IDLE_FOR, IDLE_KEPT,
                           failure_of)
from ..exchange import Answer, NoAnswer, Request, Send
from . import http

_Result = TypeVar("_Result")
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Stream = tuple[http.Head, AsyncGenerator[bytes, None]]


def abort(writer: asyncio.StreamWriter) -> None:
    try:
        writer.transport.abort()
    except AttributeError:  # TLS of early 3.11 releases, if it is closed already
        pass
    except RuntimeError:  # its loop is closed
        pass


class _Timeout:
    """Aborts a connection that is silent for too long, so that its reader fails.

    Not asyncio.wait_for: before Python 3.12 it can swallow a cancellation.
    """

    def __init__(self, writer: asyncio.StreamWriter, seconds: float):
        self.is_over = False
        self._writer = writer
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self.restart()

    def restart(self) -> None:
        self.stop()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds, self._end)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self.is_over = True
        abort(self._writer)


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The counterpart of the blocking client's hang_up, which says why."""
    timeout = _Timeout(writer, HANG_UP_TIMEOUT)
    try:
        if writer.can_write_eof():
            writer.write_eof()
        else:  # TLS cannot be half-closed
            writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
        while await reader.read(64 * 1024):
            pass
    except (OSError, TypeError):  # closed already, or not a socket, as in uvloop
        pass
    finally:
        timeout.stop()


def _forget(task: asyncio.Future[list[str]]) -> None:
    if not task.cancelled():
        task.exception()  # else asyncio logs that it was never retrieved


def _close_unwanted(connecting: asyncio.Future[_Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        abort(connecting.result()[1])


_Idle = list[tuple[float, _Connection]]


class Connections:
    """A pool of connections per event loop. Thread-safe."""

    def __init__(self, address: Address, key: str | None, tls: ssl.SSLContext | None):
        self._address = address
        self._headers = {"Host": address.host_header}
        if key is not None:
            self._headers["Authorization"] = "Bearer " + key
        self._tls = tls
        self._has_answered = False
        # No mutex: in a forked child it could stay locked for ever by a thread of the parent.
        self._idle_of: dict[asyncio.AbstractEventLoop, _Idle] = {}

    def _idle(self) -> _Idle:
        """Return the idle connections of the running loop."""
        loop = asyncio.get_running_loop()
        for each in list(self._idle_of):
            if each.is_closed():
                self._idle_of.pop(each, None)  # drops its sockets, too
        return self._idle_of.setdefault(loop, [])

    async def close(self) -> None:
        """Close the idle connections of the running loop."""
        idle = self._idle_of.pop(asyncio.get_running_loop(), [])
        for _, (_, writer) in idle:
            abort(writer)  # TLS would wait for the peer, which may be gone
        for _, (_, writer) in idle:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def send(self, step: Send) -> Answer:
        request, timeout = step.request, step.timeout
        connection = self._take_idle() if request.is_repeatable else None
        if connection is not None:
            began = time.monotonic()
            try:
                return await self._exchange(connection, request, timeout)
            except NoAnswer as failure:
                if not failure.was_cut:
                    idle = self._idle()  # they may all be dead; finding out one by one is slow
                    while idle:
                        abort(idle.pop()[1][1])
                    raise
                if time.monotonic() - began >= CLOSED_BEFORE:
                    raise
                # Perhaps it was closed while idle: that says nothing about the server.
        return await self._exchange(await self._open(timeout), request, timeout)

    @contextlib.asynccontextmanager
    async def stream(self, request: Request, silence_max: float) -> AsyncIterator[_Stream]:
        """Open an endless reply as lines. Its connection is closed at the end of the block."""
        reader, writer = await self._open(silence_max)
        timeout = _Timeout(writer, silence_max)
        lines: AsyncGenerator[bytes, None] | None = None
        try:
            writer.write(self._render(request))
            head = await http.read_head(reader)
            lines = self._lines(reader, head, timeout)
            yield head, lines
        except (OSError, http.BadReply) as error:
            raise self._failure(error, timeout) from error
        finally:
            timeout.stop()
            abort(writer)
            if lines is not None:
                await lines.aclose()

    @staticmethod
    async def _lines(reader: asyncio.StreamReader, head: http.Head,
                     timeout: _Timeout) -> AsyncGenerator[bytes, None]:
        async for line in http.read_lines(reader, head):
            timeout.restart()
            yield line

    async def _open(self, timeout: float) -> _Connection:
        seconds = min(timeout, CONNECT_TIMEOUT)
        hosts = await self._within(seconds, self._hosts(), _forget)
        failure: NoAnswer | None = None
        for host in hosts:  # a silent one must not use up the time of the others
            name = None if self._tls is None else self._address.host
            try:
                return await self._within(seconds / len(hosts), asyncio.open_connection(
                    host, self._address.port, ssl=self._tls, server_hostname=name,
                    limit=http.HEAD_MAX), _close_unwanted)
            except NoAnswer as caught:
                failure = caught
        assert failure is not None
        raise failure

    async def _hosts(self) -> list[str]:
        """Resolve the server's name; return the addresses in the order to try them."""
        host = self._address.host
        try:
            ipaddress.ip_address(host.partition("%")[0])
            return [host]
        except ValueError:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, self._address.port, type=socket.SOCK_STREAM)
        has_zones = any(any(each[4][3:]) for each in found)  # of IPv6; the address texts lack them
        return [host] if has_zones else list(dict.fromkeys(str(each[4][0]) for each in found))

    async def _within(self, seconds: float, work: Awaitable[_Result],
                      drop: Callable[[asyncio.Future[_Result]], None]) -> _Result:
        """Wait for `work`; a result that comes too late goes to `drop`.

        Not asyncio.wait_for, for the reason given at `_Timeout`.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=seconds)
            if not task.done():
                raise NoAnswer("it took too long to connect", False)
        except (NoAnswer, asyncio.CancelledError):
            task.add_done_callback(drop)
            task.cancel()
            raise
        try:
            return task.result()
        except OSError as error:
            raise failure_of(error, False, self._has_answered) from error

    def _render(self, request: Request) -> bytes:
        return http.render(request.method, self._address.prefix + request.target,
                           {**self._headers, **request.all_headers()}, request.encoded_body())

    async def _exchange(self, connection: _Connection, request: Request, seconds: float) -> Answer:
        reader, writer = connection
        timeout = _Timeout(writer, seconds)
        is_kept = False
        try:
            sent = deadline.now()
            writer.write(self._render(request))
            head = await http.read_head(reader)
            text = (await http.read_body(reader, head)).decode("utf-8", "replace")
            is_kept = head.keeps_open
            self._has_answered = True
        except (OSError, http.BadReply) as error:
            raise self._failure(error, timeout) from error
        except asyncio.CancelledError:
            timeout.stop()
            hanging_up = asyncio.ensure_future(_hang_up(reader, writer))
            while not hanging_up.done():  # also if cancelled once more
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({hanging_up})
            raise
        finally:
            timeout.stop()
            if is_kept and not timeout.is_over and len(idle := self._idle()) < IDLE_KEPT:
                idle.append((time.monotonic(), connection))
            else:
                abort(writer)
        return Answer(head.status, text, sent)

    @staticmethod
    def _failure(error: Exception, timeout: _Timeout) -> NoAnswer:
        if timeout.is_over:
            return NoAnswer("it took too long", True)
        return failure_of(error, True, True)

    def _take_idle(self) -> _Connection | None:
        oldest = time.monotonic() - IDLE_FOR
        idle = self._idle()
        while idle:
            since, (reader, writer) = idle.pop()
            if since >= oldest and not reader.at_eof() and not writer.is_closing():
                return reader, writer
            abort(writer)
        return None
