"""Follows events over asyncio streams."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import AsyncGenerator

from .connections import Connections
from ..event_stream import SILENCE_MAX, EventStream
from ..exchange import Answer, NoAnswer
from ..protocol import Settings, is_transient
from ..records import Event, error_of


class AsyncEvents:
    """An endless async iterator over events, like `lockerclient.Events`.

    An `async with` block connects when it begins; no event after that is missed. Without a block,
    it connects when the first event is requested; close it by `aclose`.
    """

    def __init__(self, connections: Connections, settings: Settings, prefix: str | None,
                 last_event_id: str | None):
        self._connections = connections
        self._stream = EventStream(settings, prefix, last_event_id)
        self._events = self._follow()

    @property
    def last_event_id(self) -> str | None:
        """The place in the stream: pass it to `AsyncClient.events` to continue from there."""
        return self._stream.last_event_id

    async def aclose(self) -> None:
        await self._events.aclose()

    async def __aenter__(self) -> AsyncEvents:
        await self._next()  # connects
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncEvents:
        return self

    async def __anext__(self) -> Event:
        event = None
        while event is None:
            event = await self._next()
        return event

    async def _next(self) -> Event | None:
        try:
            return await self._events.__anext__()
        except StopAsyncIteration:  # it is closed
            raise
        except BaseException:  # which has ended the generator
            self._events = self._follow()
            raise

    async def _follow(self) -> AsyncGenerator[Event | None, None]:
        """Yield events, and at every new connection a reset or None."""
        while True:
            try:
                async with self._connections.stream(self._stream.request(),
                                                    SILENCE_MAX) as (head, lines):
                    if head.status == 200:
                        yield self._stream.connected()
                        async for line in lines:
                            event = self._stream.feed(line.decode("utf-8", "replace"))
                            if event is not None:
                                yield event
                        problem = "the server ended the stream"
                    else:
                        text = "\n".join([line.decode("utf-8", "replace") async for line in lines])
                        answer = Answer(head.status, text, 0)
                        if not is_transient(answer):
                            raise error_of(answer)
                        problem = text
            except NoAnswer as failure:
                problem = str(failure)
            await asyncio.sleep(self._stream.interrupted(problem))
