"""How the tests ask a model: as DSPy does, one request at a time or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dspy import lm15

from models.gguf.model import GGUFModel

Answer = list[tuple[int, float]]
"""Tokens with their margins."""


def request(model: GGUFModel, *texts: str, system: str | None = None, **config: Any) -> lm15.Request:
    """Build a request whose texts are turns of a user and an assistant."""
    sides = (lm15.Message.user, lm15.Message.assistant)
    messages = tuple(sides[i % 2](text) for i, text in enumerate(texts))
    config = {"max_tokens": 24, "temperature": 0.0, **config}
    return lm15.Request(model=model.lm.model, messages=messages, system=system, config=lm15.Config(**config))


def ask(model: GGUFModel, *texts: str, system: str | None = None, **config: Any) -> lm15.Response:
    return model.lm.engine.complete(request(model, *texts, system=system, **config))


def chosen(model: GGUFModel, text: str, *, system: str | None = None, max_tokens: int = 24) -> Answer:
    """Return a greedy answer's tokens, each with its margin: the logits between it and the next best."""
    answer = ask(model, text, system=system, max_tokens=max_tokens, logprobs=2).logprobs or ()
    return [(choice.token_id or 0, choice.top[0].logprob - choice.top[1].logprob) for choice in answer]


def parting_margin(one: Answer, other: Answer) -> float | None:
    """Return how sure the model was where two answers part, or None if they are the same."""
    for (left, margin), (right, _) in zip(one, other, strict=False):
        if left != right:
            return margin
    return None if len(one) == len(other) else float("inf")


def ask_all(model: GGUFModel, texts: Sequence[str], *, threads: int = 16, **config: Any) -> list[str]:
    """Return the answers of many threads asking at once."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda text: ask(model, text, **config).text or "", texts))
