"""A support desk that writes resolutions by policies: the project, a scripted model, and 40 graded answers.

After the running example of an article on DSPy: policy passages and a ticket in, a resolution out. No wording
of it is the right one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.ground.examples import example_key, public_fields
from engine.project.judge_labels import Label, save_labels


@dataclass(frozen=True)
class Policy:
    """A policy: its name, what it says, what it gives and until when, and what customers write."""

    name: str
    text: str
    gives: str
    when: str
    tickets: tuple[str, ...]


POLICIES = (
    Policy(
        "Late Delivery Policy",
        "orders delayed by more than 24 hours qualify for a $5 credit, paid within 2 days.",
        "$5 credit",
        "2 days",
        (
            "My package was due yesterday and tracking has not moved.",
            "The courier promised Monday, it is Wednesday, nothing came.",
            "Order 1192 is three days overdue. Where is it?",
            "I took a day off for the delivery and nobody showed up until the day after.",
            "Still waiting for the lamp that should have arrived last week.",
            "Your app says delivered late, and late it was: two days.",
            "The birthday present came a day after the birthday.",
            "No parcel, no message, and the date on the receipt has passed.",
            "Expected on the 4th, arrived on the 7th.",
            "How long do I have to wait? It was supposed to be express.",
            "The kettle is late again, the second time this month.",
            "Estimated arrival was Friday morning. It is Sunday.",
        ),
    ),
    Policy(
        "Damage Policy",
        "for an item that arrives broken there is a free replacement, if reported within 7 days.",
        "replacement",
        "7 days",
        (
            "The vase arrived in pieces.",
            "One leg of the chair is cracked, straight out of the box.",
            "The screen has a scratch from top to bottom.",
            "Half of the glasses were broken when I opened the box.",
            "The parcel was crushed and the lamp inside is bent.",
            "My new mug has no handle any more.",
            "The frame came with a broken pane.",
            "Something rattles in the radio, and it does not turn on.",
            "The table top is dented on one side.",
            "The bottle leaked, and the label is gone.",
            "A corner of the mirror is missing.",
            "The box was wet and the book is ruined.",
        ),
    ),
    Policy(
        "Return Policy",
        "unopened items can be sent back within 30 days for a full refund.",
        "full refund",
        "30 days",
        (
            "I ordered the wrong size and have not opened it. Can I return it?",
            "My sister bought the same game, ours is still wrapped.",
            "I changed my mind about the headphones; the seal is intact.",
            "Can the unopened cartridge go back? It does not fit my printer.",
            "We no longer need the tent, it is still in its box.",
            "The gift was not wanted. It has never been opened.",
            "Bought two by mistake, one is untouched.",
            "I found it cheaper and have not unpacked yours.",
            "The colour looks different from the picture; I left it closed.",
            "How do I send back a sealed coffee machine?",
            "The cable is too short, I can see that through the wrapping.",
            "We moved, and the shelf no longer fits. It is not unpacked.",
        ),
    ),
    Policy(
        "Lost Parcel Policy",
        "a parcel that has not arrived after 10 days is sent again free of charge.",
        "sent again",
        "10 days",
        (
            "Two weeks, and the tracking still says in transit.",
            "The carrier says that they cannot find my parcel.",
            "It has been twelve days. I think it is lost.",
            "Tracking shows another city for a week and a half.",
            "The neighbour does not have it, the post office does not have it.",
            "Marked as delivered eleven days ago, but never here.",
            "The depot closed, and my order was in it.",
            "Nobody has seen the box since it left your warehouse two weeks ago.",
            "The parcel went back and forth and is gone now.",
            "Sixteen days without any news about order 77.",
            "The courier lost it, they told me so themselves.",
            "My order vanished at customs half a month ago.",
        ),
    ),
    Policy(
        "Price Policy",
        "if the price drops within 14 days of the purchase, the difference is refunded.",
        "difference",
        "14 days",
        (
            "I bought the drill on Monday, and today it is $20 cheaper.",
            "The same toaster is on sale now. I paid the full price last week.",
            "Two days after my order the price fell.",
            "Why did I pay 80 when it costs 65 today?",
            "The sale began right after I had ordered.",
            "Your newsletter offers the bag that I bought on Sunday for less.",
            "The pan went down by ten dollars overnight.",
            "I see a lower price for what I have in my hands since Thursday.",
            "Black Friday came a week after my purchase of the very same mixer.",
            "The bike lock costs half of what I paid five days ago.",
            "You reduced the jacket the day after it arrived.",
            "Nine days ago it was 30, now it is 24. That is not fair.",
        ),
    ),
)
SPLITS = {"train": 0, "validation": 1, "test": 2}
CRITERIA = ("names the policy that applies", "says what the customer gets, as the policy has it")
PROJECT = """\
[program]
signature = "policy_context, ticket_text -> resolution"
instructions = "Answer the customer's ticket."

[data]
train = "data/train.jsonl"
validation = "data/validation.jsonl"
test = "data/test.jsonl"

[metric]
kind = "rubric"
field = "resolution"
criteria = [
  "names the policy that applies",
  {{ text = "says what the customer gets, as the policy has it", max_words = 60 }},
]
threshold = 0.75

[model]
task = "{uri}"
{judge}
[optimizer]
epochs = 1
batches_per_epoch = 1
rule_validation_examples = 20
seed = 1

[gates]
min_judge_agreement = {agreement}
"""


def examples(split: str) -> list[dict[str, Any]]:
    """Twenty tickets, four of each policy; no example has a right answer."""
    return [
        {
            "id": f"{policy.name.split()[0].lower()}-{split}-{number}",
            "policy_context": f"{policy.name}: {policy.text}",
            "ticket_text": policy.tickets[3 * number + SPLITS[split]],
        }
        for policy in POLICIES
        for number in range(4)
    ]


def write_support(
    root: Path, uri: str, *, agreement: float = 0.6, judge: str = "", labelled: bool = True
) -> Path:
    """Write the project, by default with its forty graded answers."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        rows = "".join(f"{json.dumps(row)}\n" for row in examples(split))
        (root / "data" / f"{split}.jsonl").write_text(rows)
    line = f'judge = "{judge}"' if judge else ""
    (root / "promptgrad.toml").write_text(PROJECT.format(uri=uri, judge=line, agreement=agreement))
    if labelled:
        save_labels(root, labels())
    return root


def labels() -> list[Label]:
    """Forty answers to the training tickets, two of each, graded as a careful person would: half are good."""
    made = []
    for place, row in enumerate(examples("train")):
        policy = POLICIES[place // 4]
        other = POLICIES[(place // 4 + 1) % len(POLICIES)]
        key = example_key(row, public_fields(row))
        made += [
            Label(example=key, answer=_good(policy, place % 4), grade=1),
            Label(example=key, answer=_bad(policy, other, place % 4), grade=0),
        ]
    return made


def _good(policy: Policy, kind: int) -> str:
    what = policy.gives
    return (
        f"I am sorry about that. Under our {policy.name} you are entitled to this: {what}, {policy.when}.",
        f"Our {policy.name} covers this case: {policy.text} I have started it for you ({what}).",
        f"{policy.name}: {what}. Please note the limit of {policy.when}.",
        f"Thank you for telling us. By the {policy.name}, the outcome is: {what} ({policy.when}).",
    )[kind]


def _bad(policy: Policy, other: Policy, kind: int) -> str:
    return (
        "We are very sorry for the inconvenience and will look into it as soon as we can.",
        f"Under our {other.name} you are entitled to this: {other.gives}, {other.when}.",
        f"Please see our {policy.name}. It explains everything. Have a nice day.",
        "You will get a voucher of $50 and a phone call from our manager tomorrow.",
    )[kind]


class SupportDesk:
    """A model that apologizes until a rule tells it to name the policy, and judges by what a policy says.

    It grades every `errs`-th answer it is asked about the wrong way round; 0 never errs.
    """

    RULE = "Name the policy that applies and repeat what it gives the customer."

    def __init__(self, errs: int = 0) -> None:
        self.errs = errs
        self.judged: dict[str, str] = {}

    def answer(self, messages: list[dict[str, str]]) -> str:
        """Answer a prompt of the program, of an analysis, or of a rubric."""
        system, user = messages[0]["content"], messages[-1]["content"]
        if "The criterion: the answer" in user:
            return json.dumps({"grade": self._grade(user)})
        if "`analysis`" in system:
            rule = {"text": self.RULE, "trigger": ""}
            return json.dumps({"analysis": "No policy is named.", "add": [rule], "remove": []})
        context = _between(user, "policy_context", "ticket_text")
        if self.RULE in system:
            name, _, text = context.partition(": ")
            return json.dumps({"resolution": f"By the {name}: {text}"})
        return json.dumps({"resolution": "We are sorry and will look into it."})

    def _grade(self, question: str) -> str:
        if question not in self.judged:
            policy = next(one for one in POLICIES if f"policy_context: {one.name}" in question)
            said = question.split("The answer to check: ")[1].split("\n\nThe criterion")[0]
            wanted = policy.name if f"the answer {CRITERIA[0]}" in question else policy.gives
            is_met = wanted in said
            is_wrong = self.errs > 0 and len(self.judged) % self.errs == 0
            self.judged[question] = "yes" if is_met is not is_wrong else "no"
        return self.judged[question]


def _between(text: str, name: str, following: str) -> str:
    found = re.search(rf"\[\[ ## {name} ## \]\]\n(.*?)\n+\[\[ ## {following} ## \]\]", text, re.DOTALL)
    assert found is not None, text
    return found[1].strip()
