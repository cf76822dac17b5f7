"""The server's address, TLS settings, and the spelling of paths in URLs."""

from __future__ import annotations

import functools
import getpass
import os
import socket
import ssl
import urllib.parse
from dataclasses import dataclass
from typing import Tuple

from .configuration import setting

DEFAULT_URL = "http://127.0.0.1:8765"
LONGEST_USER = 128  # bytes; an owner also contains the host and more
PathKey = Tuple[bytes, ...]
# Left as it is: the characters RFC 3986 allows in a segment, slashes, and existing escapes.
_KEPT = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True)
class Address:
    """The parts of a server's base URL."""

    is_tls: bool
    host: str
    port: int
    prefix: str  # of every request target: a proxy may serve Locker below a path

    @classmethod
    def parse(cls, url: str | None) -> Address:
        if url is not None and not isinstance(url, str):
            raise TypeError(f"url is {url!r}: pass a string such as {DEFAULT_URL!r}.")
        url = url or setting("url", "LOCKER_URL") or DEFAULT_URL
        parts = urllib.parse.urlsplit(url)
        try:
            port = parts.port
            host = (parts.hostname or "").encode("idna").decode()  # the form that is resolved
        except ValueError:
            port, host = None, ""
        if (parts.scheme not in ("http", "https") or not host or
                parts.query or parts.fragment or parts.username is not None):
            raise ValueError(f"{url!r} is not the address of a lock server; write it as in "
                             f"{DEFAULT_URL!r}.")
        is_tls = parts.scheme == "https"
        if port is None:
            port = 443 if is_tls else 80
        return cls(is_tls, host, port, quote_path(parts.path).rstrip("/"))

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}{self.prefix}"

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def tls_for(address: Address, context: ssl.SSLContext | None,
            ca_file: str | None) -> ssl.SSLContext | None:
    """Return the TLS context for an address; None without https.

    A given `context` is used unchanged. Otherwise the context trusts `ca_file`, else
    LOCKER_CA_FILE, else the system's CAs, and presents the certificate in
    LOCKER_CLIENT_CERTIFICATE, if set, with the key in LOCKER_CLIENT_KEY or in the same file. The
    configuration file can name all three.
    """
    if context is not None and ca_file is not None:
        raise ValueError("Give ca_file or ssl_context: a context has its own CAs "
                         "(ssl.create_default_context(cafile=...)).")
    if not address.is_tls:
        return None
    if context is not None:
        return context
    ca_file = ca_file or setting("ca-file", "LOCKER_CA_FILE")
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # its text does not name the file
        raise ValueError(f"The CA file {ca_file!r} cannot be used: {error}. It must be PEM, and "
                         "readable.") from error
    if certificate := setting("client-certificate", "LOCKER_CLIENT_CERTIFICATE"):
        key = setting("client-key", "LOCKER_CLIENT_KEY")
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            raise ValueError(f"The client certificate {certificate!r} with the key in "
                             f"{key or certificate!r} cannot be used: {error}. They must be PEM, "
                             "readable, and belong together.") from error
    return context


def quote_path(path: str) -> str:
    """Escape what a URL does not allow in a path; existing escapes are left alone."""
    return urllib.parse.quote(path, safe=_KEPT)


def resource_path(path: str | None) -> str:
    if not isinstance(path, str):
        raise TypeError(f"{path!r} is not a path: pass a string such as '/deploy/production', or "
                        "where several are possible a list of them.")
    if not path:
        raise ValueError("A path is empty, perhaps an unset variable; write / for "
                         "everything.")
    if not path.startswith("/"):
        raise ValueError(f"A path starts with a slash: write {'/' + path!r}.")
    return quote_path(path)


def path_key(path: str) -> PathKey:
    """Return a key that is the same for all spellings of a path."""
    return tuple(urllib.parse.unquote_to_bytes(part) for part in path.split("/") if part)


def join_path(*segments: str) -> str:
    """Build a path from segments, escaping each: `join_path("a/b", "c")` is `/a%2Fb/c`.

    Raises ValueError for an empty segment: the path would be its parent's, and lock more than
    intended.
    """
    for segment in segments:
        if not isinstance(segment, str):
            raise TypeError(f"{segment!r} is not a path segment: pass strings.")
    if not all(segments) or not segments:
        raise ValueError("A segment of a path is empty, perhaps an unset variable; write "
                         "/ for everything.")
    return "/" + "/".join(urllib.parse.quote(segment, safe="") for segment in segments)


def default_owner() -> str:
    """Return `user@host:pid`, shown to people who look up the holder of a lock."""
    return f"{_user_and_host()}:{os.getpid()}"


@functools.lru_cache(maxsize=None)
def _user_and_host() -> str:
    try:
        user = getpass.getuser()  # USER if set, which can be anything
    except Exception:  # no such user, as in some containers; the exception depends on the version
        user = ""
    if not user.isprintable() or not 0 < len(user.encode()) <= LONGEST_USER:
        user = str(os.getuid()) if hasattr(os, "getuid") else "?"
    return f"{user}@{socket.gethostname()}"
