"""Keeps a lease alive and detects losses of its locks, as a sequence of steps (see exchange.py)."""

from __future__ import annotations

from . import calls, deadline
from .address import PathKey, path_key
from .deadline import Deadline
from .errors import LockerError, LockLost
from .exchange import LONGEST_PAUSE, Answer, NoAnswer, Pause, Send, Steps
from .giving_back import why_gone
from .protocol import Settings, backoff
from .records import Renewal, error_of, forgotten
from .tenure import Tenure


def keep(settings: Settings, tenure: Tenure) -> Steps[None]:
    """Renew a lease until it is lost, or released by a call.

    The driver stops the steps at the end of the block.
    """
    while True:
        while (not tenure.has_ended() and
               (left := tenure.deadline.renewal_is_due - settings.now()) > 0):
            # A call of this program may have changed the TTL in between, or released the lease.
            yield Pause(min(left, LONGEST_PAUSE))
        retry_pause = 1.0 if tenure.ttl is None else min(1.0, tenure.ttl / 10)
        for pause in backoff(retry_pause):
            if tenure.has_ended():
                return
            problem = yield from _renew_once(settings, tenure)
            if problem is None:
                break
            tenure.note_problem(problem)
            yield Pause(pause)


def _renew_once(settings: Settings, tenure: Tenure) -> Steps[str | None]:
    """Renew once; return what went wrong, or None."""
    known = tenure.inventory.fences()
    try:
        renewal = yield from _renewed(settings, tenure)
        if renewal is not None:
            yield from _look_for_losses(settings, tenure, known, renewal)
    except (NoAnswer, LockerError) as failure:
        return str(failure)
    return None


def _renewed(settings: Settings, tenure: Tenure) -> Steps[Renewal | None]:
    """Send a renewal; return None if the lease is lost."""
    answer: Answer = yield Send(calls.renew(tenure.token), _timeout_of_keeper(settings, tenure))
    if answer.status == 200:
        renewal = answer.parsed(Renewal.parse)
        tenure.renewed(Deadline(renewal.ttl, answer.sent))
        return renewal
    error = error_of(answer)
    if isinstance(error, LockLost):
        tenure.lose(error)
    elif error.code == "no_such_lease":
        tenure.lose(forgotten(answer))
    else:
        raise error
    return None


def _timeout_of_keeper(settings: Settings, tenure: Tenure) -> float:
    if tenure.ttl is None:
        return settings.timeout
    left = tenure.deadline.ends - settings.now()
    return max(0.01, min(settings.timeout, tenure.ttl / deadline.RENEWALS_PER_TTL, left))


def _look_for_losses(settings: Settings, tenure: Tenure, known: dict[PathKey, int],
                     renewal: Renewal) -> Steps[None]:
    """Detect locks of a living lease that an administrator has ended.

    `known` is what this program knew when it renewed; others can add locks with its token.
    """
    # While this is unchanged, the locks are those read last: a lost lock lowers the count, and a
    # new one has the highest fence. An older server returns only the count.
    seen = (renewal.locks, renewal.newest_fence, known)
    tells_which = renewal.newest_fence is not None or renewal.locks == len(known)
    if not known or tells_which and tenure.seen == seen:
        return
    there: dict[PathKey, tuple[int, str]] = {}
    after: str | None = None
    while True:
        # There can be a hundred pages, and the lease must be renewed while they are read.
        is_due = settings.now() >= tenure.deadline.renewal_is_due
        if is_due and (yield from _renewed(settings, tenure)) is None:
            return
        answer = yield Send(calls.look_at_lease(tenure.token, after),
                            _timeout_of_keeper(settings, tenure))
        if answer.status != 200:
            raise error_of(answer)
        page, after = answer.parsed(lambda answer: (
            {path_key(lock["path"]): (lock["fence"], lock["mode"])
             for lock in answer.body["locks"] if lock["state"] == "held"},
            answer.body.get("next")))
        there.update(page)
        if after is None:
            break
    gone, replaced = tenure.inventory.gone(known, there)
    if gone:
        timeout = _timeout_of_keeper(settings, tenure)
        tenure.lose_locks(gone, (yield from why_gone(tenure, gone, timeout, ", ".join(gone))))
    tenure.lose_replaced(replaced)
    tenure.seen = seen
