"""The protocol of proposal sources, and what a source gets to see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.ground.examples import Item
from engine.learning.answers import AnswerSpace
from engine.learning.place import Place
from engine.programs.rules import Rule
from engine.programs.state import LearnedState

_SOURCES_OF_SETS = ("topics", "contrast", "refinement")
"""Their rules stand for one answer each."""


@dataclass(frozen=True)
class Confusion:
    """Two answers: the second is favoured although the first is right; and the examples that show it."""

    right: Any
    favoured: Any
    examples: tuple[Item, ...]


@dataclass(frozen=True)
class Findings:
    """What a source can work with: the state, the training examples, and the failures.

    `given` holds wrong answers by the key of the example, `confusions` the most frequent ones first.
    """

    state: LearnedState
    train: Sequence[Item]
    space: AnswerSpace | None
    place: Place
    given: Mapping[str, Any] = field(default_factory=dict)
    confusions: Sequence[Confusion] = ()

    @property
    def has_set(self) -> bool:
        """Whether a set with a rule for each answer is held: a second one would repeat it."""
        return any(rule.source in _SOURCES_OF_SETS for rule in self.state.rules)

    def rule(self, source: str, text: str, *, trigger: str = "", suggested_by: Iterable[str] = ()) -> Rule:
        """Return a rule that a source proposes here for the predictor that answers."""
        assert self.space is not None, "sources propose nothing without labelled answers"
        return Rule(
            text=text,
            trigger=trigger,
            predictor=self.space.predictor,
            source=source,
            epoch=self.place.epoch,
            batch=self.place.batch,
            suggested_by=tuple(suggested_by),
        )


@dataclass(frozen=True)
class RuleProposal:
    """Rules that one source suggests together; most often one, or one for each answer.

    `stands_for` names the answer that each rule argues for, in the rules' order; None if there is none. A
    refined rule takes the place of those that it `replaces`. `number` counts the proposals of a source.
    """

    source: str
    rules: tuple[Rule, ...]
    stands_for: tuple[Any, ...] = ()
    replaces: tuple[Rule, ...] = ()
    number: int = 1

    @property
    def is_set(self) -> bool:
        """Whether these are rules that compete and belong together."""
        return len(self.rules) > 1

    @property
    def title(self) -> str:
        """What to call it: the rule itself, or which set of its source it is."""
        return f"set {self.number} of {self.source}" if self.is_set else self.rules[0].text

    def applied_to(self, state: LearnedState) -> LearnedState:
        """Return a state with these rules."""
        if self.replaces and len(self.rules) == 1:
            return state.with_rules(state.rules.replacing(self.replaces, self.rules[0]))
        return state.adding(*self.rules)

    def alternatives(self) -> Mapping[Any, Rule]:
        """Return each rule by the answer that it argues for."""
        return {
            answer: rule
            for answer, rule in zip(self.stands_for, self.rules, strict=False)
            if answer is not None
        }


@dataclass(frozen=True)
class SourceCost:
    """The most that a source asks for."""

    questions: int = 0
    """Questions to the reflection model."""


class ProposalSource(Protocol):
    """Suggests rules from the findings; tests nothing."""

    @property
    def name(self) -> str:
        """Its name in `[optimizer] sources`."""
        ...

    def cost(self, findings: Findings) -> SourceCost:
        """Return the most that `propose` will ask for."""
        ...

    def propose(self, findings: Findings) -> Sequence[RuleProposal]:
        """Return its proposals, the best first if it ranks them."""
        ...
