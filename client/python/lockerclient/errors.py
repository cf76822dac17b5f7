"""The exceptions of the client. All derive from LockerError."""

from __future__ import annotations

from typing import Any, Sequence


class LockerError(Exception):
    """A request was refused, or could not be made.

    `code` is the error code of the server (`bad_request`, `disk_full`, …), `status` the HTTP
    status, None if there was no answer.
    """

    def __init__(self, message: str, code: str = "error", status: int | None = None):
        super().__init__(message)  # the only argument, so that it can be unpickled
        self.message = message
        self.code = code
        self.status = status


class NotAcquired(LockerError):
    """The lock is held by another lease, and the wait is over.

    `blocked_by` lists the locks in the way, `waited` is in seconds.
    """

    blocked_by: Sequence[Any] = ()
    waited = 0.0


class Deadlock(LockerError):
    """Waiting would never end.

    `cycle` lists each owner with the path that it waits for: (owner, path). `blocked_by` lists, for
    each step, the lock of the next owner that is in the way: (path, fence), or (path, None) if that
    owner only waits there, too. The last one is what this lease can release.
    """

    cycle: Sequence[tuple[str, str]] = ()
    blocked_by: Sequence[tuple[str, int | None]] = ()


class LockLost(LockerError):
    """The lease has ended, or may have: stop what the lock protected.

    `reason` is one of:

    - `expired`, `forced`: the server said so; `detail` has the administrator's words;
    - `unrenewed`: this program could not renew the lease in time;
    - `unknown`: the server does not know the lease;
    - `released`: another thread, or another user of the token, released it;
    - `forked`: this is a child of the process that has the lock.
    """

    def __init__(self, message: str, reason: str = "unknown", detail: str | None = None,
                 status: int | None = None):
        super().__init__(message, "lease_ended", status)
        self.reason = reason
        self.detail = detail


class Unreachable(LockerError):
    """The server did not answer for as long as the client is patient."""

    def __init__(self, message: str):
        super().__init__(message, "unreachable")


def chain(error: BaseException, loss: LockLost) -> None:
    """Show a loss in the traceback of an error that leaves the same block.

    `loss` becomes the end of the error's `__context__` chain; the error itself is unchanged.
    """
    seen = set()
    while error.__context__ is not None and id(error) not in seen:
        if isinstance(error, LockLost):
            return
        seen.add(id(error))
        error = error.__context__
    if not isinstance(error, LockLost) and error.__context__ is None:
        error.__context__ = loss
