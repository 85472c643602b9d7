"""What a run made of its prompts."""

from __future__ import annotations

from engine.programs.rules import RuleSet, render_instructions
from promptgrad_tui.views.run.story import RunStory


def prompts_of(story: RunStory) -> dict[str, tuple[str, str]]:
    """Return each predictor's instructions: the frozen base, and with the best state's rules."""
    base = story.started.base_instructions if story.started else {}
    rules = RuleSet(story.best_rules)
    return {name: (text, render_instructions(text, rules.for_predictor(name))) for name, text in base.items()}
