"""The demo project: tickets whose queues follow a policy that the base instructions don't know."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from models.demo.world import CAUSES, CHANNELS, ORDINARY, QUEUES, TOPICS, queue_of, with_article, write_ticket

SIZES = {"train": 60, "validation": 60, "test": 120}
"""Examples in each split."""

CAUSE_COUNT = 8
"""Special causes that the hidden policy has."""
_SHARE_OF_A_CAUSE = 1 / 15
_SHARE_OF_ORDINARY = 1 / 4

INSTRUCTIONS = (
    f"Route the support ticket to the queue that handles its topic: {', '.join(QUEUES[:-1])} or {QUEUES[-1]}."
)

_PROJECT_FILE = f'''\
# The PromptGrad demo: a support desk whose base instructions don't know the house's special cases.
# The optimizer has to find them from what goes wrong, and to prove each rule before it is kept.

name = "support-desk"

[program]
# What is improved: one step that reasons, then names a queue. Rules are added below the instructions,
# which themselves are never changed.
signature = "ticket -> queue"
module = "chain_of_thought"
instructions = """
{INSTRUCTIONS}
"""

[data]
train = "data/train.jsonl"            # failures here suggest rules
validation = "data/validation.jsonl"  # each rule has to prove itself here
test = "data/test.jsonl"              # opened once, at the end
slice = "channel"                     # scores are also reported by how the ticket came in

[metric]
kind = "exact_match"
field = "queue"

[model]
task = "demo"        # the embedded model; try another: "gguf:/path/model.gguf" or "ollama:qwen3:4b"
reflection = "same"  # who analyses the failures

[optimizer]
seed = {{seed}}
epochs = 3
batches_per_epoch = 4        # failures of {CAUSE_COUNT} kinds, of which an analysis sees five at a time
batch_size = 12
rule_validation_examples = 30  # a special case touches one ticket in fifteen: fewer would show too little

[gates]
min_test_gain = 0.2
slices = {{ chat = 0.6, email = 0.6, phone = 0.6, web = 0.6 }}
'''


@dataclass(frozen=True)
class HiddenPolicy:
    """Special causes and the queue that tickets mentioning them go to, whatever their topic."""

    queues: dict[str, str]

    @classmethod
    def draw(cls, rng: Random) -> HiddenPolicy:
        """Return eight causes that go to six queues."""
        chosen = rng.sample(sorted(CAUSES), 6)
        pairs = [(cause, queue) for queue in chosen for cause in rng.sample(CAUSES[queue], 2)]
        firsts, seconds = pairs[0::2], pairs[1::2]
        picked = [*firsts, *seconds[: CAUSE_COUNT - len(firsts)]]
        return cls(dict(picked))

    def rules(self) -> list[str]:
        """Return the policy as rules that the optimizer could have found."""
        return [
            f"Tickets that mention {with_article(cause)} go to {queue}."
            for cause, queue in self.queues.items()
        ]


def hidden_policy(seed: int) -> HiddenPolicy:
    """Return the policy of the demo project with this seed."""
    return HiddenPolicy.draw(Random(f"policy {seed}"))


def demo_examples(seed: int) -> dict[str, list[dict[str, str]]]:
    """Return the examples of each split; no two tickets are the same."""
    rng = Random(f"examples {seed}")
    policy = hidden_policy(seed)
    seen: set[str] = set()
    number = 0
    splits = {}
    for split, size in SIZES.items():
        examples = []
        for mention in _mentions(rng, policy, size):
            number += 1
            examples.append({"id": f"T-{number:03}"} | _example(rng, policy, mention, seen))
        splits[split] = examples
    return splits


def _mentions(rng: Random, policy: HiddenPolicy, size: int) -> Iterator[str | None]:
    """Yield what each ticket of a split mentions; every split has its share of each cause."""
    mentions: list[str | None] = []
    for cause in policy.queues:
        mentions += [cause] * round(size * _SHARE_OF_A_CAUSE)
    mentions += [rng.choice(ORDINARY) for _ in range(round(size * _SHARE_OF_ORDINARY))]
    mentions += [None] * (size - len(mentions))
    rng.shuffle(mentions)
    yield from mentions


def _example(rng: Random, policy: HiddenPolicy, mention: str | None, seen: set[str]) -> dict[str, str]:
    while True:
        topic = rng.choice(TOPICS[rng.choice(QUEUES)])
        ticket = write_ticket(rng, topic=topic, mention=mention)
        if ticket.text not in seen:
            seen.add(ticket.text)
            queue = policy.queues.get(mention or "") or queue_of(topic)
            return {"channel": rng.choice(CHANNELS), "ticket": ticket.text, "queue": queue}


def write_demo_project(directory: Path, seed: int) -> None:
    """Write the demo project into `directory`, the same for the same seed.

    Raises:
        FileExistsError: a file of the project is there already; nothing is overwritten.
    """
    files = {"promptgrad.toml": _PROJECT_FILE.replace("{seed}", str(seed))}
    for split, examples in demo_examples(seed).items():
        files[f"data/{split}.jsonl"] = _as_lines(examples)
    for name in files:
        if (directory / name).exists():
            raise FileExistsError(f"{directory / name} exists already.")
    for name, text in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _as_lines(examples: Sequence[dict[str, str]]) -> str:
    return "".join(json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
