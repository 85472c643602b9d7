"""What an optimizer asks a model: validation rounds behind one beginning, and analyses of failures."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy

from benchmarks.real.tasks import Example, Task

Messages = list[dict[str, str]]

DEMONSTRATIONS = 12
_RULES = 6
_SHORT = 32
_ANALYSIS = 160
_SAMPLES = 3
_WORDS = ["the", "ticket", "a", "refund", "my", "gift", "card", "is", "late", "parcel", "wrong", "invoice"]


@dataclass(frozen=True)
class Asking:
    """One request: greedy, unless it has a temperature."""

    messages: Messages
    most_tokens: int
    schema: Mapping[str, Any] | None = None
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Workload:
    """Rounds of requests; those of a round are asked at the same time."""

    name: str
    rounds: Sequence[Sequence[Asking]]
    scored: Sequence[str] = field(default=())
    """Answers among which our own engine also finds the likeliest, without generating any."""


def random_workloads(count: Callable[[str], int], examples: int) -> list[Workload]:
    """Return rounds of random words: 600 tokens of instructions, then the same with one more rule."""
    rng = random.Random(0)

    def text(tokens: int) -> str:
        words: list[str] = []
        while count(" ".join(words)) < tokens:
            words += rng.choices(_WORDS, k=4)
        return " ".join(words)

    instructions, rule = text(600), text(20)
    tickets = [text(rng.randint(100, 150)) for _ in range(examples)]
    prompts = [
        [[{"role": "system", "content": system}, {"role": "user", "content": ticket}] for ticket in tickets]
        for system in (instructions, f"{instructions}\n{rule}")
    ]
    return [
        Workload(
            f"{tokens} new tokens",
            [[Asking(messages, tokens) for messages in one] for one in prompts],
            (" ".join(_WORDS[:12]),) if tokens == _SHORT else (),
        )
        for tokens in (_SHORT, 128)
    ]


def real_workloads(task: Task, examples: int) -> list[Workload]:
    """Return what a run on a task asks: messages behind three kinds of prompt, and an analysis."""
    asked = list(task.test[:examples])
    shown = list(task.train[:DEMONSTRATIONS])
    answers = list(dict.fromkeys(str(example[task.field]) for example in task.train))[:10]
    rules = [_rule(task, answer) for answer in answers[:_RULES]]
    written = tuple(f'{{\n  "{task.field}": "{answer}"\n}}' for answer in answers)
    return [
        Workload("base instructions", [_round(task, asked)], written),
        Workload(f"{DEMONSTRATIONS} demonstrations", [_round(task, asked, shown=shown)]),
        Workload(f"{_RULES} rules", [_round(task, asked, rules=rules)]),
        Workload("an analysis of failures", [_analysis(task, shown)]),
    ]


def _round(
    task: Task, asked: Sequence[Example], *, shown: Sequence[Example] = (), rules: Sequence[str] = ()
) -> list[Asking]:
    signature = dspy.Signature(task.signature, "\n".join([task.instructions, *rules]))
    schema = {
        "type": "object",
        "properties": {task.field: {"type": "string"}},
        "required": [task.field],
        "additionalProperties": False,
    }
    demos = [dspy.Example(**example) for example in shown]
    return [
        Asking(
            dspy.JSONAdapter().format(signature, demos, {name: example[name] for name in task.inputs}),
            _SHORT,
            schema,
        )
        for example in asked
    ]


def _rule(task: Task, answer: str) -> str:
    """Return a rule of a usual length, made of words of an answer's inputs."""
    texts = [" ".join(str(e[name]) for name in task.inputs) for e in task.train if e[task.field] == answer]
    words = dict.fromkeys(word.strip(".,!?").lower() for text in texts for word in text.split())
    topics = ", ".join([word for word in words if len(word) > 4][:6])
    return f"If the {task.inputs[0]} is about {topics}, the {task.field} is {answer}."


def _analysis(task: Task, failures: Sequence[Example]) -> list[Asking]:
    """Return several samples of one question about failures, with a free answer."""
    system = "You find out why a program fails. Say what instruction would have prevented the failures."
    cases = "\n\n".join(
        "\n".join(f"{name}: {value}" for name, value in example.items()) for example in failures
    )
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": f"The instructions: {task.instructions}\n\nIt failed here:\n\n{cases}"},
    ]
    return [Asking(messages, _ANALYSIS, temperature=0.7, seed=seed) for seed in range(_SAMPLES)]
