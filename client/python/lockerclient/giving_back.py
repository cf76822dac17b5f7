"""Releases locks and leases, as sequences of steps (see exchange.py)."""

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
    """Release the lease of a block that ends.

    Returns the error that the block raises (the loss, or why the lock may stay held), and whether
    to go on releasing in the background. Raises interruptions only.
    """
    has_ended = tenure.has_ended()
    loss = copy.copy(tenure.finish())
    if loss is not None and has_ended:
        if loss.status is None:  # the server may still have it
            yield from abandon(tenure.token)
        return loss, False
    problem = yield from outcome(release(settings, tenure))
    if problem is None or isinstance(problem, LockLost):
        return loss or problem, False
    goes_on = is_silence(problem)
    if tenure.ttl is None:
        return problem, goes_on  # held for ever, so the caller must know
    log.warning("A lock could not be released and may end only with its TTL: %s", problem)
    return loss, goes_on


def end_quickly(tenure: Tenure) -> Steps[bool]:
    """Try to release once after an interruption; return False if the server was unavailable."""
    tenure.finish()
    return abandon(tenure.token)


def release(settings: Settings, tenure: Tenure) -> Steps[None]:
    """Release the lease; raise LockLost if it, or one of its locks, was lost."""
    assert tenure.known_end is not None, "it is not finished: its loss could still be reported"
    answer = yield from ask(_hurried(settings, tenure), calls.release_lease(tenure.token))
    if answer.status == 200:
        paths = tenure.inventory.paths()
        # 0 if the request was sent again because the first answer was lost.
        if 0 < answer.parsed(lambda answer: int(answer.body["released"])) < len(paths):
            raise (yield from why_gone(tenure, paths, FAREWELL_TIMEOUT, None))
        return
    error = error_of(answer)
    raise forgotten(answer) if error.code == "no_such_lease" else error


def _hurried(settings: Settings, tenure: Tenure) -> Settings:
    """Limit the patience to the time until the lease expires."""
    left = max(0.0, tenure.deadline.ends - settings.now())
    return replace(settings, patience=min(settings.patience, left))


def go_on_releasing(settings: Settings, tenure: Tenure) -> Steps[None]:
    """Go on releasing in the background after `end` gave up."""
    return insist(settings, lambda: end_quickly(tenure), tenure.deadline.ends)


def end_use(settings: Settings, tenure: Tenure, use: Use,
            leaving: Leaving) -> Steps[tuple[LockerError | None, bool]]:
    """Release the locks of a block whose lease lives on.

    Returns the error that the block raises, and whether to go on in the background, by
    `leave_quickly`. Raises interruptions only.
    """
    problem = yield from outcome(leave(_hurried(settings, tenure), tenure, leaving))
    if problem is None:
        return copy.copy(use.surprise), False
    if not is_silence(problem):
        return problem, False
    if tenure.ttl is None:
        return problem, True
    log.warning("A lock could not be released yet and may end only with its lease: %s", problem)
    return copy.copy(use.surprise), True


def leave(settings: Settings, tenure: Tenure, leaving: Leaving) -> Steps[None]:
    """Release and weaken locks of a lease that lives on.

    Raises the first error: LockLost if a lock to be released was lost, or the lease has ended. The
    rest is still done as long as the server answers.
    """
    if (loss := tenure.loss_of_all()) is not None:
        if loss.status is None:  # the server may still have it, or have opened another one
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
        if answer.status in (200, 201):  # else the next exclusive grant would look like a loss
            tenure.inventory.weakened(wanted, answer.parsed(Grant.parse))
        else:
            problem = problem or error_of(answer)
    if problem is not None:
        raise problem


def leave_quickly(settings: Settings, tenure: Tenure, leaving: Leaving) -> Steps[bool]:
    """Do what `leave` does, once and quickly; return False if the server was unavailable."""
    hurried = replace(settings, timeout=FAREWELL_TIMEOUT, patience=0.0)
    problem = yield from outcome(leave(hurried, tenure, leaving))
    return problem is None or not is_silence(problem)


def insist(settings: Settings, attempt: Callable[[], Steps[bool]], ends: float) -> Steps[None]:
    """Repeat an attempt in the background until it succeeds, or the lease expires at `ends`."""
    for pause in backoff():
        if settings.now() >= ends or (yield from attempt()):
            return
        yield Pause(pause)


def abandon(token: str) -> Steps[bool]:
    """Try once to release a lease, so that others need not wait for its TTL.

    Returns False if the server, or a proxy in between, was unavailable.
    """
    try:
        answer = yield Send(calls.release_lease(token), FAREWELL_TIMEOUT)
    except NoAnswer:
        return False
    return not is_transient(answer, True)


def why_gone(tenure: Tenure, paths: list[str], timeout: float,
              what: str | None) -> Steps[LockLost]:
    """Find out why paths of a lease were lost, by releasing each of them.

    Only the answer to a release says what became of a lock. `what` names all the lost paths; None:
    some of `paths` were lost. If the lease acquires one of them again at this moment, releasing it
    does no harm: the lease is reported as lost anyway.
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
    return LockLost(f"{what}: the lock server no longer has this lock; stop what it "
                    "protected.", reason, status=status)
