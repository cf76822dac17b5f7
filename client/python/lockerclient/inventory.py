"""Which locks a lease has, and for whom: so that the loss of one of them is noticed, and no inner
block gives back what an outer one needs."""

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
    """What is to be done when a use ends. What is done is taken out."""

    releases: list[str] = field(default_factory=list)
    weakenings: list[Wanted] = field(default_factory=list)  # back to the mode of those that stay


class Use:
    """A reason to hold some paths: a block, or what was acquired outside of any (`is_block`). If it
    `has_own_lease`, what it loses is lost for the lease, too. `runner`: the thread or the task that
    is in the block."""

    _numbers = itertools.count()

    def __init__(self, wanted: Wanted, is_block: bool = True, has_own_lease: bool = False,
                 runner: object = None):
        self.wanted = wanted
        self.locks = {path_key(lock["path"]): lock for lock in wanted.locks}
        self.is_block = is_block
        self.has_own_lease = has_own_lease
        self.runner = runner
        self.number = next(self._numbers)  # of an inner block it is higher than of an outer one
        self.loss: LockLost | None = None  # of one of its paths
        self.surprise: LockLost | None = None  # the same, but for what the block has given back
        self.leaving = Leaving()


class _Entry:
    """A path. Without a fence it was not granted yet."""

    def __init__(self, path: str):
        self.path = path
        self.mode = ""  # while nobody knows
        self.fence: int | None = None
        self.granted_to: set[Use] = set()
        self.asked_by: set[Use] = set()

    def users(self) -> set[Use]:
        return self.granted_to | self.asked_by

    def is_replaced_by(self, fence: int, mode: str) -> bool:
        """It was lost, and the lease has got it anew, or has it of before, from a backup. Who has
        the token can also have changed the mode: that is no loss, but for a higher fence, too."""
        if self.fence is None or fence == self.fence:
            return False
        return fence < self.fence or self.mode == mode == "exclusive"


class Inventory:
    """Thread-safe. What a lease asks for, and what it gives back, is thought of and done while its
    mutex `giving_back` is held: else the one could undo the other."""

    giving_back: Any = None  # a threading.RLock, or an asyncio.Lock

    def __init__(self) -> None:
        # A signal handler may ask, too, while its thread is in here.
        self._mutex = threading.RLock()
        self._entries: dict[PathKey, _Entry] = {}

    def _is_giving_back(self) -> bool:
        is_held = getattr(self.giving_back, "_is_owned", None) or self.giving_back.locked
        return bool(is_held())

    def expect(self, use: Use) -> Wanted:
        """To be called before it is asked for: from then on no other use gives its paths back.
        Returns what to ask for: exclusively what another use has exclusively."""
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
        """The paths that must have been lost before: they were there, and have a new fence."""
        modes = {path_key(lock["path"]): lock["mode"] for lock in asked.locks}
        paths = {path_key(path): path for path in grant.paths}
        replaced = []
        with self._mutex:
            for key in use.locks.keys() - paths.keys():  # of those that were asked for by `any`
                self._forget(key, use)
            for key, path in paths.items():
                if key not in use.locks:
                    continue
                entry = self._entries.setdefault(key, _Entry(path))
                if entry.fence is not None and entry.fence > grant.fence:
                    pass  # two answers that have overtaken each other
                else:
                    if entry.fence not in (None, grant.fence) and entry.mode == modes[key]:
                        replaced.append(path)
                    entry.path, entry.mode, entry.fence = path, modes[key], grant.fence
                entry.asked_by.discard(use)
                entry.granted_to.add(use)
        return replaced

    def settle(self, use: Use) -> None:
        """It is granted for good. One outside of blocks replaces those before it that are, too."""
        if use.is_block:
            return
        with self._mutex:
            for key in use.locks:
                entry = self._entries.get(key)
                if entry is not None and use in entry.granted_to:
                    entry.granted_to = {each for each in entry.granted_to
                                        if each.is_block or each is use}

    def leave(self, use: Use) -> Leaving:
        """Where this is interrupted, or what it says is in vain, it is done by calling it once
        more: what others have asked for meanwhile is theirs then."""
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
        """To be called when it was granted, and `needs_weakening`: what was asked for, and is not
        needed so strongly any more because another use has left meanwhile."""
        assert self._is_giving_back()
        leaving = Leaving()
        with self._mutex:
            for key, entry, needed_by in self._needed(use):
                self._weaken(key, entry, needed_by, leaving)
        return leaving

    def needs_weakening(self, use: Use) -> bool:
        """Only asks."""
        with self._mutex:
            return any(self._is_too_strong(*each) for each in self._needed(use))

    def _needed(self, use: Use) -> list[tuple[PathKey, _Entry, set[Use]]]:
        """Which of its paths it has, and who needs them then."""
        entries = [(key, entry) for key in use.locks
                   if (entry := self._entries.get(key)) is not None and use in entry.granted_to]
        return [(key, entry, {use, *(other for other in entry.granted_to
                                     if other.is_block or use.is_block)})
                for key, entry in entries]

    @staticmethod
    def _is_too_strong(key: PathKey, entry: _Entry, needed_by: set[Use]) -> bool:
        if entry.asked_by or not needed_by:
            return False  # who asks for it does that when it is answered
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
        """Returns the uses that had it."""
        entry = self._entries.pop(path_key(path), None)
        if entry is None:
            return set()
        if entry.asked_by:
            again = self._entries.setdefault(path_key(path), _Entry(path))
            again.asked_by = entry.asked_by
        return entry.granted_to

    def lose(self, paths: list[str], loss: LockLost, releaser: object = None) -> set[Use]:
        """The innermost block of the `releaser`, the thread or the task that gives them back, knows
        of it; those around it may not. Returns the uses that had one of them."""
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
        """Of all that it has."""
        with self._mutex:
            return {key: entry.fence for key, entry in self._entries.items()
                    if entry.fence is not None}

    def paths(self) -> list[str]:
        with self._mutex:
            return [entry.path for entry in self._entries.values() if entry.fence is not None]

    def gone(self, before: Mapping[PathKey, int],
             there: Mapping[PathKey, tuple[int, str]]) -> tuple[list[str], list[str]]:
        """Which paths were lost, by a list of the server's. `there`: what that has, with fences and
        modes. `before`: what was known, with fences, before the server was asked; what has changed
        since then is left out. Returns those that are not there, and those that are there by
        another grant."""
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
        """The highest of its paths'."""
        with self._mutex:
            entries = [self._entries[key] for key in use.locks if key in self._entries]
            return max((entry.fence for entry in entries
                        if entry.fence is not None and use in entry.granted_to), default=None)


def _strongest(locks: list[Mapping[str, Any]]) -> str:
    """A shared one is content with an exclusive one."""
    modes: list[str] = [lock["mode"] for lock in locks]
    return "exclusive" if "exclusive" in modes else modes[0]
