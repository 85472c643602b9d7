"""Rules: the layer of corrections that is learned on top of frozen base instructions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Literal

from pydantic import Field

from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Evidence

RULES_HEADING = "Corrections (where one applies, it overrules the instructions above):"


class ParsedRule(FrozenModel):
    """A proposal to add or remove one rule, as read from the analyses of a batch.

    `support` counts the analysis passes that proposed it; `confidence` (0..1) follows from it.
    `trigger` holds the words by which an input shows that the rule concerns it, or is empty for a
    rule that concerns every input. `predictor` is None in a program with a single predictor.
    """

    action: Literal["add", "remove"]
    text: str
    trigger: str = ""
    confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    rationale: str = ""
    predictor: str | None = None
    support: int = Field(default=1, ge=1)
    source: str = ""


class Rule(FrozenModel):
    """One learned correction, its origin, and the evidence for it."""

    text: str
    trigger: str = ""
    predictor: str = ""
    rationale: str = ""
    confidence: float = 0.5
    support: int = 1
    epoch: int = 0
    batch: int = 0
    source: str = ""
    suggested_by: tuple[str, ...] = ()
    merged_from: tuple[str, ...] = ()
    note: str = ""
    evidence: Evidence | None = None

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of a hash of text, trigger and predictor."""
        return sha256("\x1f".join((self.predictor, self.text, self.trigger)).encode()).hexdigest()[:12]

    @property
    def gain(self) -> float:
        """What its test measured; 0 without one."""
        return self.evidence.delta if self.evidence else 0.0

    def proposed(self, action: Literal["add", "remove"] = "add") -> ParsedRule:
        """Return the proposal to add this rule, or to remove it."""
        return ParsedRule(
            action=action,
            text=self.text,
            trigger=self.trigger,
            predictor=self.predictor or None,
            source=self.source,
        )


class RuleSet:
    """An immutable, ordered set of rules; two sets that say the same have the same `digest`."""

    __slots__ = ("rules",)

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        unique: dict[str, Rule] = {}
        for rule in rules:
            unique.setdefault(rule.id, rule)
        self.rules: tuple[Rule, ...] = tuple(unique.values())

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def __contains__(self, rule: object) -> bool:
        return isinstance(rule, Rule) and any(own.id == rule.id for own in self.rules)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RuleSet) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"RuleSet({[rule.text for rule in self.rules]!r})"

    @property
    def digest(self) -> str:
        """Content hash: the rules' ids in their order."""
        return sha256(" ".join(rule.id for rule in self.rules).encode()).hexdigest()[:16]

    def adding(self, *rules: Rule) -> RuleSet:
        """Return this set with `rules` at its end."""
        return RuleSet((*self.rules, *rules))

    def removing(self, *rules: Rule) -> RuleSet:
        """Return this set without `rules`."""
        gone = {rule.id for rule in rules}
        return RuleSet(rule for rule in self.rules if rule.id not in gone)

    def replacing(self, old: Iterable[Rule], new: Rule) -> RuleSet:
        """Return this set with `new` in place of the first of `old`, and without the rest of `old`."""
        gone = [rule.id for rule in old]
        first = gone[0] if gone else None
        return RuleSet(new if rule.id == first else rule for rule in self.rules if rule.id not in gone[1:])

    def for_predictor(self, name: str) -> RuleSet:
        """Return the rules that correct the predictor called `name`."""
        return RuleSet(rule for rule in self.rules if rule.predictor == name)


def render_instructions(base: str, rules: Iterable[Rule]) -> str:
    """Return the base instructions, unchanged, followed by the rules as a list."""
    lines = [f"- {rule.text}" for rule in rules]
    if not lines:
        return base
    return "\n".join((base.rstrip(), "", RULES_HEADING, *lines))


def render_numbered(rules: Iterable[Rule]) -> str:
    """Return the rules as a numbered list, as an analysis refers to them, or "none"."""
    return "\n".join(f"{number}. {rule.text}" for number, rule in enumerate(rules, 1)) or "none"


def instructions_with(rules: Iterable[Rule], base: Mapping[str, str]) -> dict[str, str]:
    """Return each predictor's base instructions with its own rules; a single predictor gets all of them."""
    known = RuleSet(rules)
    if len(base) == 1:
        return {name: render_instructions(text, known) for name, text in base.items()}
    return {name: render_instructions(text, known.for_predictor(name)) for name, text in base.items()}
