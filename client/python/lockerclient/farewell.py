"""Releases what is still held when the process exits normally."""

from __future__ import annotations

import atexit
import os
import time
from typing import Callable, Hashable

from .exchange import Answer, Send, Steps
from .keeper import drive
from .tenure import Tenure

_in_debt: set[Farewells] = set()  # keeps them when their client is collected first


class Farewells:
    """What one client must release when the process exits.

    The keys are tenures, and undertakings that were interrupted or got no answer. The steps of each
    return False if the server is unavailable; the others are then not tried.
    """

    def __init__(self, sender: Callable[[], Callable[[Send], Answer]]):
        self._sender = sender
        self._due: dict[Hashable, Callable[[], Steps[bool]]] = {}

    def add(self, what: Hashable, steps: Callable[[], Steps[bool]]) -> None:
        self._due[what] = steps
        _in_debt.add(self)

    def done(self, what: Hashable) -> None:
        self._due.pop(what, None)
        if not self._due:
            _in_debt.discard(self)
            if self._due:  # another thread added one
                _in_debt.add(self)

    def tenures(self, token: str) -> list[Tenure]:
        return [what for what in list(self._due)
                if isinstance(what, Tenure) and what.token == token]

    def say(self) -> None:
        send = self._sender()
        for what, steps in list(self._due.items()):
            if not drive(steps(), send, time.sleep):
                return
            self.done(what)

    def forget(self) -> None:
        self._due.clear()


def _say_all() -> None:
    for farewells in list(_in_debt):
        farewells.say()


def _forget_all() -> None:  # in a forked child: they are the parent's
    for farewells in list(_in_debt):
        farewells.forget()
    _in_debt.clear()


atexit.register(_say_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
