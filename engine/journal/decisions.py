"""A person's decision on a rule, as the journal stores it; this module needs no dspy.

Written with `Journal.decide(run, decision_key(rule_id, number), decision.model_dump())`. Number 0 is the
review during a run; each review after it has the next number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.programs.rules import Rule


class Decision(BaseModel):
    """A person's decision on one rule. An edit brings the new text and trigger, and is tested again.

    `merged` are the ids of the rules that a merge combines: the first one is edited, the others are dropped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: Literal["keep", "drop", "edit"]
    text: str = ""
    trigger: str = ""
    note: str = ""
    merged: tuple[str, ...] = ()

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
