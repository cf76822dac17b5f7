"""A lease and its locks, for asyncio."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterable

from .. import calls, deadline, giving_back, protocol
from ..acquisition import Acquisition, Opening
from ..block import OnLost, tell
from ..errors import LockerError
from ..exchange import LONGEST_PAUSE, Steps
from ..inventory import Use
from ..lease import wanted_of_lease
from ..records import Grant
from ..tenure import Tenure
from ..turns import Turn
from ..views import UseView
from .block import Block

if TYPE_CHECKING:
    from .client import AsyncClient


class AsyncLease(Block):
    """A lease to which locks are added and removed. Made by `AsyncClient.lease`."""

    def __init__(self, client: AsyncClient, owner: str, ttl: float | None, on_lost: OnLost | None,
                 cancel_on_loss: bool):
        super().__init__(client, on_lost, cancel_on_loss)
        calls.check_seconds("ttl", ttl)
        self._owner = owner
        self._ttl = ttl

    async def open(self) -> AsyncLease:
        """Open the lease without a block; end it by `release`."""
        reservation = self._reserve()
        self.lost = asyncio.Event()
        client = self._client
        opening = Opening(client._settings, self._owner, self._ttl)
        try:
            first = await client._run(opening.steps())
            tenure = self._begin(opening.token, "a lease of " + self._owner, first)
            tenure.inventory.giving_back = asyncio.Lock()
            return self
        except GeneratorExit:
            raise
        except BaseException:  # including a cancellation, or Ctrl-C
            if not await self._end_quickly():
                await client._give_up(opening)
            raise
        finally:
            del reservation

    async def __aenter__(self) -> AsyncLease:
        await self.open()
        self._task = asyncio.current_task()
        return self

    async def acquire(self, path: calls.Resource | Iterable[calls.Resource],
                      wait: float | None = None, mode: str = "exclusive", *,
                      lock_parents: bool = True, lock_children: bool = True,
                      meta: str | None = None, lock_delay: float = 0,
                      any: int | None = None) -> Grant:
        """Add one lock or several to the lease; change the mode of a path that the lease has."""
        return await self._take(Use(wanted_of_lease(
            path, mode=mode, lock_parents=lock_parents, lock_children=lock_children, any=any,
            meta=meta, lock_delay=lock_delay), is_block=False), wait)

    async def _take(self, use: Use, wait: float | None) -> Grant:
        calls.check_wait(wait)
        tenure = self._held()
        tenure.check()
        turns = tenure.turns
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        turn = Turn(use.locks, use.wanted.paths, deadline.now(), wait, woken.set)
        turns.join(turn)
        try:
            while (pause := turns.pause(turn, deadline.now(),
                                        self._client._settings.patience)) is not None:
                timer = loop.call_later(min(pause, LONGEST_PAUSE), woken.set)
                try:
                    await woken.wait()
                finally:
                    timer.cancel()
                woken.clear()
            return await self._take_in_turn(tenure, use, turn)
        finally:
            if not turn.is_handed_over:
                turns.leave(turn)

    async def _take_in_turn(self, tenure: Tenure, use: Use, turn: Turn) -> Grant:
        tenure.check()
        client = self._client
        async with tenure.inventory.giving_back:
            asked = tenure.inventory.expect(use)
        acquisition = Acquisition(client._settings, asked, turn.wait_left(deadline.now()),
                                  tenure.token)
        try:
            grant = await client._run(acquisition.steps())
            tenure.granted(use, asked, grant)
            tenure.check()
            if tenure.inventory.needs_weakening(use):
                async with tenure.inventory.giving_back:
                    staying = tenure.inventory.stay(use)
                    await client._run(giving_back.leave(client._settings, tenure, staying))
            tenure.inventory.settle(use)
            return grant
        except GeneratorExit:  # nothing can be awaited here
            raise
        except BaseException:
            turn.withdraw(deadline.now())
            turn.hand_over()
            is_granted = tenure.inventory.fence_of(use) is not None
            is_open = acquisition.may_be_granted or not acquisition.has_failed and not is_granted
            undoing = client._in_background(self._undo(
                tenure, use, asked, turn,
                acquisition.go_on_withdrawing(tenure) if is_open else None))
            if not acquisition.may_be_granted:
                # It goes on if that takes longer, or if this task is cancelled once more.
                await asyncio.wait({undoing}, timeout=giving_back.FAREWELL_TIMEOUT)
            raise

    async def _undo(self, tenure: Tenure, use: Use, asked: calls.Wanted, turn: Turn,
                    withdrawing: Steps[Grant | None] | None) -> None:
        """Release what may have been granted, once the server is reachable again."""
        try:
            if withdrawing is not None:
                late = await self._client._run(withdrawing)
                if late is not None:
                    tenure.granted(use, asked, late)
            await self._leave_in_turn(tenure, use, True)
        finally:
            tenure.turns.leave(turn)

    async def _leave(self, tenure: Tenure, use: Use) -> LockerError | None:
        """Release what no other user of the lease needs; return the error that the block raises."""
        if tenure.is_of_another_process():
            return None
        leaving = self._client._in_background(self._leave_in_turn(tenure, use, False))
        try:
            return await asyncio.shield(leaving)
        except asyncio.CancelledError:
            # Makes it hurry, even if this task is cancelled once more. Not before it has begun.
            asyncio.get_running_loop().call_soon(leaving.cancel)
            await asyncio.wait({leaving})
            raise

    async def _leave_in_turn(self, tenure: Tenure, use: Use,
                             is_hurried: bool) -> LockerError | None:
        problem: LockerError | None = None
        client = self._client
        mutex = tenure.inventory.giving_back
        try:
            await mutex.acquire()
        except asyncio.CancelledError:
            is_hurried = True
            await mutex.acquire()
        try:
            leaving = tenure.inventory.leave(use)
            if not is_hurried:
                try:
                    problem, goes_on = await client._run(giving_back.end_use(
                        client._settings, tenure, use, leaving))
                except asyncio.CancelledError:
                    is_hurried = True
            if is_hurried:
                goes_on = not await client._run(giving_back.leave_quickly(
                    client._settings, tenure, leaving))
        finally:
            mutex.release()
        if goes_on:
            client._in_background(self._leave_later(tenure, use))
        return problem

    async def _leave_later(self, tenure: Tenure, use: Use) -> None:
        """Retry the release in a task: the living lease would keep the lock for ever."""
        for pause in protocol.backoff():
            await asyncio.sleep(pause)
            if tenure.has_ended():
                return
            async with tenure.inventory.giving_back:
                leaving = tenure.inventory.leave(use)
                if await self._client._run(giving_back.leave_quickly(
                        self._client._settings, tenure, leaving)):
                    return

    async def release_path(self, path: str) -> None:
        """Release one path of the lease, which lives on.

        Blocks that have the path lose it, but the end of the calling block does not raise for that.
        """
        tenure = self._held()
        tenure.check_process()
        async with tenure.inventory.giving_back:
            await self._client.release(tenure.token, path)

    def lock(self, path: calls.Resource | Iterable[calls.Resource], wait: float | None = None,
             **options: Any) -> AsyncLockOfLease:
        """Return a lock for an `async with` block; takes the parameters of `acquire`.

        A block on a path that the lease has already ends like one of `lockerclient.Lease.lock`.
        """
        return AsyncLockOfLease(self, wanted_of_lease(path, **options), wait)

    def __repr__(self) -> str:
        return f"<AsyncLease of {self._owner}: {'held' if self.held else 'not held'}>"


class AsyncLockOfLease(UseView):
    """A lock of a lease, held inside a block. Made by `AsyncLease.lock`."""

    lease: AsyncLease

    async def __aenter__(self) -> AsyncLockOfLease:
        reservation = self._reserve()
        try:
            use = Use(self._wanted, runner=asyncio.current_task())
            self._tenure = self.lease._held()
            self._grant = await self.lease._take(use, self._wait)
            self._use = use
            return self
        finally:
            del reservation

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        tenure, use = self._tenure, self._use
        if tenure is None or use is None:
            return
        self._use = None
        tell(await self.lease._leave(tenure, use), error)
