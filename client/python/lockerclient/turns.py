"""Serialises the requests of a lease that can change the mode of a path: the server carries them
out in the order of arrival, and the last one would override what the earlier ones were granted."""

from __future__ import annotations

import contextlib
import weakref
from typing import Callable, Hashable, Iterable

from .errors import LockerError, NotAcquired, Unreachable

MOMENT = 1.0  # seconds; a request without an answer for longer is assumed to wait in the queue


class Turn:
    """The turn of a request that may wait in the server's queue until `until`.

    `wake` is called when it may be its turn: by any thread, including this one, at any point of its
    execution. `thread` is the one that sends the request and cannot wait for itself; None: a task.
    """

    def __init__(self, keys: Iterable[Hashable], what: str, since: float, wait: float | None,
                 wake: Callable[[], None], thread: int | None = None):
        self.keys = frozenset(keys)
        self.what = what
        self.since = since
        self.until = float("inf") if wait is None else since + float(wait)
        self.wake = wake
        self.thread = thread
        self.is_handed_over = False

    def withdraw(self, now: float) -> None:
        """End the wait in the queue now."""
        self.until = min(self.until, now)

    def hand_over(self) -> None:
        """Leave the rest, including `leave`, to another thread or task."""
        self.thread = None
        self.is_handed_over = True

    def wait_left(self, now: float) -> float | None:
        return None if self.until == float("inf") else max(0.0, self.until - now)


class Turns:
    """A FIFO queue in which a turn waits for those ahead of it that share a path with it.

    Thread-safe, without a mutex: a signal handler that interrupted its holder could wait for a
    thread that waits for the mutex. A turn that nothing refers to has left: an interruption can
    prevent `leave`.
    """

    def __init__(self) -> None:
        self._line: list[weakref.ref[Turn]] = []

    def join(self, turn: Turn) -> None:
        self._line.append(weakref.ref(turn, self._line.remove))

    def leave(self, turn: Turn) -> None:
        with contextlib.suppress(ValueError):  # it has left already
            self._line.remove(weakref.ref(turn))
        for other in self._in_line():
            if not other.keys.isdisjoint(turn.keys):
                other.wake()

    def _in_line(self) -> list[Turn]:
        return [turn for each in list(self._line) if (turn := each()) is not None]

    def pause(self, turn: Turn, now: float, patience: float) -> float | None:
        """Return the seconds to wait to be woken; None if it is its turn.

        Raises NotAcquired or Unreachable when it has waited too long, and LockerError if it would
        wait for its own thread.
        """
        ahead = self._ahead(turn)
        if ahead is None:
            return None
        if ahead.thread is not None and ahead.thread == turn.thread:
            raise LockerError(f"{turn.what}: this thread is already calling for it, and a signal "
                              "handler cannot wait for that.", "asked_already")
        silent = max(turn.since, ahead.until) + patience
        if now >= silent:
            raise Unreachable(f"{turn.what}: no answer from the lock server to the call of another "
                              "thread or task for the same lease.")
        refused = float("inf")
        if now < ahead.until:  # that one may be in the queue
            refused = max(turn.until, turn.since + MOMENT)
            if now >= refused:
                refusal = NotAcquired(f"{turn.what}: another thread or task waits for it, for the "
                                      "same lease.", "locked")
                refusal.waited = now - turn.since
                raise refusal
        return min(silent, refused) - now

    def _ahead(self, turn: Turn) -> Turn | None:
        for other in self._in_line():
            if other is turn:
                return None
            if not other.keys.isdisjoint(turn.keys):
                return other
        return None
