"""A lock with its own lease, for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .. import calls
from ..acquisition import Acquisition
from ..block import OnLost
from ..deadline import Deadline
from ..inventory import Use
from ..views import GrantView
from .block import Block

if TYPE_CHECKING:
    from .client import AsyncClient


class AsyncLock(Block, GrantView):
    """A lock on one path, or on several acquired in one step. Made by `AsyncClient.lock`."""

    def __init__(self, client: AsyncClient, wanted: calls.Wanted, wait: float | None,
                 on_lost: OnLost | None, cancel_on_loss: bool):
        super().__init__(client, on_lost, cancel_on_loss)
        calls.check_wait(wait)
        self._wanted = wanted
        self._wait = wait

    async def acquire(self) -> AsyncLock:
        """Acquire the lock without a block; end it by `release`.

        Raises NotAcquired, Deadlock, Unreachable or LockerError.
        """
        reservation = self._reserve()
        self.lost = asyncio.Event()
        client = self._client
        acquisition = Acquisition(client._settings, self._wanted, self._wait)
        try:
            self._grant = grant = await client._run(acquisition.steps())
            tenure = self._begin(grant.token, ", ".join(grant.paths),
                                 Deadline(grant.ttl, grant.sent))
            tenure.granted(Use(self._wanted, has_own_lease=True), self._wanted, grant)
            return self
        except GeneratorExit:
            raise
        except BaseException:  # including a cancellation: nothing else would release it
            if not await self._end_quickly():
                await client._give_up(acquisition)
            raise
        finally:
            del reservation

    async def __aenter__(self) -> AsyncLock:
        await self.acquire()
        self._task = asyncio.current_task()
        return self

    def __repr__(self) -> str:
        return f"<AsyncLock {self._wanted.paths}: {'held' if self.held else 'not held'}>"
