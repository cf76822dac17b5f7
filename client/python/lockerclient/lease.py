"""A lease and its locks."""

from __future__ import annotations

import functools
import queue
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterable

from . import calls, deadline, giving_back, protocol
from .acquisition import Acquisition, Opening
from .block import Block, OnLost, tell
from .errors import LockerError
from .exchange import LONGEST_PAUSE, NoAnswer, Steps
from .inventory import Use
from .keeper import in_background, wait_for
from .records import Grant
from .tenure import Tenure
from .turns import Turn
from .views import UseView

if TYPE_CHECKING:
    from .client import Client


class Lease(Block):
    """A lease to which locks are added and removed. Made by `Client.lease`.

    Locks of one lease never conflict with each other, and the server detects deadlocks between
    leases.
    """

    def __init__(self, client: Client, owner: str, ttl: float | None, on_lost: OnLost | None):
        super().__init__(client, on_lost)
        calls.check_seconds("ttl", ttl)
        self._owner = owner
        self._ttl = ttl

    def open(self) -> Lease:
        """Open the lease without a block; end it by `release`."""
        return self._open(is_block=False)

    def _open(self, is_block: bool) -> Lease:
        reservation = self._reserve()
        client = self._client
        opening = Opening(client._settings, self._owner, self._ttl)
        try:
            self.lost = threading.Event()
            self._thread = threading.get_ident() if is_block else None
            first = client._run(opening.steps())
            holding = self._begin(opening.token, "a lease of " + self._owner, first)
            holding.tenure.inventory.giving_back = threading.RLock()  # signal handlers, too
            holding.start()
            return self
        except BaseException:  # including Ctrl-C, or no thread can be started
            if not self._end_quickly():
                client._give_up(opening)
            del reservation
            raise

    def __enter__(self) -> Lease:
        return self._open(is_block=True)

    def acquire(self, path: calls.Resource | Iterable[calls.Resource], wait: float | None = None,
                mode: str = "exclusive", *, lock_parents: bool = True, lock_children: bool = True,
                meta: str | None = None, lock_delay: float = 0, any: int | None = None) -> Grant:
        """Add one lock or several to the lease; change the mode of a path that the lease has."""
        return self._take(Use(wanted_of_lease(
            path, mode=mode, lock_parents=lock_parents, lock_children=lock_children, any=any,
            meta=meta, lock_delay=lock_delay), is_block=False), wait)

    def _take(self, use: Use, wait: float | None) -> Grant:
        calls.check_wait(wait)
        tenure = self._held()
        tenure.check()
        turns = tenure.turns
        woken: queue.SimpleQueue[None] = queue.SimpleQueue()
        turn = Turn(use.locks, use.wanted.paths, deadline.now(), wait,
                    functools.partial(woken.put, None), threading.get_ident())
        try:
            turns.join(turn)
            while (pause := turns.pause(turn, deadline.now(),
                                        self._client._settings.patience)) is not None:
                wait_for(woken, min(pause, LONGEST_PAUSE))
            return self._take_in_turn(tenure, use, turn)
        except BaseException:
            if not turn.is_handed_over:
                turns.leave(turn)
            raise

    def _take_in_turn(self, tenure: Tenure, use: Use, turn: Turn) -> Grant:
        tenure.check()
        client = self._client
        acquisition: Acquisition | None = None
        try:
            with tenure.inventory.giving_back:
                asked = tenure.inventory.expect(use)
            acquisition = Acquisition(client._settings, asked, turn.wait_left(deadline.now()),
                                      tenure.token)
            grant = client._run(acquisition.steps())
            tenure.granted(use, asked, grant)
            tenure.check()
            if tenure.inventory.needs_weakening(use):
                with tenure.inventory.giving_back:
                    staying = tenure.inventory.stay(use)
                    client._run(giving_back.leave(client._settings, tenure, staying))
            tenure.inventory.settle(use)
            tenure.turns.leave(turn)
            return grant
        except BaseException:
            asking = acquisition  # may still be granted
            try:
                turn.withdraw(deadline.now())
                if acquisition is not None and not acquisition.may_be_granted:
                    is_granted = tenure.inventory.fence_of(use) is not None
                    if not acquisition.has_failed and not is_granted:
                        self._granted_late(tenure, use, acquisition, acquisition.withdraw())
                    asking = None
            except NoAnswer:
                pass
            finally:  # even after another Ctrl-C
                if asking is None:
                    self._leave_quickly(tenure, use)
                else:
                    self._withdraw_later(tenure, use, asking, turn)
            raise

    def _granted_late(self, tenure: Tenure, use: Use, acquisition: Acquisition,
                      withdrawing: Steps[Grant | None]) -> None:
        late = self._client._run(withdrawing)
        if late is not None:
            tenure.granted(use, acquisition.wanted, late)

    def _withdraw_later(self, tenure: Tenure, use: Use, acquisition: Acquisition,
                        turn: Turn) -> None:
        """Release in a thread what may have been granted, once the server is reachable again."""
        def run() -> None:
            try:
                self._granted_late(tenure, use, acquisition, acquisition.go_on_withdrawing(tenure))
                self._leave_quickly(tenure, use)
            finally:
                tenure.turns.leave(turn)

        has_begun = False
        try:
            turn.hand_over()
            has_begun = in_background("withdraw", run)
        finally:
            if not has_begun:
                self._leave_quickly(tenure, use)
                tenure.turns.leave(turn)

    def _leave(self, tenure: Tenure, use: Use) -> LockerError | None:
        """Release what no other user of the lease needs; return the error that the block raises.

        Raises interruptions only, after which `_leave_quickly` does the rest.
        """
        if tenure.is_of_another_process():
            return None
        client = self._client
        with tenure.inventory.giving_back:
            leaving = tenure.inventory.leave(use)
            problem, goes_on = client._run(giving_back.end_use(client._settings, tenure, use,
                                                               leaving))
        if goes_on:
            self._leave_later(tenure, use)
        return problem

    def _leave_quickly(self, tenure: Tenure, use: Use) -> None:
        if not tenure.is_of_another_process() and not self._leave_at_once(tenure, use):
            self._leave_later(tenure, use)

    def _leave_at_once(self, tenure: Tenure, use: Use) -> bool:
        with tenure.inventory.giving_back:
            leaving = tenure.inventory.leave(use)
            return self._client._run(giving_back.leave_quickly(
                self._client._settings, tenure, leaving))

    def _leave_later(self, tenure: Tenure, use: Use) -> None:
        """Retry the release in a thread: the living lease would keep the lock for ever."""
        def run() -> None:
            for pause in protocol.backoff():
                time.sleep(pause)
                if tenure.has_ended() or self._leave_at_once(tenure, use):
                    return

        in_background("leave", run)

    def release_path(self, path: str) -> None:
        """Release one path of the lease, which lives on.

        Blocks that have the path lose it, but the end of the calling block does not raise for that.
        """
        tenure = self._held()
        tenure.check_process()  # a child's mutex may be held by a thread of its parent's
        with tenure.inventory.giving_back:
            self._client.release(tenure.token, path)

    def lock(self, path: calls.Resource | Iterable[calls.Resource], wait: float | None = None,
             **options: Any) -> LockOfLease:
        """Return a lock for a `with` block; takes the parameters of `acquire`.

        The end of the block releases the lock, unless another block or `acquire` still needs it. If
        those need it shared and this block made it exclusive, it becomes shared again.
        """
        return LockOfLease(self, wanted_of_lease(path, **options), wait)

    def __repr__(self) -> str:
        return f"<Lease of {self._owner}: {'held' if self.held else 'not held'}>"


def wanted_of_lease(path: calls.Resource | Iterable[calls.Resource], *, mode: str = "exclusive",
                    lock_parents: bool = True, lock_children: bool = True, meta: str | None = None,
                    lock_delay: float = 0, any: int | None = None) -> calls.Wanted:
    """Describe locks without TTL and owner: those would change the other locks of the lease."""
    return calls.Wanted.of(path, mode=mode, lock_parents=lock_parents,
                           lock_children=lock_children, meta=meta, lock_delay=lock_delay, any=any)


class LockOfLease(UseView):
    """A lock of a lease, held inside a block. Made by `Lease.lock`."""

    lease: Lease

    def __enter__(self) -> LockOfLease:
        reservation = self._reserve()
        use, grant = Use(self._wanted, runner=threading.get_ident()), None
        try:
            self._tenure = tenure = self.lease._held()
            self._grant = grant = self.lease._take(use, self._wait)
            self._use = use
            return self
        except BaseException:
            self._use = None
            if grant is not None:
                self.lease._leave_quickly(tenure, use)
            del reservation
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        tenure, use = self._tenure, self._use
        if tenure is None or use is None:
            return
        try:
            self._use = None
            problem = self.lease._leave(tenure, use)
        except BaseException:  # Ctrl-C, or another exception of a signal handler
            self._use = None
            self.lease._leave_quickly(tenure, use)  # else the lease goes on and would keep it
            raise
        tell(problem, error)
