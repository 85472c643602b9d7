"""A person's decision on a rule, as the journal stores it; this module needs no dspy.

Written with `Journal.decide(run, decision_key(rule_id, number), decision.model_dump())`. Number 0 is the
review during a run; each review after it has the next number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from engine.ground.frozen_model import FrozenModel
from engine.programs.rules import Rule

DecisionKind: TypeAlias = Literal["keep", "drop", "edit", "merge"]


class Decision(FrozenModel):
    """A person's decision on one rule. An edit brings the new text and trigger, and is tested again.

    `merged` are the ids of the rules that a merge combines: the first one is edited, the others are dropped.
    """

    choice: Literal["keep", "drop", "edit"]
    text: str = ""
    trigger: str = ""
    note: str = ""
    merged: tuple[str, ...] = ()

    @classmethod
    def merging(cls, text: str, trigger: str, merged: tuple[str, ...]) -> dict[str, Decision]:
        """Return the decisions that make one rule of several, by the ids of these."""
        first, *others = merged
        edit = cls(choice="edit", text=text, trigger=trigger, merged=merged)
        return {first: edit, **dict.fromkeys(others, edit.model_copy(update={"choice": "drop"}))}

    @property
    def kind(self) -> DecisionKind:
        """What a person did: the parts of a merge are edited or dropped as one."""
        return "merge" if self.merged else self.choice

    def of(self, rule: Rule, known: Mapping[str, Rule]) -> Rule:
        """Return `rule` as decided: with the edit if there is one, and with the new note or else its own.

        `known` are the rules by id: a merged rule is suggested by everything that suggested its parts.
        """
        note = self.note or rule.note
        if self.choice != "edit":
            return rule.model_copy(update={"note": note})
        changes: dict[str, Any] = {"text": self.text, "trigger": self.trigger, "note": note, "evidence": None}
        if self.merged:
            parts = [known[part] for part in self.merged if part in known]
            keys = dict.fromkeys(key for part in parts for key in part.suggested_by)
            changes |= {"merged_from": self.merged, "suggested_by": tuple(keys)}
        return rule.model_copy(update=changes)


def decision_key(rule_id: str, number: int = 0) -> str:
    """Return the journal's key of a decision on a rule in a review."""
    return f"review/{number}/{rule_id}"


def written_decisions(written: Mapping[str, Any], rules: Iterable[str], number: int) -> dict[str, Decision]:
    """Return the decisions that a journal holds on `rules` in the review with that number."""
    keys = {rule: decision_key(rule, number) for rule in rules}
    return {rule: Decision.model_validate(written[key]) for rule, key in keys.items() if key in written}
