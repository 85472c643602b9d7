"""A scripted clerk that learns from rules and from demonstrations, names topics, and tells probabilities.

It reads the real prompts: the engine can't tell it from a small model.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy

from engine.testing import ScriptedModel, scripted_model

WORDS = {
    "music": ["piano", "violin", "choir"],
    "sports": ["kayak", "tennis", "rowing"],
    "legal": ["visa", "contract", "permit"],
    "travel": ["train", "flight", "ferry"],
}
INSTRUCTIONS = "Route the ticket to a queue."

_RULE = re.compile(r"- If the ticket (?:is about|mentions) (.*), the queue is (\w+)[.,]")
_LIKELY, _UNLIKELY = -0.1, -4.0


@dataclass
class Clerk:
    """The script; `topics` overrides what it says a group of texts has in common.

    A prompt with `confused_by` demonstrations or more is too long for it: it then ignores all of them.
    """

    topics: Mapping[str, str] = field(default_factory=dict)
    confused_by: int = 1000
    scored: int = 0

    def answer(self, messages: list[dict[str, str]]) -> str:
        system, last = messages[0]["content"], messages[-1]["content"]
        if system.startswith(("You name what", "You say how")):
            return self._topics(last)
        if "`analysis`" in system:
            return json.dumps({"analysis": "nothing", "add": [], "remove": []})
        return json.dumps({"queue": self.queue(messages)})

    def score(self, messages: Sequence[Mapping[str, Any]], continuations: Sequence[str]) -> list[float]:
        self.scored += 1
        given = self.queue(list(messages))
        return [_LIKELY if json.loads(text)["queue"] == given else _UNLIKELY for text in continuations]

    def queue(self, messages: list[Mapping[str, Any]]) -> str:
        ticket = _ticket(messages[-1]["content"])
        for words, queue in _RULE.findall(messages[0]["content"]):
            if any(word.strip(' "') in ticket for word in words.split(",")):
                return queue
        shown_messages = [] if len(messages) // 2 > self.confused_by else messages[1:-1]
        for shown, answer in zip(shown_messages[::2], shown_messages[1::2], strict=True):
            if set(_ticket(shown["content"]).split()) & set(ticket.split()) - {"About", "the", "again"}:
                return json.loads(answer["content"])["queue"]
        return "general"

    def _topics(self, text: str) -> str:
        named = [word for words in WORDS.values() for word in words]
        found = Counter(word for word in named if word in text.split("Group B")[0])
        queue = next(
            (name for name, words in WORDS.items() if found and max(found, key=found.get) in words), ""
        )
        return self.topics.get(queue, ", ".join(sorted(found)))


def _ticket(message: str) -> str:
    return message.split("[[ ## ticket ## ]]")[1].split("Respond")[0].strip()


def clerk_model(clerk: Clerk) -> ScriptedModel:
    return scripted_model(clerk.answer, name="clerk")


def clerk_program() -> dspy.Module:
    return dspy.Predict(dspy.Signature("ticket -> queue", INSTRUCTIONS))


def clerk_tickets(n: int, seed: int) -> list[dict[str, str]]:
    rng = random.Random(seed)
    queues = [queue for queue in WORDS for _ in range(n // len(WORDS))]
    rng.shuffle(queues)
    return [
        {"ticket": f"About the {rng.choice(WORDS[queue])} {number + 1000 * seed} again", "queue": queue}
        for number, queue in enumerate(queues)
    ]
