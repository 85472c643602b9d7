"""Completions that are paid for once: recorded before they are used, answered from the record after.

To resume a run is to start it again: whatever it asked a model before answers at once, and only what
is new reaches the model.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

import dspy
from dspy.clients.backend_selection import CLIENT_KEYS
from dspy.clients.call_result import response_from_dict, response_to_dict
from dspy.clients.execution import request_to_dict
from dspy.lm15 import ContextLengthError, LM15Error, Request, Response, Usage, response_to_events
from dspy.utils.exceptions import AdapterParseError, ContextWindowExceededError, LMError

from engine.ground.errors import (
    BudgetExhaustedError,
    ContextOverflowError,
    ModelUnavailableError,
    PromptGradError,
)
from engine.ground.model import Model
from engine.ground.revision import ModelRevision
from engine.journal.events import Tokens
from engine.journal.journal import Completion
from engine.journal.listening import ask


class CompletionStore(Protocol):
    """Where completions are remembered; `Journal` is one, `MemoryCompletions` another."""

    def completion(self, key: str) -> Completion | None:
        """Return the completion of that key, if one was paid for."""
        ...

    def remember_completion(self, completion: Completion) -> bool:
        """Keep a completion; False if its key is known already."""
        ...

    def completions_paid(self, run: str) -> int:
        """Return how many completions a run has paid for."""
        ...


class MemoryCompletions:
    """Completions of one process, for a run without a journal."""

    def __init__(self) -> None:
        self._known: dict[str, Completion] = {}

    def completion(self, key: str) -> Completion | None:
        """Return the completion of that key, if one was paid for."""
        return self._known.get(key)

    def remember_completion(self, completion: Completion) -> bool:
        """Keep a completion; False if its key is known already."""
        return self._known.setdefault(completion.key, completion) is completion

    def completions_paid(self, run: str) -> int:
        """Return how many completions a run has paid for."""
        return sum(completion.run == run for completion in list(self._known.values()))


@dataclass(frozen=True)
class RunUsage:
    """What a run has used: completions it paid for, those it found remembered, tokens it paid for.

    A resumed run reports the same numbers as one that was never interrupted.
    """

    calls: int = 0
    remembered: int = 0
    tokens: Tokens = field(default_factory=Tokens)


@dataclass
class Used:
    """The completions that one piece of work used, in order.

    Completions `apart` are asked for and kept under keys of that run alone, even where an answer is known.
    """

    completions: list[Completion] = field(default_factory=list)
    apart: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The completions' keys in the journal."""
        return tuple(completion.key for completion in self.completions)

    @property
    def tokens(self) -> Tokens:
        """Their tokens together."""
        return sum((completion.tokens for completion in self.completions), Tokens())

    @property
    def seconds(self) -> float:
        """How long the model took for them when they were paid for."""
        return sum(completion.seconds for completion in self.completions)


_used: ContextVar[Used | None] = ContextVar("used", default=None)


@contextmanager
def recording(apart: str = "") -> Iterator[Used]:
    """Collect the completions that recording models give in this context, and in copies of it.

    With a name, `apart` asks the model anew, once in a run: to time it, a known answer is of no use.
    """
    used = Used(apart=apart)
    token = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(token)


class Replay:
    """One run's completions: known ones are answered from the store, new ones are paid for and kept.

    Safe to use from many threads; requests that are identical and under way at once are run once.
    `max_calls` bounds what the run may pay for, in all its processes together; it may be changed at any
    time. `checkpoint` is called before each answer: it holds a paused run and raises in a stopped one.
    """

    def __init__(
        self,
        store: CompletionStore,
        run: str,
        *,
        max_calls: int | None = None,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self.run = run
        self.max_calls = max_calls
        self._store = store
        self._checkpoint = checkpoint
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Completion]] = {}
        self._spent = store.completions_paid(run)
        self._pace = Pace()
        self._counted: set[str] = set()
        self._usage = RunUsage()

    def lm(self, model: Model) -> dspy.LM:
        """Return the model's LM, every completion of which goes through this replay."""
        lm = model.lm
        inner = getattr(lm, "engine", "auto")
        if not isinstance(inner, str):
            engine = RecordingEngine(self, inner, model.revision, model.sampling)
            return lm.copy(engine=engine, async_engine=AsyncRecordingEngine(engine), cache=False)
        engine = RecordingEngine(self, _WholeLM(lm), model.revision, model.sampling)
        options = {name: value for name, value in lm.kwargs.items() if name not in CLIENT_KEYS}
        pair = {"engine": engine, "async_engine": AsyncRecordingEngine(engine)}
        return dspy.LM(lm.model, model_type=lm.model_type, cache=False, num_retries=0, **pair, **options)

    def usage(self) -> RunUsage:
        """Return what the run has used so far."""
        with self._lock:
            return self._usage

    @property
    def seconds_per_call(self) -> float:
        """How long the model takes for a call while it answers others beside it; 0 before the first one."""
        with self._lock:
            return self._pace.seconds_per_call

    def completion(self, key: str, request: str, ask: Callable[[], Response]) -> Completion:
        """Return the completion of that key; if it is new, `ask` for it and keep it first.

        Raises:
            BudgetExhaustedError: it is new and the run has paid for `max_calls` already.
            RunStoppedError: the checkpoint says that a person stopped the run.
            JournalError: the completion can't be kept.
        """

        def answer() -> tuple[str, Tokens]:
            response = ask()
            return json.dumps(response_to_dict(response)), _tokens(response.usage)

        return self.recorded(key, request, answer)

    def recorded(self, key: str, request: str, answer: Callable[[], tuple[str, Tokens]]) -> Completion:
        """Return what was answered under that key; if it is new, ask for the `answer` and keep it first.

        Raises:
            PromptGradError: as `completion` does.
        """
        self._checkpoint()
        with self._lock:
            shared = self._under_way.get(key)
            own: Future[Completion] = Future()
            if shared is None:
                self._under_way[key] = own
        completion = shared.result() if shared else self._lead(own, key, request, answer)
        self._count(completion)
        used = _used.get()
        if used is not None:
            used.completions.append(completion)
        return completion

    def _lead(
        self, own: Future[Completion], key: str, request: str, answer: Callable[[], tuple[str, Tokens]]
    ) -> Completion:
        try:
            completion = self._store.completion(key) or self._pay(key, request, answer)
        except BaseException as error:
            own.set_exception(error)
            raise
        else:
            own.set_result(completion)
            return completion
        finally:
            with self._lock:
                del self._under_way[key]

    def _pay(self, key: str, request: str, answer: Callable[[], tuple[str, Tokens]]) -> Completion:
        self._reserve()
        kept = False
        try:
            started = time.perf_counter()
            with self._paced():
                text, tokens = answer()
            seconds = time.perf_counter() - started
            completion = Completion(key, self.run, time.time(), request, text, seconds, tokens)
            kept = self._store.remember_completion(completion)
            # Another run of the project may have been faster: a replay will find its answer, so use that.
            return completion if kept else self._store.completion(key) or completion
        except Exception:
            # A stop cancels requests under way: their errors are not the model's.
            self._checkpoint()
            raise
        finally:
            if not kept:
                with self._lock:
                    self._spent -= 1

    @contextmanager
    def _paced(self) -> Iterator[None]:
        with self._lock:
            self._pace.begin(time.perf_counter())
        try:
            yield
        finally:
            with self._lock:
                self._pace.end(time.perf_counter())

    def _reserve(self) -> None:
        with self._lock:
            if self.max_calls is not None and self._spent >= self.max_calls:
                raise BudgetExhaustedError(
                    f"The {self.max_calls} calls that may be paid for are used up.",
                    hint="Resume it with a larger budget: nothing is paid for twice.",
                )
            self._spent += 1

    def _count(self, completion: Completion) -> None:
        with self._lock:
            calls, remembered, tokens = self._usage.calls, self._usage.remembered, self._usage.tokens
            if completion.run == self.run and completion.key not in self._counted:
                self._counted.add(completion.key)
                self._usage = RunUsage(calls + 1, remembered, tokens + completion.tokens)
            else:
                self._usage = RunUsage(calls, remembered + 1, tokens)


@dataclass
class Pace:
    """How long calls take that run beside each other: the time in which any was under way, for each."""

    _calls: int = 0
    _under_way: int = 0
    _seconds: float = 0.0
    _since: float = 0.0

    @property
    def seconds_per_call(self) -> float:
        """Seconds for each call that has ended; 0 if none has."""
        return self._seconds / self._calls if self._calls else 0.0

    def begin(self, now: float) -> None:
        """Note that a call begins."""
        self._add(now)
        self._under_way += 1

    def end(self, now: float) -> None:
        """Note that a call has ended."""
        self._add(now)
        self._under_way -= 1
        self._calls += 1

    def _add(self, now: float) -> None:
        self._seconds += now - self._since if self._under_way else 0.0
        self._since = now


class RecordingEngine:
    """A DSPy engine that puts a `Replay` before another engine."""

    def __init__(
        self, replay: Replay, inner: Any, revision: ModelRevision, sampling: Mapping[str, Any]
    ) -> None:
        self._replay = replay
        self._inner = inner
        self._revision = revision
        self._sampling = dict(sampling)
        self.supports_function_calling = getattr(inner, "supports_function_calling", False)
        self.supports_reasoning = getattr(inner, "supports_reasoning", False)
        self.supports_response_schema = getattr(inner, "supports_response_schema", False)
        self.supported_params: frozenset[str] = frozenset(getattr(inner, "supported_params", ()))

    def complete(self, request: Request) -> Response:
        """Answer from the record or, once, from the inner engine."""
        content = request_to_dict(request)
        text = json.dumps(content)
        key = completion_key(self._revision, content, self._sampling)
        used = _used.get()
        if used is not None and used.apart:
            key = f"{key}/{used.apart}/{self._replay.run}"
        completion = self._replay.completion(key, text, lambda: ask(self._inner, request))
        return response_from_dict(json.loads(completion.response))

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer as a stream of events, all of them at the end."""
        yield from response_to_events(self.complete(request))

    def close(self) -> None:
        """Do nothing: the inner engine belongs to its model."""


class AsyncRecordingEngine:
    """A `RecordingEngine` for programs that await their predictors."""

    def __init__(self, engine: RecordingEngine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer from the record or, once, from the inner engine."""
        return await asyncio.to_thread(self._engine.complete, request)

    async def aclose(self) -> None:
        """Do nothing: the inner engine belongs to its model."""


class _WholeLM:
    """The engine of an LM that DSPy connects by itself: the LM, retries included."""

    def __init__(self, lm: dspy.LM) -> None:
        self._lm = lm
        self.supports_function_calling = lm.supports_function_calling
        self.supports_reasoning = lm.supports_reasoning
        self.supports_response_schema = lm.supports_response_schema
        self.supported_params = lm.supported_params

    def complete(self, request: Request) -> Response:
        return self._lm(request, cache=False)


def completion_key(revision: ModelRevision, request: Mapping[str, Any], sampling: Mapping[str, Any]) -> str:
    """Return the hash of all that an answer depends on: 64 hexadecimal digits.

    That is the model's weights and chat template, the rendered messages, tools, the answer's schema and
    every sampling parameter, in the request or in the model's settings; not the model's name.
    """
    # Keys stay in their order: a schema's order decides in which order the model writes the fields.
    content = {name: value for name, value in request.items() if name != "model"}
    identity = [revision.digest, revision.template_digest, dict(sampling), content]
    return sha256(json.dumps(identity, separators=(",", ":")).encode()).hexdigest()


def cause_of(error: BaseException) -> PromptGradError | None:
    """Return what ended a program's run, if it wasn't the program's or the answer's fault.

    DSPy wraps what an engine raises; this finds a stop, a used-up budget or a journal's error again, and
    names what the model reported. None means: an answer that can't be parsed, or an error of the program.
    """
    links = list(_chain(error))
    for link in links:
        if isinstance(link, PromptGradError):
            return link
    for link in links:
        if isinstance(link, AdapterParseError):
            return None
        if isinstance(link, (ContextWindowExceededError, ContextLengthError)):
            return ContextOverflowError(_message(link))  # the model says what to do: it knows its server
        if isinstance(link, (LMError, LM15Error)):
            return ModelUnavailableError(
                f"The model failed: {_message(link)}", hint="Once it answers again, resume the run."
            )
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += link.exceptions if isinstance(link, BaseExceptionGroup) else ()
        waiting += [before for before in (link.__cause__, link.__context__) if before is not None]


def _message(error: BaseException) -> str:
    text: str = getattr(error, "message", "") or str(error) or type(error).__name__
    said, _, _ = text.partition("\n\n  To fix:")  # DSPy's advice, which isn't for the users of ours
    return said.rstrip()


def _tokens(usage: Usage) -> Tokens:
    return Tokens(
        prompt=usage.input_tokens or 0,
        completion=usage.output_tokens or 0,
        reused=usage.cache_read_tokens or 0,
    )
