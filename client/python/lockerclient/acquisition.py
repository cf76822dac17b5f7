"""Acquires a lock, as a sequence of steps (see exchange.py)."""

from __future__ import annotations

from dataclasses import replace

from . import calls
from .address import PathKey, path_key
from .deadline import Deadline
from .errors import LockerError, LockLost, Unreachable
from .exchange import Answer, NoAnswer, Pause, Request, Send, Steps
from .giving_back import FAREWELL_TIMEOUT, abandon, insist
from .protocol import (Settings, ask, ask_waiting, backoff, call, fresh_token, is_transient,
                       opened_lease, page_of_lease)
from .records import Grant, Renewal, error_of, forgotten
from .tenure import Tenure

# Seconds per request of a long wait: many proxies cut a request that is silent for 30 s. The server
# keeps the place in the queue between two requests.
WAIT_PIECE = 20.0
# Seconds for which even an acquire with a shorter wait tries to reach the server.
FIRST_PATIENCE = 5.0


def joining(settings: Settings, token: str) -> Steps[frozenset[PathKey] | None]:
    """Check a lease before a request joins it; return the keys of the paths that it holds.

    If the lease did not exist, the server would open one that never expires. Returns None if the
    lease has more than one page of locks: too many to read each time.
    """
    renewal = yield from call(settings, calls.renew(token), Renewal.parse)
    if renewal.locks == 0:
        return frozenset()
    state, after = yield from page_of_lease(settings, token, None)
    if after is not None:
        return None
    return frozenset(path_key(lock.path) for lock in state.locks if lock.state == "held")


class Undertaking:
    """A request with a token of the client's choice, to be undone if it is interrupted or gets no
    answer."""

    def __init__(self, settings: Settings, token: str, ttl: float | None):
        self._settings = settings
        self.token = token
        self._ttl = ttl
        self.has_failed = False  # by an answer, or for lack of one; not by an interruption
        self.may_be_granted = False  # although it has failed

    def give_up(self) -> Steps[bool]:
        """Undo the request after an interruption.

        Returns False if the server, or a proxy in between, was unavailable.
        """
        raise NotImplementedError

    def may_stay_held(self) -> bool:
        """Return whether to go on undoing the request in the background.

        True after an interruption, and if what may have been granted has no TTL.
        """
        return not self.has_failed or self.may_be_granted and self._ttl is None

    def go_on_giving_up(self) -> Steps[None]:
        lasts = float("inf") if self._ttl is None else float(self._ttl)
        return insist(self._settings, self.give_up, self._settings.now() + lasts)


class Opening(Undertaking):
    """Opens a lease."""

    def __init__(self, settings: Settings, owner: str, ttl: float | None):
        super().__init__(settings, fresh_token(), ttl)
        self._owner = owner

    def steps(self) -> Steps[Deadline]:
        try:
            return (yield from opened_lease(self._settings, self.token, self._owner, self._ttl))
        except LockerError as error:
            self.may_be_granted = isinstance(error, Unreachable)
            self.has_failed = True
            raise

    def give_up(self) -> Steps[bool]:
        return abandon(self.token)


class Acquisition(Undertaking):
    """An acquire with a token of the client's choice.

    The token makes it idempotent: a request that is sent again gets the same answer and keeps its
    place in the queue, also across a restart of the server.

    `token` names a lease to join. Unless this acquisition `is_alone` in using that token, another
    program may send the same request and take over the place in the queue. Then the locks of the
    lease are read first, so that giving up releases none of them.
    """

    def __init__(self, settings: Settings, wanted: calls.Wanted, wait: float | None,
                 token: str | None = None, is_alone: bool = True):
        calls.check_wait(wait)
        super().__init__(settings, fresh_token() if token is None else token, wanted.ttl)
        self.wanted = wanted
        self._wait = None if wait is None else float(wait)
        self._joins = token is not None  # an existing lease
        self._is_alone = is_alone
        self._is_to_look = not is_alone
        self._kept: frozenset[PathKey] | None = frozenset()  # None: unknown, keep everything
        self._has_waited = False
        self._is_renewing = False

    def steps(self) -> Steps[Grant]:
        try:
            if self._is_to_look:
                self._kept = yield from joining(self._settings, self.token)
                self._is_to_look = False
            return (yield from self._granted())
        except LockerError as error:
            if not isinstance(error, (LockLost, Unreachable)):
                yield from self._leave_line()
            # A refused renewal says nothing about the acquire sent before it.
            self.may_be_granted = (isinstance(error, Unreachable) or
                                   self._is_renewing and not isinstance(error, LockLost))
            self.has_failed = True
            raise

    def _granted(self) -> Steps[Grant]:
        now = self._settings.now
        until = float("inf") if self._wait is None else now() + self._wait
        first_patience = max(until - now(), FIRST_PATIENCE)
        pauses = backoff()

        def make(longest: float) -> tuple[Request, float]:
            piece = max(0.0, min(until - now(), WAIT_PIECE, longest))
            self._has_waited |= piece > 0
            return self.wanted.request(self.token, piece), piece

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
                # By an earlier request of ours that arrived late: nothing waits for its answer.
                pause, left = next(pauses), until - now()
                yield Pause(min(pause, left) if left > 0 else pause)
                if self._joins:
                    yield from self._check_lease(self._settings)
                continue
            if not self._has_expired(error):
                raise error
            self.token = fresh_token()

    def _leave_line(self) -> Steps[None]:
        """Leave the queue: a copy of a request, made by a proxy, say, may still wait there."""
        if self._has_waited and not self._joins:
            yield from abandon(self.token)

    def _check_lease(self, settings: Settings) -> Steps[None]:
        """Raise LockLost if the joined lease has ended.

        A restarted server has forgotten the waiters, and would open another lease, without an
        owner or a TTL.
        """
        renewed = yield from self._renewed(settings)
        if isinstance(renewed, LockLost):
            raise renewed

    def _renewed(self, settings: Settings) -> Steps[Answer | LockLost]:
        self._is_renewing = True
        answer = yield from ask(settings, calls.renew(self.token))
        loss: LockLost | None = None
        if answer.status != 200:
            error = error_of(answer)
            if error.code == "no_such_lease":
                error = forgotten(answer)
            if not isinstance(error, LockLost):
                raise error
            loss = error
        self._is_renewing = False
        return loss or answer

    def _has_expired(self, error: LockerError) -> bool:
        """Return whether the lock was granted and expired before the answer came: acquire anew."""
        return (isinstance(error, LockLost) and error.reason in ("expired", "unknown") and
                not self._joins)

    def _confirmed(self, grant: Grant) -> Steps[Grant | None]:
        """Renew a grant whose answer took long, since the time of the grant is unknown.

        Returns None, with a fresh token, if the lock has expired and is to be acquired anew.
        """
        if grant.ttl is None or self._settings.now() - grant.sent < grant.ttl / 10:
            return grant
        renewed = yield from self._renewed(self._settings)
        if isinstance(renewed, Answer):
            return replace(grant, sent=renewed.sent)
        if not self._has_expired(renewed):
            raise renewed
        self.token = fresh_token()
        return None

    def give_up(self) -> Steps[bool]:
        """Leave the queue, and release what may have been granted.

        An acquire without a wait takes the request out of the queue; a release alone could arrive
        before the grant. The release also gives up the place, which the server would keep for a
        while.
        """
        if self._is_to_look:
            return True  # nothing was requested, and there may be no such lease
        try:
            answer: Answer = yield self._withdrawal()
            is_done = not is_transient(answer)
            if not self._joins:
                return (yield from abandon(self.token)) and is_done
            if self._kept is not None and (grant := self._late(answer)) is not None:
                for path in grant.paths:
                    if path_key(path) not in self._kept:
                        answer = yield Send(calls.release_path(self.token, path), FAREWELL_TIMEOUT)
                        is_done &= not is_transient(answer, True)
        except NoAnswer:
            return False
        return is_done

    def may_stay_held(self) -> bool:
        """As in the base class, but False for a joined lease.

        That can end in between, and the server would open another one.
        """
        return not self._joins and super().may_stay_held()

    def withdraw(self) -> Steps[Grant | None]:
        """Leave the queue; return a grant that came first and must be released. Raises NoAnswer."""
        answer: Answer = yield self._withdrawal()
        if is_transient(answer):
            raise NoAnswer(f"HTTP status {answer.status}", was_sent=True)
        return self._late(answer)

    def go_on_withdrawing(self, tenure: Tenure) -> Steps[Grant | None]:
        """Repeat `withdraw` in the background until it is answered or the lease has ended.

        A lease that lives on would keep a late grant for ever.
        """
        for pause in backoff():
            if tenure.has_ended():
                return None
            try:
                return (yield from self.withdraw())
            except NoAnswer:
                yield Pause(pause)
        return None

    def _withdrawal(self) -> Send:
        return Send(self.wanted.request(self.token, 0), FAREWELL_TIMEOUT)

    @staticmethod
    def _late(answer: Answer) -> Grant | None:
        try:
            return answer.parsed(Grant.parse) if answer.status in (200, 201) else None
        except LockerError:
            return None
