"""Builds the request of every API call, without sending it."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Union

from .address import resource_path
from .exchange import Request

# A path, or {"path": …} with mode, lock_parents, lock_children of its own.
Resource = Union[str, Mapping[str, Any]]


def _target(path: str, **parameters: Any) -> str:
    given = {name: _text(value) for name, value in parameters.items() if value is not None}
    return path + ("?" + urllib.parse.urlencode(given) if given else "")


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def check_seconds(name: str, value: Any) -> None:
    """Raise TypeError or ValueError unless `value` is a duration or None."""
    wanted = f"pass a number of seconds, such as {name}=30, or None"
    if value is None:
        return
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is {value!r}, which is not a number: {wanted}.")
    if not 0 <= float(value) < float("inf"):  # NaN is neither
        raise ValueError(f"{name} is {value!r}, which is not a duration: {wanted}.")


def check_wait(value: Any) -> None:
    if value != float("inf"):  # waits for ever, as None does
        check_seconds("wait", value)


def check_number(name: str, value: Any, may_be_zero: bool) -> None:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is {value!r}: pass a number of seconds, such as {name}=30.")
    seconds = float(value)  # a Decimal that is NaN cannot be compared
    if not (seconds > 0 or may_be_zero and seconds == 0):  # NaN is neither
        raise ValueError(f"{name} is {value!r}: pass a number of seconds, such as {name}=30.")


def check_callable(name: str, value: Any) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{name} is {value!r}: pass a function that takes the LockLost, or None.")


def _duration(name: str, seconds: float) -> str:
    check_seconds(name, seconds)
    return f"{round(seconds * 1000)}ms"


def _with_token(token: str | None) -> dict[str, str]:
    # In a header, which the access logs of proxies do not record.
    return {} if token is None else {"Lock-Token": token}


@dataclass(frozen=True)
class Wanted:
    """What an acquire requests. Immutable: idempotent retries must be identical."""

    locks: tuple[Mapping[str, Any], ...]
    any: int | None = None
    ttl: float | None = None
    owner: str | None = None
    meta: str | None = None
    lock_delay: float = 0

    @classmethod
    def of(cls, resources: Resource | Iterable[Resource], *, mode: str, lock_parents: bool,
           lock_children: bool, **common: Any) -> Wanted:
        if isinstance(resources, (str, bytes, Mapping)) or not isinstance(resources, Iterable):
            resources = [resources]
        locks = []
        for resource in resources:
            given = resource if isinstance(resource, Mapping) else {"path": resource}
            lock: dict[str, Any] = {"path": None, "mode": mode, "lock_parents": lock_parents,
                                    "lock_children": lock_children}
            for name in given.keys() - lock.keys():
                raise TypeError(f"{name!r} cannot be set for a single path.")
            lock.update(given)
            lock["path"] = resource_path(lock["path"])
            locks.append(lock)
        if not locks:
            raise ValueError("Name at least one path.")
        return cls(tuple(locks), **common)

    def __post_init__(self) -> None:  # fails here, not when it is sent
        check_seconds("ttl", self.ttl)
        check_seconds("lock_delay", self.lock_delay)
        self.request("", 0).encoded_body()

    @property
    def paths(self) -> str:
        """The paths as text, for messages."""
        return ", ".join(lock["path"] for lock in self.locks)

    def request(self, token: str, wait: float) -> Request:
        body: dict[str, Any] = {}
        if self.owner is not None:
            body["owner"] = self.owner
        if self.ttl is not None:
            body["ttl"] = _duration("ttl", self.ttl)
        if self.meta is not None:
            body["meta"] = self.meta
        if self.lock_delay:
            body["lock_delay"] = _duration("lock_delay", self.lock_delay)
        if wait > 0:
            body["wait"] = _duration("wait", max(wait, 0.001))
        target = "/v1/locks"
        if len(self.locks) == 1 and self.any is None:
            (lock,) = self.locks
            body.update(lock)
            target += body.pop("path")
        else:
            body["locks"] = list(self.locks)
            if self.any is not None:
                body["any"] = self.any
        return Request("POST", target, body, _with_token(token))


def renew(token: str, ttl: float | None = None) -> Request:
    body = None if ttl is None else {"ttl": _duration("ttl", ttl)}
    return Request("POST", "/v1/leases/renew", body, _with_token(token))


def open_lease(token: str, owner: str | None, ttl: float | None) -> Request:
    body: dict[str, Any] = {}
    if owner is not None:
        body["owner"] = owner
    if ttl is not None:
        body["ttl"] = _duration("ttl", ttl)
    return Request("POST", "/v1/leases", body, _with_token(token))


def look_at_lease(token: str, after: str | None = None) -> Request:
    return Request("GET", _target("/v1/leases", after=after), None, _with_token(token))


def release_lease(token: str) -> Request:
    return Request("DELETE", "/v1/leases", None, _with_token(token), gives_back=True)


def release_path(token: str, path: str) -> Request:
    return Request("DELETE", "/v1/locks" + resource_path(path), None, _with_token(token),
                   gives_back=True)


def look_at_path(path: str) -> Request:
    return Request("GET", "/v1/locks" + resource_path(path))


def list_locks(prefix: str | None, owner: str | None, state: str | None, limit: int,
               after: str | None) -> Request:
    return Request("GET", _target("/v1/locks", prefix=None if prefix is None else
                                  resource_path(prefix), owner=owner, state=state, limit=limit,
                                  after=after))


def force(path: str, fence: int | None, reason: str | None, cooling: bool,
          waiting: bool) -> Request:
    return _force("/v1/locks" + resource_path(path), fence, reason, cooling, waiting)


def force_matching(prefix: str | None, owner: str | None, fence: int | None, reason: str | None,
                   cooling: bool, waiting: bool) -> Request:
    return _force("/v1/locks", fence, reason, cooling, waiting, owner=owner,
                  prefix=None if prefix is None else resource_path(prefix))


def _force(path: str, fence: int | None, reason: str | None, cooling: bool, waiting: bool,
           **filters: str | None) -> Request:
    # A retry without a fence would hit the next holder, and one with `cooling` would end the lock
    # delay that the first attempt has begun. Waiters have no fence.
    return Request("DELETE", _target(path, force=True, fence=fence, reason=reason,
                                     cooling=True if cooling else None,
                                     waiting=True if waiting else None, **filters),
                   is_repeatable=fence is not None and not cooling)


def status() -> Request:
    return Request("GET", "/v1/status")


def events(prefix: str | None, last_event_id: str | None) -> Request:
    headers = {"Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    return Request("GET", _target("/v1/events", prefix=None if prefix is None else
                                  resource_path(prefix)), None, headers)


# The calls of Locker 1.0b. The server chooses the tokens of their locks, so a request whose reply
# was lost is not sent again.


def canhaz(path: str, id: str | None, lock_parents: bool, lock_children: bool) -> Request:
    return Request("POST", _target("/canhaz" + resource_path(path), id=id,
                                   lockParents=None if lock_parents else False,
                                   lockChildren=None if lock_children else False),
                   is_repeatable=False)


def nowant(path: str, token: str) -> Request:
    return Request("POST", "/nowant" + resource_path(path), {"token": token}, is_repeatable=False)


def dohaz(path: str) -> Request:
    return Request("GET", "/dohaz" + resource_path(path))
