"""What the demo really asks its model, in prompts that share beginnings of random lengths."""

from __future__ import annotations

from random import Random

import dspy

from models.demo.project import INSTRUCTIONS, demo_examples, hidden_policy

Prompt = tuple[str, str]
"""A system message and a user's."""


def demo_prompts(count: int, seed: int = 0) -> list[Prompt]:
    """Return prompts for tickets of the demo, each below as many of its rules as chance wants."""
    rng = Random(seed)
    tickets = [example["ticket"] for split in demo_examples(seed).values() for example in split]
    rules = hidden_policy(seed).rules()
    tasks = [
        dspy.Signature("ticket -> reasoning, queue", "\n".join([INSTRUCTIONS, *rules[:known]]))
        for known in range(len(rules) + 1)
    ]
    return [_prompt(rng.choice(tasks), rng.choice(tickets)) for _ in range(count)]


def _prompt(task: type[dspy.Signature], ticket: str) -> Prompt:
    system, user = dspy.JSONAdapter().format(task, [], {"ticket": ticket})
    return system["content"], user["content"]
