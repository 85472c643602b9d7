"""Corrections for open answers: one failure at a time, and the instruction that would have prevented it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.ground.examples import Item
from engine.ground.seeds import generator
from engine.learning.proposals.questions import Question, Questioner
from engine.learning.proposals.source import Findings, RuleProposal, SourceCost
from engine.learning.proposals.wording import input_text
from engine.programs.formatting import as_text

_SYSTEM = (
    "A worker made a mistake. You write the general instruction that would have prevented it, in one short "
    "sentence that doesn't mention this case."
)
_WORKED_EXAMPLES = (
    (
        "Task: Say when the shop opens.\nInput: We open at half past nine on weekdays.\nAnswer "
        "given: half past "
        "nine\nRight answer: 09:30\n\nInstruction:",
        "Write times in 24-hour form with two digits for hours and minutes.",
    ),
    (
        "Task: How many apples are left?\nInput: Tom had 12 apples, ate 3 and bought 2 more.\nAnswer "
        "given: 9\n"
        "Right answer: 11\n\nInstruction:",
        "Take every change into account in its order, what is added as well as what is taken away.",
    ),
)
_MOST_FAILURES = 6
_LONGEST_RULE = 300


class CorrectionSource:
    """Proposes a rule for each of a few failures, from the expected and the given answer."""

    name = "corrections"

    def __init__(self, questioner: Questioner, task: str, *, seed: int) -> None:
        self._questioner = questioner
        self._task = task
        self._seed = seed

    def cost(self, findings: Findings) -> SourceCost:
        """Return one question per chosen failure."""
        return SourceCost(questions=min(_MOST_FAILURES, len(findings.given) or _MOST_FAILURES))

    def propose(self, findings: Findings) -> Sequence[RuleProposal]:
        """Return single rules, one for each failure."""
        space = findings.space
        if space is None:
            return []
        failed = [item for item in findings.train if item.key in findings.given]
        rng = generator(self._seed, "corrections", findings.place.epoch, findings.place.batch)
        shown = rng.sample(failed, min(_MOST_FAILURES, len(failed)))
        questions = [self._question(item, findings.given[item.key], space.expected(item)) for item in shown]
        replies = self._questioner.ask(questions, findings.place)
        texts: dict[str, list[str]] = {}
        for item, reply in zip(shown, replies, strict=True):
            text = " ".join(reply.split())
            if text and len(text) <= _LONGEST_RULE:
                texts.setdefault(text, []).append(item.key)
        return [
            RuleProposal(self.name, (findings.rule(self.name, text, suggested_by=keys),))
            for text, keys in texts.items()
        ]

    def _question(self, item: Item, given: Any, expected: Any) -> Question:
        return Question(
            source=self.name,
            about=item.key,
            system=_SYSTEM,
            examples=_WORKED_EXAMPLES,
            text=(
                f"Task: {self._task}\nInput: {input_text(item)}\nAnswer given: {as_text(given)}\n"
                f"Right answer: {as_text(expected)}\n\nInstruction:"
            ),
        )
