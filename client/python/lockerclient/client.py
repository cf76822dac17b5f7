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
    """A client for one lock server. Thread-safe.

    Args:
        url: Base URL of the server. Defaults to LOCKER_URL, else the URL in the configuration file
            of the program `locker`, else http://127.0.0.1:8765.
        owner: Name of the holder, shown to people. Defaults to `user@host:pid`.
        key: API key, sent as a bearer token. Defaults to LOCKER_KEY, else the first line of
            LOCKER_KEY_FILE, else of the key-file that the configuration file names.
        ssl_context: Replaces all other TLS settings. With https, the server's name and certificate
            are checked.
        ca_file: File with the CAs to trust. Defaults to LOCKER_CA_FILE, else that of the
            configuration file, else the system's CAs.
        timeout: Seconds to wait for each answer, not counting the wait for a lock.
        patience: Seconds for which a request without an answer is sent again before Unreachable is
            raised.
    """

    def __init__(self, url: str | None = None, owner: str | None = None, *, key: str | None = None,
                 ssl_context: ssl.SSLContext | None = None, ca_file: str | None = None,
                 timeout: float = 10.0, patience: float = 30.0):
        super().__init__(url, owner, timeout, patience)
        connections = Connections(self._address, key or default_key(),
                                  tls_for(self._address, ssl_context, ca_file))
        self._connections = connections
        self._watch = DeadlineWatch()
        # Not by `self`: a reference cycle would delay the collection of a dropped client.
        self._farewells = Farewells(lambda: connections.send)
        _clients.add(self)

    def close(self) -> None:
        """Close the idle connections. Locks that are held stay held."""
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
        """Return a lock for a `with` block: `with client.lock("/a/b", ttl=30) as lock:`.

        The lock is acquired when the block begins, renewed in the background, and released when
        the block ends.

        Args:
            path: A path, or several to acquire in one step, all or none. A path given as a
                dictionary can have its own mode, lock_parents and lock_children.
            ttl: Seconds after the last renewal until others get the lock if this process dies or
                cannot reach the server. None: held until it is released.
            wait: Seconds to wait for the lock. None: for ever; 0: not at all.
            mode: "exclusive" or "shared".
            lock_parents: Whether to block locks above the path, too.
            lock_children: Whether to block locks below the path, too.
            meta: The purpose, shown to people.
            lock_delay: Seconds for which the lock keeps blocking others after it was lost.
            any: How many of the paths to acquire, whichever are free first. None: all.
            owner: Overrides the client's owner.
            on_lost: Called once, in a thread of its own, with the LockLost, when the lease may have
                ended or an administrator has forced it to end.
        """
        wanted = calls.Wanted.of(path, mode=mode, lock_parents=lock_parents,
                                 lock_children=lock_children, any=any, ttl=ttl,
                                 owner=owner or self.owner, meta=meta, lock_delay=lock_delay)
        return Lock(self, wanted, wait, on_lost)

    def lease(self, ttl: float | None = 30, *, owner: str | None = None,
              on_lost: OnLost | None = None) -> Lease:
        """Return a lease for a `with` block; add locks by `lease.acquire("/a")`."""
        return Lease(self, owner or self.owner, ttl, on_lost)

    # The calls of the API. Nothing is renewed in the background.

    def acquire(self, path: calls.Resource | Iterable[calls.Resource], ttl: float | None = 30,
                wait: float | None = None, mode: str = "exclusive", *, lock_parents: bool = True,
                lock_children: bool = True, meta: str | None = None, lock_delay: float = 0,
                any: int | None = None, owner: str | None = None,
                token: str | None = None) -> Grant:
        """Acquire a lock, for the lease of `token` if given. Nothing renews it: call `renew`."""
        return self._acquire(self._acquisition(
            path, ttl, wait, token, owner, mode=mode, lock_parents=lock_parents,
            lock_children=lock_children, any=any, meta=meta, lock_delay=lock_delay))

    def renew(self, token: str, ttl: float | None = None) -> Renewal:
        """Restart or change the TTL of a lease; raise LockLost if the lease has ended."""
        return self._run(self._renewing(token, ttl))

    def release(self, token: str, path: str | None = None) -> None:
        """Release one path, or the whole lease of the token."""
        self._run(self._releasing(token, path, threading.get_ident()))

    def lease_state(self, token: str) -> LeaseState:
        """Return the locks and the expiry of a lease; raise LockLost if it has ended."""
        return self._run(protocol.lease_state(self._settings, token))

    def state(self, path: str) -> PathState:
        """Return the holders of a path, the other locks in the way, and the waiters in order."""
        return self._call(calls.look_at_path(path), PathState.parse)

    def locks(self, prefix: str | None = None, owner: str | None = None, state: str | None = None,
              *, page_size: int = 1000) -> Iterator[LockInfo]:
        """Iterate over the held locks, fetched page by page.

        `state` selects another state: `cooling` (in the lock delay) or `waiting`.
        """
        after: str | None = None
        while True:
            page, after = self._run(protocol.page_of_locks(self._settings, prefix, owner, state,
                                                           page_size, after))
            yield from page
            if after is None:
                return

    def force(self, path: str, *, fence: int | None = None, reason: str | None = None,
              cooling: bool = False, waiting: bool = False) -> int:
        """Force the locks at exactly this path to end; return how many were ended.

        Pass the `fence` of a lock to be sure not to end its successor. `cooling` also ends locks
        whose lock delay has begun, `waiting` also ends requests that wait for the path.
        """
        return self._call(calls.force(path, fence, reason, cooling, waiting), ended)

    def force_matching(self, *, prefix: str | None = None, owner: str | None = None,
                       fence: int | None = None, reason: str | None = None,
                       cooling: bool = False, waiting: bool = False) -> int:
        """Force all locks that match every given filter to end; return how many were ended.

        `cooling` also ends locks whose lock delay has begun, `waiting` also ends waiting requests.
        `owner` alone also ends the owner's leases that hold nothing.
        """
        request = calls.force_matching(prefix, owner, fence, reason, cooling, waiting)
        return self._call(request, ended)

    def events(self, prefix: str | None = None, last_event_id: str | None = None) -> Events:
        """Follow events from now on, or since `last_event_id`.

        The iterator reconnects after interruptions.
        """
        return Events(self._connections, self._settings, prefix, last_event_id)

    def status(self) -> dict[str, Any]:
        """Return the server's counts and limits, as the server sends them."""
        return self._call(calls.status(), lambda answer: answer.body)

    # The calls of Locker 1.0b: the same answers, as dictionaries.

    def canhaz(self, path: str, id: str | None = None, lock_parents: bool = True,
               lock_children: bool = True) -> dict[str, Any]:
        """Return `{"ok": True, "token": …}` or `{"ok": False, "lockedBy": …}`."""
        return self._call(calls.canhaz(path, id, lock_parents, lock_children),
                          lambda answer: answer.body)

    def nowant(self, path: str, token: str) -> dict[str, Any]:
        """Return `{"ok": True}`, or `{"ok": False}` if the token does not hold the path."""
        return self._call(calls.nowant(path, token), lambda answer: answer.body)

    def dohaz(self, path: str) -> dict[str, Any]:
        """Return `{"lockedBy": …}`: an id, `"?"`, or None if the path is free."""
        return self._call(calls.dohaz(path), lambda answer: answer.body)

    # Implementation.

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
        """Undo an acquire that has failed or was interrupted.

        After an interruption this is tried immediately. If that fails, or if what was granted
        without an answer would never expire, a thread goes on trying.
        """
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
        """Run `steps` now; if they fail or are interrupted, again when the process ends."""
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


# The first resolution of a name imports this codec. A fork during the import would leave a child in
# which it never finishes.
"".encode("idna")

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
