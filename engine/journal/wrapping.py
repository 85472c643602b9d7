"""Engines that stand before another: what they add is theirs, the rest is the same for all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import dspy
from dspy.lm15 import Request, Response, response_to_events


class WrappingEngine:
    """A DSPy engine before another one (or before a whole LM), with the abilities of that one."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.supports_function_calling = getattr(inner, "supports_function_calling", False)
        self.supports_reasoning = getattr(inner, "supports_reasoning", False)
        self.supports_response_schema = getattr(inner, "supports_response_schema", False)
        self.supported_params: frozenset[str] = frozenset(getattr(inner, "supported_params", ()))

    def complete(self, request: Request) -> Response:
        """Answer a request; subclasses add what they are for."""
        response: Response = self._inner.complete(request)
        return response

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer as a stream, by default one whose events all arrive at the end."""
        yield from response_to_events(self.complete(request))

    def close(self) -> None:
        """Do nothing: the inner engine belongs to its model."""

    def before(self, lm: dspy.LM) -> dspy.LM:
        """Return a copy of an LM that asks this engine, also where a program awaits its predictors."""
        return lm.copy(engine=self, async_engine=AsyncWrappingEngine(self), cache=False)


class AsyncWrappingEngine:
    """A `WrappingEngine` for programs that await their predictors."""

    def __init__(self, engine: WrappingEngine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer a request in a thread."""
        return await asyncio.to_thread(self._engine.complete, request)

    async def aclose(self) -> None:
        """Do nothing: the inner engine belongs to its model."""
