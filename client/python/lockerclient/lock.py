"""A lock that has a lease of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import calls
from .acquisition import Acquisition
from .block import Block, OnLost
from .errors import LockerError
from .inventory import Use
from .views import GrantView

if TYPE_CHECKING:
    from .client import Client


class Lock(Block, GrantView):
    """Made by `Client.lock`. A block for one lock, or for several that are taken in one step."""

    def __init__(self, client: Client, wanted: calls.Wanted, wait: float | None,
                 on_lost: OnLost | None):
        super().__init__(client, on_lost)
        calls.check_wait(wait)
        self._wanted = wanted
        self._wait = wait

    def acquire(self) -> Lock:
        """Raises NotAcquired, Deadlock, Unreachable, LockerError."""
        return self._acquire(is_block=False)

    def _acquire(self, is_block: bool) -> Lock:
        self._expect_free()
        self._is_block = is_block
        client = self._client
        acquisition = Acquisition(client._settings, self._wanted, self._wait)
        has_begun = False
        try:
            self._grant = grant = client._run(acquisition.steps())
            holding = self._begin(grant.token, ", ".join(grant.paths), grant.ttl, grant.sent)
            has_begun = True
            holding.tenure.granted(Use(self._wanted), self._wanted, grant)
            holding.start()
            return self
        except LockerError as error:
            if has_begun:  # it is of a signal handler
                self._end_quickly()
            client._give_up_later(acquisition, error)
            raise
        except BaseException:  # Ctrl-C, or no thread is to be had: nobody else would release it
            if not self._end_quickly():
                client._give_up(acquisition)
            raise

    def __enter__(self) -> Lock:
        return self._acquire(is_block=True)

    def __repr__(self) -> str:
        return f"<Lock {self._wanted.paths}: {'held' if self.held else 'not held'}>"
