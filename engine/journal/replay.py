"""Completions that are paid for once: recorded before they are used, answered from the record after.

To resume a run is to start it again: whatever it asked a model before answers at once, and only what
is new reaches the model.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from hashlib import sha256
from typing import Any

import dspy
from dspy.clients.backend_selection import CLIENT_KEYS
from dspy.clients.call_result import response_from_dict, response_to_dict
from dspy.clients.execution import request_to_dict
from dspy.lm15 import ContextLengthError, LM15Error, Request, Response, Usage
from dspy.utils.exceptions import AdapterParseError, ContextWindowExceededError, LMError

from engine.ground.errors import (
    BudgetExhaustedError,
    ContextOverflowError,
    ModelUnavailableError,
    PromptGradError,
)
from engine.ground.model import Model
from engine.ground.revision import ModelRevision
from engine.journal.completions import Completion, CompletionStore, Pace, RunUsage, Used
from engine.journal.event_base import Tokens
from engine.journal.listening import ask
from engine.journal.wrapping import AsyncWrappingEngine, WrappingEngine
from engine.programs.time_limit import uncounted

_used: ContextVar[Used | None] = ContextVar("used", default=None)


@contextmanager
def recording(apart: str = "") -> Iterator[Used]:
    """Collect the completions that recording models give in this context, and in copies of it.

    A name in `apart` asks the model again, once per run: a stored answer can't be timed.
    """
    used = Used(apart=apart)
    token = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(token)


class Replay:
    """One run's completions: known ones come from the store, new ones are paid for and stored.

    Safe to use from many threads; identical requests that overlap are run once. `max_calls` limits what the
    run may pay for, summed over all its processes; it may be changed at any time. `checkpoint` is called
    before each answer: it blocks in a paused run and raises in a stopped one. `names_machine` is False for a
    run whose earlier answers were kept without the machine that gave them.
    """

    def __init__(
        self,
        store: CompletionStore,
        run: str,
        *,
        max_calls: int | None = None,
        checkpoint: Callable[[], None] = lambda: None,
        names_machine: bool = True,
    ) -> None:
        self.run = run
        self._names_machine = names_machine
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
        """Return the model's LM with every completion going through this replay."""
        lm, revision = model.lm, self.revision_of(model)
        inner = getattr(lm, "engine", "auto")
        if not isinstance(inner, str):
            return RecordingEngine(self, inner, revision, model.sampling).before(lm)
        engine = RecordingEngine(self, _WholeLM(lm), revision, model.sampling)
        options = {name: value for name, value in lm.kwargs.items() if name not in CLIENT_KEYS}
        pair = {"engine": engine, "async_engine": AsyncWrappingEngine(engine)}
        return dspy.LM(lm.model, model_type=lm.model_type, cache=False, num_retries=0, **pair, **options)

    def revision_of(self, model: Model) -> ModelRevision:
        """Return the revision under which a model's answers are kept."""
        return model.revision if self._names_machine else replace(model.revision, numerics="")

    def usage(self) -> RunUsage:
        """Return what the run has used so far."""
        with self._lock:
            return self._usage

    @property
    def seconds_per_call(self) -> float:
        """How long the model takes per call at the concurrency it runs at; 0 before the first call."""
        with self._lock:
            return self._pace.seconds_per_call

    def completion(self, key: str, request: str, ask: Callable[[], Response]) -> Completion:
        """Return the completion of a key; if it is new, `ask` for it and store it first.

        Raises:
            BudgetExhaustedError: it is new and the run has paid for `max_calls` already.
            RunStoppedError: the checkpoint says that a person stopped the run.
            JournalError: the completion can't be stored.
        """

        def answer() -> tuple[str, Tokens]:
            response = ask()
            return json.dumps(response_to_dict(response)), tokens_of(response.usage)

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
        with uncounted():
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
            # Another run of the project may have been faster: a replay will find that answer, so use it.
            return completion if kept else self._store.completion(key) or completion
        except Exception:
            # A stop cancels running requests: their errors are not the model's.
            self._checkpoint()
            raise
        finally:
            # A failed call costs nothing; neither does an answer that another run had stored first.
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
                    f"The budget of {self.max_calls} calls is used up.",
                    hint="Resume it with a larger budget: nothing is paid for twice.",
                )
            # Counted before the call: threads that ask at the same time must not overspend together.
            self._spent += 1

    def _count(self, completion: Completion) -> None:
        with self._lock:
            calls, remembered, tokens = self._usage.calls, self._usage.remembered, self._usage.tokens
            if completion.run == self.run and completion.key not in self._counted:
                self._counted.add(completion.key)
                self._usage = RunUsage(calls + 1, remembered, tokens + completion.tokens)
            else:
                self._usage = RunUsage(calls, remembered + 1, tokens)


class RecordingEngine(WrappingEngine):
    """A DSPy engine that puts a `Replay` before another engine."""

    def __init__(
        self, replay: Replay, inner: Any, revision: ModelRevision, sampling: Mapping[str, Any]
    ) -> None:
        super().__init__(inner)
        self._replay = replay
        self._revision = revision
        self._sampling = dict(sampling)

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


class _WholeLM(WrappingEngine):
    """The engine of an LM that DSPy connects itself: the whole LM, retries included."""

    def complete(self, request: Request) -> Response:
        response: Response = self._inner(request, cache=False)
        return response


def completion_key(revision: ModelRevision, request: Mapping[str, Any], sampling: Mapping[str, Any]) -> str:
    """Return the hash of everything an answer depends on: 64 hexadecimal digits.

    It covers the model's weights and chat template, the rendered messages, tools, the answer's schema and
    every sampling parameter of the request or of the model's settings, but not the model's name. It covers
    the build and the processor's kernels too, where they are known.
    """
    # Keys keep their order: the model writes fields in the order of the schema.
    content = {name: value for name, value in request.items() if name != "model"}
    identity = [*revision.answers_as, dict(sampling), content]
    return sha256(json.dumps(identity, separators=(",", ":")).encode()).hexdigest()


def cause_of(error: BaseException) -> PromptGradError | None:
    """Return the error that ended a program's run, if neither the program nor the answer was at fault.

    DSPy wraps what an engine raises; this unwraps a stop, a used-up budget or a journal error, and translates
    what the model reported. None means an answer that can't be parsed, or an error in the program.
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
    problem, _, _ = text.partition("\n\n  To fix:")  # DSPy's advice is for DSPy's users, not for ours
    return problem.rstrip()


def tokens_of(usage: Usage) -> Tokens:
    """Return the tokens that a server or an engine counted."""
    return Tokens(
        prompt=usage.input_tokens or 0,
        completion=usage.output_tokens or 0,
        reused=usage.cache_read_tokens or 0,
    )
