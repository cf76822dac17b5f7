"""What can go wrong, as exceptions. All are LockerError."""

from __future__ import annotations

from typing import Any, Sequence


class LockerError(Exception):
    """Something was refused, or could not be asked.

    `code` is the server's word for it (`bad_request`, `disk_full`, …), `status` its HTTP status, if
    there was an answer.
    """

    def __init__(self, message: str, code: str = "error", status: int | None = None):
        super().__init__(message)  # only this: so that pickle can make it again
        self.message = message
        self.code = code
        self.status = status


class NotAcquired(LockerError):
    """Somebody else has the lock, and the wait is over. `blocked_by` lists who."""

    blocked_by: Sequence[Any] = ()
    waited = 0.0


class Deadlock(LockerError):
    """Waiting would never end. `cycle` says who waits for what: (owner, path) by (owner, path).

    `blocked_by` says where the next one is in the way of each: (path, fence), or (path, None) if
    that one only waits there, too. The last is what this lease can release.
    """

    cycle: Sequence[tuple[str, str]] = ()
    blocked_by: Sequence[tuple[str, int | None]] = ()


class LockLost(LockerError):
    """The lease has ended, or can have: stop what the lock protected.

    `reason` is `expired` or `forced` when the server said so (`detail` has the administrator's
    words), `unrenewed` when this program could not renew it in time, `unknown` when the server does
    not know the lease any more, `released` when another thread, or who has the token, gave it back,
    `forked` in a child of the process that has the lock.
    """

    def __init__(self, message: str, reason: str = "unknown", detail: str | None = None,
                 status: int | None = None):
        super().__init__(message, "lease_ended", status)
        self.reason = reason
        self.detail = detail


class Unreachable(LockerError):
    """No answer from the server, for as long as the client was to be patient."""

    def __init__(self, message: str):
        super().__init__(message, "unreachable")


def chain(error: BaseException, loss: LockLost) -> None:
    """Tells of the loss in the traceback of an error that leaves the same block.

    The error stays what it is; `loss` becomes the first thing that happened before it.
    """
    seen = set()
    while error.__context__ is not None and id(error) not in seen:
        if isinstance(error, LockLost):
            return
        seen.add(id(error))
        error = error.__context__
    if not isinstance(error, LockLost) and error.__context__ is None:
        error.__context__ = loss
