"""The metric that compares meanings, with what it asks recorded like every other answer."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from engine.ground.errors import MetricError
from engine.ground.revision import ModelRevision
from engine.journal.completions import MemoryCompletions
from engine.journal.replay import Replay
from engine.journal.scoring import recorded_judge
from engine.programs.coercion import as_metric
from engine.programs.metrics.meaning import Meaning
from engine.testing import scripted_model

VECTORS = {
    "refund": [1.0, 0.0],
    "money back": [0.8, 0.6],
    "a new one": [0.0, 1.0],
    "no": [-1.0, 0.0],
    "nothing": [0.0, 0.0],
}


class Vectors:
    """An embedding model that knows a few texts."""

    uri = "scripted:vectors"

    def __init__(self, digest: str = "sha256:1") -> None:
        self.revision = ModelRevision("scripted", digest)
        self.asked: list[list[str]] = []

    def embed(self, texts: list[str]) -> list[list[float]]:
        self.asked.append(list(texts))
        return [VECTORS[text] for text in texts]


def scored(vectors: Vectors, expected: Any, got: str, store: Any = None, threshold: float = 0.8) -> Any:
    replay = Replay(store or MemoryCompletions(), "run")
    judge = recorded_judge(replay, scripted_model([]), vectors)  # type: ignore[arg-type]
    metric = as_metric(Meaning("reply", threshold)).judged_by(judge)
    return metric({"id": "1", "reply": expected}, dspy.Prediction(reply=got))


@pytest.mark.parametrize(
    ("expected", "got", "value", "is_right"),
    [
        ("refund", "money back", 0.8, True),
        ("refund", "a new one", 0.0, False),
        ("refund", "no", 0.0, False),
        ("refund", "nothing", 0.0, False),
        ("refund", "refund ", 1.0, True),
        (["a new one", "refund"], "money back", 0.8, True),
        ("refund", " ", 0.0, False),
    ],
)
def test_the_score_is_the_cosine(expected: Any, got: str, value: float, is_right: bool) -> None:
    score = scored(Vectors(), expected, got)
    assert score.value == pytest.approx(value)
    assert score.is_success is is_right
    assert bool(score.feedback) is not is_right


def test_what_is_asked_for_is_said() -> None:
    score = scored(Vectors(), "refund", "a new one", threshold=0.9)
    assert score.feedback == (
        'Expected what means "refund" but got "a new one" (similarity 0.00, 0.90 is asked for).'
    )
    assert score.error_type == "expected refund"


def test_each_pair_is_asked_once_and_another_model_is_another_measurement() -> None:
    store, first, again = MemoryCompletions(), Vectors(), Vectors()
    for vectors in (first, again):
        assert scored(vectors, "refund", "money back", store).value == pytest.approx(0.8)
    assert (len(first.asked), again.asked) == (1, [])
    other = Vectors("sha256:2")
    scored(other, "refund", "money back", store)
    assert len(other.asked) == 1


def test_without_an_embedding_model_it_says_what_to_do() -> None:
    with pytest.raises(MetricError, match="no embedding model is open") as caught:
        as_metric(Meaning("reply"))({"reply": "a"}, dspy.Prediction(reply="b"))
    assert "[model] embedding" in caught.value.hint


def test_an_example_without_an_expected_value_is_the_projects_mistake() -> None:
    with pytest.raises(MetricError, match="no expected value"):
        scored(Vectors(), [], "refund")
