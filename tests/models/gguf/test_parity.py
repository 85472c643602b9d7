"""An answer is the same alone and among others.

`PROMPTGRAD_SOAK=1` asks 500 requests; else it is a short version.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from asking import Answer, chosen
from demo_work import Prompt, demo_prompts

from models.gguf.model import GGUFModel

REQUESTS = 500 if os.environ.get("PROMPTGRAD_SOAK") else 100


def test_answers_alone_and_among_others(demo: GGUFModel) -> None:
    prompts = demo_prompts(REQUESTS)

    def answer(prompt: Prompt) -> Answer:
        return chosen(demo, prompt[1], system=prompt[0], max_tokens=48)

    alone = [answer(prompt) for prompt in prompts]
    with ThreadPoolExecutor(16) as threads:
        among = list(threads.map(answer, prompts))

    assert among == alone
