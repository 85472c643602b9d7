"""A model that counts a method's calls, and samples by the run's seed where DSPy would sample at random."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import dspy
from dspy.lm15 import Request, Response, Usage
from dspy.utils.callback import BaseCallback

from engine.ground.answer_scoring import AnswerScorer
from engine.ground.errors import BudgetExhaustedError, ContextOverflowError, PromptGradError
from engine.ground.seeds import derive_seed
from engine.journal.event_base import Tokens
from engine.journal.replay import cause_of, tokens_of
from engine.journal.wrapping import WrappingEngine


class Meter:
    """Counts calls up to a limit; once something has ended the method (a stop, the budget), all calls fail.

    DSPy's executors count errors as wrong answers and go on, so `ended` says afterwards what happened, and
    `is_used_up` whether that was the limit. `on_call` hears of each call, from any thread.
    """

    def __init__(self, calls: int, on_call: Callable[[int], None] | None = None) -> None:
        self.limit = calls
        self._on_call = on_call
        self.used = 0
        self.tokens = Tokens()
        self.ended: PromptGradError | None = None
        self.is_used_up = False
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
                self.is_used_up = True
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

    def end(self, error: BaseException) -> None:
        """End the method if neither its program nor a long prompt was at fault, but the model or a person."""
        known = cause_of(error)
        if known is None or isinstance(known, ContextOverflowError):
            return
        with self._lock:
            self.ended = self.ended or known


class MeteredEngine(WrappingEngine):
    """A DSPy engine that counts each request before it passes it on.

    A request that is to be sampled and has no seed gets one, each repetition of it another: DSPy asks for
    several answers by sending the same request several times.
    """

    def __init__(self, meter: Meter, inner: Any, run_seed: int) -> None:
        super().__init__(inner)
        self._meter = meter
        self._run_seed = run_seed
        self._repeats: Counter[str] = Counter()
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Response:
        """Count the request and answer it."""
        self._meter.take()
        response: Response = self._inner.complete(self._seeded(request))
        self._meter.count(response.usage)
        return response

    def _seeded(self, request: Request) -> Request:
        config = request.config
        if not config.temperature or config.seed is not None or "seed" not in self.supported_params:
            return request
        content = repr((request.system, request.messages, config))
        with self._lock:
            self._repeats[content] += 1
            repeat = self._repeats[content]
        seed = derive_seed(self._run_seed, "method", "repeat", repeat)
        return replace(request, config=replace(config, seed=seed))


class _Failing(BaseCallback):
    """Ends a method at a call that fails even after DSPy's retries."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def on_lm_end(
        self, call_id: str, outputs: dict[str, Any] | None, exception: Exception | None = None
    ) -> None:
        """See how a call ended."""
        del call_id, outputs
        if exception is not None:
            self._meter.end(exception)


class MeteredLM(dspy.LM):
    """An LM whose copies with another `rollout_id` sample by another seed of the run.

    DSPy asks for another answer to the same prompt by a `rollout_id`, which reaches no engine. A seed does.
    """

    run_seed = 0

    @classmethod
    def of(cls, lm: dspy.LM, meter: Meter, seed: int) -> MeteredLM:
        """Return `lm` with every call counted."""
        made = MeteredEngine(meter, lm.engine, seed).before(lm)
        made.__class__ = cls
        made.run_seed = seed
        made.callbacks.append(_Failing(meter))
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
