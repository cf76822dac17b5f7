"""A lock with its own lease."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from . import calls
from .acquisition import Acquisition
from .block import Block, OnLost
from .deadline import Deadline
from .inventory import Use
from .views import GrantView

if TYPE_CHECKING:
    from .client import Client


class Lock(Block, GrantView):
    """A lock on one path, or on several acquired in one step. Made by `Client.lock`."""

    def __init__(self, client: Client, wanted: calls.Wanted, wait: float | None,
                 on_lost: OnLost | None):
        super().__init__(client, on_lost)
        calls.check_wait(wait)
        self._wanted = wanted
        self._wait = wait

    def acquire(self) -> Lock:
        """Acquire the lock without a block; end it by `release`.

        Raises NotAcquired, Deadlock, Unreachable or LockerError.
        """
        return self._acquire(is_block=False)

    def _acquire(self, is_block: bool) -> Lock:
        reservation = self._reserve()
        client = self._client
        acquisition = Acquisition(client._settings, self._wanted, self._wait)
        try:
            self.lost = threading.Event()
            self._thread = threading.get_ident() if is_block else None
            self._grant = grant = client._run(acquisition.steps())
            holding = self._begin(grant.token, ", ".join(grant.paths),
                                  Deadline(grant.ttl, grant.sent))
            holding.tenure.granted(Use(self._wanted, has_own_lease=True), self._wanted, grant)
            holding.start()
            return self
        except BaseException:  # including Ctrl-C, or no thread can be started
            if not self._end_quickly():
                client._give_up(acquisition)
            del reservation
            raise

    def __enter__(self) -> Lock:
        return self._acquire(is_block=True)

    def __repr__(self) -> str:
        return f"<Lock {self._wanted.paths}: {'held' if self.held else 'not held'}>"
