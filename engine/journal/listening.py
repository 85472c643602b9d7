"""Answers that are heard while a model writes them; what comes back is the same as without a listener."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from dspy.lm15 import Request, Response, materialize_response

Hear: TypeAlias = Callable[[str], None]
"""Called with all of an answer's text so far, each time that there is more of it.

An empty line stands between what a model thinks and what it answers."""

_hear: ContextVar[Hear | None] = ContextVar("hear", default=None)


@contextmanager
def listening(hear: Hear) -> Iterator[None]:
    """Let `hear` follow the answers that are asked for in this context, and in copies of it."""
    token = _hear.set(hear)
    try:
        yield
    finally:
        _hear.reset(token)


def ask(engine: Any, request: Request) -> Response:
    """Return an engine's answer, as a stream where somebody listens and the engine has one."""
    hear = _hear.get()
    # A stream doesn't carry what some engines tell of single tokens.
    if hear is None or request.config.logprobs is not None or not hasattr(engine, "stream"):
        return engine.complete(request)
    return materialize_response(_told(engine.stream(request), hear), request)


def _told(events: Iterator[Any], hear: Hear) -> Iterator[Any]:
    text = kind = ""
    try:
        for event in events:
            if event.type == "delta" and event.delta.type in ("text", "thinking"):
                # Where a model ends to think and begins to answer, there is nothing between the two.
                text += "\n\n" if text and event.delta.type != kind else ""
                text += event.delta.text
                kind = event.delta.type
                hear(text)
            yield event
    finally:
        events.close()  # type: ignore[attr-defined]
