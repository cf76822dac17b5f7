"""The server's answers as values. Durations are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from .deadline import Deadline
from .errors import Deadlock, LockerError, LockLost, NotAcquired
from .exchange import Answer


def _seconds(body: Mapping[str, Any], name: str) -> float | None:
    milliseconds = body.get(name)
    return None if milliseconds is None else milliseconds / 1000


@dataclass(frozen=True)
class LockInfo:
    """A lock that is held or cooling, or a waiting request. Contains no secrets."""

    path: str
    owner: str
    state: str  # held, cooling, waiting
    mode: str
    fence: int | None  # None: waiting
    age: float | None  # how long it has been held, or has waited
    expires_in: float | None  # None: no TTL, or waiting
    ttl: float | None = None
    meta: str | None = None
    place: int | None = None  # in the queue of its path
    lock_parents: bool | None = None
    lock_children: bool | None = None
    # Of a waiter. False: no client is connected; the place is kept for one that may reconnect.
    connected: bool | None = None

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> LockInfo:
        age = _seconds(body, "held_ms")
        return cls(
            path=body["path"], owner=body["owner"], state=body["state"], mode=body["mode"],
            fence=body.get("fence"), age=_seconds(body, "waiting_ms") if age is None else age,
            expires_in=_seconds(body, "expires_in_ms"), ttl=_seconds(body, "ttl_ms"),
            meta=body.get("meta"), place=body.get("place"),
            lock_parents=body.get("lock_parents"), lock_children=body.get("lock_children"),
            connected=body.get("connected"))


def _infos(body: Mapping[str, Any], name: str) -> tuple[LockInfo, ...]:
    return tuple(LockInfo.parse(each) for each in body.get(name, ()))


@dataclass(frozen=True)
class Grant:
    """A lock, or several in one step under one fence, granted to `token`."""

    token: str = field(repr=False)  # a secret: it allows releasing the lock
    owner: str
    fence: int
    paths: tuple[str, ...]
    ttl: float | None
    waited: float
    sent: float = field(repr=False)  # when the request was sent: the TTL counts from then or later

    @classmethod
    def parse(cls, answer: Answer) -> Grant:
        body = answer.body
        paths = [body["path"]] if "path" in body else [lock["path"] for lock in body["locks"]]
        return cls(body["token"], body["owner"], body["fence"], tuple(paths),
                   _seconds(body, "ttl_ms"), body["waited_ms"] / 1000, answer.sent)

    @property
    def path(self) -> str:
        return self.paths[0]


@dataclass(frozen=True)
class Renewal:
    ttl: float | None
    locks: int
    waiters: int  # how many wait for this lease's locks
    sent: float = field(repr=False)
    newest_fence: int | None = None  # None: no locks, or an older server

    @classmethod
    def parse(cls, answer: Answer) -> Renewal:
        body = answer.body
        return cls(_seconds(body, "ttl_ms"), body["locks"], body["waiters"], answer.sent,
                   body.get("newest_fence"))


@dataclass(frozen=True)
class LeaseState:
    owner: str
    ttl: float | None
    expires_in: float | None
    locks: tuple[LockInfo, ...]

    @classmethod
    def parse(cls, answer: Answer) -> LeaseState:
        body = answer.body
        return cls(body["owner"], _seconds(body, "ttl_ms"), _seconds(body, "expires_in_ms"),
                   _infos(body, "locks"))


@dataclass(frozen=True)
class PathState:
    """The state of a path; lists the first 100 holders, covering locks and waiters."""

    path: str
    free: bool
    holders: tuple[LockInfo, ...]
    covered_by: tuple[LockInfo, ...]
    awaited_by: tuple[LockInfo, ...]
    waiters: tuple[LockInfo, ...]
    waiter_count: int
    holder_count: int  # counted up to 10,000, as the next one
    covered_by_count: int

    @classmethod
    def parse(cls, answer: Answer) -> PathState:
        body = answer.body
        holders, covered_by = _infos(body, "holders"), _infos(body, "covered_by")
        return cls(body["path"], body["free"], holders, covered_by, _infos(body, "awaited_by"),
                   _infos(body, "waiters"), body["waiter_count"],
                   body.get("holder_count", len(holders)),  # absent from older servers
                   body.get("covered_by_count", len(covered_by)))


def deadline_of(answer: Answer) -> Deadline:
    """Return the deadline of a lease that was just opened."""
    milliseconds = answer.body["ttl_ms"]  # KeyError: not a lock server
    return Deadline(None if milliseconds is None else milliseconds / 1000, answer.sent)


def ended(answer: Answer) -> int:
    """Return how many locks, requests and leases a force has ended."""
    return int(answer.body["ended"])


@dataclass(frozen=True)
class Event:
    """An event of the server.

    `kind` is granted, released, expired, forced, cooled, waiting or left; or reset: what happened
    since the previous event is unknown, so read the list of locks.
    """

    kind: str
    id: str | None = None
    path: str | None = None
    owner: str | None = None
    mode: str | None = None
    fence: int | None = None
    index: int | None = None
    lock_parents: bool = False  # only of granted, as the next one
    lock_children: bool = False
    cools_for: float | None = None  # of expired and forced: blocks others until `cooled`

    @classmethod
    def parse(cls, kind: str, event_id: str | None, body: Mapping[str, Any]) -> Event:
        return cls(kind, event_id, body["path"], body["owner"], body["mode"], body.get("fence"),
                   body.get("index"), body.get("lock_parents", False),
                   body.get("lock_children", False), _seconds(body, "cooling_ms"))


def error_of(answer: Answer) -> LockerError:
    """Convert an answer other than success into an exception."""
    return answer.parsed(_error_of)


def _error_of(answer: Answer) -> LockerError:
    body = answer.body
    code = body.get("error", "error")
    message = body.get("message")
    if message is None:  # the calls of Locker 1.0b have only a sentence
        code, message = "bad_request", str(code)
    status = answer.status
    if code == "locked":
        # The advice after the semicolon is for users of the HTTP API.
        said, semicolon, _ = message.rpartition("; ")
        refused = NotAcquired(said + "." if semicolon else message, code, status)
        refused.blocked_by = _infos(body, "blocked_by")
        refused.waited = body["waited_ms"] / 1000
        return refused
    if code == "deadlock":
        deadlock = Deadlock(message, code, status)
        deadlock.cycle = [(step["owner"], step["waits_for"]) for step in body["cycle"]]
        # Absent from older servers.
        told = [step["blocked_by"] for step in body["cycle"] if "blocked_by" in step]
        deadlock.blocked_by = [(each["path"], each["fence"]) for each in told]
        return deadlock
    if code == "lease_ended":
        detail = body.get("detail")
        said = f" Reason given: {detail}" if detail else ""
        return LockLost(message + said, body["reason"], detail, status)
    return LockerError(message, code, status)


def forgotten(answer: Answer) -> LockLost:
    """Convert "no such lease" for a client that had the lease."""
    return LockLost("The lock server no longer knows this lease; stop what it protected.",
                    "unknown", status=answer.status)
