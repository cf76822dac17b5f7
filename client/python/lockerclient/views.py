"""What locks and leases tell without asking the server: the same with threads as with asyncio."""

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
    """Of an object for a block that begins, as long as anything refers to this."""


class ForOneBlock:
    """An object with which one block at a time can be."""

    def _is_taken(self) -> bool:
        raise NotImplementedError

    def _reserve(self) -> Reservation:
        """To be kept in a variable while a block begins, and deleted there when that fails: a
        traceback would keep it. It ends by itself, so that no interruption can prevent that. Raises
        LockerError if another block has begun, or is about to, in another thread or task."""
        mine = Reservation()
        own = vars(self)
        # Without a mutex, and each step at once: a signal handler may ask amid this.
        first = own.setdefault("_reserved", weakref.ref(
            mine, functools.partial(own.pop, "_reserved")))
        if first() is not mine or self._is_taken():
            del mine
            raise LockerError("This is held already, or asked for; take another one for a "
                              "second block.", "held_already")
        return mine


class HeldView(ForOneBlock):
    """Of a lock, or a lease."""

    def _held(self) -> Tenure:
        """Raises LockerError outside of its block."""
        raise NotImplementedError

    @property
    def held(self) -> bool:
        """Whether it is surely held now."""
        try:
            self.check()
        except LockerError:
            return False
        return True

    @property
    def token(self) -> str:
        """The proof of holding it; a secret."""
        return self._held().token

    @property
    def ttl(self) -> float | None:
        return self._held().ttl

    @property
    def sure_for(self) -> float:
        """Seconds for which it is surely held if it is not renewed any more; at most zero: lost."""
        return self._held().deadline.ends - deadline.now()

    def check(self) -> None:
        """Raises LockLost unless it is surely held now. Asks nobody: costs nothing."""
        self._held().check()


class GrantView:
    """Of what was granted, also when its block has ended."""

    _grant: Grant | None = None

    @property
    def grant(self) -> Grant:
        if self._grant is None:
            raise LockerError("This was never acquired: use it in a block (with, async with).",
                              "not_held")
        return self._grant

    @property
    def fence(self) -> int:
        """Rises with every grant for ever: let the resource refuse a lower one than it has seen."""
        return self.grant.fence

    @property
    def path(self) -> str:
        return self.grant.path

    @property
    def paths(self) -> tuple[str, ...]:
        return self.grant.paths


class UseView(ForOneBlock, GrantView):
    """Of a block in which a lease has one more lock."""

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
        """Of now: an inner block that changes the mode for a while gets new ones."""
        if self._tenure is not None and self._use is not None:
            fence = self._tenure.inventory.fence_of(self._use)
            if fence is not None:
                return fence
        return self.grant.fence

    def check(self) -> None:
        """Raises LockLost unless this lock is surely held now; `lease.check()`: all of them."""
        if self._tenure is None or self._use is None:
            self.lease.check()
        else:
            self._tenure.check_use(self._use)
