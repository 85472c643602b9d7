"""A short measurement of how fast a model reads and writes, alone and with several requests at a time."""

from __future__ import annotations

import json
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dspy import lm15

from engine.ground.model import LocalModel, Progress
from models.errors import ServerError
from models.speed.throughput import Throughput

SEQUENCES = 8
"""Requests at a time, unless asked otherwise."""

PROMPT_TOKENS = 256
ANSWER_TOKENS = 48
_ENOUGH_SECONDS = 1.0
_MOST_ROUNDS = 7
_MOST_OF_CONTEXT = 0.25
"""The share of the context that a prompt may take, so that small models can be measured too."""

# An answer like a run's: JSON that follows a schema. The schema keeps it from ending early.
_LONG_ANSWER = {
    "type": "json_schema",
    "name": "answer",
    "schema": {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 6 * ANSWER_TOKENS}},
        "required": ["text"],
        "additionalProperties": False,
    },
}


def measure(
    model: LocalModel, *, sequences: int = SEQUENCES, on_progress: Progress | None = None
) -> Throughput:
    """Return the rates of a model that nothing else is using.

    Raises:
        ServerError: the model gives no answers.
    """
    report = on_progress or (lambda _sentence, _fraction: None)
    probe = _Probe(model)
    try:
        report("Measuring: reading a prompt", 0.1)
        prompt = probe.reading()
        report("Measuring: one answer", 0.3)
        single = probe.writing(1)
        report(f"Measuring: {sequences} answers at a time", 0.6)
        several = probe.writing(sequences)
    except lm15.LM15Error as error:
        raise ServerError(f"{model.uri} gives no answer: {error}", hint="See `promptgrad doctor`.") from error
    report("Measured", 1.0)
    return Throughput(prompt, single, several, sequences, time.time())


class _Probe:
    """Times a model's answers."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._tokens = int(min(PROMPT_TOKENS, model.context_length * _MOST_OF_CONTEXT))

    def reading(self) -> float:
        """Return prompt tokens per second, for prompts that aren't in any cache."""
        self._ask([_text(8)], answer_tokens=1)  # the first call would include loading
        words = self._tokens
        while words > 8 and self._model.count_tokens(_text(words)) > self._tokens:
            words = words * 3 // 4
        return _typical(lambda: self._read(words))

    def writing(self, sequences: int) -> float:
        """Return the tokens that this many requests generate per second together, without prompts."""
        prompts = [_text(8) for _ in range(sequences)]
        self._ask(prompts, answer_tokens=1)
        return _typical(lambda: self._write(prompts))

    def _read(self, words: int) -> float:
        seconds, (answer,) = self._ask([_text(words)], answer_tokens=1)
        evaluated = (answer.usage.input_tokens or 0) - (answer.usage.cache_read_tokens or 0)
        return (evaluated if evaluated > 0 else words) / seconds

    def _write(self, prompts: Sequence[str]) -> float:
        reading, _ = self._ask(prompts, answer_tokens=1)
        whole, answers = self._ask(prompts, answer_tokens=ANSWER_TOKENS)
        tokens = sum(self._answer_tokens(answer) for answer in answers)
        # Each reading includes a first token. If the clock can't separate the two, both count.
        return (tokens - len(prompts)) / (whole - reading) if whole > reading else tokens / whole

    def _answer_tokens(self, answer: lm15.Response) -> int:
        return answer.usage.output_tokens or self._model.count_tokens(answer.text or "")

    def _ask(self, prompts: Sequence[str], *, answer_tokens: int) -> tuple[float, list[lm15.Response]]:
        """Return how many seconds all answers took together, and the answers."""
        requests = [self._request(prompt, answer_tokens) for prompt in prompts]
        engine: Any = self._model.lm.engine
        with ThreadPoolExecutor(len(requests)) as pool:
            started = time.perf_counter()
            answers = list(pool.map(engine.complete, requests))
            return max(time.perf_counter() - started, 1e-6), answers

    def _request(self, prompt: str, answer_tokens: int) -> lm15.Request:
        config = lm15.Config(max_tokens=answer_tokens, temperature=0.0, response_format=_LONG_ANSWER)
        return lm15.Request(model=self._model.lm.model, messages=(lm15.Message.user(prompt),), config=config)


def _typical(rate: Callable[[], float]) -> float:
    """Return the median of several measurements; one is enough if it takes a second."""
    started, rates = time.perf_counter(), [rate()]
    while len(rates) < _MOST_ROUNDS and time.perf_counter() - started < _ENOUGH_SECONDS:
        rates.append(rate())
    return statistics.median(rates)


def _text(words: int) -> str:
    """Return a prompt with a unique beginning, so that no cache holds any of it."""
    shape = json.dumps({"text": "a long story"})
    return " ".join([secrets.token_hex(4), *["story"] * words, "Answer as in", shape])
