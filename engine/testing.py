"""A scripted model: what the engine calls in tests, its own and those of its users."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.lm15 import (
    ContextLengthError,
    InvalidRequestError,
    LM15Error,
    Message,
    Request,
    Response,
    Usage,
    response_to_events,
)

from engine.ground.revision import ModelRevision, sha256_of

Script = Callable[[list[dict[str, str]]], str] | Iterable[str]
"""Answers in order, or a function of the chat messages, which may raise."""


def words(messages: Iterable[Mapping[str, str]]) -> int:
    """Count the words of chat messages: a scripted model's tokens."""
    return sum(len(message["content"].split()) for message in messages)


def chat_messages(request: Request) -> list[dict[str, str]]:
    """Return a request as chat messages, the system prompt first."""
    system = request.system
    if system is not None and not isinstance(system, str):
        system = "\n".join(part.text for part in system)
    head = [{"role": "system", "content": system}] if system is not None else []
    return head + [{"role": message.role, "content": message.text or ""} for message in request.messages]


class ScriptedEngine:
    """A DSPy engine that answers from a script and remembers what it was asked.

    Safe to call from many threads. `requests` holds every request in the order of arrival, also those
    that raised.
    """

    supports_response_schema = True
    supported_params = frozenset({"max_tokens", "response_format", "seed", "stop", "temperature", "top_p"})

    def __init__(self, script: Script, *, context_length: int = 1_000_000) -> None:
        self._script = script if callable(script) else iter(script)
        self.context_length = context_length
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._cancels = 0

    def complete(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            ContextLengthError: the prompt has more words than `context_length`.
            InvalidRequestError: the script is at its end.
            LM15Error: `cancel` was called while the script was thinking.
        """
        messages = chat_messages(request)
        with self._lock:
            self.requests.append(request)
            cancels = self._cancels
        if words(messages) > self.context_length:
            raise ContextLengthError(f"{words(messages)} tokens in a context of {self.context_length}")
        text = self._answer(messages)
        if self._cancels != cancels:
            raise LM15Error("the request was cancelled", code="cancelled")
        n_prompt, n_answer = words(messages), len(text.split())
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(text),
            finish_reason="stop",
            usage=Usage(input_tokens=n_prompt, output_tokens=n_answer, cache_read_tokens=0),
        )

    def _answer(self, messages: list[dict[str, str]]) -> str:
        if callable(self._script):
            return self._script(messages)
        with self._lock:
            text = next(self._script, None)
        if text is None:
            raise InvalidRequestError("the script has no more answers")
        return text

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer one request as a stream of events."""
        yield from response_to_events(self.complete(request))

    def cancel(self) -> None:
        """Make every request under way raise once its script returns."""
        with self._lock:
            self._cancels += 1

    def close(self) -> None:
        """Do nothing: a script holds no resources."""


class AsyncScriptedEngine:
    """A `ScriptedEngine` for programs that await their predictors."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine = engine
        self.supports_response_schema = engine.supports_response_schema
        self.supported_params = engine.supported_params

    async def complete(self, request: Request) -> Response:
        """Answer one request, as `ScriptedEngine.complete` does."""
        return await asyncio.to_thread(self._engine.complete, request)

    async def aclose(self) -> None:
        """Do nothing: a script holds no resources."""


def scripted_revision(name: str = "scripted", **fields: Any) -> ModelRevision:
    """Return the revision of a script: another `name` is another revision."""
    return ModelRevision("scripted", sha256_of(name), name=name, **fields)


@dataclass
class ScriptedModel:
    """An `engine.ground.model.Model` that answers from a script."""

    engine: ScriptedEngine
    revision: ModelRevision = field(default_factory=scripted_revision)

    def __post_init__(self) -> None:
        name = self.revision.short
        self.uri = f"scripted:{name}"
        pair = {"engine": self.engine, "async_engine": AsyncScriptedEngine(self.engine)}
        self.lm = dspy.LM(f"scripted/{name}", cache=False, num_retries=0, **pair)
        self.context_length = self.engine.context_length
        self.sampling: dict[str, Any] = {}

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in the order of arrival."""
        return self.engine.requests

    def count_prompt_tokens(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Count the words of a rendered chat prompt."""
        return words(messages)

    def cancel(self) -> None:
        """End every request under way."""
        self.engine.cancel()

    def verify_revision(self) -> None:
        """Do nothing: a script stays what it is."""


def scripted_model(
    script: Script, *, name: str = "scripted", context_length: int = 1_000_000
) -> ScriptedModel:
    """Return a model that answers from `script`; another `name` is another revision."""
    return ScriptedModel(ScriptedEngine(script, context_length=context_length), scripted_revision(name))
