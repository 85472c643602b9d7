"""DSPy's engine contract for servers: from `events` follow blocking, asynchronous and streamed answers."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from dspy import lm15
from dspy.clients.engines.base import StreamEvent, validate_request

from engine.ground.model import Messages, Progress
from models.cancelled import RequestCancelledError
from models.server.background_loop import BackgroundLoop
from models.server.schemas import answer_schema
from models.server.thoughts import told_apart
from models.server.turns import Turns
from models.server.vouching import Vouching
from models.settings import ModelSettings

Result = TypeVar("Result")

_PAUSES = (1.0, 2.0, 4.0)
"""Seconds before what may pass is tried again."""

_OVERFLOW = re.compile(
    r"context (length|size|window)|longer than the context|available context|context_length_exceeded",
    re.IGNORECASE,
)


class ServerEngine(ABC):
    """A `dspy.LM(engine=...)` over one asynchronous stream of events; safe to call from many threads."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "top_p", "max_tokens", "stop", "seed"})

    def __init__(self, name: str, server: str, settings: ModelSettings, report: Progress) -> None:
        """Prepare requests for the model `name` at a `server`; `report` gets what a person should know."""
        self.server = server
        self._name = name
        self._report = report
        self.timeout_seconds = settings.timeout_seconds
        self._turns = Turns(settings.concurrency)
        self._loop = BackgroundLoop(server)
        self._vouching: Vouching | None = None

    def vouch_with(self, vouching: Vouching) -> None:
        """Give no answer from now on that isn't vouched for."""
        self._vouching = vouching

    @abstractmethod
    def events(self, request: lm15.Request) -> AsyncGenerator[StreamEvent]:
        """Yield one answer as it comes: a start, deltas, an end; runs on the engine's own loop."""

    def unwatched_events(self, request: lm15.Request) -> AsyncGenerator[StreamEvent]:
        """Yield the same answer where nobody reads it as it comes: a server may give it in one piece."""
        return self.events(request)

    @abstractmethod
    async def disconnect(self) -> None:
        """Close connections; runs on the engine's own loop."""

    def complete(self, request: lm15.Request) -> lm15.Response:
        """Return the answer to a request."""
        try:
            return self._loop.run(self.answer(request))
        except CancelledError:
            raise cancelled(self.server) from None

    def stream(self, request: lm15.Request) -> Iterator[StreamEvent]:
        """Yield the answer's events; closing the iterator cancels the request."""
        arrived: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        pump = self.start_pump(request, arrived.put)
        try:
            while (event := arrived.get()) is not None:
                yield event
            pump.result()
        except CancelledError:
            raise cancelled(self.server) from None
        finally:
            pump.cancel()

    def cancel(self) -> None:
        """End all running requests; their callers get an error."""
        self._loop.cancel_all()

    def close(self) -> None:
        """Cancel what runs and close all connections."""
        self.cancel()
        with contextlib.suppress(CancelledError):  # where it is closed already
            self._loop.run(self.disconnect())
        self._loop.close()

    def run(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return what a coroutine of `make` returns, as an answer: in turn, in time, vouched for."""
        try:
            return self._loop.run(self._tried(make))
        except CancelledError:
            raise cancelled(self.server) from None

    def submit(self, request: lm15.Request) -> Future[lm15.Response]:
        """Start a request and return at once."""
        return self._loop.submit(self.answer(request))

    def start_pump(self, request: lm15.Request, put: Callable[[StreamEvent | None], None]) -> Future[None]:
        """Start a request whose events, and None at its end, go to `put`."""
        future = self._loop.submit(self._pump(request, put))
        future.add_done_callback(lambda _: put(None))
        return future

    async def answer(self, request: lm15.Request) -> lm15.Response:
        """Return the answer to a request; runs on the engine's own loop."""
        validate_request(request)
        return await self._in_turn(self._read(request))

    async def _read(self, request: lm15.Request) -> lm15.Response:
        events = self._told_apart(self.unwatched_events(request), request)
        return await lm15.amaterialize_response(events, request)

    async def _pump(self, request: lm15.Request, put: Callable[[StreamEvent | None], None]) -> None:
        validate_request(request)
        put(await self._in_turn(self._all_but_the_end(request, put)))

    async def _all_but_the_end(
        self, request: lm15.Request, put: Callable[[StreamEvent | None], None]
    ) -> StreamEvent | None:
        """Pass an answer's events on, and return the last one: an answer ends once it is vouched for."""
        end: StreamEvent | None = None
        told = self._told_apart(self.events(request), request)
        async with contextlib.aclosing(told) as events:
            async for event in events:
                if event.type == "end":
                    end = event
                else:
                    put(event)
        return end

    def _told_apart(
        self, events: AsyncGenerator[StreamEvent], request: lm15.Request
    ) -> AsyncGenerator[StreamEvent]:
        return told_apart(events, answer_schema(request), self._tell_taken)

    def _tell_taken(self) -> None:
        self._report(f"{self._name} answers where it should think; its thoughts fit, and are taken", 0.0)

    async def _tried(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return what `make` makes; a fault that may pass is tried again, as DSPy does with answers."""
        for pause in _PAUSES:
            try:
                return await self._in_turn(make())
            except (lm15.TransportError, lm15.ServerError, lm15.RateLimitError):
                await asyncio.sleep(pause)
        return await self._in_turn(make())

    async def _in_turn(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what `work` returns, once it is its turn and if it ends in time, vouched for."""
        timed = self._timed(work)
        try:
            return await (self._vouching.vouched(timed) if self._vouching else timed)
        finally:
            work.close()  # where it hasn't begun

    async def _timed(self, work: Coroutine[Any, Any, Result]) -> Result:
        try:
            async with self._turns, asyncio.timeout(self.timeout_seconds):
                return await work
        except TimeoutError:
            raise self._too_slow() from None

    def _too_slow(self) -> lm15.TimeoutError:
        return lm15.TimeoutError(
            f"{self.server} gave no complete answer within {self.timeout_seconds:g} s. "
            "Raise `timeout_seconds` under [model] if the machine is that slow."
        )


class AsyncServerEngine:
    """The same server for `dspy.LM(async_engine=...)`; closing the engine it wraps closes it too."""

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """Return the answer to a request."""
        future = self._engine.submit(request)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.cancelled() and not _being_cancelled():
                raise cancelled(self._engine.server) from None
            raise

    async def stream(self, request: lm15.Request) -> AsyncIterator[StreamEvent]:
        """Yield the answer's events; closing the iterator cancels the request."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[StreamEvent | None] = asyncio.Queue()

        def put(event: StreamEvent | None) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, event)

        pump = self._engine.start_pump(request, put)
        try:
            while (event := await arrived.get()) is not None:
                yield event
            pump.result()
        except CancelledError:
            raise cancelled(self._engine.server) from None
        finally:
            pump.cancel()

    async def aclose(self) -> None:
        """Do nothing: the blocking engine owns the connections."""


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def cancelled(server: str) -> RequestCancelledError:
    """Return the error of a request that `cancel()` ended."""
    return RequestCancelledError(f"The request to {server} was cancelled.")


def begun_answer(messages: Messages, begun: str) -> list[dict[str, Any]]:
    """Return messages of which the last is an answer's beginning, if there is one: servers continue it."""
    return [*map(dict, messages), *([{"role": "assistant", "content": begun}] if begun else [])]


def is_context_overflow(reason: str) -> bool:
    """Whether a server's error says that the prompt is too long; each has its own words for it."""
    return _OVERFLOW.search(reason) is not None
