"""Tracks the locks of a lease and their users, to detect the loss of a lock, and to keep an inner
block from releasing what an outer block needs."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field, replace
from typing import Any, Mapping

from .address import PathKey, path_key
from .calls import Wanted
from .errors import LockLost
from .records import Grant


@dataclass
class Leaving:
    """The requests to send when a use ends. Each is removed once it was answered."""

    releases: list[str] = field(default_factory=list)
    weakenings: list[Wanted] = field(default_factory=list)  # to the mode of the other users


class Use:
    """A reason to hold some paths: a block (`is_block`), or an acquire outside of any block.

    `has_own_lease`: a loss of this use is a loss of the lease, too. `runner`: the thread or the
    task that is in the block.
    """

    _numbers = itertools.count()

    def __init__(self, wanted: Wanted, is_block: bool = True, has_own_lease: bool = False,
                 runner: object = None):
        self.wanted = wanted
        self.locks = {path_key(lock["path"]): lock for lock in wanted.locks}
        self.is_block = is_block
        self.has_own_lease = has_own_lease
        self.runner = runner
        self.number = next(self._numbers)  # higher for an inner block than for an outer one
        self.loss: LockLost | None = None  # the loss of one of its paths
        self.surprise: LockLost | None = None  # as `loss`, but not for its own releases
        self.leaving = Leaving()


class _Entry:
    """A path of the lease. Without a fence, it was not granted yet."""

    def __init__(self, path: str):
        self.path = path
        self.mode = ""  # while it is unknown
        self.fence: int | None = None
        self.granted_to: set[Use] = set()
        self.asked_by: set[Use] = set()

    def users(self) -> set[Use]:
        return self.granted_to | self.asked_by

    def is_replaced_by(self, fence: int, mode: str) -> bool:
        """Return whether the server's grant is another one, so this one was lost.

        The lease has acquired the path again, or has an older grant of it, restored from a backup.
        Another user of the token may also have changed the mode: that gives a higher fence, too,
        but is not a loss.
        """
        if self.fence is None or fence == self.fence:
            return False
        return fence < self.fence or self.mode == mode == "exclusive"


class Inventory:
    """The locks of a lease. Thread-safe.

    Hold the mutex `giving_back` while you determine what to acquire, and while you determine and
    send releases: otherwise one could undo the other.
    """

    giving_back: Any = None  # a threading.RLock, or an asyncio.Lock

    def __init__(self) -> None:
        # A signal handler may re-enter in the same thread.
        self._mutex = threading.RLock()
        self._entries: dict[PathKey, _Entry] = {}

    def _is_giving_back(self) -> bool:
        is_held = getattr(self.giving_back, "_is_owned", None) or self.giving_back.locked
        return bool(is_held())

    def expect(self, use: Use) -> Wanted:
        """Register a use before its request: from then on, no other use releases its paths.

        Returns what to request: a path is exclusive if another use has it exclusively.
        """
        assert self._is_giving_back()
        locks = []
        with self._mutex:
            for key, lock in use.locks.items():
                entry = self._entries.setdefault(key, _Entry(lock["path"]))
                entry.asked_by.add(use)
                others = [other for other in entry.granted_to if other.is_block or use.is_block]
                locks.append({**lock, "mode": _strongest([lock, *(each.locks[key]
                                                                  for each in others)])})
        return replace(use.wanted, locks=tuple(locks))

    def granted(self, use: Use, asked: Wanted, grant: Grant) -> list[str]:
        """Record a grant; return the paths that were lost before, as their new fence shows."""
        modes = {path_key(lock["path"]): lock["mode"] for lock in asked.locks}
        paths = {path_key(path): path for path in grant.paths}
        replaced = []
        with self._mutex:
            for key in use.locks.keys() - paths.keys():  # those that `any` did not select
                self._forget(key, use)
            for key, path in paths.items():
                if key not in use.locks:
                    continue
                entry = self._entries.setdefault(key, _Entry(path))
                if entry.fence is not None and entry.fence > grant.fence:
                    pass  # the answers arrived out of order
                else:
                    if entry.fence not in (None, grant.fence) and entry.mode == modes[key]:
                        replaced.append(path)
                    entry.path, entry.mode, entry.fence = path, modes[key], grant.fence
                entry.asked_by.discard(use)
                entry.granted_to.add(use)
        return replaced

    def settle(self, use: Use) -> None:
        """Complete a grant: an acquire outside of blocks replaces earlier such ones."""
        if use.is_block:
            return
        with self._mutex:
            for key in use.locks:
                entry = self._entries.get(key)
                if entry is not None and use in entry.granted_to:
                    entry.granted_to = {each for each in entry.granted_to
                                        if each.is_block or each is use}

    def leave(self, use: Use) -> Leaving:
        """Remove a use; return the requests to send.

        If the call is interrupted, or the requests fail, call it again: paths that another use has
        requested since are then left out.
        """
        assert self._is_giving_back()
        leaving = use.leaving
        with self._mutex:
            leaving.releases[:] = [path for path in leaving.releases
                                   if path_key(path) not in self._entries]
            leaving.weakenings.clear()
            for key in use.locks:
                entry = self._entries.get(key)
                if entry is None:
                    continue
                is_granted = entry.fence is not None
                if is_granted and entry.users() == {use}:
                    leaving.releases.append(entry.path)
                self._forget(key, use)
                if is_granted:
                    self._weaken(key, entry, entry.granted_to, leaving)
        return leaving

    def stay(self, use: Use) -> Leaving:
        """Return the requests that weaken the mode of paths of a use that was granted.

        To be called if `needs_weakening`: another use that needed a stronger mode has left since.
        """
        assert self._is_giving_back()
        leaving = Leaving()
        with self._mutex:
            for key, entry, needed_by in self._needed(use):
                self._weaken(key, entry, needed_by, leaving)
        return leaving

    def needs_weakening(self, use: Use) -> bool:
        """Return whether `stay` has something to weaken; changes nothing."""
        with self._mutex:
            return any(self._is_too_strong(*each) for each in self._needed(use))

    def _needed(self, use: Use) -> list[tuple[PathKey, _Entry, set[Use]]]:
        """Return the paths that a use has, each with the uses that need it."""
        entries = [(key, entry) for key in use.locks
                   if (entry := self._entries.get(key)) is not None and use in entry.granted_to]
        return [(key, entry, {use, *(other for other in entry.granted_to
                                     if other.is_block or use.is_block)})
                for key, entry in entries]

    @staticmethod
    def _is_too_strong(key: PathKey, entry: _Entry, needed_by: set[Use]) -> bool:
        if entry.asked_by or not needed_by:
            return False  # the use that requests it weakens it after its grant
        return entry.mode != "shared" and _strongest(
            [each.locks[key] for each in needed_by]) != "exclusive"

    @classmethod
    def _weaken(cls, key: PathKey, entry: _Entry, needed_by: set[Use], leaving: Leaving) -> None:
        if cls._is_too_strong(key, entry, needed_by):
            entry.mode = ""  # until it is answered
            (other, *_) = needed_by
            leaving.weakenings.append(replace(
                other.wanted, locks=({**other.locks[key], "path": entry.path},), any=None))

    def _forget(self, key: PathKey, use: Use) -> None:
        entry = self._entries.get(key)
        if entry is None:
            return
        if entry.users() == {use}:
            del self._entries[key]
        entry.granted_to.discard(use)
        entry.asked_by.discard(use)

    def weakened(self, wanted: Wanted, grant: Grant) -> None:
        (lock,) = wanted.locks
        with self._mutex:
            entry = self._entries.get(path_key(lock["path"]))
            if entry is not None and entry.fence is not None and grant.fence > entry.fence:
                entry.mode, entry.fence = lock["mode"], grant.fence

    def _take_out(self, path: str) -> set[Use]:
        """Remove a path; return the uses that had it."""
        entry = self._entries.pop(path_key(path), None)
        if entry is None:
            return set()
        if entry.asked_by:
            again = self._entries.setdefault(path_key(path), _Entry(path))
            again.asked_by = entry.asked_by
        return entry.granted_to

    def lose(self, paths: list[str], loss: LockLost, releaser: object = None) -> set[Use]:
        """Record the loss of paths; return the uses that had one of them.

        `releaser` is the thread or the task that has released the paths, if one did. Its innermost
        block expects the loss; for the blocks around that, it is a surprise.
        """
        with self._mutex:
            losers = set().union(*map(self._take_out, paths))
            own = [use for use in losers if releaser is not None and use.runner == releaser]
            knowing = max(own, key=lambda use: use.number, default=None)
            for use in losers:
                use.loss = use.loss or loss
                if use is not knowing:
                    use.surprise = use.surprise or loss
        return losers

    def fences(self) -> dict[PathKey, int]:
        """Return the fence of every granted path."""
        with self._mutex:
            return {key: entry.fence for key, entry in self._entries.items()
                    if entry.fence is not None}

    def paths(self) -> list[str]:
        with self._mutex:
            return [entry.path for entry in self._entries.values() if entry.fence is not None]

    def gone(self, before: Mapping[PathKey, int],
             there: Mapping[PathKey, tuple[int, str]]) -> tuple[list[str], list[str]]:
        """Compare with the server's list; return the missing paths, and those granted anew.

        `there` is the server's list, with fences and modes. `before` is what was known before the
        request, with fences; paths that have changed since are left out.
        """
        gone: list[str] = []
        replaced: list[str] = []
        with self._mutex:
            for key, fence in before.items():
                entry = self._entries.get(key)
                if entry is None or entry.fence != fence:
                    continue
                if key not in there:
                    gone.append(entry.path)
                elif entry.is_replaced_by(*there[key]):
                    replaced.append(entry.path)
        return gone, replaced

    def fence_of(self, use: Use) -> int | None:
        """Return the highest fence of the paths that a use has; None if it has none."""
        with self._mutex:
            entries = [self._entries[key] for key in use.locks if key in self._entries]
            return max((entry.fence for entry in entries
                        if entry.fence is not None and use in entry.granted_to), default=None)


def _strongest(locks: list[Mapping[str, Any]]) -> str:
    """Return the mode that satisfies all locks: exclusive if one of them is."""
    modes: list[str] = [lock["mode"] for lock in locks]
    return "exclusive" if "exclusive" in modes else modes[0]
