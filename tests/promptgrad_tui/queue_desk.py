"""A support desk of five queues: its project, and the scripted model that answers tickets and learns rules.

Without rules it answers one ticket in four right. Three of its rules help everywhere, two only sometimes,
and one, to write queues in capitals, does harm.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dspy.lm15 import Request, Response

from engine.testing import ScriptedEngine, ScriptedModel, scripted_revision, words

BASE = "Route the ticket to the queue that can solve it."
QUEUE_OF = {
    "refund": "returns",
    "parcel": "delivery",
    "password": "accounts",
    "invoice": "billing",
    "crash": "technical",
}
QUEUES = tuple(QUEUE_OF.values())
RULES = (
    ("Tickets that mention a refund go to returns.", "refund"),
    ("Tickets about a parcel go to delivery.", "parcel"),
    ("A lost password goes to accounts.", "password"),
    ("An invoice goes to billing.", "invoice"),
    ("Crashes and error codes go to technical.", "crash"),
)
SPLITS = {"train": 40, "validation": 60, "test": 40}
PROJECT = f"""\
[program]
signature = "ticket -> queue"
instructions = "{BASE}"
[data]
train = "data/train.jsonl"
validation = "data/validation.jsonl"
test = "data/test.jsonl"
slice = "channel"
[metric]
kind = "exact_match"
field = "queue"
[gates]
min_test_gain = 0.2
[model]
task = "demo"
"""
_OPENINGS = ("Hello,", "Good morning,", "Dear team,", "To whom it concerns:", "Once more:", "Urgent:", "Hi,")
_TROUBLES = (
    *("has not come", "is wrong", "was announced twice", "is nowhere to be seen", "came yesterday at last"),
    *("makes no sense to me", "is the third one this month", "keeps me waiting", "surprised my whole family"),
)
_CLOSINGS = ("Please help.", "What can I do now?", "Call me back.", "Many thanks.", "Is anybody there?")
_CHANNELS = ("mail", "chat", "phone")
_SELDOM_HELPS = frozenset({"invoice", "crash"})
_FIRST_TEMPERATURE, _TEMPERATURE_STEP = 0.7, 0.15


@dataclass(frozen=True)
class QueueDesk:
    """A desk: the sizes of its run, the rules that it comes to think of, and what its texts try.

    `hostile` is a text that tries to act on a terminal; it is in tickets, queues, rules and analyses.
    """

    epochs: int = 3
    batches: int = 3
    batch_size: int = 10
    hostile: str = ""
    rules: tuple[tuple[str, str], ...] = RULES

    def write_project(self, folder: Path, task: str = "demo") -> None:
        """Write the project file, which names the model `task`, and the data."""
        (folder / "data").mkdir(parents=True, exist_ok=True)
        sizes = {"epochs": self.epochs, "batches_per_epoch": self.batches, "batch_size": self.batch_size}
        settings = {**sizes, "rule_validation_examples": 40, "rule_validation_mode": json.dumps("auto")}
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        project = PROJECT.replace('task = "demo"', f'task = "{task}"')
        (folder / "promptgrad.toml").write_text(f"{project}[optimizer]\nseed = 7\n{lines}")
        for split, count in SPLITS.items():
            rows = "\n".join(json.dumps(example) for example in self._examples(split, count))
            (folder / "data" / f"{split}.jsonl").write_text(rows)

    def model(self) -> ScriptedModel:
        """Return the scripted model, which answers in the place of the demo model."""
        model = ScriptedModel(_DeskEngine(self), scripted_revision("queue desk"))
        model.uri = "demo"
        return model

    def _examples(self, split: str, count: int) -> Iterator[dict[str, Any]]:
        rng = random.Random(split)
        things = rng.sample([*QUEUE_OF] * (count // len(QUEUE_OF)), count)
        for number, thing in enumerate(things):
            said = (rng.choice(_OPENINGS), f"my {thing}", rng.choice(_TROUBLES) + ".", rng.choice(_CLOSINGS))
            yield {
                "id": f"{split}-{number:03}",
                "ticket": f"{' '.join(said)} Case {rng.randrange(1000, 10_000)}.{self.hostile}",
                "queue": QUEUE_OF[thing] + self.hostile,
                "channel": rng.choice(_CHANNELS),
            }


class _DeskEngine(ScriptedEngine):
    """Answers one request after the other; instructions that it has read before are reused.

    The passes of an analysis differ in nothing but their temperature.
    """

    def __init__(self, desk: QueueDesk) -> None:
        super().__init__(self._said)
        self._desk = desk
        self._turn = threading.Lock()
        self._pass = 0
        self._read: set[str] = set()
        self._analysed: dict[str, int] = {}

    def complete(self, request: Request) -> Response:
        """Answer one request."""
        with self._turn:
            warmer = (request.config.temperature or 0.0) - _FIRST_TEMPERATURE
            self._pass = round(warmer / _TEMPERATURE_STEP)
            response = super().complete(request)
            system = str(request.system)
            reused = words([{"content": system}]) if system in self._read else 0
            self._read.add(system)
            return replace(response, usage=replace(response.usage, cache_read_tokens=reused))

    def _said(self, messages: list[dict[str, str]]) -> str:
        system, user = messages[0]["content"], messages[-1]["content"]
        if "`analysis`" in system:
            return json.dumps(self._analysis(user))
        return json.dumps({"queue": self._queue(system, user)})

    def _queue(self, system: str, user: str) -> str:
        ticket = user.split("[[ ## ticket ## ]]")[1].split("Respond")[0].strip()
        thing = next(thing for thing in QUEUE_OF if thing in ticket)
        luck = hashlib.sha256(ticket.encode()).digest()
        queue = QUEUE_OF[thing]
        is_ruled = any(text in system and trigger == thing for text, trigger in self._desk.rules)
        is_followed = is_ruled and (thing not in _SELDOM_HELPS or luck[1] % 3 == 0)
        if luck[0] % 4 and not is_followed:
            queue = QUEUES[(QUEUES.index(queue) + luck[0] % 4) % len(QUEUES)]
        if "in capitals" in system and luck[2] % 5 == 0:
            queue = queue.upper()
        return queue + self._desk.hostile

    def _analysis(self, failures: str) -> dict[str, Any]:
        place = self._analysed.setdefault(failures, len(self._analysed))
        epoch, batch = divmod(place, self._desk.batches)
        text, trigger = (
            self._desk.rules[place] if place < len(self._desk.rules) else ("Answer in lower case.", "")
        )
        add = [
            {"text": self._made_hostile(text), "trigger": trigger},
            {"text": f"Write the queue in capitals ({epoch + 1}.{batch + 1}).", "trigger": ""}
            if self._pass
            else {"text": "Copy the ticket's first word.", "trigger": ""},
        ]
        analysis = f"The failures share a word.{self._desk.hostile} It should decide the queue."
        return {"analysis": analysis, "add": add, "remove": []}

    def _made_hostile(self, rule: str) -> str:
        """Return a rule with the hostile text around it: in one piece it would be a quotation of tickets."""
        parts = self._desk.hostile.split()
        middle = len(parts) // 2
        return " ".join([*parts[:middle], rule, *parts[middle:]])
