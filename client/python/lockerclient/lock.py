"""Locks and leases as blocks of a program: held inside of `with`, renewed in the background."""

from __future__ import annotations

import copy
import functools
import logging
import queue
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Iterable

from . import calls, deadline, protocol
from .deadline import Deadline
from .errors import LockerError, LockLost, chain
from .exchange import Steps
from .inventory import Use
from .keeper import LONGEST_SLEEP, Keeper
from .records import Grant
from .tenure import Tenure
from .turns import Turn
from .views import GrantView, HeldView, UseView

if TYPE_CHECKING:
    from .client import Client

log = logging.getLogger("lockerclient")
OnLost = Callable[[LockLost], None]


class _Holding:
    """One lease from its grant to its end."""

    def __init__(self, client: Client, token: str, what: str, first: Deadline,
                 lost: threading.Event, on_lost: OnLost | None):
        self._client = client
        self._lost = lost
        self._on_lost = on_lost
        self.tenure = Tenure(token, what, first, deadline.now, self._tell)
        self._keeper = Keeper(client._settings, self.tenure, client._send, self._finish_forsaken)
        self.is_ending = False

    def start(self) -> None:
        self._client._farewells.add(self.tenure, self._at_exit)
        self._keeper.start()
        self._client._watch.add(self.tenure)

    def _stop(self) -> LockLost | None:
        loss = self.tenure.finish()
        self._keeper.stop()
        self._client._watch.remove(self.tenure)
        return loss

    def _tell(self, loss: LockLost) -> None:
        self._lost.set()
        log.warning("%s", loss)
        if self._on_lost is not None:
            self._client._in_background("on-lost", functools.partial(self._on_lost,
                                                                     copy.copy(loss)))

    def forsake(self) -> None:
        """Whoever had it is gone, and has not ended it. Of any thread, amid whatever that does."""
        self._keeper.forsake()

    def _finish_forsaken(self) -> None:
        client, tenure = self._client, self.tenure
        tenure.finish()
        client._watch.remove(tenure)
        client._run(protocol.go_on_releasing(client._settings, tenure))
        client._farewells.done(tenure)

    def end(self) -> LockLost | None:
        """Releases; returns the loss if it was lost before."""
        try:
            self.is_ending = True
            if self.tenure.is_of_another_process():
                return None
            loss = self._give_back(self._stop())
        except LockerError:
            raise
        except BaseException:  # Ctrl-C, for example
            self.end_quickly()
            raise
        return copy.copy(loss)

    def _give_back(self, loss: LockLost | None) -> LockLost | None:
        client, tenure = self._client, self.tenure
        if loss is not None and tenure.has_ended():
            if loss.status is None:  # the server may have it still
                client._run(protocol.abandon(tenure.token))
            client._farewells.done(tenure)
            return loss
        try:
            client._run(protocol.release(client._settings, tenure))
        except LockLost as found:
            loss = loss or found
        except LockerError as error:
            if protocol.is_silence(error):
                self._go_on()
            else:
                client._farewells.done(tenure)
            if tenure.ttl is None:
                raise  # held for ever, if nobody is told
            log.warning("A lock could not be released and may end by its TTL only: %s", error)
            return loss
        client._farewells.done(tenure)
        return loss

    def _go_on(self) -> None:
        """The end of a block does not wait for longer: a thread does."""
        client, tenure = self._client, self.tenure

        def run() -> None:
            client._run(protocol.go_on_releasing(client._settings, tenure))
            client._farewells.done(tenure)

        client._in_background("release", run)

    def end_quickly(self) -> None:
        """After an interruption: one more try; if that is in vain, too, another at exit."""
        self._stop()
        if self._client._run(protocol.abandon(self.tenure.token)):
            self._client._farewells.done(self.tenure)

    def _at_exit(self) -> Steps[bool]:
        self.tenure.finish()
        self._keeper.stop()
        return protocol.abandon(self.tenure.token)


class _Block(HeldView):
    """What a lock and a lease have in common."""

    _holding: _Holding | None = None
    _is_entered = False

    def __del__(self) -> None:
        # What a signal handler raises can come before the end of a `with` block has begun.
        if self._is_entered and self._holding is not None:
            self._holding.forsake()

    def __init__(self, client: Client, on_lost: OnLost | None):
        calls.check_callable("on_lost", on_lost)
        self._client = client
        self._on_lost = on_lost
        self.lost = threading.Event()  #: Set when the lease has ended, or can have.

    def _begin(self, token: str, what: str, ttl: float | None, sent: float) -> _Holding:
        self._holding = _Holding(self._client, token, what, Deadline(ttl, sent), self.lost,
                                 self._on_lost)
        return self._holding

    def _held(self) -> Tenure:
        return self._expect_held().tenure

    def _expect_held(self) -> _Holding:
        if self._holding is None:
            raise LockerError("This is not held: use it in a `with` block.", "not_held")
        return self._holding

    def _expect_free(self) -> None:
        if self._holding is not None:
            raise LockerError("This is held already; take another one for a second block.",
                              "held_already")
        self.lost = threading.Event()

    def _end(self) -> LockLost | None:
        holding = self._expect_held()
        try:
            return holding.end()
        finally:
            if holding.is_ending:  # else it was interrupted before it began
                self._holding = None

    def _end_quickly(self) -> bool:
        """Of what was interrupted when it began. False if it had not begun."""
        holding, self._holding = self._holding, None
        if holding is None:
            return False
        holding.end_quickly()
        return True

    def release(self) -> None:
        """Gives it back; raises LockLost if it was lost before."""
        loss = self._end()
        if loss is not None:
            raise loss

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        try:
            if self._holding is None:
                return  # released in the block
            if error is None:
                return self.release()
            try:
                loss = self._end()
            except LockerError as problem:
                log.warning("A lock could not be released: %s", problem)
                return
            if loss is not None:
                chain(error, loss)
        except LockerError:
            raise
        except BaseException:  # Ctrl-C, before the release had begun
            self._end_quickly()
            raise


class Lock(_Block, GrantView):
    """Made by `Client.lock`. A block for one lock, or for several that are taken in one step."""

    def __init__(self, client: Client, wanted: calls.Wanted, wait: float | None,
                 on_lost: OnLost | None):
        super().__init__(client, on_lost)
        calls.check_wait(wait)
        self._wanted = wanted
        self._wait = wait

    def acquire(self) -> Lock:
        """Raises NotAcquired, Deadlock, Unreachable, LockerError."""
        self._expect_free()
        client = self._client
        acquisition = protocol.Acquisition(client._settings, self._wanted, self._wait)
        try:
            self._grant = grant = client._run(acquisition.steps())
            holding = self._begin(grant.token, ", ".join(grant.paths), grant.ttl, grant.sent)
            holding.tenure.granted(Use(self._wanted), self._wanted, grant)
            holding.start()
            return self
        except LockerError as error:
            client._give_up_later(acquisition, error)
            raise
        except BaseException:  # Ctrl-C, or no thread is to be had: nobody else would release it
            if not self._end_quickly():
                client._give_up(acquisition)
            raise

    def __enter__(self) -> Lock:
        self._is_entered = True
        return self.acquire()

    def __repr__(self) -> str:
        return f"<Lock {self._wanted.paths}: {'held' if self.held else 'not held'}>"


class Lease(_Block):
    """Made by `Client.lease`. One lease for locks that come and go inside of its block.

    They never clash with each other, and the server sees when two leases wait for each other.
    """

    def __init__(self, client: Client, owner: str, ttl: float | None, on_lost: OnLost | None):
        super().__init__(client, on_lost)
        calls.check_seconds("ttl", ttl)
        self._owner = owner
        self._ttl = ttl
        # Nothing is asked for while the same is given back. A signal handler may come between.
        self._giving_back = threading.RLock()

    def open(self) -> Lease:
        """What the beginning of a `with` block does; `release` ends it."""
        self._expect_free()
        client = self._client
        token = protocol.fresh_token()
        try:
            opened = client._run(
                protocol.opened_lease(client._settings, token, self._owner, self._ttl))
            self._begin(token, "a lease of " + self._owner, opened.ttl, opened.sent).start()
            return self
        except LockerError:
            raise
        except BaseException:  # Ctrl-C, or no thread is to be had
            if not self._end_quickly():
                client._say_farewell(token, lambda: protocol.abandon(token))
            raise

    def __enter__(self) -> Lease:
        self._is_entered = True
        return self.open()

    def acquire(self, path: calls.Resource | Iterable[calls.Resource], wait: float | None = None,
                mode: str = "exclusive", *, lock_parents: bool = True, lock_children: bool = True,
                meta: str | None = None, lock_delay: float = 0, any: int | None = None) -> Grant:
        """Adds a lock, or several, to the lease; on a path that it has, changes the mode."""
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
                try:
                    woken.get(timeout=min(pause, LONGEST_SLEEP))
                except queue.Empty:
                    pass
            return self._take_in_turn(tenure, use, turn)
        finally:
            if not turn.is_handed_over:
                turns.leave(turn)

    def _take_in_turn(self, tenure: Tenure, use: Use, turn: Turn) -> Grant:
        tenure.check()
        client = self._client
        with self._giving_back:
            asked = tenure.inventory.expect(use)
        acquisition = protocol.Acquisition(client._settings, asked, turn.wait_left(deadline.now()),
                                           tenure.token)
        try:
            grant = client._run(acquisition.steps())
            tenure.granted(use, asked, grant)
            tenure.check()
            if tenure.inventory.stay(use).weakenings:
                with self._giving_back:
                    staying = tenure.inventory.stay(use)
                    client._run(protocol.leave(client._settings, tenure, staying))
            tenure.inventory.settle(use)
            return grant
        except BaseException as error:
            turn.withdraw(deadline.now())
            if isinstance(error, LockerError) and protocol.is_silence(error):
                self._withdraw_later(tenure, use, asked, acquisition, turn)
                raise
            if not isinstance(error, LockerError):  # Ctrl-C, for example
                late = client._run(acquisition.withdraw())
                if late is not None:
                    tenure.granted(use, asked, late)
            self._leave(tenure, use, True)
            raise

    def _withdraw_later(self, tenure: Tenure, use: Use, asked: calls.Wanted,
                        acquisition: protocol.Acquisition, turn: Turn) -> None:
        """It may have been granted: a thread gives it back when the server can be asked again."""
        turn.hand_over()

        def run() -> None:
            try:
                late = self._client._run(acquisition.go_on_withdrawing(tenure))
                if late is not None:
                    tenure.granted(use, asked, late)
                self._leave(tenure, use, True)
            finally:
                tenure.turns.leave(turn)

        if not self._client._in_background("withdraw", run):
            tenure.turns.leave(turn)

    def _leave(self, tenure: Tenure, use: Use, is_hurried: bool = False) -> None:
        """Gives back what nobody else needs who shares this lease."""
        if tenure.is_of_another_process():
            return
        client = self._client
        with self._giving_back:
            leaving = tenure.inventory.leave(use)
            try:
                if not is_hurried:
                    client._run(protocol.leave(client._settings, tenure, leaving))
                    return
            except LockerError:
                raise
            except BaseException:  # Ctrl-C, for example
                client._run(protocol.leave_quickly(tenure, leaving))
                raise
            client._run(protocol.leave_quickly(tenure, leaving))

    def release_path(self, path: str) -> None:
        """Gives one lock back, also if blocks have it, too. The lease lives on."""
        tenure = self._held()
        with self._giving_back:
            self._client.release(tenure.token, path)

    def lock(self, path: calls.Resource | Iterable[calls.Resource], wait: float | None = None,
             **options: Any) -> LockOfLease:
        """A block in which the lease has this lock, too; takes what `acquire` takes.

        At its end the lock is given back, unless another block has it, too, or `acquire` took it.
        If that has it as shared and this block made it exclusive, it is shared again.
        """
        return LockOfLease(self, wanted_of_lease(path, **options), wait)

    def __repr__(self) -> str:
        return f"<Lease of {self._owner}: {'held' if self.held else 'not held'}>"


def wanted_of_lease(path: calls.Resource | Iterable[calls.Resource], *, mode: str = "exclusive",
                     lock_parents: bool = True, lock_children: bool = True,
                     **options: Any) -> calls.Wanted:
    return calls.Wanted.of(path, mode=mode, lock_parents=lock_parents,
                           lock_children=lock_children, **options)


class LockOfLease(UseView):
    """Made by `Lease.lock`."""

    lease: Lease

    def __init__(self, lease: Lease, wanted: calls.Wanted, wait: float | None):
        self.lease = lease
        calls.check_wait(wait)
        self._wanted = wanted
        self._wait = wait

    def __enter__(self) -> LockOfLease:
        if self._use is not None:
            raise LockerError("This is held already; take another one for a second block.",
                              "held_already")
        use = Use(self._wanted)
        self._tenure = self.lease._held()
        self._grant = self.lease._take(use, self._wait)
        self._use = use
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        tenure, use = self._tenure, self._use
        if tenure is None or use is None:
            return
        self._use = None
        released = tenure.release_as_loss()
        try:
            self.lease._leave(tenure, use)
            if loss := use.loss or released:
                raise copy.copy(loss)
        except LockLost as loss:
            if error is None:
                raise
            chain(error, loss)
        except LockerError as problem:
            # The lease goes on and would keep it; unless the block ends in an error anyway.
            if error is None:
                raise
            log.warning("A lock could not be released: %s", problem)
