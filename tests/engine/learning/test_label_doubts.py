"""Which labels are doubted: by what versions answered, and by how sure the model is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
import pytest

from engine.ground.errors import BudgetExhaustedError
from engine.ground.examples import Item
from engine.journal.events import RolloutFinished
from engine.learning.answers import AnswerSpace
from engine.learning.findings.label_doubts import doubted_labels
from engine.learning.screening.likelihood import Likelihood
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.program import FrozenProgram
from engine.programs.state import LearnedState
from tests.engine.desk import desk_program

BEST = LearnedState().digest
QUEUES = ("aviation", "general", "legal")
PROGRAM = FrozenProgram(desk_program())
SPACE = AnswerSpace(PROGRAM.predictors[0], "queue", QUEUES, is_closed=True)


class Scorer:
    """Finds an answer as likely as the ticket says: `aviation 0.9`."""

    def __init__(self, budget: int = 100) -> None:
        self.budget = budget

    def score(self, messages: Sequence[Mapping[str, Any]], continuations: Sequence[str]) -> list[float]:
        self.budget -= 1
        if self.budget < 0:
            raise BudgetExhaustedError("The budget is used up.")
        ticket = str(messages[-1]["content"]).split("[[ ## ticket ## ]]")[1].split("Respond")[0]
        answer, p = ticket.split()[:2]
        rest = (1 - float(p)) / (len(continuations) - 1)
        return [math.log(float(p) if answer in text else rest) for text in continuations]


def item(key: str, label: str, ticket: str = "aviation 0.9") -> Item:
    return Item(key, "validation", {"ticket": ticket, "queue": label}, {"ticket": ticket})


def said(key: str, label: str, *answers: str | None) -> list[RolloutFinished]:
    """What versions answered to an example, the best one last."""
    versions = [f"v{number}" for number in range(len(answers) - 1)] + [BEST]
    return [
        RolloutFinished(
            id=f"{key}/{rules}",
            example=key,
            split="validation",
            rules=rules,
            score=float(answer == label),
            is_success=answer == label,
            prediction=None if answer is None else {"queue": answer},
        )
        for rules, answer in zip(versions, answers, strict=True)
    ]


def doubted(items: Sequence[Item], told: Mapping[str, Sequence[str | None]], scorer: Scorer | None = None):
    likelihood = None if scorer is None else Likelihood(PROGRAM, scorer, dspy.JSONAdapter(), SPACE)
    rollouts = [event for one in items for event in said(one.key, one.values["queue"], *told[one.key])]
    found = doubted_labels(rollouts, items, SPACE, likelihood, LearnedState())
    return {doubt.item.key: (doubt.answer, doubt.alike, doubt.versions, doubt.probability) for doubt in found}


GOOD = [item(f"good{number}", "legal", "legal 0.9") for number in range(3)]
ANSWERED: dict[str, Sequence[str | None]] = {one.key: ("general", "legal") for one in GOOD}


def test_the_answer_of_the_best_version_counts_and_another_has_to_agree() -> None:
    items = [*GOOD, item("a", "legal"), item("b", "legal"), item("c", "legal"), item("d", "legal")]
    told = {
        **ANSWERED,
        "a": ("general", "general", "aviation", "aviation"),
        "b": ("general", "aviation"),  # only the best one says so
        "c": ("aviation", "legal"),  # one was right
        "d": (None, None),
    }
    assert doubted(items, told) == {"a": ("aviation", 2, 4, None)}


def test_an_example_that_the_best_version_was_never_asked_is_not_doubted() -> None:
    asked_before = item("before", "legal")
    rollouts = [event for one in GOOD for event in said(one.key, "legal", *ANSWERED[one.key])]
    rollouts += said("before", "legal", "aviation", "aviation", "aviation")[:-1]
    assert doubted_labels(rollouts, [*GOOD, asked_before], SPACE, None, LearnedState()) == []


def test_an_answer_that_is_mostly_wrong_is_the_models_fault() -> None:
    items = [item(key, "legal") for key in "abc"]
    assert doubted(items, dict.fromkeys("abc", ("aviation", "aviation"))) == {}
    assert set(doubted([*GOOD, *items], {**ANSWERED, **dict.fromkeys("abc", ("aviation", "aviation"))})) == {
        *"abc"
    }


def test_where_the_model_tells_how_sure_it_is_that_decides() -> None:
    sure, unsure = item("sure", "legal"), item("unsure", "legal", "aviation 0.6")
    agrees = item("agrees", "legal", "legal 0.7")
    items = [*GOOD, sure, unsure, agrees]
    told = {**ANSWERED, **{one.key: ("aviation",) for one in (sure, unsure, agrees)}}
    found = doubted(items, told, Scorer())
    assert {key: row[:3] for key, row in found.items()} == {"sure": ("aviation", 1, 1)}
    assert found["sure"][3] == pytest.approx(0.9)


def test_without_a_budget_for_it_versions_decide() -> None:
    items = [*GOOD, item("a", "legal"), item("b", "legal")]
    told = {**ANSWERED, "a": ("aviation", "aviation"), "b": ("general", "aviation")}
    assert doubted(items, told, Scorer(budget=0)) == {"a": ("aviation", 2, 2, None)}


def test_doubted_demonstrations_are_left_out_together_so_that_their_prompts_share_a_beginning() -> None:
    a, b = item("a", "legal"), item("b", "legal")
    shown = [
        Demonstration(inputs=one.inputs, outputs={"queue": "legal"}, example=one.key) for one in (*GOOD, a, b)
    ]
    state = LearnedState(demonstrations=DemonstrationSet(shown))
    prompts: list[str] = []

    class Remembering(Scorer):
        def score(self, messages: Sequence[Mapping[str, Any]], continuations: Sequence[str]) -> list[float]:
            prompts.append(json.dumps(messages[:-1]))
            return super().score(messages, continuations)

    likelihood = Likelihood(PROGRAM, Remembering(), dspy.JSONAdapter(), SPACE)
    rollouts = [
        event
        for one in (*GOOD, a, b)
        for event in said(one.key, "legal", *ANSWERED.get(one.key, ["aviation"]))
    ]
    found = doubted_labels(rollouts, [*GOOD, a, b], SPACE, likelihood, state)
    assert {doubt.item.key for doubt in found} == {"a", "b"}
    assert len(prompts) == 2
    assert len(set(prompts)) == 1
