"""What the protocol asks for and what it gets: plain values, so that it needs no sockets.

The rules are generators (`Steps`): they yield `Send` or `Pause`, and whoever drives them, with
threads or with asyncio, does that and sends the `Answer` back in, or throws `NoAnswer`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable, Generator, Mapping, TypeVar, Union

from .errors import LockerError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    # May be sent again when nobody knows whether it was carried out.
    is_repeatable: bool = True
    gives_back: bool = False  # so that a full disk is waited for, as a server that is away

    def encoded_body(self) -> bytes | None:
        return None if self.body is None else json.dumps(self.body).encode()

    def all_headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "lockerclient", **self.headers}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        return headers


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    sent: float  # when its request began to be sent

    @property
    def body(self) -> dict[str, Any]:
        try:
            body = json.loads(self.text)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise self._is_foreign()
        return body

    def parsed(self, parse: Callable[[Answer], Result]) -> Result:
        try:
            return parse(self)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._is_foreign() from error

    def _is_foreign(self) -> LockerError:
        return LockerError(
            f"This is no answer of a lock server (HTTP status {self.status}): {self.text[:200]!r}. "
            "Check the URL, and what is between.", "not_a_lock_server", self.status)


class NoAnswer(Exception):
    """Nothing came back.

    If it `was_sent`, the request may have been carried out. It `was_cut` when the other side ended
    the connection. If it `is_hopeless`, it is no use to try again.
    """

    def __init__(self, message: str, was_sent: bool, was_cut: bool = False,
                 is_hopeless: bool = False):
        super().__init__(message)
        self.was_sent = was_sent
        self.was_cut = was_cut
        self.is_hopeless = is_hopeless


@dataclass(frozen=True)
class Send:
    request: Request
    timeout: float


# Timers stand still while the machine is suspended: look at the clock after so long.
LONGEST_PAUSE = 2.0


@dataclass(frozen=True)
class Pause:
    seconds: float

    def __post_init__(self) -> None:
        assert 0 <= self.seconds <= LONGEST_PAUSE


Steps = Generator[Union[Send, Pause], Any, Result]
