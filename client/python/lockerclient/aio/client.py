"""The client for asyncio."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Any, AsyncIterator, Callable, Coroutine, Hashable, Iterable, TypeVar, cast

from .. import calls, protocol
from ..acquisition import Acquisition, Undertaking
from ..address import tls_for
from ..block import OnLost
from ..client_base import ClientBase
from ..configuration import default_key
from ..connections import Connections as BlockingConnections
from ..exchange import Answer, NoAnswer, Pause, Request, Steps
from ..farewell import Farewells
from ..records import Grant, LeaseState, LockInfo, PathState, Renewal, ended
from .connections import Connections
from .events import AsyncEvents
from .lease import AsyncLease
from .lock import AsyncLock

Result = TypeVar("Result")


class AsyncClient(ClientBase):
    """The asyncio counterpart of `lockerclient.Client`; uses no threads.

    Several event loops may use it, one after the other or at the same time. Each loop has its own
    connections, and `close` closes those of the loop that calls it.
    """

    def __init__(self, url: str | None = None, owner: str | None = None, *, key: str | None = None,
                 ssl_context: ssl.SSLContext | None = None, ca_file: str | None = None,
                 timeout: float = 10.0, patience: float = 30.0):
        super().__init__(url, owner, timeout, patience)
        reach = (self._address, key or default_key(), tls_for(self._address, ssl_context, ca_file))
        self._connections = Connections(*reach)
        # Blocking: at exit no event loop runs.
        self._farewells = Farewells(lambda: BlockingConnections(*reach).send)
        self._background: set[asyncio.Task[Any]] = set()  # the loop has weak references only

    async def close(self) -> None:
        """Close the idle connections. Locks that are held stay held."""
        await self._connections.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await self.close()

    # Locks that are renewed in the background.

    def lock(self, path: calls.Resource | Iterable[calls.Resource], ttl: float | None = 30,
             wait: float | None = None, mode: str = "exclusive", *, lock_parents: bool = True,
             lock_children: bool = True, meta: str | None = None, lock_delay: float = 0,
             any: int | None = None, owner: str | None = None, on_lost: OnLost | None = None,
             cancel_on_loss: bool = False) -> AsyncLock:
        """Return a lock for an `async with` block: `async with client.lock("/a/b") as lock:`.

        Takes the parameters of `lockerclient.Client.lock`. With `cancel_on_loss`, the task in the
        block is cancelled when the lock is lost, and the block raises LockLost. The event loop
        calls `on_lost`.
        """
        wanted = calls.Wanted.of(path, mode=mode, lock_parents=lock_parents,
                                 lock_children=lock_children, any=any, ttl=ttl,
                                 owner=owner or self.owner, meta=meta, lock_delay=lock_delay)
        return AsyncLock(self, wanted, wait, on_lost, cancel_on_loss)

    def lease(self, ttl: float | None = 30, *, owner: str | None = None,
              on_lost: OnLost | None = None, cancel_on_loss: bool = False) -> AsyncLease:
        """Return a lease for an `async with` block; add locks by `await lease.acquire("/a")`."""
        return AsyncLease(self, owner or self.owner, ttl, on_lost, cancel_on_loss)

    # The calls of the API. Nothing is renewed in the background.

    async def acquire(self, path: calls.Resource | Iterable[calls.Resource],
                      ttl: float | None = 30, wait: float | None = None, mode: str = "exclusive", *,
                      lock_parents: bool = True, lock_children: bool = True,
                      meta: str | None = None, lock_delay: float = 0, any: int | None = None,
                      owner: str | None = None, token: str | None = None) -> Grant:
        """Acquire a lock, for the lease of `token` if given. Nothing renews it: call `renew`."""
        return await self._acquire(self._acquisition(
            path, ttl, wait, token, owner, mode=mode, lock_parents=lock_parents,
            lock_children=lock_children, any=any, meta=meta, lock_delay=lock_delay))

    async def renew(self, token: str, ttl: float | None = None) -> Renewal:
        """Restart or change the TTL of a lease; raise LockLost if the lease has ended."""
        return await self._run(self._renewing(token, ttl))

    async def release(self, token: str, path: str | None = None) -> None:
        """Release one path, or the whole lease of the token."""
        await self._run(self._releasing(token, path, asyncio.current_task()))

    async def lease_state(self, token: str) -> LeaseState:
        """Return the locks and the expiry of a lease; raise LockLost if it has ended."""
        return await self._run(protocol.lease_state(self._settings, token))

    async def state(self, path: str) -> PathState:
        """Return the holders of a path, the other locks in the way, and the waiters in order."""
        return await self._call(calls.look_at_path(path), PathState.parse)

    async def locks(self, prefix: str | None = None, owner: str | None = None,
                    state: str | None = None, *, page_size: int = 1000) -> AsyncIterator[LockInfo]:
        """Iterate over the held locks, fetched page by page.

        `state` selects another state: `cooling` (in the lock delay) or `waiting`.
        """
        after: str | None = None
        while True:
            page, after = await self._run(protocol.page_of_locks(self._settings, prefix, owner,
                                                                 state, page_size, after))
            for lock in page:
                yield lock
            if after is None:
                return

    async def force(self, path: str, *, fence: int | None = None, reason: str | None = None,
                    cooling: bool = False, waiting: bool = False) -> int:
        """Force the locks at exactly this path to end; return how many were ended.

        Pass the `fence` of a lock to be sure not to end its successor. `cooling` also ends locks
        whose lock delay has begun, `waiting` also ends requests that wait for the path.
        """
        return await self._call(calls.force(path, fence, reason, cooling, waiting), ended)

    async def force_matching(self, *, prefix: str | None = None, owner: str | None = None,
                             fence: int | None = None, reason: str | None = None,
                             cooling: bool = False, waiting: bool = False) -> int:
        """Force all locks that match every given filter to end; return how many were ended.

        `cooling` also ends locks whose lock delay has begun, `waiting` also ends waiting requests.
        `owner` alone also ends the owner's leases that hold nothing.
        """
        request = calls.force_matching(prefix, owner, fence, reason, cooling, waiting)
        return await self._call(request, ended)

    def events(self, prefix: str | None = None, last_event_id: str | None = None) -> AsyncEvents:
        """Follow events from now on, or since `last_event_id`.

        The iterator reconnects after interruptions.
        """
        return AsyncEvents(self._connections, self._settings, prefix, last_event_id)

    async def status(self) -> dict[str, Any]:
        """Return the server's counts and limits, as the server sends them."""
        return await self._call(calls.status(), lambda answer: answer.body)

    # The calls of Locker 1.0b: the same answers, as dictionaries.

    async def canhaz(self, path: str, id: str | None = None, lock_parents: bool = True,
                     lock_children: bool = True) -> dict[str, Any]:
        """Return `{"ok": True, "token": …}` or `{"ok": False, "lockedBy": …}`."""
        return await self._call(calls.canhaz(path, id, lock_parents, lock_children),
                                lambda answer: answer.body)

    async def nowant(self, path: str, token: str) -> dict[str, Any]:
        """Return `{"ok": True}`, or `{"ok": False}` if the token does not hold the path."""
        return await self._call(calls.nowant(path, token), lambda answer: answer.body)

    async def dohaz(self, path: str) -> dict[str, Any]:
        """Return `{"lockedBy": …}`: an id, `"?"`, or None if the path is free."""
        return await self._call(calls.dohaz(path), lambda answer: answer.body)

    # Implementation.

    async def _run(self, steps: Steps[Result]) -> Result:
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = steps.send(None)
                    continue
                try:
                    answer = await self._connections.send(step)
                except NoAnswer as failure:
                    step = steps.throw(failure)
                else:
                    step = steps.send(answer)
        except StopIteration as stop:
            return cast(Result, stop.value)

    def _in_background(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _call(self, request: Request, parse: Callable[[Answer], Result]) -> Result:
        return await self._run(protocol.call(self._settings, request, parse))

    async def _acquire(self, acquisition: Acquisition) -> Grant:
        try:
            return await self._run(acquisition.steps())
        except GeneratorExit:
            raise
        except BaseException:
            await self._give_up(acquisition)
            raise

    async def _give_up(self, asked: Undertaking) -> None:
        """Undo an acquire: see `lockerclient.Client._give_up`. A task takes the thread's part."""
        async def go_on() -> None:
            await self._run(asked.go_on_giving_up())
            self._farewells.done(asked)

        if not asked.has_failed:
            await self._say_farewell(asked, asked.give_up,
                                     go_on if asked.may_stay_held() else None)
        elif asked.may_stay_held():
            self._farewells.add(asked, asked.give_up)
            self._in_background(go_on())

    async def _say_farewell(self, what: Hashable, steps: Callable[[], Steps[bool]],
                            go_on: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Run `steps` now, in the background if the caller is cancelled once more.

        If they fail, `go_on` and the exit of the process try again.
        """
        self._farewells.add(what, steps)

        async def say() -> None:
            if await self._run(steps()):
                self._farewells.done(what)
            elif go_on is not None:
                self._in_background(go_on())

        await asyncio.shield(self._in_background(say()))
