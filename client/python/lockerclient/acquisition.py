"""How a lock is acquired, step by step: see exchange.py."""

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

# Long waits are made of pieces: many a proxy cuts a request that is silent for 30 s. The server
# keeps the place in the line between two of them.
WAIT_PIECE = 20.0
# Who does not want to wait for a lock waits for a server that cannot be reached no longer than so.
FIRST_PATIENCE = 5.0


def joining(settings: Settings, token: str) -> Steps[frozenset[PathKey] | None]:
    """To be done before a lease is joined: if there were none, the server would open one that never
    expires. Returns what it has; None: too much to look at all of it each time."""
    renewal = yield from call(settings, calls.renew(token), Renewal.parse)
    if renewal.locks == 0:
        return frozenset()
    state, after = yield from page_of_lease(settings, token, None)
    if after is not None:
        return None
    return frozenset(path_key(lock.path) for lock in state.locks if lock.state == "held")


class Undertaking:
    """What is asked for with a token of the client's choice, and given up where that is interrupted
    or nobody answers."""

    def __init__(self, settings: Settings, token: str, ttl: float | None):
        self._settings = settings
        self.token = token
        self._ttl = ttl
        self.has_failed = False  # by an answer, or for want of one; not by an interruption
        self.may_be_granted = False  # though it has failed

    def give_up(self) -> Steps[bool]:
        """After an interruption. False if the server, or what is between, was away."""
        raise NotImplementedError

    def may_stay_held(self) -> bool:
        """Whether giving back what can have been granted goes on in the background: after an
        interruption, or if it does not end by itself."""
        return not self.has_failed or self.may_be_granted and self._ttl is None

    def go_on_giving_up(self) -> Steps[None]:
        lasts = float("inf") if self._ttl is None else float(self._ttl)
        return insist(self._settings, self.give_up, self._settings.now() + lasts)


class Opening(Undertaking):
    """Of a lease."""

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
    """An acquire with a token of the client's choice: sent again until it is answered, it gets the
    same answer, and keeps its place in the line meanwhile, also over a restart of the server.

    `token` is that of a lease to join. Unless it `is_alone` with that, another program may ask for
    the same, and has the place then. What the lease has already is looked at first then: it keeps
    that if this is given up.
    """

    def __init__(self, settings: Settings, wanted: calls.Wanted, wait: float | None,
                 token: str | None = None, is_alone: bool = True):
        calls.check_wait(wait)
        super().__init__(settings, fresh_token() if token is None else token, wanted.ttl)
        self.wanted = wanted
        self._wait = None if wait is None else float(wait)
        self._joins = token is not None  # a lease that is there
        self._is_alone = is_alone
        self._is_to_look = not is_alone
        self._kept: frozenset[PathKey] | None = frozenset()  # None: nobody knows, so it keeps all
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
            # Why a renewal was refused says nothing of what was asked for before.
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
                # By an earlier request of ours that came late: nobody waits for its answer.
                pause, left = next(pauses), until - now()
                yield Pause(min(pause, left) if left > 0 else pause)
                if self._joins:
                    yield from self._check_lease(self._settings)
                continue
            if not self._has_expired(error):
                raise error
            self.token = fresh_token()

    def _leave_line(self) -> Steps[None]:
        """A copy of a request, made by a proxy for example, may wait there and be granted later."""
        if self._has_waited and not self._joins:
            yield from abandon(self.token)

    def _check_lease(self, settings: Settings) -> Steps[None]:
        """It can have ended meanwhile. A server that was restarted does not know who waited, and
        would open another one, that has neither owner nor TTL."""
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
        """It was granted, but this program could not be told before it ended: ask anew."""
        return (isinstance(error, LockLost) and error.reason in ("expired", "unknown") and
                not self._joins)

    def _confirmed(self, grant: Grant) -> Steps[Grant | None]:
        """When it took long, nobody here knows when it was granted: a renewal makes that sure."""
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
        """Leaves the line, and gives back what may have been granted.

        Asking without waiting takes the request out of the line; releasing alone could come before
        a grant. Releasing also gives up the place, which would be kept for a while.
        """
        if self._is_to_look:
            return True  # it has not asked, and there may be no such lease
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
        """Not of a lease that is joined: that can end meanwhile, and the server would open another
        one."""
        return not self._joins and super().may_stay_held()

    def withdraw(self) -> Steps[Grant | None]:
        """The first half of that: returns what is to be given back. Raises NoAnswer."""
        answer: Answer = yield self._withdrawal()
        if is_transient(answer):
            raise NoAnswer(f"HTTP status {answer.status}", was_sent=True)
        return self._late(answer)

    def go_on_withdrawing(self, tenure: Tenure) -> Steps[Grant | None]:
        """In the background, when there was no answer: a lease that goes on would keep for ever
        what was granted all the same."""
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
