"""Retries a request until it is answered, as a sequence of steps (see exchange.py)."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, replace
from typing import Callable, Iterator, TypeVar

from . import calls, deadline
from .errors import LockerError, Unreachable
from .exchange import Answer, NoAnswer, Pause, Request, Send, Steps
from .records import LeaseState, LockInfo, deadline_of, error_of

Result = TypeVar("Result")
DISK_FULL = 507
SHORTEST_WAIT = 1.0  # seconds, for waits that go on: a request without a wait gives up its place


def is_transient(answer: Answer, gives_back: bool = False) -> bool:
    """Return whether to retry: the server is stopping, or a proxy cannot reach it.

    For a release (`gives_back`), also if the server's disk is full.
    """
    return answer.status in (502, 503, 504) or gives_back and answer.status == DISK_FULL


@dataclass(frozen=True)
class Settings:
    timeout: float  # seconds for an answer, not counting the wait in the queue
    patience: float  # seconds for which a request without an answer is sent again
    now: Callable[[], float] = deadline.now

    def __post_init__(self) -> None:
        calls.check_number("timeout", self.timeout, False)
        calls.check_number("patience", self.patience, True)
        # A Decimal, for example, cannot be added to a clock time.
        object.__setattr__(self, "timeout", float(self.timeout))
        object.__setattr__(self, "patience", float(self.patience))


def fresh_token() -> str:
    return str(uuid.uuid4())


def backoff(longest: float = 1.0) -> Iterator[float]:
    """Yield pauses between attempts, with exponential backoff and jitter."""
    pause = min(0.05, longest)
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, longest)


def ask(settings: Settings, request: Request) -> Steps[Answer]:
    """Send a request until it is answered; raise Unreachable after `patience` without an answer."""
    return ask_waiting(settings, lambda _: (request, 0.0))


@dataclass(frozen=True)
class _Miss:
    """Why an attempt got no answer, and what another attempt may do."""

    problem: str
    in_doubt: bool  # may have been carried out, and must not be twice
    is_final: bool  # another attempt is of no use, or may do harm
    was_cut: bool  # by a proxy that may have found its wait too long
    may_have_arrived: bool
    refusal: Answer | None = None  # of a lock server that is stopping, for example
    failure: NoAnswer | None = None

    def unreachable(self, request: Request) -> Unreachable:
        doubt = " It may have been carried out." if self.in_doubt else ""
        return Unreachable(f"{request.method} {request.target.split('?')[0]}: no answer from the "
                           f"lock server: {self.problem}.{doubt}")


def _ask_once(request: Request, timeout: float) -> Steps[Answer | _Miss]:
    try:
        answer: Answer = yield Send(request, timeout)
    except NoAnswer as failure:
        in_doubt = failure.was_sent and not request.is_repeatable
        return _Miss(str(failure), in_doubt=in_doubt, is_final=in_doubt or failure.is_hopeless,
                     was_cut=failure.was_cut, may_have_arrived=failure.was_sent, failure=failure)
    if not is_transient(answer, request.gives_back):
        return answer
    # With an error code, it comes from Locker: nothing was done, except by a force that it stopped
    # partway. All others come from proxies, perhaps with JSON of their own: the outcome is unknown.
    code = _code_of_refusal(answer) if answer.status in (503, DISK_FULL) else None
    in_doubt = code is None and not request.is_repeatable
    is_final = in_doubt or (code == "busy" and not request.is_repeatable)
    return _Miss(f"HTTP status {answer.status}", in_doubt=in_doubt, is_final=is_final,
                 was_cut=answer.status == 504, may_have_arrived=code is None,
                 refusal=None if code is None else answer)


def ask_waiting(settings: Settings, make: Callable[[float], tuple[Request, float]],
                before_another: Callable[[Settings], Steps[None]] | None = None,
                first_patience: float = float("inf")) -> Steps[Answer]:
    """Send a request that the server may leave unanswered while it waits in the queue.

    `make` gets the longest wait allowed and returns the request and its wait, in seconds.
    `before_another` runs before each attempt but the first, with the patience left then. As long as
    the server cannot have received anything, the request is given up after `first_patience`.
    """
    pauses = backoff()
    silent_since: float | None = None
    first_ends = settings.now() + first_patience
    may_have_arrived = False
    longest = float("inf")
    while True:
        request, wait = make(longest)
        sent = settings.now()
        outcome = yield from _ask_once(request, settings.timeout + wait)
        if isinstance(outcome, Answer):
            return outcome
        may_have_arrived |= outcome.may_have_arrived
        now = settings.now()
        if wait > 0 and outcome.was_cut and now - sent >= 1:
            silent_since = None  # it waited, and a proxy found that too long
            pauses = backoff()
        elif silent_since is None:
            silent_since = min(now, sent + wait)
        pause = next(pauses)
        ends = (now if silent_since is None else silent_since) + settings.patience
        if not may_have_arrived:
            ends = min(ends, first_ends)
        if outcome.is_final or now + pause > ends:
            if outcome.refusal is not None and not may_have_arrived:
                raise error_of(outcome.refusal)
            raise outcome.unreachable(request) from outcome.failure
        yield Pause(pause)
        if before_another is not None:
            left = max(0.0, ends - settings.now())
            yield from before_another(replace(settings, patience=left))
        longest = max(SHORTEST_WAIT, ends - settings.now() - settings.timeout)


def is_silence(error: LockerError) -> bool:
    """Return whether a failed release can succeed later."""
    return isinstance(error, Unreachable) or error.status in (502, 503, 504, DISK_FULL)


def outcome(steps: Steps[Result]) -> Steps[Result | LockerError]:
    """Return an error of the steps as a value, so that only interruptions are raised.

    Those can be a LockerError, too, if a signal handler raises one.
    """
    try:
        return (yield from steps)
    except LockerError as error:
        return error


def _code_of_refusal(answer: Answer) -> object:
    try:
        return answer.body.get("error")
    except LockerError:
        return None


def call(settings: Settings, request: Request, parse: Callable[[Answer], Result]) -> Steps[Result]:
    answer = yield from ask(settings, request)
    if answer.status >= 300:
        raise error_of(answer)
    return answer.parsed(parse)


def opened_lease(settings: Settings, token: str, owner: str | None,
                 ttl: float | None) -> Steps[deadline.Deadline]:
    return call(settings, calls.open_lease(token, owner, ttl), deadline_of)


def lease_state(settings: Settings, token: str) -> Steps[LeaseState]:
    locks: list[LockInfo] = []
    after: str | None = None
    while True:
        state, after = yield from page_of_lease(settings, token, after)
        locks += state.locks
        if after is None:
            return replace(state, locks=tuple(locks))


def page_of_lease(settings: Settings, token: str,
                  after: str | None) -> Steps[tuple[LeaseState, str | None]]:
    """Return one page, and where the next one begins."""
    return call(settings, calls.look_at_lease(token, after),
                lambda answer: (LeaseState.parse(answer), answer.body.get("next")))


def page_of_locks(settings: Settings, prefix: str | None, owner: str | None, state: str | None,
                  size: int, after: str | None) -> Steps[tuple[list[LockInfo], str | None]]:
    """Return one page, and where the next one begins."""
    return call(settings, calls.list_locks(prefix, owner, state, size, after),
                lambda answer: ([LockInfo.parse(lock) for lock in answer.body["locks"]],
                                answer.body["next"]))
