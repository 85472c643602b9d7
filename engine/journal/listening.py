"""Following an answer while the model writes it; the response is the same as without a listener."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from dspy.lm15 import Request, Response, materialize_response

Hear: TypeAlias = Callable[[str], None]
"""Called with an answer's whole text so far, each time it grows.

An empty line separates the model's reasoning from its answer."""

_hear: ContextVar[Hear | None] = ContextVar("hear", default=None)


@contextmanager
def listening(hear: Hear) -> Iterator[None]:
    """Let `hear` follow the answers requested in this context, and in copies of it."""
    token = _hear.set(hear)
    try:
        yield
    finally:
        _hear.reset(token)


def ask(engine: Any, request: Request) -> Response:
    """Return an engine's answer; stream it if somebody listens and the engine can."""
    hear = _hear.get()
    # Streams carry no log-probabilities.
    if hear is None or request.config.logprobs is not None or not hasattr(engine, "stream"):
        return engine.complete(request)
    return materialize_response(_followed(engine.stream(request), hear), request)


def _followed(events: Iterator[Any], hear: Hear) -> Iterator[Any]:
    text = kind = ""
    try:
        for event in events:
            if event.type == "delta" and event.delta.type in ("text", "thinking"):
                # Engines put nothing between the reasoning and the answer.
                text += "\n\n" if text and event.delta.type != kind else ""
                text += event.delta.text
                kind = event.delta.type
                hear(text)
            yield event
    finally:
        events.close()  # type: ignore[attr-defined]
