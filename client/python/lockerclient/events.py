"""Follows events over blocking sockets."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Generator

from .connections import Connections
from .event_stream import SILENCE_MAX, EventStream
from .exchange import Answer, NoAnswer
from .protocol import Settings, is_transient
from .records import Event, error_of


class Events:
    """An endless iterator over events; `close()` or a `with` block ends it. Not thread-safe.

    It connects when it is created; no event after that is missed. After an interruption it
    continues after the last event, or with `reset` if the server cannot tell what happened since.
    """

    def __init__(self, connections: Connections, settings: Settings, prefix: str | None,
                 last_event_id: str | None):
        self._connections = connections
        self._stream = EventStream(settings, prefix, last_event_id)
        self._events = self._follow()
        next(self._events)  # connects

    @property
    def last_event_id(self) -> str | None:
        """The place in the stream: pass it to `Client.events` to continue from there."""
        return self._stream.last_event_id

    def close(self) -> None:
        self._events.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Event:
        event = None
        while event is None:
            try:
                event = next(self._events)
            except StopIteration:  # it is closed
                raise
            except BaseException:  # which has ended the generator
                self._events = self._follow()
                raise
        return event

    def _follow(self) -> Generator[Event | None, None, None]:
        """Yield events, and at every new connection a reset or None."""
        while True:
            try:
                connection = self._connections.stream(self._stream.request(), SILENCE_MAX)
                with connection as (reply, lines):
                    if reply.status == 200:
                        yield self._stream.connected()
                        for raw in lines:
                            line = raw.decode("utf-8", "replace").rstrip("\r\n")
                            event = self._stream.feed(line)
                            if event is not None:
                                yield event
                        problem = "the server ended the stream"
                    else:
                        text = reply.read().decode("utf-8", "replace")
                        answer = Answer(reply.status, text, 0)
                        if not is_transient(answer):
                            raise error_of(answer)
                        problem = text
            except NoAnswer as failure:
                problem = str(failure)
            time.sleep(self._stream.interrupted(problem))
