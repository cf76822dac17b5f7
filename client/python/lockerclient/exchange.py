"""The values that the protocol exchanges with its driver, so that it needs no sockets.

The protocol is written as generators (`Steps`): they yield `Send` or `Pause`. A driver, with
threads or with asyncio, does what they ask for, then sends the `Answer` back in or throws
`NoAnswer`.
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
    # May be sent again if it is unknown whether it was carried out.
    is_repeatable: bool = True
    gives_back: bool = False  # a release: retried on a full disk, too

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
    sent: float  # when sending of the request began

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
            f"This is not an answer of a lock server (HTTP status {self.status}): "
            f"{self.text[:200]!r}. Check the URL, and any proxy in "
            "between.", "not_a_lock_server", self.status)


class NoAnswer(Exception):
    """A request got no answer.

    `was_sent`: the request may have been carried out. `was_cut`: the peer closed the connection.
    `is_hopeless`: trying again is of no use.
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


# Seconds; timers stop while the machine is suspended, so check the clock at least this often.
LONGEST_PAUSE = 2.0


@dataclass(frozen=True)
class Pause:
    seconds: float

    def __post_init__(self) -> None:
        assert 0 <= self.seconds <= LONGEST_PAUSE


Steps = Generator[Union[Send, Pause], Any, Result]
