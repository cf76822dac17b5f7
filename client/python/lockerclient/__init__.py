"""A client for Locker, the hierarchical lock server. Uses the standard library only.

    import lockerclient

    locker = lockerclient.Client("http://127.0.0.1:8765")
    with locker.lock("/deploy/production", ttl=30) as lock:
        deploy(fence=lock.fence)

`lockerclient.aio` provides the same for asyncio.
"""

from .address import join_path
from .client import Client
from .errors import Deadlock, LockerError, LockLost, NotAcquired, Unreachable
from .events import Events
from .lease import Lease, LockOfLease
from .lock import Lock
from .records import Event, Grant, LeaseState, LockInfo, PathState, Renewal

__version__ = "2.0.0"

__all__ = ["Client", "Deadlock", "Event", "Events", "Grant", "Lease", "LeaseState", "Lock",
           "LockInfo", "LockLost", "LockOfLease", "LockerError", "NotAcquired", "PathState",
           "Renewal", "Unreachable", "join_path"]
