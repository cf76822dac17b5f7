"""The subset of HTTP/1.1 that the client needs, over asyncio streams."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import AsyncIterator, Mapping

HEAD_MAX = 64 * 1024


class BadReply(Exception):
    """The reply is not HTTP, or ended too early."""


def render(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None or method == "POST":
        lines.append(f"Content-Length: {len(body or b'')}")
    for line in lines:
        if "\r" in line or "\n" in line:
            raise ValueError(f"A header contains a line break: {line!r}.")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


@dataclass
class Head:
    status: int
    headers: dict[str, str]  # names in lower case
    keeps_open: bool

    @property
    def is_chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"


async def read_head(reader: asyncio.StreamReader) -> Head:
    while True:
        head = _parse_head(await _until(reader, b"\r\n\r\n"))
        if head.status >= 200:  # 1xx precedes the final one
            return head


def _parse_head(data: bytes) -> Head:
    first, *lines = data.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit()):
        raise BadReply(f"this is not HTTP: {first[:100]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    connection = headers.get("connection", "").lower()
    return Head(int(status), headers, "close" not in connection and version != "HTTP/1.0")


async def read_body(reader: asyncio.StreamReader, head: Head) -> bytes:
    if head.status in (204, 304):
        return b""
    if head.is_chunked:
        return b"".join([piece async for piece in _chunks(reader)])
    length = head.headers.get("content-length")
    if length is None:
        head.keeps_open = False  # it ends when the connection is closed
        return await reader.read()
    if not (length.isascii() and length.isdigit()):
        raise BadReply(f"the reply's length is {length[:40]!r}")
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as error:
        raise BadReply("the reply ended too early") from error


async def read_lines(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    """Yield the lines of an endless body, without line ends."""
    rest = b""
    async for piece in _chunks(reader) if head.is_chunked else _pieces(reader):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")


async def _pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        piece = await reader.read(64 * 1024)
        if not piece:
            return
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        size_text = (await _until(reader, b"\r\n")).partition(b";")[0].strip()
        try:
            size = int(size_text, 16)
        except ValueError:
            raise BadReply(f"a chunk's size is {size_text[:40]!r}") from None
        if size == 0:
            while (await _until(reader, b"\r\n")) != b"\r\n":
                pass  # trailers
            return
        try:
            piece = await reader.readexactly(size + 2)
        except asyncio.IncompleteReadError as error:
            raise BadReply("the reply ended too early") from error
        yield piece[:-2]


async def _until(reader: asyncio.StreamReader, end: bytes) -> bytes:
    try:
        return await reader.readuntil(end)
    except asyncio.IncompleteReadError as error:
        raise BadReply("the reply ended too early" if error.partial else
                       "the connection was closed without a reply") from error
    except asyncio.LimitOverrunError as error:
        raise BadReply("the reply's head is too long") from error
