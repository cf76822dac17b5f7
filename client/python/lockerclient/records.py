"""What the server tells, as values. Durations are seconds."""

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
    """A lock that is held or cooling, or a request that waits, as everybody may see it."""

    path: str
    owner: str
    state: str  # held, cooling, waiting
    mode: str
    fence: int | None  # None: it waits
    age: float | None  # held, or waiting, for so long
    expires_in: float | None  # None: it has no TTL, or waits
    ttl: float | None = None
    meta: str | None = None
    place: int | None = None  # in the line of its path
    lock_parents: bool | None = None
    lock_children: bool | None = None
    # Of what waits. False: nobody does at the moment, its place is kept for who comes back.
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
    """A lock, or several in one step under one fence, that were given to `token`."""

    token: str = field(repr=False)  # a secret: who has it can release the lock
    owner: str
    fence: int
    paths: tuple[str, ...]
    ttl: float | None
    waited: float
    sent: float = field(repr=False)  # when the request was sent that the TTL counts from at least

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
    waiters: int  # how many stand behind this lease's locks
    sent: float = field(repr=False)
    newest_fence: int | None = None  # of its locks. None: it has none, or the server is older

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
    """Of holders, of what covers the path and of waiters the first 100 are shown."""

    path: str
    free: bool
    holders: tuple[LockInfo, ...]
    covered_by: tuple[LockInfo, ...]
    awaited_by: tuple[LockInfo, ...]
    waiters: tuple[LockInfo, ...]
    waiter_count: int
    holder_count: int  # up to 10,000, as the next one
    covered_by_count: int

    @classmethod
    def parse(cls, answer: Answer) -> PathState:
        body = answer.body
        holders, covered_by = _infos(body, "holders"), _infos(body, "covered_by")
        return cls(body["path"], body["free"], holders, covered_by, _infos(body, "awaited_by"),
                   _infos(body, "waiters"), body["waiter_count"],
                   body.get("holder_count", len(holders)),  # a server of before does not tell
                   body.get("covered_by_count", len(covered_by)))


def deadline_of(answer: Answer) -> Deadline:
    """Of a lease that was opened."""
    milliseconds = answer.body["ttl_ms"]  # where there is none, this is no lock server
    return Deadline(None if milliseconds is None else milliseconds / 1000, answer.sent)


def ended(answer: Answer) -> int:
    """How many locks, requests and leases a force has ended."""
    return int(answer.body["ended"])


@dataclass(frozen=True)
class Event:
    """`kind` is granted, released, expired, forced, cooled, waiting or left.

    Or reset: what happened since the event before it is not known; look at the list of locks.
    """

    kind: str
    id: str | None = None
    path: str | None = None
    owner: str | None = None
    mode: str | None = None
    fence: int | None = None
    index: int | None = None
    lock_parents: bool = False  # of granted, as the next one
    lock_children: bool = False
    cools_for: float | None = None  # of expired and forced: it goes on blocking, until `cooled`

    @classmethod
    def parse(cls, kind: str, event_id: str | None, body: Mapping[str, Any]) -> Event:
        return cls(kind, event_id, body["path"], body["owner"], body["mode"], body.get("fence"),
                   body.get("index"), body.get("lock_parents", False),
                   body.get("lock_children", False), _seconds(body, "cooling_ms"))


def error_of(answer: Answer) -> LockerError:
    """The exception that says what an answer other than success says."""
    return answer.parsed(_error_of)


def _error_of(answer: Answer) -> LockerError:
    body = answer.body
    code = body.get("error", "error")
    message = body.get("message")
    if message is None:  # the verbs of Locker 1.0b have the sentence alone
        code, message = "bad_request", str(code)
    status = answer.status
    if code == "locked":
        # What the server advises behind that is for those who write HTTP.
        said, semicolon, _ = message.rpartition("; ")
        refused = NotAcquired(said + "." if semicolon else message, code, status)
        refused.blocked_by = _infos(body, "blocked_by")
        refused.waited = body["waited_ms"] / 1000
        return refused
    if code == "deadlock":
        deadlock = Deadlock(message, code, status)
        deadlock.cycle = [(step["owner"], step["waits_for"]) for step in body["cycle"]]
        # A server of before does not tell.
        told = [step["blocked_by"] for step in body["cycle"] if "blocked_by" in step]
        deadlock.blocked_by = [(each["path"], each["fence"]) for each in told]
        return deadlock
    if code == "lease_ended":
        detail = body.get("detail")
        said = f" The reason given: {detail}" if detail else ""
        return LockLost(message + said, body["reason"], detail, status)
    return LockerError(message, code, status)


def forgotten(answer: Answer) -> LockLost:
    """What an answer says to one who had the lease that it does not know."""
    return LockLost("The lock server does not know this lease any more; stop what it protected.",
                    "unknown", status=answer.status)
