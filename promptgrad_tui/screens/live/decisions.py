"""What a person decided about rules on the screen, and how the engine's `Decision` says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from engine.journal.decisions import Decision, decision_key

RuleChoice: TypeAlias = Literal["keep", "drop", "edit", "merge"]


@dataclass(frozen=True)
class RuleDecision:
    """One decision about the rule with the id `rule`.

    `text` and `trigger` are those of the new rule for "edit" and "merge"; that rule is tested before it
    counts. `merged` holds the ids of the rules that a merge replaces, the first of which becomes the new
    rule. `note` travels with the rule.
    """

    rule: str
    choice: RuleChoice
    text: str = ""
    trigger: str = ""
    merged: tuple[str, ...] = ()
    note: str = ""

    def for_engine(self) -> Decision:
        """Return the decision as the engine knows it: a merge edits its first rule and drops the others."""
        choice = self.choice
        if choice == "merge":
            choice = "edit" if self.rule == self.merged[0] else "drop"
        return Decision(
            choice=choice, text=self.text, trigger=self.trigger, note=self.note, merged=self.merged
        )


def written_decisions(
    written: Mapping[str, Any], rules: Iterable[str], number: int
) -> dict[str, RuleDecision]:
    """Return the decisions that a journal holds on `rules` in the review with that number."""
    found = {}
    for rule in rules:
        payload = written.get(decision_key(rule, number))
        if payload is not None:
            decision = Decision.model_validate(payload)
            choice: RuleChoice = "merge" if decision.merged else decision.choice
            found[rule] = RuleDecision(
                rule, choice, decision.text, decision.trigger, decision.merged, decision.note
            )
    return found
