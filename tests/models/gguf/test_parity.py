"""An answer is the same alone and among others, but where two tokens are as good as tied.

`PROMPTGRAD_SOAK=1` asks 500 requests; else it is a short version.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from asking import ask
from demo_work import Prompt, demo_prompts

from models.gguf import GGUFModel

REQUESTS = 500 if os.environ.get("PROMPTGRAD_SOAK") else 100


def test_answers_alone_and_among_others(demo: GGUFModel) -> None:
    prompts = demo_prompts(REQUESTS)

    def chosen(prompt: Prompt) -> list[tuple[int, float]]:
        """Return an answer's tokens, each with its margin: the logits between it and the next best."""
        answer = ask(demo, prompt[1], system=prompt[0], max_tokens=48, logprobs=2).logprobs or ()
        return [(choice.token_id or 0, choice.top[0].logprob - choice.top[1].logprob) for choice in answer]

    alone = [chosen(prompt) for prompt in prompts]
    with ThreadPoolExecutor(16) as threads:
        among = list(threads.map(chosen, prompts))

    margins = [parting for one, other in zip(alone, among, strict=True) if (parting := _margin(one, other))]
    print(f"{len(prompts) - len(margins)} of {len(prompts)} equal; margins: {margins}")  # noqa: T201 - pytest -rP
    assert len(margins) <= 0.01 * len(prompts)
    assert max(margins, default=0.0) < 0.05


def _margin(one: list[tuple[int, float]], other: list[tuple[int, float]]) -> float | None:
    """Return how sure the model was where two answers part, or None if they don't."""
    for (left, margin), (right, _) in zip(one, other, strict=False):
        if left != right:
            return margin
    return None if len(one) == len(other) else float("inf")
