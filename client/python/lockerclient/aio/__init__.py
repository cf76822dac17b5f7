"""The Locker client for asyncio. Uses no threads, and the standard library only.

    from lockerclient.aio import AsyncClient

    async with AsyncClient("http://127.0.0.1:8765") as locker:
        async with locker.lock("/deploy/production", ttl=30, cancel_on_loss=True) as lock:
            await deploy(fence=lock.fence)
"""

from .client import AsyncClient
from .events import AsyncEvents
from .lease import AsyncLease, AsyncLockOfLease
from .lock import AsyncLock

__all__ = ["AsyncClient", "AsyncEvents", "AsyncLease", "AsyncLock", "AsyncLockOfLease"]
