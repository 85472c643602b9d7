"""Between which tags a model thinks, and where its answer begins: by its chat template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class ThoughtTags:
    """The text before a thought, and the text between it and the answer.

    `skip` is what comes before an answer without a thought, where the model writes it and the template's
    prompt doesn't: Harmony's channel, for instance. A grammar would forbid it, so the prompt says it.
    """

    open: str
    close: str
    skip: str = ""


USUAL = ThoughtTags("<think>", "</think>")

KNOWN_TAGS = (
    # Harmony (gpt-oss): a message in the channel "analysis", then one in the channel "final".
    ThoughtTags("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ThoughtTags("<|channel>thought", "<channel|>"),  # Gemma 4
    ThoughtTags("[THINK]", "[/THINK]"),  # Magistral, Ministral 3
    ThoughtTags("<seed:think>", "</seed:think>"),  # Seed-OSS
    ThoughtTags("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A and R
    ThoughtTags("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ThoughtTags("<thinking>", "</thinking>"),  # Apriel
    USUAL,
)
"""By what a template spells, for those that show no thought of an answer; the most particular first."""

_MARK, _ANSWER = "5309187264", "8741906325"
_LONGEST = 80
_FIELDS = ("reasoning_content", "reasoning", "thinking")
_QUESTION = {"role": "user", "content": "a"}
_REPLY = {"role": "assistant", "content": _ANSWER}

Render = Callable[[Sequence[Mapping[str, Any]]], str]


def thought_tags(template: str, render: Render) -> ThoughtTags:
    """Return the tags of a chat template: those that it puts around a thought, else those that it spells."""
    prompt = _rendered(render, _QUESTION)
    spelled = next((known for known in KNOWN_TAGS if known.open in template), None)
    tags = _made(render, prompt) or spelled
    # What a template without thoughts puts before an answer is its own way to head one.
    return replace(tags, skip=_before_answer(render, prompt)) if tags else USUAL


def _made(render: Render, prompt: str) -> ThoughtTags | None:
    """Return what a template puts around the thought of an answer; None if it doesn't show it."""
    for field in _FIELDS:
        before, found, rest = _rendered(render, _QUESTION, {**_REPLY, field: _MARK}).partition(_MARK)
        between, answered, _ = rest.partition(_ANSWER)
        if prompt and found and answered and before.startswith(prompt):
            opened, closed = before.removeprefix(prompt).strip(), between.strip()
            if opened and closed and max(len(opened), len(closed)) <= _LONGEST:
                return ThoughtTags(opened, closed)
    return None


def _before_answer(render: Render, prompt: str) -> str:
    """Return what a template puts between its prompt and an answer without a thought."""
    before, found, _ = _rendered(render, _QUESTION, _REPLY).partition(_ANSWER)
    between = before.removeprefix(prompt) if prompt and found and before.startswith(prompt) else ""
    return between if between.strip() and len(between) <= _LONGEST else ""


def _rendered(render: Render, *messages: Mapping[str, Any]) -> str:
    try:
        return render(messages)
    except Exception:  # a template refuses in its own ways what it doesn't know
        return ""
