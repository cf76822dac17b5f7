"""Properties of locks and leases that need no request: the same with threads and asyncio."""

from __future__ import annotations

import functools
import weakref

from . import deadline
from .calls import Wanted, check_wait
from .errors import LockerError
from .inventory import Use
from .records import Grant
from .tenure import Tenure


class Reservation:
    """Reserves an object for a block that begins, as long as anything refers to this."""


class ForOneBlock:
    """An object that one block at a time can use."""

    def _is_taken(self) -> bool:
        raise NotImplementedError

    def _reserve(self) -> Reservation:
        """Reserve this object for a block; raise LockerError if another block uses or reserves it.

        Keep the result in a variable while the block begins, and delete it when that fails, since a
        traceback would keep it alive. It ends with its last reference, so that no interruption can
        prevent that.
        """
        mine = Reservation()
        own = vars(self)
        # No mutex, only atomic steps: a signal handler may re-enter here.
        first = own.setdefault("_reserved", weakref.ref(
            mine, functools.partial(own.pop, "_reserved")))
        if first() is not mine or self._is_taken():
            del mine
            raise LockerError("This is already held or being acquired; use another one for a "
                              "second block.", "held_already")
        return mine


class HeldView(ForOneBlock):
    """The state of a lock or a lease."""

    def _held(self) -> Tenure:
        """Return the tenure; raise LockerError if nothing is held."""
        raise NotImplementedError

    @property
    def held(self) -> bool:
        """Whether it is held, as far as this program can know: see `check`."""
        try:
            self.check()
        except LockerError:
            return False
        return True

    @property
    def token(self) -> str:
        """The token that proves ownership; a secret."""
        return self._held().token

    @property
    def ttl(self) -> float | None:
        return self._held().ttl

    @property
    def sure_for(self) -> float:
        """Seconds until it can expire if it is not renewed again; zero or less: lost.

        A forced end is known only at the next renewal.
        """
        return self._held().deadline.ends - deadline.now()

    def check(self) -> None:
        """Raise LockLost if it is lost or can have expired. Sends no request.

        A forced end is known only at the next renewal.
        """
        self._held().check()


class GrantView:
    """What was granted, also after the block has ended."""

    _grant: Grant | None = None

    @property
    def grant(self) -> Grant:
        if self._grant is None:
            raise LockerError("This was never acquired: use it in a block (with, async with).",
                              "not_held")
        return self._grant

    @property
    def fence(self) -> int:
        """The fencing token, which rises with every grant.

        Let the resource reject a fence lower than the highest it has seen.
        """
        return self.grant.fence

    @property
    def path(self) -> str:
        return self.grant.path

    @property
    def paths(self) -> tuple[str, ...]:
        return self.grant.paths


class UseView(ForOneBlock, GrantView):
    """A block in which a lease has one more lock."""

    lease: HeldView
    _tenure: Tenure | None = None
    _use: Use | None = None  # None outside of the block

    def __init__(self, lease: HeldView, wanted: Wanted, wait: float | None):
        check_wait(wait)
        self.lease = lease
        self._wanted = wanted
        self._wait = wait

    def _is_taken(self) -> bool:
        return self._use is not None

    @property
    def fence(self) -> int:
        """The current fencing token; an inner block that changes the mode changes it, too."""
        if self._tenure is not None and self._use is not None:
            fence = self._tenure.inventory.fence_of(self._use)
            if fence is not None:
                return fence
        return self.grant.fence

    def check(self) -> None:
        """Raise LockLost if this lock is lost; `lease.check()` checks all of the lease."""
        if self._tenure is None or self._use is None:
            self.lease.check()
        else:
            self._tenure.check_use(self._use)
