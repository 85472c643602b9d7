"""What a run made of its prompts."""

from __future__ import annotations

from collections.abc import Iterable

from engine.programs.rules import Rule, instructions_with
from promptgrad_tui.views.run.story import RunStory


def prompts_of(story: RunStory, rules: Iterable[Rule]) -> dict[str, tuple[str, str]]:
    """Return each predictor's instructions: the frozen base, and with the rules."""
    base = story.started.base_instructions if story.started else {}
    learned = instructions_with(rules, base)
    return {name: (text, learned[name]) for name, text in base.items()}
