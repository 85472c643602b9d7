"""A model that counts a method's calls, and samples by the run's seed where DSPy would sample at random."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import dspy
from dspy.lm15 import Request, Response, Usage

from engine.ground.answer_scoring import AnswerScorer
from engine.ground.errors import BudgetExhaustedError, PromptGradError
from engine.ground.seeds import derive_seed
from engine.journal.event_base import Tokens
from engine.journal.replay import tokens_of
from engine.journal.wrapping import WrappingEngine


class Meter:
    """Counts calls up to a limit; once something has ended the method (a stop, the budget), all calls fail.

    DSPy's executors count errors as wrong answers and go on, so `ended` says afterwards what happened.
    `on_call` hears of each call, from any thread.
    """

    def __init__(self, calls: int, on_call: Callable[[int], None] | None = None) -> None:
        self.limit = calls
        self._on_call = on_call
        self.used = 0
        self.tokens = Tokens()
        self.ended: PromptGradError | None = None
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """How many calls are left."""
        return self.limit - self.used

    def take(self) -> None:
        """Count one call.

        Raises:
            BudgetExhaustedError: the limit is reached.
            PromptGradError: whatever ended the method before.
        """
        with self._lock:
            if self.ended is not None:
                raise self.ended
            if self.used >= self.limit:
                self.ended = BudgetExhaustedError(
                    f"The method has used its {self.limit} calls.", hint="Give it more calls."
                )
                raise self.ended
            self.used += 1
            used = self.used
        if self._on_call is not None:
            self._on_call(used)

    def count(self, usage: Usage) -> None:
        """Add the tokens of an answer, known answers included."""
        with self._lock:
            self.tokens += tokens_of(usage)

    def end(self, error: PromptGradError) -> None:
        """Remember what ended the method."""
        with self._lock:
            self.ended = self.ended or error


class MeteredEngine(WrappingEngine):
    """A DSPy engine that counts each request before it passes it on."""

    def __init__(self, meter: Meter, inner: Any) -> None:
        super().__init__(inner)
        self._meter = meter

    def complete(self, request: Request) -> Response:
        """Count the request and answer it."""
        self._meter.take()
        try:
            response: Response = self._inner.complete(request)
        except PromptGradError as error:
            self._meter.end(error)
            raise
        self._meter.count(response.usage)
        return response


class MeteredLM(dspy.LM):
    """An LM whose copies with another `rollout_id` sample by another seed of the run.

    DSPy asks for another answer to the same prompt by a `rollout_id`, which reaches no engine. A seed does.
    """

    run_seed = 0

    @classmethod
    def of(cls, lm: dspy.LM, meter: Meter, seed: int) -> MeteredLM:
        """Return `lm` with every call counted."""
        made = MeteredEngine(meter, lm.engine).before(lm)
        made.__class__ = cls
        made.run_seed = seed
        assert isinstance(made, MeteredLM)
        return made

    def copy(self, **kwargs: Any) -> dspy.LM:
        """Return a copy; `rollout_id` becomes a seed if the model takes one."""
        rollout = kwargs.pop("rollout_id", None)
        if rollout is not None and "seed" in self.supported_params:
            kwargs["seed"] = derive_seed(self.run_seed, "method", rollout)
        return super().copy(**kwargs)


class MeteredScorer:
    """A scorer each of whose requests counts as a call."""

    def __init__(self, inner: AnswerScorer, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    def score(self, messages: Any, continuations: Sequence[str]) -> list[float]:
        """Count the request and return the log-probability of each continuation."""
        self._meter.take()
        return self._inner.score(messages, continuations)
