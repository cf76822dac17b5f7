"""Parses server-sent events, and resumes the stream after an interruption."""

from __future__ import annotations

import json

from . import calls
from .errors import LockerError, Unreachable
from .exchange import Request
from .protocol import Settings
from .records import Event

SILENCE_MAX = 45.0  # seconds; the server sends something every 15 s
RETRY_MAX = 10.0


class EventStream:
    """The state of an event stream across its connections."""

    def __init__(self, settings: Settings, prefix: str | None, last_event_id: str | None):
        self._settings = settings
        self._prefix = prefix
        self._was_connected = False
        self._failing_since: float | None = None
        self._retry_after = 1.0
        self.last_event_id = last_event_id
        self._begin()

    def _begin(self) -> None:
        self._kind = ""
        self._data: list[str] = []
        self._id = self.last_event_id

    def request(self) -> Request:
        return calls.events(self._prefix, self.last_event_id)

    def connected(self) -> Event | None:
        """Begin a reply; return a reset if it resumes without an id, so events may be missing."""
        self._begin()  # an event cut off on the previous connection is sent again
        is_gap = self._was_connected and self.last_event_id is None
        self._was_connected = True
        self._failing_since = None
        return Event("reset") if is_gap else None

    def interrupted(self, problem: str) -> float:
        """Return the pause before reconnecting; raise Unreachable once `patience` is over."""
        now = self._settings.now()
        if self._failing_since is None:
            self._failing_since = now
        pause = min(self._retry_after, RETRY_MAX)
        if now + pause > self._failing_since + self._settings.patience:
            self._failing_since = None  # a caller that goes on gets the full patience again
            raise Unreachable(f"The lock server's events are not available: {problem}.")
        return pause

    def feed(self, line: str) -> Event | None:
        """Process a line, without its end; return the event that it completes, if any."""
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "id" and "\0" not in value:
            self._id = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "retry" and value.isdecimal():
            self._retry_after = int(value) / 1000
        return None

    def _complete(self) -> Event | None:
        kind, data, self.last_event_id = self._kind, "\n".join(self._data), self._id
        self._begin()
        if not kind or not data:
            return None
        if kind == "reset":
            return Event(kind)
        try:
            return Event.parse(kind, self.last_event_id, json.loads(data))
        except (ValueError, KeyError, TypeError) as error:
            raise LockerError(f"This is not an event of a lock server: {data[:200]!r}. Check the "
                              "URL, and any proxy in between.", "not_a_lock_server") from error
