"""What locks and leases have in common in `async with` blocks: they are held inside the block,
renewed by a task, and released at its end."""

from __future__ import annotations

import asyncio
import copy
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import calls, deadline, giving_back, renewing
from ..block import OnLost, tell
from ..deadline import Deadline
from ..errors import LockerError, LockLost
from ..exchange import LONGEST_PAUSE
from ..giving_back import log
from ..tenure import Tenure
from ..views import HeldView

if TYPE_CHECKING:
    from .client import AsyncClient


class _Cancellation:
    """Cancels the task of a block when its lease is lost, and recognises its own cancellation."""

    def __init__(self) -> None:
        self._loss: LockLost | None = None
        self._task = asyncio.current_task()
        self._before = self._count()
        self._is_left = False

    def _count(self) -> int:
        if sys.version_info >= (3, 11) and self._task is not None:
            return self._task.cancelling()
        return 0  # earlier versions do not count cancellations

    def cancel(self, loss: LockLost) -> None:
        if loss.reason == "released" and asyncio.current_task() is self._task:
            return  # the task released it itself: it need not be stopped
        if self._loss is None and not self._is_left and self._task is not None:
            self._loss = loss
            self._task.cancel()

    async def leave(self, error: BaseException | None) -> LockLost | None:
        """End the block; return the loss if `error` is our cancellation."""
        self._is_left = True
        if self._loss is None:
            return None
        is_cancelled = isinstance(error, asyncio.CancelledError)
        if not is_cancelled:
            try:
                await asyncio.sleep(0)  # our cancellation has not arrived yet: it does here
            except asyncio.CancelledError:
                pass
        if sys.version_info >= (3, 11) and self._task is not None:
            is_ours_alone = self._task.uncancel() <= self._before
            if not is_cancelled and not is_ours_alone:  # another's was swallowed with it
                self._task.cancel()  # delivered at its next await
                self._task.uncancel()
            is_cancelled &= is_ours_alone
        return copy.copy(self._loss) if is_cancelled else None


class Holding:
    """A lease, from its grant to its end."""

    def __init__(self, client: AsyncClient, token: str, what: str, first: Deadline,
                 lost: asyncio.Event, on_lost: OnLost | None, cancellation: _Cancellation | None):
        self._client = client
        self._lost = lost
        self._on_lost = on_lost
        self._cancellation = cancellation
        self._loop = asyncio.get_running_loop()
        self.tenure = Tenure(token, what, first, deadline.now, self._tell)
        client._farewells.add(self.tenure, lambda: giving_back.abandon(token))
        keep = renewing.keep(client._settings, self.tenure)
        self._tasks = [asyncio.ensure_future(client._run(keep)),
                       asyncio.ensure_future(self._watch())]

    async def _watch(self) -> None:
        """Detect that the deadline has passed while the other task waits for an answer."""
        while not self.tenure.has_ended():
            left = self.tenure.deadline.ends - deadline.now()
            await asyncio.sleep(max(0.0, min(left, LONGEST_PAUSE)))

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _tell(self, loss: LockLost) -> None:
        log.warning("%s", loss)
        if self._is_in_its_loop():
            self._tell_in_loop(loss)
            return
        try:  # a thread has called check()
            self._loop.call_soon_threadsafe(self._tell_in_loop, loss)
        except RuntimeError:  # the loop is closed
            pass

    def _is_in_its_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:  # none runs here
            return False

    def _tell_in_loop(self, loss: LockLost) -> None:
        self._lost.set()
        if self._cancellation is not None:
            self._cancellation.cancel(loss)
        if self._on_lost is not None:
            self._loop.call_soon(self._on_lost, copy.copy(loss))

    async def end(self) -> LockerError | None:
        """Release the lease; return its loss if it was lost before, or why it may stay held.

        Raises interruptions only.
        """
        client, tenure = self._client, self.tenure
        if tenure.is_of_another_process():
            return None
        self._stop()
        try:
            problem, goes_on = await client._run(giving_back.end(client._settings, tenure))
        except GeneratorExit:
            raise
        except BaseException:  # a cancellation, for example
            await self.end_quickly()
            raise
        if goes_on:
            client._in_background(self._go_on())
        else:
            client._farewells.done(tenure)
        return problem

    async def _go_on(self) -> None:
        """Go on releasing in a task: the end of the block does not wait for longer."""
        client, tenure = self._client, self.tenure
        await client._run(giving_back.go_on_releasing(client._settings, tenure))
        client._farewells.done(tenure)

    async def end_quickly(self) -> None:
        """Try once more to release after an interruption.

        If that fails, too, a task goes on trying, and so does the exit of the process.
        """
        self._stop()
        tenure = self.tenure
        await self._client._say_farewell(tenure, lambda: giving_back.end_quickly(tenure),
                                         self._go_on)


class Block(HeldView):
    """The common base of locks and leases."""

    def __init__(self, client: AsyncClient, on_lost: OnLost | None, cancel_on_loss: bool):
        calls.check_callable("on_lost", on_lost)
        self._client = client
        self._on_lost = on_lost
        self._cancel_on_loss = cancel_on_loss
        self._cancellation: _Cancellation | None = None
        self._holding: Holding | None = None
        self._task: asyncio.Task[Any] | None = None  # of its block; None: held until release()
        #: Set when the lease has ended, or may have. Exists from the beginning of the first block:
        #: before Python 3.10 an Event needs the event loop.
        self.lost: asyncio.Event

    def _begin(self, token: str, what: str, first: Deadline) -> Tenure:
        if self._cancel_on_loss:
            self._cancellation = _Cancellation()
        self._holding = Holding(self._client, token, what, first, self.lost,
                                self._on_lost, self._cancellation)
        return self._holding.tenure

    def _held(self) -> Tenure:
        if self._holding is None:
            raise LockerError("This is not held: use it in a block (async with).", "not_held")
        return self._holding.tenure

    def _is_taken(self) -> bool:
        return self._holding is not None

    async def _end_quickly(self) -> bool:
        """End a block that was interrupted while it began; return False if nothing was held."""
        holding, self._holding = self._holding, None
        if holding is None:
            return False
        await holding.end_quickly()
        return True

    async def _end(self) -> LockerError | None:
        holding, self._holding, self._task = self._holding, None, None
        return None if holding is None else await holding.end()

    async def release(self) -> None:
        """Release it; raise LockLost if it was lost before.

        If it belongs to another task's block, that block loses it.
        """
        tenure = self._held()
        # `asyncio.wait_for` may have entered the block in a separate task, which has ended by now.
        if self._task is None or self._task.done() or self._task is asyncio.current_task():
            tell(await self._end(), None)
        else:
            tenure.check()  # a lost lock is released by the end of its block
            await self._client.release(tenure.token)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        cancellation, self._cancellation = self._cancellation, None
        loss = None if cancellation is None else await cancellation.leave(error)
        problem = await self._end()  # None if it was released in the block
        tell(loss or problem, None if loss is not None else error)
