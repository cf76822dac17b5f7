"""What a client does, step by step, without doing it: see exchange.py."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, replace
from typing import Callable, Iterator, TypeVar

from . import calls, deadline
from .address import PathKey, path_key
from .deadline import Deadline
from .errors import LockLost, LockerError, Unreachable
from .exchange import Answer, NoAnswer, Pause, Request, Send, Steps
from .inventory import Leaving
from .records import Grant, LockInfo, OpenedLease, Renewal, error_of
from .tenure import Tenure

Result = TypeVar("Result")
# Long waits are made of pieces: many a proxy cuts a request that is silent for 30 s. The server
# keeps the place in the line between two of them.
WAIT_PIECE = 20.0
FAREWELL_TIMEOUT = 2.0
# Who does not want to wait for a lock waits for a server that cannot be reached no longer than so.
FIRST_PATIENCE = 5.0


def is_transient(answer: Answer) -> bool:
    """Worth asking again: what the server says when it stops, and proxies while it is away."""
    return answer.status in (502, 503, 504)


@dataclass(frozen=True)
class Settings:
    timeout: float  # for the answer to a request, its wait aside
    patience: float  # a request without an answer is sent again for so long
    now: Callable[[], float] = deadline.now

    def __post_init__(self) -> None:
        calls.check_number("timeout", self.timeout, False)
        calls.check_number("patience", self.patience, True)
        # A Decimal, for example, cannot be added to the times of clocks.
        object.__setattr__(self, "timeout", float(self.timeout))
        object.__setattr__(self, "patience", float(self.patience))


def fresh_token() -> str:
    return str(uuid.uuid4())


def backoff(longest: float = 1.0) -> Iterator[float]:
    """Pauses between tries: short at first, and never of the same length for two clients."""
    pause = min(0.05, longest)
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, longest)


def ask(settings: Settings, request: Request) -> Steps[Answer]:
    """Sends it until it is answered, or there was no answer for as long as `patience`."""
    return ask_waiting(settings, lambda: (request, 0.0))


@dataclass(frozen=True)
class _Miss:
    """Why a request that was sent once has no answer yet, and what another try may do."""

    problem: str
    in_doubt: bool  # it may have been carried out, and must not be twice
    is_final: bool  # another try is of no use, or may do harm
    was_cut: bool  # by something between that may have found its wait too long
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
    if not is_transient(answer):
        return answer
    # By Locker itself: nothing was done. By a proxy: who knows.
    refusal = answer if _is_refusal(answer) else None
    in_doubt = refusal is None and not request.is_repeatable
    return _Miss(f"HTTP status {answer.status}", in_doubt=in_doubt, is_final=in_doubt,
                 was_cut=answer.status == 504, may_have_arrived=refusal is None, refusal=refusal)


def ask_waiting(settings: Settings, make: Callable[[], tuple[Request, float]],
                before_another: Callable[[Settings], Steps[None]] | None = None,
                first_patience: float = float("inf")) -> Steps[Answer]:
    """The same for a request that the server may leave unanswered for a while: the second of what
    `make` makes says how long. `before_another`, if given, is done before each try but the first,
    with the patience that is left then. As long as the server can have got nothing, it is given up
    after `first_patience` already."""
    pauses = backoff()
    silent_since: float | None = None
    first_ends = settings.now() + first_patience
    may_have_arrived = False
    while True:
        request, wait = make()
        sent = settings.now()
        outcome = yield from _ask_once(request, settings.timeout + wait)
        if isinstance(outcome, Answer):
            return outcome
        may_have_arrived |= outcome.may_have_arrived
        now = settings.now()
        if wait > 0 and outcome.was_cut and now - sent >= 1:
            silent_since = None  # it waited, and something between found that too long
            pauses = backoff()
        elif silent_since is None:
            silent_since = now
        pause = next(pauses)
        ends = (now if silent_since is None else silent_since) + settings.patience
        if not may_have_arrived:
            ends = min(ends, first_ends)
        if outcome.is_final or now + pause > ends:
            if outcome.refusal is not None:
                raise error_of(outcome.refusal)
            raise outcome.unreachable(request) from outcome.failure
        yield Pause(pause)
        if before_another is not None:
            left = max(0.0, ends - settings.now())
            yield from before_another(replace(settings, patience=left))


def is_silence(error: LockerError) -> bool:
    """Whether the request could succeed when it is sent again later."""
    return isinstance(error, Unreachable) or error.status in (502, 503, 504)


def _is_refusal(answer: Answer) -> bool:
    try:
        return "error" in answer.body
    except LockerError:
        return False


def call(settings: Settings, request: Request, parse: Callable[[Answer], Result]) -> Steps[Result]:
    answer = yield from ask(settings, request)
    if answer.status >= 300:
        raise error_of(answer)
    return answer.parsed(parse)


class Acquisition:
    """An acquire with a token of the client's choice: sent again until it is answered, it gets the
    same answer, and keeps its place in the line meanwhile, also over a restart of the server.

    `token` is that of a lease to join. Unless it `is_alone` with that, another program may ask for
    the same, and has the place then.
    """

    def __init__(self, settings: Settings, wanted: calls.Wanted, wait: float | None,
                 token: str | None = None, is_alone: bool = True):
        calls.check_wait(wait)
        self._settings = settings
        self._wanted = wanted
        self._wait = None if wait is None else float(wait)
        self._joins = token is not None  # a lease that is there
        self._is_alone = is_alone
        self._has_waited = False
        self._token = token or fresh_token()

    def steps(self) -> Steps[Grant]:
        try:
            return (yield from self._granted())
        except LockerError as error:
            if not isinstance(error, (LockLost, Unreachable)):
                yield from self._leave_line()
            raise

    def _granted(self) -> Steps[Grant]:
        now = self._settings.now
        until = float("inf") if self._wait is None else now() + self._wait
        first_patience = max(until - now(), FIRST_PATIENCE)
        pauses = backoff()

        def make() -> tuple[Request, float]:
            piece = max(0.0, min(until - now(), WAIT_PIECE))
            self._has_waited |= piece > 0
            return self._wanted.request(self._token, piece), piece

        while True:
            answer = yield from ask_waiting(self._settings, make,
                                            self._check_lease if self._joins else None,
                                            first_patience)
            first_patience = float("inf")
            if answer.status in (200, 201):
                grant = yield from self._confirmed(answer.parsed(Grant.parse))
                if grant is not None:
                    return grant
                continue
            error = error_of(answer)
            if error.code == "locked" and now() < until:
                continue
            if error.code == "superseded" and self._is_alone:
                # By an earlier request of ours that came late: nobody waits for its answer.
                yield Pause(next(pauses))
                if self._joins:
                    yield from self._check_lease(self._settings)
                continue
            if not self._has_expired(error):
                raise error
            self._token = fresh_token()

    def _leave_line(self) -> Steps[None]:
        """A copy of a request, made by a proxy for example, may wait there and be granted later."""
        if self._has_waited and not self._joins:
            yield from abandon(self._token)

    def _check_lease(self, settings: Settings) -> Steps[None]:
        """It can have ended meanwhile. A server that was restarted does not know who waited, and
        would open another one, that has neither owner nor TTL."""
        answer = yield from ask(settings, calls.renew(self._token))
        if answer.status != 200:
            error = error_of(answer)
            raise _forgotten(answer) if error.code == "no_such_lease" else error

    def _has_expired(self, error: LockerError) -> bool:
        """It was granted, but this program could not be told before it ended: ask anew."""
        return isinstance(error, LockLost) and error.reason == "expired" and not self._joins

    def _confirmed(self, grant: Grant) -> Steps[Grant | None]:
        """When it took long, nobody here knows when it was granted: a renewal makes that sure."""
        if grant.ttl is None or self._settings.now() - grant.sent < grant.ttl / 10:
            return grant
        answer = yield from ask(self._settings, calls.renew(grant.token))
        if answer.status == 200:
            return replace(grant, sent=answer.sent)
        error = error_of(answer)
        if not self._has_expired(error):
            raise error
        self._token = fresh_token()
        return None

    def give_up(self) -> Steps[bool]:
        """After an interruption: leaves the line, and gives back what may have been granted.
        False if there was no answer.

        Asking without waiting takes the request out of the line; releasing alone could come before
        a grant. Releasing also gives up the place, which would be kept for a while.
        """
        try:
            grant = yield from self._withdrawn()
            if not self._joins:
                yield Send(calls.release_lease(self._token), FAREWELL_TIMEOUT)
            elif grant is not None:
                for path in grant.paths:
                    yield Send(calls.release_path(self._token, path), FAREWELL_TIMEOUT)
        except NoAnswer:
            return False  # it ends by its TTL
        return True

    def may_stay_held(self, error: LockerError) -> bool:
        """Whether it can have been granted without an answer, and does not end by itself."""
        return is_silence(error) and not self._joins and self._wanted.ttl is None

    def go_on_giving_up(self) -> Steps[None]:
        """In the background, then."""
        for pause in backoff():
            yield Pause(pause)
            if (yield from self.give_up()):
                return

    def withdraw(self) -> Steps[Grant | None]:
        """The first half of that: what is to be given back."""
        try:
            return (yield from self._withdrawn())
        except NoAnswer:
            return None

    def go_on_withdrawing(self, tenure: Tenure) -> Steps[Grant | None]:
        """In the background, when there was no answer: a lease that goes on would keep for ever
        what was granted all the same."""
        for pause in backoff():
            yield Pause(pause)
            if tenure.is_over():
                return None
            try:
                answer = yield Send(self._wanted.request(self._token, 0), FAREWELL_TIMEOUT)
                if not is_transient(answer):
                    return self._late(answer)
            except NoAnswer:
                pass
        return None

    def _withdrawn(self) -> Steps[Grant | None]:
        return self._late((yield Send(self._wanted.request(self._token, 0), FAREWELL_TIMEOUT)))

    @staticmethod
    def _late(answer: Answer) -> Grant | None:
        try:
            return answer.parsed(Grant.parse) if answer.status in (200, 201) else None
        except LockerError:
            return None


def opened_lease(settings: Settings, token: str, owner: str | None,
                 ttl: float | None) -> Steps[OpenedLease]:
    return call(settings, calls.open_lease(token, owner, ttl), OpenedLease.parse)


def keep(settings: Settings, tenure: Tenure) -> Steps[None]:
    """Renews until it is lost; whoever drives this stops when the lease is released."""
    while True:
        due = tenure.deadline.renewal_is_due
        yield Pause(max(0.0, due - settings.now()))
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
    """What went wrong, or None."""
    known = tenure.inventory.fences()
    try:
        renewal = yield from _renewed(settings, tenure)
        if renewal is not None:
            yield from _look_for_losses(settings, tenure, known, renewal)
    except (NoAnswer, LockerError) as failure:
        return str(failure)
    return None


def _renewed(settings: Settings, tenure: Tenure) -> Steps[Renewal | None]:
    """None: it is lost."""
    answer: Answer = yield Send(calls.renew(tenure.token), _timeout_of_keeper(settings, tenure))
    if answer.status == 200:
        renewal = answer.parsed(Renewal.parse)
        tenure.renewed(Deadline(renewal.ttl, answer.sent))
        return renewal
    error = error_of(answer)
    if isinstance(error, LockLost):
        tenure.lose(error)
    elif error.code == "no_such_lease":
        tenure.lose(_forgotten(answer))
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
    """A lease of which an administrator ended some locks lives on with the others. `known` is what
    this program knew of when it renewed; others can add locks with its token."""
    # They are those that were looked at while this is the same: each that is lost makes them fewer,
    # and each that joins has the highest fence. An older server says only how many they are.
    seen = (renewal.locks, renewal.newest_fence, known)
    tells_which = renewal.newest_fence is not None or renewal.locks == len(known)
    if not known or tells_which and tenure.seen == seen:
        return
    there: dict[PathKey, tuple[int, str]] = {}
    after: str | None = None
    while True:
        # There can be a hundred pages, and a lease lives on while they are read.
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
        tenure.lose_locks(gone, (yield from _why_gone(tenure, gone, timeout, ", ".join(gone))))
    tenure.lose_replaced(replaced)
    tenure.seen = seen


def _why_gone(tenure: Tenure, paths: list[str], timeout: float,
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


def _forgotten(answer: Answer) -> LockLost:
    return LockLost("The lock server does not know this lease any more; stop what it protected.",
                    "unknown", status=answer.status)


def release(settings: Settings, tenure: Tenure) -> Steps[None]:
    """Raises LockLost when it was lost. REQUIRES: the tenure is finished and knows of no loss."""
    left = tenure.deadline.ends - settings.now()  # then it ends by itself
    hurried = replace(settings, patience=min(settings.patience, left))
    answer = yield from ask(hurried, calls.release_lease(tenure.token))
    if answer.status == 200:
        paths = tenure.inventory.paths()
        # It is 0 when the request was sent again, after the answer to the first was lost.
        if 0 < answer.parsed(lambda answer: int(answer.body["released"])) < len(paths):
            raise (yield from _why_gone(tenure, paths, FAREWELL_TIMEOUT, None))
        return
    error = error_of(answer)
    raise _forgotten(answer) if error.code == "no_such_lease" else error


def go_on_releasing(settings: Settings, tenure: Tenure) -> Steps[None]:
    """In the background, after `release` gave up: until it is answered, or the lease is over."""
    try:
        yield from release(replace(settings, patience=float("inf")), tenure)
    except LockerError:
        pass  # it has ended, or nothing helps


def leave(settings: Settings, tenure: Tenure, leaving: Leaving) -> Steps[None]:
    """Of a lease that lives on. Raises LockLost when what was to be released was lost."""
    loss: LockLost | None = None
    while leaving.releases:
        answer = yield from ask(settings, calls.release_path(tenure.token, leaving.releases[0]))
        leaving.releases.pop(0)
        if answer.status == 200:
            continue
        error = error_of(answer)
        if not isinstance(error, LockLost):
            raise error
        loss = loss or error
    while leaving.weakenings:
        wanted = leaving.weakenings[0]
        grant = yield from call(settings, wanted.request(tenure.token, 0), Grant.parse)
        leaving.weakenings.pop(0)
        tenure.inventory.weakened(wanted, grant)
    if loss is not None:
        raise loss


def leave_quickly(tenure: Tenure, leaving: Leaving) -> Steps[None]:
    """After an interruption, or what is lost anyway."""
    if tenure.release_as_loss() is not None:
        # The server gives who asks with its token after that another lease, which nobody keeps.
        yield from abandon(tenure.token)
        return
    try:
        for path in leaving.releases:
            yield Send(calls.release_path(tenure.token, path), FAREWELL_TIMEOUT)
        for wanted in leaving.weakenings:
            answer = yield Send(wanted.request(tenure.token, 0), FAREWELL_TIMEOUT)
            if answer.status in (200, 201):  # else the next exclusive one would look like a loss
                tenure.inventory.weakened(wanted, answer.parsed(Grant.parse))
    except (NoAnswer, LockerError):
        pass  # it ends with its lease


def abandon(token: str) -> Steps[bool]:
    """Gives back what is lost or about to be, or was interrupted, if it is easy: others need not
    wait for the TTL. False if there was no answer."""
    try:
        yield Send(calls.release_lease(token), FAREWELL_TIMEOUT)
    except NoAnswer:
        return False
    return True


def page_of_locks(settings: Settings, prefix: str | None, owner: str | None, state: str | None,
                  size: int, after: str | None) -> Steps[tuple[list[LockInfo], str | None]]:
    """One page, and where the next one begins."""
    return call(settings, calls.list_locks(prefix, owner, state, size, after),
                lambda answer: ([LockInfo.parse(lock) for lock in answer.body["locks"]],
                                answer.body["next"]))
