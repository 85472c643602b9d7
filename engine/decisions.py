"""A person's decision on a rule, as it travels through the journal; this module needs no dspy.

Written with `Journal.decide(run, decision_key(rule_id, number), decision.model_dump())`. Number 0 is the
review during a run; each review after it has the next number.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.rules import Rule


class Decision(BaseModel):
    """What a person decided on one rule. An edit brings the new text and trigger, and is tested again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: Literal["keep", "drop", "edit"]
    text: str = ""
    trigger: str = ""
    note: str = ""

    def of(self, rule: Rule) -> Rule:
        """Return `rule` as decided: edited where this is an edit, and with the note."""
        if self.choice != "edit":
            return rule.model_copy(update={"note": self.note})
        changes = {"text": self.text, "trigger": self.trigger, "note": self.note, "evidence": None}
        return rule.model_copy(update=changes)


def decision_key(rule_id: str, number: int = 0) -> str:
    """Return the journal's key of a decision on a rule in a review."""
    return f"review/{number}/{rule_id}"
