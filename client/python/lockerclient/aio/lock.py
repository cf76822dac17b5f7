"""Locks and leases as blocks of a coroutine: held inside of `async with`, renewed by a task."""

from __future__ import annotations

import asyncio
import copy
import logging
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Iterable

from .. import calls, deadline, protocol
from ..deadline import Deadline
from ..errors import LockerError, LockLost, chain
from ..exchange import Steps
from ..inventory import Use
from ..keeper import LONGEST_SLEEP
from ..lock import wanted_of_lease
from ..records import Grant
from ..tenure import Tenure
from ..turns import Turn
from ..views import GrantView, HeldView, UseView

if TYPE_CHECKING:
    from .client import AsyncClient

log = logging.getLogger("lockerclient")
OnLost = Callable[[LockLost], None]
BLOCK = "an `async with` block"


class _Cancellation:
    """Cancels the task of a block when its lease is lost, and tells that from other reasons."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._count()
        self._is_done = False
        self._is_left = False

    def _count(self) -> int:
        if sys.version_info >= (3, 11) and self._task is not None:
            return self._task.cancelling()
        return 0  # before, nobody counted cancellations

    def cancel(self) -> None:
        if not self._is_done and not self._is_left and self._task is not None:
            self._is_done = True
            self._task.cancel()

    async def leave(self, error: BaseException | None) -> bool:
        """At the end of the block. Whether the cancellation that ended it, if one did, is ours."""
        self._is_left = True
        if not self._is_done:
            return False
        if not isinstance(error, asyncio.CancelledError):
            try:
                await asyncio.sleep(0)  # ours has not arrived: here it does
            except asyncio.CancelledError:
                pass
        if sys.version_info >= (3, 11) and self._task is not None:
            return self._task.uncancel() <= self._before
        return True


class _Block(HeldView):
    """What a lock and a lease have in common."""

    def __init__(self, client: AsyncClient, on_lost: OnLost | None, cancel_on_loss: bool):
        calls.check_callable("on_lost", on_lost)
        self._client = client
        self._on_lost = on_lost
        self._cancel_on_loss = cancel_on_loss
        self._cancellation: _Cancellation | None = None
        self._tenure: Tenure | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def _begin(self, token: str, what: str, ttl: float | None, sent: float) -> Tenure:
        self._loop = asyncio.get_running_loop()
        self._tenure = Tenure(token, what, Deadline(ttl, sent), deadline.now, self._tell)
        self._client._farewells.add(self._tenure, lambda: protocol.abandon(token))
        if self._cancel_on_loss:
            self._cancellation = _Cancellation()
        keep = protocol.keep(self._client._settings, self._tenure)
        self._tasks = [asyncio.ensure_future(self._client._run(keep)),
                       asyncio.ensure_future(self._watch(self._tenure))]
        return self._tenure

    async def _watch(self, tenure: Tenure) -> None:
        """Notices the deadline while the other task waits for an answer."""
        while not tenure.has_ended():
            left = tenure.deadline.ends - deadline.now()
            # A timer stands still while the machine is suspended: look again before long.
            await asyncio.sleep(max(0.0, min(left, LONGEST_SLEEP)))

    def _tell(self, loss: LockLost) -> None:
        log.warning("%s", loss)
        if self._is_in_its_loop():
            self._tell_in_loop(loss)
            return
        try:  # somebody checks it in a thread
            self._loop.call_soon_threadsafe(self._tell_in_loop, loss)
        except RuntimeError:  # the loop is closed
            pass

    def _is_in_its_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:  # none runs here
            return False

    def _tell_in_loop(self, loss: LockLost) -> None:
        self.lost.set()
        if self._cancellation is not None:
            self._cancellation.cancel()
        if self._on_lost is not None:
            self._loop.call_soon(self._on_lost, copy.copy(loss))

    def _held(self) -> Tenure:
        if self._tenure is None:
            raise LockerError(f"This is not held: use it in {BLOCK}.", "not_held")
        return self._tenure

    def _expect_free(self) -> None:
        if self._tenure is not None:
            raise LockerError("This is held already; take another one for a second block.",
                              "held_already")
        self.lost = asyncio.Event()  #: Set when the lease has ended, or can have.

    async def _end(self) -> LockLost | None:
        tenure, self._tenure = self._held(), None
        if tenure.is_of_another_process():
            return None
        loss = tenure.finish()
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        try:
            return copy.copy(await self._give_back(tenure, loss))
        except (LockerError, GeneratorExit):
            raise
        except BaseException:  # a cancellation, for example
            await self._client._say_farewell(tenure, lambda: protocol.abandon(tenure.token))
            raise

    async def _give_back(self, tenure: Tenure, loss: LockLost | None) -> LockLost | None:
        client = self._client
        if loss is not None and tenure.has_ended():
            if loss.status is None:  # the server may have it still
                await client._run(protocol.abandon(tenure.token))
            client._farewells.done(tenure)
            return loss
        try:
            await client._run(protocol.release(client._settings, tenure))
        except LockLost as found:
            loss = loss or found
        except LockerError as error:
            if protocol.is_silence(error):
                client._in_background(self._go_on(tenure))
            else:
                client._farewells.done(tenure)
            if tenure.ttl is None:
                raise  # held for ever, if nobody is told
            log.warning("A lock could not be released and may end by its TTL only: %s", error)
            return loss
        client._farewells.done(tenure)
        return loss

    async def _go_on(self, tenure: Tenure) -> None:
        """The end of a block does not wait for longer: a task does."""
        await self._client._run(protocol.go_on_releasing(self._client._settings, tenure))
        self._client._farewells.done(tenure)

    async def _end_quickly(self) -> bool:
        """Of what was interrupted when it began. False if it had not begun."""
        tenure, self._tenure = self._tenure, None
        if tenure is None:
            return False
        tenure.finish()
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        await self._client._say_farewell(tenure, lambda: protocol.abandon(tenure.token))
        return True

    async def release(self) -> None:
        """Gives it back; raises LockLost if it was lost before."""
        loss = await self._end()
        if loss is not None:
            raise loss

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        cancellation, self._cancellation = self._cancellation, None
        is_ours = cancellation is not None and await cancellation.leave(error)
        if self._tenure is None:
            return  # released in the block
        try:
            loss = await self._end()
        except LockerError as problem:
            if error is None:
                raise
            log.warning("A lock could not be released: %s", problem)
            return
        if loss is None:
            return
        if error is None or (is_ours and isinstance(error, asyncio.CancelledError)):
            raise loss
        chain(error, loss)


class AsyncLock(_Block, GrantView):
    """Made by `AsyncClient.lock`. A block for one lock, or for several taken in one step."""

    _block_syntax = BLOCK

    def __init__(self, client: AsyncClient, wanted: calls.Wanted, wait: float | None,
                 on_lost: OnLost | None, cancel_on_loss: bool):
        super().__init__(client, on_lost, cancel_on_loss)
        calls.check_wait(wait)
        self._wanted = wanted
        self._wait = wait

    async def acquire(self) -> AsyncLock:
        """Raises NotAcquired, Deadlock, Unreachable, LockerError."""
        self._expect_free()
        client = self._client
        acquisition = protocol.Acquisition(client._settings, self._wanted, self._wait)
        try:
            self._grant = grant = await client._run(acquisition.steps())
            tenure = self._begin(grant.token, ", ".join(grant.paths), grant.ttl, grant.sent)
            tenure.granted(Use(self._wanted), self._wanted, grant)
            return self
        except GeneratorExit:
            raise
        except LockerError as error:
            client._give_up_later(acquisition, error)
            raise
        except BaseException:  # a cancellation, or Ctrl-C: nobody else would release it
            if not await self._end_quickly():
                await client._say_farewell(acquisition, acquisition.give_up)
            raise

    async def __aenter__(self) -> AsyncLock:
        return await self.acquire()

    def __repr__(self) -> str:
        return f"<AsyncLock {self._wanted.paths}: {'held' if self.held else 'not held'}>"


class AsyncLease(_Block):
    """Made by `AsyncClient.lease`. One lease for locks that come and go inside of its block."""

    def __init__(self, client: AsyncClient, owner: str, ttl: float | None, on_lost: OnLost | None,
                 cancel_on_loss: bool):
        super().__init__(client, on_lost, cancel_on_loss)
        calls.check_seconds("ttl", ttl)
        self._owner = owner
        self._ttl = ttl

    async def open(self) -> AsyncLease:
        """What the beginning of an `async with` block does; `release` ends it."""
        self._expect_free()
        self._giving_back = asyncio.Lock()  # nothing is asked for while the same is given back
        client = self._client
        token = protocol.fresh_token()
        try:
            opened = await client._run(
                protocol.opened_lease(client._settings, token, self._owner, self._ttl))
            self._begin(token, "a lease of " + self._owner, opened.ttl, opened.sent)
            return self
        except (LockerError, GeneratorExit):
            raise
        except BaseException:  # a cancellation, or Ctrl-C
            if not await self._end_quickly():
                await client._say_farewell(token, lambda: protocol.abandon(token))
            raise

    async def __aenter__(self) -> AsyncLease:
        return await self.open()

    async def acquire(self, path: calls.Resource | Iterable[calls.Resource],
                      wait: float | None = None, mode: str = "exclusive", *,
                      lock_parents: bool = True, lock_children: bool = True,
                      meta: str | None = None, lock_delay: float = 0,
                      any: int | None = None) -> Grant:
        """Adds a lock, or several, to the lease; on a path that it has, changes the mode."""
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
                timer = loop.call_later(min(pause, LONGEST_SLEEP), woken.set)
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
        async with self._giving_back:
            asked = tenure.inventory.expect(use)
        acquisition = protocol.Acquisition(client._settings, asked, turn.wait_left(deadline.now()),
                                           tenure.token)
        try:
            grant = await client._run(acquisition.steps())
            tenure.granted(use, asked, grant)
            tenure.check()
            if tenure.inventory.stay(use).weakenings:
                async with self._giving_back:
                    staying = tenure.inventory.stay(use)
                    await client._run(protocol.leave(client._settings, tenure, staying))
            tenure.inventory.settle(use)
            return grant
        except GeneratorExit:  # nothing can be awaited any more
            raise
        except BaseException as error:
            turn.withdraw(deadline.now())
            turn.hand_over()
            if isinstance(error, LockerError) and protocol.is_silence(error):
                client._in_background(self._undo(tenure, use, asked, turn,
                                                 acquisition.go_on_withdrawing(tenure)))
                raise
            # In the background, if who waits for it is cancelled once more.
            was_cancelled = not isinstance(error, LockerError)
            await asyncio.shield(client._in_background(self._undo(
                tenure, use, asked, turn, acquisition.withdraw() if was_cancelled else None)))
            raise

    async def _undo(self, tenure: Tenure, use: Use, asked: calls.Wanted, turn: Turn,
                    withdrawing: Steps[Grant | None] | None) -> None:
        """It may have been granted: it is given back when the server can be asked again."""
        try:
            if withdrawing is not None:
                late = await self._client._run(withdrawing)
                if late is not None:
                    tenure.granted(use, asked, late)
            await self._leave_in_turn(tenure, use, True)
        finally:
            tenure.turns.leave(turn)

    async def _leave(self, tenure: Tenure, use: Use) -> None:
        """Gives back what nobody else needs who shares this lease."""
        leaving = self._client._in_background(self._leave_in_turn(tenure, use, False))
        try:
            await asyncio.shield(leaving)
        except asyncio.CancelledError:
            # It hurries then, without us if we are cancelled once more. Not before it has begun.
            asyncio.get_running_loop().call_soon(leaving.cancel)
            await asyncio.wait({leaving})
            raise

    async def _leave_in_turn(self, tenure: Tenure, use: Use, is_hurried: bool) -> None:
        client = self._client
        try:
            await self._giving_back.acquire()
        except asyncio.CancelledError:
            is_hurried = True
            await self._giving_back.acquire()
        try:
            leaving = tenure.inventory.leave(use)
            if not is_hurried:
                try:
                    await client._run(protocol.leave(client._settings, tenure, leaving))
                    return
                except asyncio.CancelledError:
                    pass
            await client._run(protocol.leave_quickly(tenure, leaving))
        finally:
            self._giving_back.release()

    async def release_path(self, path: str) -> None:
        """Gives one lock back, also if blocks have it, too. The lease lives on."""
        tenure = self._held()
        async with self._giving_back:
            await self._client.release(tenure.token, path)

    def lock(self, path: calls.Resource | Iterable[calls.Resource], wait: float | None = None,
             **options: Any) -> AsyncLockOfLease:
        """A block in which the lease has this lock, too; takes what `acquire` takes.

        Blocks on a path that the lease has already end as those of `lockerclient.Lease.lock`.
        """
        return AsyncLockOfLease(self, wanted_of_lease(path, **options), wait)

    def __repr__(self) -> str:
        return f"<AsyncLease of {self._owner}: {'held' if self.held else 'not held'}>"


class AsyncLockOfLease(UseView):
    """Made by `AsyncLease.lock`."""

    lease: AsyncLease
    _block_syntax = BLOCK

    def __init__(self, lease: AsyncLease, wanted: calls.Wanted, wait: float | None):
        self.lease = lease
        calls.check_wait(wait)
        self._wanted = wanted
        self._wait = wait

    async def __aenter__(self) -> AsyncLockOfLease:
        if self._use is not None:
            raise LockerError("This is held already; take another one for a second block.",
                              "held_already")
        use = Use(self._wanted)
        self._tenure = self.lease._held()
        self._grant = await self.lease._take(use, self._wait)
        self._use = use
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        tenure, use = self._tenure, self._use
        if tenure is None or use is None:
            return
        self._use = None
        released = tenure.release_as_loss()
        try:
            await self.lease._leave(tenure, use)
            if loss := use.loss or released:
                raise copy.copy(loss)
        except LockLost as loss:
            if error is None:
                raise
            chain(error, loss)
        except LockerError as problem:
            if error is None:
                raise
            log.warning("A lock could not be released: %s", problem)
