"""Shapes: how expected answers are written, if given answers are written differently; without a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from engine.learning.proposals.source import Findings, RuleProposal, SourceCost
from engine.learning.proposals.wording import values_rule
from engine.programs.formatting import as_text

_MOST_LISTED = 12
_SHARE = 0.95
"""The share of expected answers that must have a property for it to count as their form."""

_PROPERTIES: Mapping[str, Callable[[str], bool]] = {
    "Write the {field} in brackets, as in {example}.": lambda text: bool(re.fullmatch(r"\(.*\)", text)),
    "Write the {field} in square brackets, as in {example}.": lambda text: bool(
        re.fullmatch(r"\[.*\]", text)
    ),
    "Write the {field} in quotation marks, as in {example}.": lambda text: bool(re.fullmatch(r'".*"', text)),
    "Write the {field} in lower case, as in {example}.": lambda text: text.islower(),
    "Write the {field} in capital letters, as in {example}.": lambda text: text.isupper() and len(text) > 1,
    "The {field} begins with a capital letter, as in {example}.": lambda text: text[:1].isupper(),
    "The {field} is a date written as year-month-day, as in {example}.": lambda text: bool(
        re.fullmatch(r"\d{4}-\d\d-\d\d", text)
    ),
    "The {field} is a whole number in digits, without unit, separators or other words, as in {example}.": (
        lambda text: bool(re.fullmatch(r"-?\d+", text))
    ),
    "The {field} is a number in digits with two decimals and nothing else, as in {example}.": lambda text: (
        bool(re.fullmatch(r"-?\d+\.\d\d", text))
    ),
    "The {field} is a number in digits, without unit, separators or other words, as in {example}.": (
        lambda text: bool(re.fullmatch(r"-?\d+(\.\d+)?", text))
    ),
    "The {field} ends without a full stop, as in {example}.": lambda text: not text.endswith("."),
    "The {field} is a single word, as in {example}.": lambda text: len(text.split()) == 1,
    "The {field} is short: at most five words, as in {example}.": lambda text: len(text.split()) <= 5,
    "The {field} is a whole sentence, as in {example}.": lambda text: (
        text.endswith((".", "!", "?")) and len(text.split()) > 3
    ),
}


class ShapeSource:
    """Proposes rules for the form of answers: what all expected ones share and many given ones lack."""

    name = "shapes"

    def cost(self, findings: Findings) -> SourceCost:
        """Return that it costs nothing."""
        del findings
        return SourceCost()

    def propose(self, findings: Findings) -> Sequence[RuleProposal]:
        """Return single rules, the one that most wrong answers break first."""
        space = findings.space
        if space is None or not findings.given:
            return []
        expected = [as_text(space.expected(item)) for item in findings.train]
        given = [as_text(answer) for answer in findings.given.values()]
        spoken = space.field.replace("_", " ")
        texts = [text.format(field=spoken, example=expected[0]) for text in broken_forms(expected, given)]
        if space.is_closed and len(space.values) <= _MOST_LISTED and not set(given) <= set(expected):
            texts.insert(0, values_rule(space))
        return [
            RuleProposal(self.name, (findings.rule(self.name, text, suggested_by=findings.given),))
            for text in texts
        ]


def broken_forms(expected: Sequence[str], given: Sequence[str]) -> list[str]:
    """Return a sentence per form that expected answers have and wrong ones lack, the most broken first."""
    broken: dict[str, int] = {}
    for sentence, holds in _PROPERTIES.items():
        if expected and sum(map(holds, expected)) >= _SHARE * len(expected):
            lacking = sum(not holds(text) for text in given)
            if lacking:
                broken[sentence] = lacking
    return sorted(broken, key=lambda sentence: -broken[sentence])
