"""A DSPy engine that passes on an answer's text as it arrives, and counts its tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from dspy.lm15 import Request, Response, materialize_response

from engine.journal.events import Tokens
from models.cancelled import RequestCancelledError

OnText = Callable[[int, str], None]
"""Called with the number of the call, from 1, and a piece of its answer."""


class StreamingEngine:
    """Puts `on_text` before another engine; `is_cancelled` ends the current call and all later ones."""

    def __init__(self, inner: Any, on_text: OnText, is_cancelled: Callable[[], bool]) -> None:
        self._inner = inner
        self._on_text = on_text
        self._is_cancelled = is_cancelled
        self.calls = 0
        self.tokens = Tokens()
        self.supports_function_calling = getattr(inner, "supports_function_calling", False)
        self.supports_reasoning = getattr(inner, "supports_reasoning", False)
        self.supports_response_schema = getattr(inner, "supports_response_schema", False)
        self.supported_params: frozenset[str] = frozenset(getattr(inner, "supported_params", ()))

    def complete(self, request: Request) -> Response:
        """Return the inner engine's answer after all of it was passed on.

        Raises:
            RequestCancelledError: a person ended it.
        """
        self.calls += 1
        response = materialize_response(self._told(request, self.calls), request)
        usage = response.usage
        self.tokens += Tokens(
            prompt=usage.input_tokens or 0,
            completion=usage.output_tokens or 0,
            reused=usage.cache_read_tokens or 0,
        )
        return response

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer as a stream of events."""
        self.calls += 1
        yield from self._told(request, self.calls)

    def close(self) -> None:
        """Do nothing: the inner engine belongs to its model."""

    def _told(self, request: Request, call: int) -> Iterator[Any]:
        self._refuse_if_cancelled()
        for event in self._inner.stream(request):
            self._refuse_if_cancelled()
            if event.type == "delta" and event.delta.type in ("text", "thinking"):
                self._on_text(call, event.delta.text)
            yield event

    def _refuse_if_cancelled(self) -> None:
        if self._is_cancelled():
            raise RequestCancelledError("A person ended the prediction.")


class AsyncStreamingEngine:
    """The same for programs that await their predictors."""

    def __init__(self, engine: StreamingEngine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Return the inner engine's answer after all of it was passed on."""
        return await asyncio.to_thread(self._engine.complete, request)

    async def aclose(self) -> None:
        """Do nothing: the inner engine belongs to its model."""
