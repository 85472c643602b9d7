"""A judge that compares an answer with one known to be good, in both orders."""

from __future__ import annotations

import json
import math
from typing import Any

import dspy
import pytest

from engine.programs.coercion import as_metric
from engine.programs.judge import Judge
from engine.programs.metrics.criteria import Criterion
from engine.programs.metrics.pairwise import Pairwise
from engine.testing import scripted_model

EXAMPLE = {"id": "7", "question": "Where is my parcel?", "reply": "It comes in two days (policy 4)."}
POLICY = Criterion(text="cites a policy")


class Comparer:
    """Likes each text by its worth, and the first place by `bias` more (in log-odds)."""

    def __init__(self, worth: dict[str, float], bias: float = 0.0) -> None:
        self.worth = worth
        self.bias = bias
        self.asked: list[str] = []

    def score(self, messages: Any, continuations: Any) -> list[float]:
        assert list(continuations) == ["A", "B"]
        text = messages[-1]["content"]
        self.asked.append(text)
        first, second = (text.split(f"Answer {name}: ")[1].split("\n")[0] for name in "AB")
        odds = self.worth[first] - self.worth[second] + self.bias
        return [-math.log1p(math.exp(-odds)), -math.log1p(math.exp(odds))]


def scored(comparer: Comparer, reply: str, *, known: str = EXAMPLE["reply"], **options: Any) -> Any:
    metric = as_metric(Pairwise("reply", [POLICY], **options))
    judge = Judge(scripted_model([]).lm, comparer)
    return metric.judged_by(judge)({**EXAMPLE, "reply": known}, dspy.Prediction(reply=reply))


def test_both_orders_are_asked_and_their_mean_is_the_score() -> None:
    comparer = Comparer({"Soon.": -1.0, EXAMPLE["reply"]: 1.0}, bias=0.5)
    score = scored(comparer, "Soon.")
    as_first, as_second = 1 / (1 + math.exp(1.5)), 1 / (1 + math.exp(2.5))
    assert score.value == pytest.approx((as_first + as_second) / 2)
    assert score.metadata == {"position": pytest.approx(as_first - as_second, abs=1e-4)}
    assert not score.is_success
    assert score.error_type == "worse than the known answer"
    assert "cites a policy" in score.feedback
    assert EXAMPLE["reply"] in score.feedback
    first, second = comparer.asked
    assert first.index("Soon.") < first.index(EXAMPLE["reply"])
    assert second.index("Soon.") > second.index(EXAMPLE["reply"])
    assert "question: Where is my parcel?" in first


@pytest.mark.parametrize("bias", [0.0, 3.0, -3.0])
def test_a_judge_that_looks_only_at_the_place_finds_both_equal(bias: float) -> None:
    score = scored(Comparer({"One.": 0.0, "Two.": 0.0}, bias), "One.", known="Two.")
    assert score.value == pytest.approx(0.5)
    assert math.copysign(1, score.metadata["position"]) == (math.copysign(1, bias) if bias else 1.0)


def test_the_known_answer_itself_is_as_good_and_is_not_asked_about() -> None:
    comparer = Comparer({})
    score = scored(comparer, f"  {EXAMPLE['reply']}\n")
    assert (score.value, score.is_success, comparer.asked) == (0.5, True, [])
    assert not scored(comparer, EXAMPLE["reply"], threshold=0.6).is_success


def test_an_answer_that_fails_a_check_is_not_put_to_the_judge() -> None:
    metric = Pairwise("reply", [Criterion(text="is short", max_words=2), POLICY])
    comparer = Comparer({})
    score = as_metric(metric).judged_by(Judge(scripted_model([]).lm, comparer))(
        EXAMPLE, dspy.Prediction(reply="In three days.")
    )
    assert (score.value, score.error_type, comparer.asked) == (0.0, "fails a check", [])
    assert score.feedback == "Not met: is short (it has 3 words, and 2 are allowed)."


@pytest.mark.parametrize(
    ("replies", "value", "position"),
    [("AB", 1.0, 0.0), ("AA", 0.5, 1.0), ("BB", 0.5, -1.0), ("??", 0.0, 0.0)],
)
def test_a_judge_without_probabilities_writes_its_choice(replies: str, value: float, position: float) -> None:
    answers = iter([json.dumps({"grade": reply}) for reply in replies if reply != "?"])
    model = scripted_model(lambda messages: next(answers, "no letter"))
    score = as_metric(Pairwise("reply", [POLICY])).judged_by(Judge(model.lm))(
        EXAMPLE, dspy.Prediction(reply="Soon.")
    )
    assert (score.value, score.metadata["position"]) == (value, position)
