"""Counts what an optimizer asks of a model, apart for the task and for everything else."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import dspy
from dspy import lm15


@dataclass
class Usage:
    """Calls of a model, and the tokens of their prompts and answers."""

    calls: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers together."""
        return self.prompt_tokens + self.answer_tokens

    def add(self, usage: Any) -> None:
        """Count one call."""
        self.calls += 1
        self.prompt_tokens += usage.input_tokens or 0
        self.answer_tokens += usage.output_tokens or 0


@dataclass
class UsageByPurpose:
    """Usage for program runs (`task`), and for what writes instructions or rules (`reflection`)."""

    task: Usage = field(default_factory=Usage)
    reflection: Usage = field(default_factory=Usage)

    def as_record(self) -> dict[str, dict[str, int]]:
        """Return both as plain numbers."""
        return asdict(self)


class CountingEngine:
    """An opened model's engine that counts calls and gives each sampled answer a seed of its own.

    DSPy's optimizers expect another answer each time they ask at a temperature above 0; the models here
    repeat theirs as long as the seed is the same. With `reflection_tokens` whatever isn't a program run is
    refused once it has used so many.
    """

    def __init__(
        self, engine: Any, inputs: Iterable[str], seed: int, reflection_tokens: int | None = None
    ) -> None:
        self.usage = UsageByPurpose()
        self._engine = engine
        self._inputs = set(inputs)
        self._seed = seed
        self._reflection_tokens = reflection_tokens
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> CountingEngine:
        return self  # programs are copied together with their model

    def complete(self, request: lm15.Request) -> lm15.Response:
        """Answer a request and count it.

        Raises:
            InvalidRequestError: it isn't a program run, and the budget for those is used up.
        """
        is_task = self._is_task()
        limit = self._reflection_tokens
        if not is_task and limit is not None and self.usage.reflection.tokens >= limit:
            raise lm15.InvalidRequestError(f"The budget of {limit} reflection tokens is used up.")
        response = self._engine.complete(self._with_seed(request))
        with self._lock:
            (self.usage.task if is_task else self.usage.reflection).add(response.usage)
        return response

    def reset(self) -> UsageByPurpose:
        """Return what was counted so far and start again at zero."""
        with self._lock:
            counted, self.usage = self.usage, UsageByPurpose()
        return counted

    def _is_task(self) -> bool:
        """Whether the innermost predictor that is running has the task's inputs."""
        predictors = [m for m in dspy.settings.caller_modules or [] if isinstance(m, dspy.Predict)]
        return bool(predictors) and set(predictors[-1].signature.input_fields) == self._inputs

    def _with_seed(self, request: lm15.Request) -> lm15.Request:
        if not request.config.temperature or request.config.seed is not None:
            return request
        text = repr((request.system, request.messages))
        with self._lock:
            self._asked[text] += 1
            content = f"{self._seed} {self._asked[text]} {text}"
        seed = int.from_bytes(hashlib.sha256(content.encode()).digest()[:4], "big") >> 1
        return replace(request, config=replace(request.config, seed=seed))
