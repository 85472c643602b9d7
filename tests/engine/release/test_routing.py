"""Thresholds on the small model's confidence, and the program that routes by one."""

from __future__ import annotations

import json
from pathlib import Path

import dspy
import pytest

from engine.ground.errors import ArtifactError
from engine.learning.screening.likelihood import AnswerScorer
from engine.release.routing.confidence import Confidence
from engine.release.routing.router import ROUTER, load_router
from engine.release.routing.thresholds import Answered, chosen, thresholds
from engine.testing import scripted_model
from promptgrad_tui.work.predict.routed import RoutedProgram

SURE = [Answered(3.0, 1.0, 1.0, 0.1, 0.9)] * 60
UNSURE = [Answered(0.5, 0.0, 1.0, 0.1, 0.9)] * 30
LOST = [Answered(None, 0.0, 1.0, 0.1, 0.9)] * 10


def test_every_threshold_has_its_share_score_and_time() -> None:
    low, high = thresholds([*SURE, *UNSURE, *LOST])
    assert (low.margin, high.margin) == (0.5, 3.0)
    assert (low.share, low.score.score) == (0.9, 0.7)
    assert (high.share, high.score.score) == (0.6, 1.0)
    assert high.seconds == pytest.approx(0.1 + 0.4 * 0.9)
    assert (low.gain.score, high.gain.score) == (-0.3, 0.0)


def test_the_threshold_that_asks_the_large_model_least_is_chosen_among_the_good() -> None:
    table = thresholds([*SURE, *UNSURE, *LOST])
    best = chosen(table, loss=0.05)
    assert best is not None
    assert best.margin == 3.0
    assert chosen(table, loss=0.03) is None, "100 examples can't show that"
    generous = chosen(table, loss=0.5)
    assert generous is not None
    assert generous.margin == 0.5


def test_a_table_of_many_margins_keeps_its_ends() -> None:
    table = thresholds([Answered(n / 10, 1.0, 1.0, 0.1, 0.9) for n in range(100)])
    assert len(table) == 12
    assert (table[0].margin, table[-1].margin) == (0.0, 9.9)


class _Prefers(AnswerScorer):
    """Says how probable each queue is."""

    def __init__(self, **log_p: float) -> None:
        self.log_p = log_p

    def score(self, messages: object, continuations: list[str]) -> list[float]:  # type: ignore[override]
        del messages
        return [self.log_p[json.loads(text)["queue"]] for text in continuations]


def routed(scorer: AnswerScorer, small_says: str) -> tuple[str, int]:
    """What the two answer together, and how often the large one was asked."""
    small, large = scripted_model([small_says] * 2), scripted_model(['{"queue": "legal"}'] * 2)
    programs = []
    for model in (small, large):
        program = dspy.Predict("ticket -> queue")
        program.lm = model.lm
        programs.append(program)
    confidence = Confidence(
        programs[0], "self", "queue", ("music", "legal", "sports"), scorer, dspy.JSONAdapter()
    )
    with dspy.context(adapter=dspy.JSONAdapter()):
        answer = RoutedProgram(*programs, confidence, 1.0)(ticket="my piano")
    return answer.queue, len(large.requests)


def test_a_sure_answer_stands_and_the_large_model_is_not_asked() -> None:
    assert routed(_Prefers(music=-0.1, legal=-3.0, sports=-4.0), '{"queue": "music"}') == ("music", 0)


@pytest.mark.parametrize(
    ("scorer", "says"),
    [
        (_Prefers(music=-0.6, legal=-0.9, sports=-4.0), '{"queue": "music"}'),
        (_Prefers(music=-3.0, legal=-0.1, sports=-4.0), '{"queue": "music"}'),
        (_Prefers(music=-0.1, legal=-3.0, sports=-4.0), '{"queue": "piano repair"}'),
        (_Prefers(music=-0.1, legal=-3.0, sports=-4.0), "I think that this is music."),
    ],
    ids=["unsure", "not its own favourite", "not among the possible", "unreadable"],
)
def test_any_other_answer_is_the_large_models(scorer: AnswerScorer, says: str) -> None:
    answer, asked = routed(scorer, says)
    assert answer == "legal"
    assert asked >= 1


def test_a_changed_router_is_refused(tmp_path: Path) -> None:
    (tmp_path / ROUTER).write_text('{"format": 1}')
    with pytest.raises(ArtifactError, match="can't be read"):
        load_router(tmp_path)
