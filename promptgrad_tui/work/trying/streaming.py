"""A DSPy engine that passes on an answer's text as it arrives, and counts its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dspy.lm15 import Request, Response, materialize_response

from engine.journal.events import Tokens
from engine.journal.replay import tokens_of
from engine.journal.wrapping import WrappingEngine
from models.cancelled import RequestCancelledError

OnText = Callable[[int, str], None]
"""Called with the number of the call, from 1, and a piece of its answer."""


class StreamingEngine(WrappingEngine):
    """Puts `on_text` before another engine; `is_cancelled` ends the current call and all later ones."""

    def __init__(self, inner: Any, on_text: OnText, is_cancelled: Callable[[], bool]) -> None:
        super().__init__(inner)
        self._on_text = on_text
        self._is_cancelled = is_cancelled
        self.calls = 0
        self.tokens = Tokens()

    def complete(self, request: Request) -> Response:
        """Return the inner engine's answer after all of it was passed on.

        Raises:
            RequestCancelledError: a person ended it.
        """
        self.calls += 1
        response = materialize_response(self._passed_on(request, self.calls), request)
        self.tokens += tokens_of(response.usage)
        return response

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer as a stream of events."""
        self.calls += 1
        yield from self._passed_on(request, self.calls)

    def _passed_on(self, request: Request, call: int) -> Iterator[Any]:
        self._refuse_if_cancelled()
        for event in self._inner.stream(request):
            self._refuse_if_cancelled()
            if event.type == "delta" and event.delta.type in ("text", "thinking"):
                self._on_text(call, event.delta.text)
            yield event

    def _refuse_if_cancelled(self) -> None:
        if self._is_cancelled():
            raise RequestCancelledError("A person ended the prediction.")
