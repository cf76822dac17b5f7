"""The blocking client."""

from __future__ import annotations

import os
import ssl
import threading
import time
import weakref
from types import TracebackType
from typing import Any, Callable, Hashable, Iterable, Iterator, TypeVar

from . import calls, protocol
from .acquisition import Acquisition, Undertaking
from .address import tls_for
from .block import OnLost
from .client_base import ClientBase
from .configuration import default_key
from .connections import Connections
from .events import Events
from .exchange import Answer, Request, Steps
from .farewell import Farewells
from .keeper import DeadlineWatch, drive, in_background
from .lease import Lease
from .lock import Lock
from .records import Grant, LeaseState, LockInfo, PathState, Renewal, ended

Result = TypeVar("Result")


class Client(ClientBase):
    """Talks to one lock server. Thread-safe.

    `url` is LOCKER_URL, else that of the program `locker`'s configuration file, else
    http://127.0.0.1:8765, when not given. `owner` is shown to people who ask who holds a lock:
    `user@host:pid` when not given. `key` is an API key: LOCKER_KEY, else the first line of
    LOCKER_KEY_FILE, else of the configuration's key-file, when not given; it is sent as a bearer
    token. With https the server's name and certificate are checked:
    `ca_file`, else LOCKER_CA_FILE, names the CAs to trust, else they are the system's; all else can
    be said in an `ssl_context`. `timeout` is for each answer, waiting for a lock aside; a
    request without an answer is sent again for `patience` seconds before Unreachable is raised.
    """

    def __init__(self, url: str | None = None, owner: str | None = None, *, key: str | None = None,
                 ssl_context: ssl.SSLContext | None = None, ca_file: str | None = None,
                 timeout: float = 10.0, patience: float = 30.0):
        super().__init__(url, owner, timeout, patience)
        connections = Connections(self._address, key or default_key(),
                                  tls_for(self._address, ssl_context, ca_file))
        self._connections = connections
        self._watch = DeadlineWatch()
        # Not by `self`: a client that refers to itself would not end when it is forgotten.
        self._farewells = Farewells(lambda: connections.send)
        _clients.add(self)

    def close(self) -> None:
        """Closes the connections that are kept open. Locks that are held stay held."""
        self._connections.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    # Locks that are renewed in the background.

    def lock(self, path: calls.Resource | Iterable[calls.Resource], ttl: float | None = 30,
             wait: float | None = None, mode: str = "exclusive", *, lock_parents: bool = True,
             lock_children: bool = True, meta: str | None = None, lock_delay: float = 0,
             any: int | None = None, owner: str | None = None,
             on_lost: OnLost | None = None) -> Lock:
        """A block in which the lock is held: `with client.lock("/a/b", ttl=30) as lock:`.

        Several paths are taken in one step, all or none, or `any` of them. `wait` is None for ever,
        0 not at all, else seconds. If this process dies or cannot reach the server, others get the
        lock `ttl` seconds after the last renewal; `on_lost` is called in a thread of its own when
        that can have happened, or an administrator took the lock away.
        """
        wanted = calls.Wanted.of(path, mode=mode, lock_parents=lock_parents,
                                 lock_children=lock_children, any=any, ttl=ttl,
                                 owner=owner or self.owner, meta=meta, lock_delay=lock_delay)
        return Lock(self, wanted, wait, on_lost)

    def lease(self, ttl: float | None = 30, *, owner: str | None = None,
              on_lost: OnLost | None = None) -> Lease:
        """A block with one lease, to which locks are added: `lease.acquire("/a")`."""
        return Lease(self, owner or self.owner, ttl, on_lost)

    # The calls of the API. Nothing is renewed in the background.

    def acquire(self, path: calls.Resource | Iterable[calls.Resource], ttl: float | None = 30,
                wait: float | None = None, mode: str = "exclusive", *, lock_parents: bool = True,
                lock_children: bool = True, meta: str | None = None, lock_delay: float = 0,
                any: int | None = None, owner: str | None = None,
                token: str | None = None) -> Grant:
        """Takes a lock; with a `token`, for the lease that it belongs to. Call `renew` yourself."""
        return self._acquire(self._acquisition(
            path, ttl, wait, token, owner, mode=mode, lock_parents=lock_parents,
            lock_children=lock_children, any=any, meta=meta, lock_delay=lock_delay))

    def renew(self, token: str, ttl: float | None = None) -> Renewal:
        """Restarts the TTL of a lease, or changes it; raises LockLost if the lease has ended."""
        return self._run(self._renewing(token, ttl))

    def release(self, token: str, path: str | None = None) -> None:
        """Gives back one path, or everything that the token has."""
        self._run(self._releasing(token, path, threading.get_ident()))

    def lease_state(self, token: str) -> LeaseState:
        """What a lease has and until when; raises LockLost if it has ended."""
        return self._run(protocol.lease_state(self._settings, token))

    def state(self, path: str) -> PathState:
        """Who holds a path, what else is in the way, who waits at which place."""
        return self._call(calls.look_at_path(path), PathState.parse)

    def locks(self, prefix: str | None = None, owner: str | None = None, state: str | None = None,
              *, page_size: int = 1000) -> Iterator[LockInfo]:
        """All that is held; with `state`, what is `cooling` or `waiting`. Asks page by page."""
        after: str | None = None
        while True:
            page, after = self._run(protocol.page_of_locks(self._settings, prefix, owner, state,
                                                           page_size, after))
            yield from page
            if after is None:
                return

    def force(self, path: str, *, fence: int | None = None, reason: str | None = None,
              cooling: bool = False, waiting: bool = False) -> int:
        """Ends somebody else's lock at exactly this path; with its `fence`, never the next one.

        With `cooling` also what cools there after its lock delay began, with `waiting` also who
        waits for it.
        """
        return self._call(calls.force(path, fence, reason, cooling, waiting), ended)

    def force_matching(self, *, prefix: str | None = None, owner: str | None = None,
                       fence: int | None = None, reason: str | None = None,
                       cooling: bool = False, waiting: bool = False) -> int:
        """Ends all locks that match everything given; says how many.

        With `cooling` also what cools, with `waiting` also requests that wait; with `owner` alone
        also its leases that hold nothing.
        """
        request = calls.force_matching(prefix, owner, fence, reason, cooling, waiting)
        return self._call(request, ended)

    def events(self, prefix: str | None = None, last_event_id: str | None = None) -> Events:
        """Iterates over what happens from now on, or since an event, over interruptions."""
        return Events(self._connections, self._settings, prefix, last_event_id)

    def status(self) -> dict[str, Any]:
        """The server's counts and limits, as it says them."""
        return self._call(calls.status(), lambda answer: answer.body)

    # The verbs of Locker 1.0b: the same answers, as dictionaries.

    def canhaz(self, path: str, id: str | None = None, lock_parents: bool = True,
               lock_children: bool = True) -> dict[str, Any]:
        """`{"ok": True, "token": …}` or `{"ok": False, "lockedBy": …}`."""
        return self._call(calls.canhaz(path, id, lock_parents, lock_children),
                          lambda answer: answer.body)

    def nowant(self, path: str, token: str) -> dict[str, Any]:
        """`{"ok": True}`, or `{"ok": False}` if the path is not locked with this token."""
        return self._call(calls.nowant(path, token), lambda answer: answer.body)

    def dohaz(self, path: str) -> dict[str, Any]:
        """`{"lockedBy": …}`: an id, `"?"`, or None when it is free."""
        return self._call(calls.dohaz(path), lambda answer: answer.body)

    # How it is done.

    def _run(self, steps: Steps[Result]) -> Result:
        return drive(steps, self._connections.send, time.sleep)

    def _call(self, request: Request, parse: Callable[[Answer], Result]) -> Result:
        return self._run(protocol.call(self._settings, request, parse))

    def _acquire(self, acquisition: Acquisition) -> Grant:
        try:
            return self._run(acquisition.steps())
        except BaseException:
            self._give_up(acquisition)
            raise

    def _give_up(self, asked: Undertaking) -> None:
        """At once after an interruption; if that is in vain, or nobody else would end what was
        granted without an answer, in a thread."""
        if not asked.has_failed and self._say_farewell(asked, asked.give_up):
            return
        if not asked.may_stay_held():
            return
        self._farewells.add(asked, asked.give_up)

        def run() -> None:
            self._run(asked.go_on_giving_up())
            self._farewells.done(asked)

        in_background("give-up", run)

    def _say_farewell(self, what: Hashable, steps: Callable[[], Steps[bool]]) -> bool:
        """Now; if that is in vain, or interrupted, when the process ends."""
        self._farewells.add(what, steps)
        if not self._run(steps()):
            return False
        self._farewells.done(what)
        return True

    def _after_fork_in_child(self) -> None:
        self._connections.forget()
        self._watch = DeadlineWatch()


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _forget_in_child() -> None:
    for client in list(_clients):
        client._after_fork_in_child()


# Resolving a name imports this codec when it is used first. A fork at that moment would leave a
# child in which nobody finishes the import.
"".encode("idna")

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
