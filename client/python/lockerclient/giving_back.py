"""How locks and leases are given back, step by step: see exchange.py."""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from typing import Callable

from . import calls
from .errors import LockerError, LockLost
from .exchange import NoAnswer, Pause, Send, Steps
from .inventory import Leaving, Use
from .protocol import Settings, ask, backoff, is_silence, is_transient, outcome
from .records import Grant, error_of, forgotten
from .tenure import Tenure

log = logging.getLogger("lockerclient")
FAREWELL_TIMEOUT = 2.0


def end(settings: Settings, tenure: Tenure) -> Steps[tuple[LockerError | None, bool]]:
    """Of a block. What to tell who ends it: the loss, or why it may stay held; and whether giving
    back goes on in the background. What it raises is an interruption."""
    has_ended = tenure.has_ended()
    loss = copy.copy(tenure.finish())
    if loss is not None and has_ended:
        if loss.status is None:  # the server may have it still
            yield from abandon(tenure.token)
        return loss, False
    problem = yield from outcome(release(settings, tenure))
    if problem is None or isinstance(problem, LockLost):
        return loss or problem, False
    goes_on = is_silence(problem)
    if tenure.ttl is None:
        return problem, goes_on  # held for ever, if nobody is told
    log.warning("A lock could not be released and may end by its TTL only: %s", problem)
    return loss, goes_on


def end_quickly(tenure: Tenure) -> Steps[bool]:
    """The same after an interruption: one more try. False if the server, or what is between, was
    away."""
    tenure.finish()
    return abandon(tenure.token)


def release(settings: Settings, tenure: Tenure) -> Steps[None]:
    """Raises LockLost when it was lost."""
    assert tenure.known_end is not None, "it is not finished: its loss would be told meanwhile"
    answer = yield from ask(_hurried(settings, tenure), calls.release_lease(tenure.token))
    if answer.status == 200:
        paths = tenure.inventory.paths()
        # It is 0 when the request was sent again, after the answer to the first was lost.
        if 0 < answer.parsed(lambda answer: int(answer.body["released"])) < len(paths):
            raise (yield from why_gone(tenure, paths, FAREWELL_TIMEOUT, None))
        return
    error = error_of(answer)
    raise forgotten(answer) if error.code == "no_such_lease" else error


def _hurried(settings: Settings, tenure: Tenure) -> Settings:
    """Not for longer than until it ends by itself."""
    left = max(0.0, tenure.deadline.ends - settings.now())
    return replace(settings, patience=min(settings.patience, left))


def go_on_releasing(settings: Settings, tenure: Tenure) -> Steps[None]:
    """In the background, after `end` gave up."""
    return insist(settings, lambda: end_quickly(tenure), tenure.deadline.ends)


def end_use(settings: Settings, tenure: Tenure, use: Use,
            leaving: Leaving) -> Steps[tuple[LockerError | None, bool]]:
    """Of a block of a lease that lives on. What to tell who ends it, and whether giving back goes
    on in the background, by `leave_quickly`. What it raises is an interruption."""
    problem = yield from outcome(leave(_hurried(settings, tenure), tenure, leaving))
    if problem is None:
        return copy.copy(use.surprise), False
    if not is_silence(problem):
        return problem, False
    if tenure.ttl is None:
        return problem, True
    log.warning("A lock could not be released yet and may end with its lease only: %s", problem)
    return copy.copy(use.surprise), True


def leave(settings: Settings, tenure: Tenure, leaving: Leaving) -> Steps[None]:
    """Of a lease that lives on. Raises what went wrong first: LockLost when what was to be released
    was lost, or the lease is released. All else is done all the same, while there are answers."""
    if (loss := tenure.loss_of_all()) is not None:
        if loss.status is None:  # the server may have it still, or another one for who asked late
            yield from abandon(tenure.token)
        raise copy.copy(loss)
    problem: LockerError | None = None
    while leaving.releases:
        answer = yield from ask(settings, calls.release_path(tenure.token, leaving.releases[0]))
        leaving.releases.pop(0)
        if answer.status != 200:
            problem = problem or error_of(answer)
    while leaving.weakenings:
        wanted = leaving.weakenings[0]
        request = replace(wanted.request(tenure.token, 0), gives_back=True)
        answer = yield from ask(settings, request)
        leaving.weakenings.pop(0)
        if answer.status in (200, 201):  # else the next exclusive one would look like a loss
            tenure.inventory.weakened(wanted, answer.parsed(Grant.parse))
        else:
            problem = problem or error_of(answer)
    if problem is not None:
        raise problem


def leave_quickly(settings: Settings, tenure: Tenure, leaving: Leaving) -> Steps[bool]:
    """The same in a hurry, after an interruption. False if the server, or what is between, was
    away."""
    hurried = replace(settings, timeout=FAREWELL_TIMEOUT, patience=0.0)
    problem = yield from outcome(leave(hurried, tenure, leaving))
    return problem is None or not is_silence(problem)


def insist(settings: Settings, attempt: Callable[[], Steps[bool]], ends: float) -> Steps[None]:
    """In the background: until it is answered, or what it gives back has ended by itself."""
    for pause in backoff():
        if settings.now() >= ends or (yield from attempt()):
            return
        yield Pause(pause)


def abandon(token: str) -> Steps[bool]:
    """Gives back what is lost or about to be, or was interrupted, if it is easy: others need not
    wait for the TTL. False if the server, or what is between, was away."""
    try:
        answer = yield Send(calls.release_lease(token), FAREWELL_TIMEOUT)
    except NoAnswer:
        return False
    return not is_transient(answer, True)


def why_gone(tenure: Tenure, paths: list[str], timeout: float,
              what: str | None) -> Steps[LockLost]:
    """Asks to release each path: only that is answered with what became of a lock. `what` names all
    that is gone; None: some of the paths are.

    If the lease gets one anew at this moment, its release does no harm: the lease is lost anyway.
    """
    status: int | None = None
    reason = "unknown"
    for path in paths:
        try:
            answer = yield Send(calls.release_path(tenure.token, path), timeout)
        except NoAnswer:
            break
        status = answer.status
        if answer.status == 200:
            reason = "released"
            continue
        error = error_of(answer)
        if isinstance(error, LockLost):
            return LockLost(f"{what or path}: {error.message}", error.reason, error.detail,
                            error.status)
    what = what or "Of " + ", ".join(paths)
    return LockLost(f"{what}: the lock server does not have this lock any more; stop what it "
                    "protected.", reason, status=status)
