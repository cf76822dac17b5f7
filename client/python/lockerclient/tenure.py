"""What a program knows about its lease: until when it is certainly alive, or why it is lost."""

from __future__ import annotations

import copy
import os
import threading
from typing import Callable

from .address import PathKey
from .calls import Wanted
from .deadline import Deadline
from .errors import LockLost
from .inventory import Inventory, Use
from .records import Grant
from .turns import Turns


class Tenure:
    """A lease held by this program. Thread-safe.

    Once lost, it stays lost, whatever the server says later, since the program was told so. The
    thread that detects the loss calls `on_lost`, once.
    """

    def __init__(self, token: str, what: str, deadline: Deadline, now: Callable[[], float],
                 on_lost: Callable[[LockLost], None]):
        self.token = token
        self.process = os.getpid()
        self._what = what
        self._now = now
        self._on_lost = on_lost
        self._mutex = threading.RLock()  # a signal handler may re-enter in the same thread
        self._deadline = deadline
        self._loss: LockLost | None = None  # as reported to the holder: of a part, or of all
        self._end: LockLost | None = None  # of the whole lease, also by a release
        self.inventory = Inventory()
        self.turns = Turns()
        # The answer to the renewal, and the locks known, before the locks were read last.
        self.seen: tuple[int, int | None, dict[PathKey, int]] | None = None
        self._last_problem = ""

    @property
    def deadline(self) -> Deadline:
        return self._deadline

    @property
    def ttl(self) -> float | None:
        return self._deadline.ttl

    def renewed(self, deadline: Deadline) -> None:
        with self._mutex:
            if self._now() < self._deadline.ends and deadline.sent >= self._deadline.sent:
                self._deadline = deadline
                self._last_problem = ""

    def note_problem(self, problem: str) -> None:
        """Remember why a renewal failed, for the message of a loss."""
        self._last_problem = problem

    def lose(self, loss: LockLost) -> None:
        """Record the loss of the whole lease."""
        self._tell(loss, True)

    def lose_locks(self, paths: list[str], loss: LockLost) -> None:
        """Record the loss of some paths; the lease lives on with the rest."""
        self.inventory.lose(paths, loss)
        self._tell(loss, False)

    def _tell(self, loss: LockLost, is_all: bool) -> None:
        with self._mutex:
            if self._end is not None:
                return
            if is_all:
                self._end = loss
            if self._loss is not None:
                return
            self._loss = loss
        self._on_lost(loss)

    def granted(self, use: Use, asked: Wanted, grant: Grant) -> None:
        self.lose_replaced(self.inventory.granted(use, asked, grant))

    def lose_replaced(self, paths: list[str]) -> None:
        if paths:
            self.lose_locks(paths, LockLost(
                f"{', '.join(paths)} was lost and acquired again by the same lease; stop what "
                "it protected.", "unknown"))

    @property
    def known_end(self) -> LockLost | None:
        """The end of the whole lease, if it was detected already; does not check the clock."""
        return self._end

    def has_ended(self) -> bool:
        """Return whether there is nothing left to renew."""
        return self.loss_of_all() is not None

    def look_at_the_clock(self) -> LockLost | None:
        """Check the deadline; return the loss of the lease, or of a part, if there is one."""
        now = self._now()
        deadline = self._deadline
        if self._end is None and now >= deadline.ends:
            problem = f" ({self._last_problem})" if self._last_problem else ""
            self.lose(LockLost(
                f"The lease of {self._what} was last renewed {now - deadline.sent:.1f} s ago"
                f"{problem} and may have ended; stop what it protected.", "unrenewed"))
        return self._loss

    def is_of_another_process(self) -> bool:
        return self.process != os.getpid()

    def check_process(self) -> None:
        if self.is_of_another_process():
            raise LockLost(
                f"Process {self.process} has this lock, and this child of it cannot know until "
                "when: let the parent check, or acquire a lock here.", "forked")

    def check(self) -> None:
        self.check_process()
        loss = self.look_at_the_clock() or self._end
        if loss is not None:
            raise copy.copy(loss)  # so that each has its own traceback

    def check_use(self, use: Use) -> None:
        """Raise LockLost if this use has lost a path; other losses of the lease do not matter."""
        self.check_process()
        loss = use.loss or self.loss_of_all()
        if loss is not None:
            raise copy.copy(loss)

    def loss_of_all(self) -> LockLost | None:
        """Return the end of the whole lease, also by a release; None while it lives."""
        self.look_at_the_clock()
        return self._end

    def lose_path_by_release(self, path: str, releaser: object) -> None:
        """Record that a call of this program releases a path, even if blocks use it."""
        loss = LockLost(f"{path} was released; stop what it protected.", "released")
        if any(use.has_own_lease for use in self.inventory.lose([path], loss, releaser)):
            self._tell(loss, False)

    def lose_by_release(self) -> None:
        """Record that a call of this program has released the lease, even if blocks use it."""
        self.lose(self._released())

    def _released(self) -> LockLost:
        return LockLost(f"The lease of {self._what} was released; stop what it protected.",
                        "released")

    def finish(self) -> LockLost | None:
        """Begin the release by the holder; return the loss, if there was one.

        From here on the lease cannot be lost, and nothing is reported.
        """
        self.look_at_the_clock()
        with self._mutex:
            self._end = self._end or self._released()
            return self._loss
