"""A scripted support desk: a model that follows rules, writes fitting ones, and can be made to err.

It reads the real prompts: the engine can't tell it from a model.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

import dspy

from engine import Score
from engine.journal.completions import MemoryCompletions
from engine.journal.replay import Replay
from engine.testing import ScriptedModel, scripted_model

POLICY = {
    "voucher": "loyalty",
    "drone": "aviation",
    "visa": "legal",
    "kayak": "sports",
    "piano": "music",
    "yacht": "harbour",
}
BASE = "Route the ticket to a queue. When in doubt it is general."

_RULE = re.compile(r"Tickets that mention (?:a |an )?([\w ]+?) go to (\w+)\.")
_FAILURE = re.compile(r"ticket: (.*)\nexpected queue: (\w+)")


@dataclass
class Desk:
    """The script. `spoil` answers wrongly though rules are followed; `propose` overrides the analyses."""

    proposals: list[dict[str, Any]] | None = None
    removals: tuple[int, ...] = ()
    merged: dict[str, str] | None = None
    break_with: str = ""
    prompts: list[list[dict[str, str]]] = field(default_factory=list)

    def answer(self, messages: list[dict[str, str]]) -> str:
        self.prompts.append(messages)
        system = messages[0]["content"]
        # An answer that was begun, for its log-probabilities, comes last.
        user = [message["content"] for message in messages if message["role"] == "user"][-1]
        if "`analysis`" in system:
            return self._analysis(user)
        if "the merged rule" in system:
            return json.dumps(self.merged) if self.merged else "no"
        return self._queue(system, user)

    def _queue(self, system: str, user: str) -> str:
        ticket = user.split("[[ ## ticket ## ]]")[1].split("Respond")[0]
        if self.break_with and self.break_with in system:
            return json.dumps({"queue": "broken"})
        for phrase, queue in _RULE.findall(system):
            if any(word in ticket for word in phrase.split(" or ")):
                return json.dumps({"queue": queue})
        return json.dumps({"queue": "general"})

    def _analysis(self, user: str) -> str:
        rules = self.proposals
        if rules is None:
            current = user.split("[[ ## rules ## ]]")[1].split("[[ ## successes ## ]]")[0]
            rules = []
            for ticket, queue in _FAILURE.findall(user):
                phrase = next((word for word in POLICY if word in ticket), None)
                if phrase and f"mention {phrase} go" not in current:
                    rules.append({"text": f"Tickets that mention {phrase} go to {queue}.", "trigger": phrase})
            rules = list({rule["text"]: rule for rule in rules}.values())
        return json.dumps({"analysis": "they went elsewhere", "add": rules, "remove": list(self.removals)})


def desk_model(desk: Desk | None = None) -> ScriptedModel:
    return scripted_model((desk or Desk()).answer)


def tickets(n: int, seed: int = 0, share: float = 0.6) -> list[dict[str, Any]]:
    """`n` tickets of which `share` fall under the policy."""
    rng = random.Random(seed)
    made = []
    for number in range(n):
        phrase = rng.choice(list(POLICY)) if rng.random() < share else None
        made.append(
            {
                "id": f"{seed}-{number}",
                "ticket": f"Case {seed}{number:03}: my {phrase or 'parcel'} is late.",
                "queue": POLICY.get(phrase or "", "general"),
            }
        )
    return made


def exact(example: Any, prediction: Any) -> Score:
    if example["queue"] == prediction.queue:
        return Score(1.0, True)
    return Score(0.0, False, f"Expected {example['queue']}.", f"expected {example['queue']}")


def desk_program() -> dspy.Module:
    return dspy.Predict(dspy.Signature("ticket -> queue", BASE))


def learned(instructions: str) -> set[str]:
    """The phrases for which instructions hold a rule."""
    return {phrase for phrase, _ in _RULE.findall(instructions)}


def replayed(model: ScriptedModel) -> dspy.LM:
    return Replay(MemoryCompletions(), "test").lm(model)
