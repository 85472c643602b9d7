"""Following an answer while the model writes it; the response is the same as without a listener."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from dspy.lm15 import Request, Response, materialize_response

OnText: TypeAlias = Callable[[str], None]
"""Called with an answer's whole text so far, each time it grows.

An empty line separates the model's reasoning from its answer."""

_on_text: ContextVar[OnText | None] = ContextVar("on_text", default=None)


@contextmanager
def listening(on_text: OnText) -> Iterator[None]:
    """Let `on_text` follow the answers requested in this context, and in copies of it."""
    token = _on_text.set(on_text)
    try:
        yield
    finally:
        _on_text.reset(token)


def ask(engine: Any, request: Request) -> Response:
    """Return an engine's answer; stream it if somebody listens and the engine can."""
    on_text = _on_text.get()
    # Streams carry no log-probabilities.
    if on_text is None or request.config.logprobs is not None or not hasattr(engine, "stream"):
        return engine.complete(request)
    return materialize_response(_followed(engine.stream(request), on_text), request)


def _followed(events: Iterator[Any], on_text: OnText) -> Iterator[Any]:
    text = kind = ""
    try:
        for event in events:
            if event.type == "delta" and event.delta.type in ("text", "thinking"):
                # Engines put nothing between the reasoning and the answer.
                text += "\n\n" if text and event.delta.type != kind else ""
                text += event.delta.text
                kind = event.delta.type
                on_text(text)
            yield event
    finally:
        events.close()  # type: ignore[attr-defined]
