"""What locks and leases have in common in `with` blocks: they are held inside the block, renewed in
the background, and released at its end."""

from __future__ import annotations

import copy
import functools
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Callable

from . import calls, deadline, giving_back
from .deadline import Deadline
from .errors import LockerError, LockLost, chain
from .exchange import Steps
from .giving_back import log
from .keeper import Keeper, in_background
from .tenure import Tenure
from .views import HeldView

if TYPE_CHECKING:
    from .client import Client

OnLost = Callable[[LockLost], None]


class Holding:
    """A lease, from its grant to its end."""

    def __init__(self, client: Client, token: str, what: str, first: Deadline,
                 lost: threading.Event, on_lost: OnLost | None):
        def tell_loss(loss: LockLost) -> None:
            lost.set()
            log.warning("%s", loss)
            if on_lost is not None:
                in_background("on-lost", functools.partial(on_lost, copy.copy(loss)))

        self._client = client
        # Neither refers to this object, which has the client: that could not be collected.
        self.tenure = Tenure(token, what, first, deadline.now, tell_loss)
        self._keeper = Keeper(client._settings, self.tenure, client._connections.send)

    def start(self) -> None:
        self._client._farewells.add(self.tenure, self._at_exit)
        self._keeper.start(self._finish_forsaken)
        self._client._watch.add(self.tenure)

    def _stop(self) -> None:
        self._keeper.stop()
        self._client._watch.remove(self.tenure)

    def forsake(self) -> None:
        """Release a lease whose lock object was collected before its block ended.

        May be called by any thread, at any point of its execution.
        """
        self._keeper.forsake()
        if self.tenure.known_end is not None:  # the keeper may have ended
            self._client._farewells.done(self.tenure)

    def _finish_forsaken(self) -> None:
        self._stop()
        self._go_on()

    def end(self) -> LockerError | None:
        """Release the lease; return its loss if it was lost before, or why it may stay held.

        Raises interruptions only.
        """
        client, tenure = self._client, self.tenure
        if tenure.is_of_another_process():
            return None
        self._stop()
        problem, goes_on = client._run(giving_back.end(client._settings, tenure))
        if goes_on:
            in_background("release", self._go_on)
        else:
            client._farewells.done(tenure)
        return problem

    def _go_on(self) -> None:
        """Go on releasing in a thread: the end of the block does not wait for longer."""
        client, tenure = self._client, self.tenure
        client._run(giving_back.go_on_releasing(client._settings, tenure))
        client._farewells.done(tenure)

    def end_quickly(self) -> None:
        """Try once more to release after an interruption.

        If that fails, too, a thread goes on trying, and so does the exit of the process.
        """
        tenure = self.tenure
        if tenure.is_of_another_process():
            return
        self._stop()
        if not self._client._say_farewell(tenure, lambda: giving_back.end_quickly(tenure)):
            in_background("release", self._go_on)

    def _at_exit(self) -> Steps[bool]:
        self._keeper.stop()
        return giving_back.end_quickly(self.tenure)


class Block(HeldView):
    """The common base of locks and leases."""

    _holding: Holding | None = None
    # The thread of its `with` block, which is released when nothing refers to this object.
    # None: held until release().
    _thread: int | None = None

    def __del__(self) -> None:
        # An exception of a signal handler can come before `__exit__` is called.
        if self._thread is not None and self._holding is not None:
            self._holding.forsake()

    def __init__(self, client: Client, on_lost: OnLost | None):
        calls.check_callable("on_lost", on_lost)
        self._client = client
        self._on_lost = on_lost
        self.lost = threading.Event()  #: Set when the lease has ended, or may have.

    def _begin(self, token: str, what: str, first: Deadline) -> Holding:
        self._holding = Holding(self._client, token, what, first, self.lost,
                                 self._on_lost)
        return self._holding

    def _held(self) -> Tenure:
        holding = self._holding
        if holding is None:
            raise LockerError("This is not held: use it in a block (with).", "not_held")
        return holding.tenure

    def _is_taken(self) -> bool:
        return self._holding is not None

    def _end_quickly(self) -> bool:
        """End a block that was interrupted while it began; return False if nothing was held."""
        holding, self._holding = self._holding, None
        if holding is None:
            return False
        holding.end_quickly()
        return True

    def release(self) -> None:
        """Release it; raise LockLost if it was lost before.

        If it belongs to another thread's block, that block loses it.
        """
        tenure = self._held()
        if self._thread in (None, threading.get_ident()):
            self.__exit__(None, None, None)
        else:
            tenure.check()  # a lost lock is released by the end of its block
            self._client.release(tenure.token)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        holding = self._holding  # None: it was released in the block
        try:
            self._holding = None
            problem = None if holding is None else holding.end()
        except BaseException:  # Ctrl-C, or another exception of a signal handler
            self._holding = None
            if holding is not None:
                holding.end_quickly()
            raise
        tell(problem, error)


def tell(problem: LockerError | None, error: BaseException | None) -> None:
    """Raise the problem at the end of a block, or attach or log it if `error` leaves the block."""
    if problem is None:
        return
    if error is None:
        raise problem
    if isinstance(problem, LockLost):
        chain(error, problem)
    else:
        log.warning("A lock could not be released: %s", problem)
