"""What a program knows about a lease that it has: until when it surely lives, or why it is lost."""

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
    """Thread-safe. Once lost, it stays lost, whatever the server says later: somebody was told.

    `on_lost` is called once, by whoever notices.
    """

    def __init__(self, token: str, what: str, deadline: Deadline, now: Callable[[], float],
                 on_lost: Callable[[LockLost], None]):
        self.token = token
        self.process = os.getpid()
        self._what = what
        self._now = now
        self._on_lost = on_lost
        self._mutex = threading.RLock()  # a signal handler may ask while its thread is in here
        self._deadline = deadline
        self._loss: LockLost | None = None  # what its holder was told: of a part, or of all
        self._end: LockLost | None = None  # of all, also by a release
        self.inventory = Inventory()
        self.turns = Turns()
        # What a renewal said of the locks, and which were known, before they were looked at.
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
        """Why the last renewal failed, for the message if it is the last."""
        self._last_problem = problem

    def lose(self, loss: LockLost) -> None:
        """All of it."""
        self._tell(loss, True)

    def lose_locks(self, paths: list[str], loss: LockLost) -> None:
        """The lease lives on, with the rest."""
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
                f"{', '.join(paths)} was lost and is taken anew, by the same lease; stop what "
                "it protected.", "unknown"))

    @property
    def known_end(self) -> LockLost | None:
        """Of all, as far as anybody has looked: this tells nobody."""
        return self._end

    def has_ended(self) -> bool:
        """Whether there is nothing left to renew."""
        return self.loss_of_all() is not None

    def look_at_the_clock(self) -> LockLost | None:
        """The loss, if there is one, of all or of a part."""
        now = self._now()
        deadline = self._deadline
        if self._end is None and now >= deadline.ends:
            problem = f" ({self._last_problem})" if self._last_problem else ""
            self.lose(LockLost(
                f"The lease of {self._what} was last renewed {now - deadline.sent:.1f} s ago"
                f"{problem} and can have ended; stop what it protected.", "unrenewed"))
        return self._loss

    def is_of_another_process(self) -> bool:
        return self.process != os.getpid()

    def check_process(self) -> None:
        if self.is_of_another_process():
            raise LockLost(
                f"Process {self.process} has this lock, and this is a child of it that cannot know "
                "until when: let the parent check, or take a lock here.", "forked")

    def check(self) -> None:
        self.check_process()
        loss = self.look_at_the_clock() or self._end
        if loss is not None:
            raise copy.copy(loss)  # each traceback is its own

    def check_use(self, use: Use) -> None:
        """The same, for a part of the lease: what else it has lost does not matter."""
        self.check_process()
        loss = use.loss or self.loss_of_all()
        if loss is not None:
            raise copy.copy(loss)

    def loss_of_all(self) -> LockLost | None:
        """Also by a release, for those who use the lease still."""
        self.look_at_the_clock()
        return self._end

    def lose_path_by_release(self, path: str, releaser: object) -> None:
        """Its program gives one path back by a call, whoever uses it. The lease lives on."""
        loss = LockLost(f"{path} was released; stop what it protected.", "released")
        if any(use.has_own_lease for use in self.inventory.lose([path], loss, releaser)):
            self._tell(loss, False)

    def lose_by_release(self) -> None:
        """Its program has released it by a call, whoever uses it."""
        self.lose(self._released())

    def _released(self) -> LockLost:
        return LockLost(f"The lease of {self._what} was released; stop what it protected.",
                        "released")

    def finish(self) -> LockLost | None:
        """Its holder releases it: from here on it cannot be lost, and nobody is told. The loss, if
        there was one."""
        self.look_at_the_clock()
        with self._mutex:
            self._end = self._end or self._released()
            return self._loss
