"""Thresholds on the small model's confidence, and the program that routes by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest

from engine.ground.errors import ArtifactError
from engine.journal.events import SplitScores
from engine.learning.screening.likelihood import AnswerScorer
from engine.programs.program import FrozenProgram
from engine.release.artifacts import ArtifactContent, save_artifact
from engine.release.manifest import ROUTER, content_digest
from engine.release.routing.confidence import Confidence
from engine.release.routing.router import Router, load_router, routed_model, save_router
from engine.release.routing.thresholds import Answered, Seconds, chosen, thresholds
from engine.testing import scripted_model, scripted_revision
from models.errors import ModelError
from promptgrad_tui.work.derive.routing import route
from promptgrad_tui.work.predict.routed import RoutedProgram
from tests.promptgrad_tui.desk_project import write_project

SURE = [Answered(3.0, 1.0, 1.0)] * 60
UNSURE = [Answered(0.5, 0.0, 1.0)] * 30
LOST = [Answered(None, 0.0, 1.0)] * 10
SECONDS = Seconds(small=0.1, large=0.9)


def test_every_threshold_has_its_share_score_and_time() -> None:
    low, high = thresholds([*SURE, *UNSURE, *LOST], SECONDS)
    assert (low.margin, high.margin) == (0.5, 3.0)
    assert (low.share, low.score.score) == (0.9, 0.7)
    assert (high.share, high.score.score) == (0.6, 1.0)
    assert high.seconds == pytest.approx(0.1 + 0.4 * 0.9)
    assert (low.gain.score, high.gain.score) == (-0.3, 0.0)


def test_the_threshold_that_asks_the_large_model_least_is_chosen_among_the_good() -> None:
    table = thresholds([*SURE, *UNSURE, *LOST], SECONDS)
    best = chosen(table, loss=0.05)
    assert best is not None
    assert best.margin == 3.0
    assert chosen(table, loss=0.03) is None, "100 examples can't show that"
    generous = chosen(table, loss=0.5)
    assert generous is not None
    assert generous.margin == 0.5


def test_a_threshold_behind_one_that_is_not_shown_is_not_chosen() -> None:
    # The unsure answers happen to be right, those in between are wrong: the best of all is a matter of luck.
    unsure, between = [Answered(0.5, 1.0, 0.0)] * 20, [Answered(1.0, 0.0, 1.0)] * 20
    table = thresholds([*SURE, *between, *unsure], SECONDS)
    assert [row.gain.score for row in table] == [0.0, -0.2, 0.0]
    best = chosen(table, loss=0.15)
    assert best is not None
    assert (best.margin, best.share) == (3.0, 0.6)


def test_a_table_of_many_margins_keeps_its_ends() -> None:
    table = thresholds([Answered(n / 10, 1.0, 1.0) for n in range(100)], SECONDS)
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


def test_whether_both_models_fit_is_asked_before_either_is_opened(tmp_path: Path) -> None:
    write_project(tmp_path, "demo")
    small = artifact(tmp_path, "small", "openai:http://127.0.0.1:9/v1#nobody")
    large = artifact(tmp_path, "large", "gguf:missing.gguf")
    with pytest.raises(ModelError, match=r"missing\.gguf"):
        route(small, large, tmp_path, None, lambda text, done: None)


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


def test_a_slip_in_the_programs_code_is_not_a_question_for_the_large_model() -> None:
    class Slip(dspy.Module):
        def forward(self, ticket: str) -> dspy.Prediction:
            return undefined_name  # type: ignore[name-defined]  # noqa: F821

    large = scripted_model(['{"queue": "legal"}'])
    program = dspy.Predict("ticket -> queue")
    program.lm = large.lm
    confidence = Confidence(
        dspy.Predict("ticket -> queue"), "self", "queue", ("music",), _Prefers(), dspy.JSONAdapter()
    )
    with pytest.raises(NameError):
        RoutedProgram(Slip(), program, confidence, 1.0)(ticket="my piano")
    assert not large.requests


def test_a_changed_router_is_refused(tmp_path: Path) -> None:
    (tmp_path / ROUTER).write_text('{"format": 1}')
    with pytest.raises(ArtifactError, match="can't be read"):
        load_router(tmp_path)


def artifact(root: Path, name: str, uri: str = "") -> Path:
    program = dspy.Predict("text -> queue")
    frozen = FrozenProgram(program)
    return save_artifact(
        root / name,
        ArtifactContent(
            name="desk",
            module=program,
            base=program,
            base_instructions=frozen.base,
            instructions=frozen.base,
            rules=(),
            config={},
            seed=1,
            metric="exact_match(queue)",
            revision=scripted_revision(name),
            model_uri=uri or name,
            data={},
            baseline=SplitScores(),
            optimized=SplitScores(),
            run="made",
            versions={},
        ),
    )


def saved_router(root: Path, margin: float = 1.0, place: str = "routers") -> Path:
    table = thresholds(SURE + UNSURE + LOST, SECONDS)
    small, large = artifact(root, "small"), artifact(root, "large")
    router = Router(
        small=routed_model(small),
        large=routed_model(large),
        predictor="self",
        field="queue",
        answers=("music", "legal"),
        margin=margin,
        loss=0.1,
        table=tuple(table),
        validation={"routed": table[-1].score},
    )
    return save_router(root / place, router, small, large)


def rewrite(folder: Path, **changes: Any) -> None:
    """Write a router's file as another version would have: with other fields, and their hash."""
    path = folder / ROUTER
    fields = {**json.loads(path.read_text()), **changes}
    kept = {name: value for name, value in fields.items() if name != "sha256" and value is not None}
    path.write_text(json.dumps({**kept, "sha256": content_digest(kept)}))


def test_routers_are_versions_beside_whatever_else_lies_there(tmp_path: Path) -> None:
    first = saved_router(tmp_path)
    (first.parent / "v1.bak").mkdir()
    assert saved_router(tmp_path) == first
    second = saved_router(tmp_path, margin=2.0)
    assert (first.name, second.name) == ("v1", "v2")
    assert load_router(second).margin == 2.0
    assert {path.name for path in first.parent.iterdir()} == {"v1", "v1.bak", "v2"}


def test_a_router_that_was_saved_before_there_was_some_field_is_intact(tmp_path: Path) -> None:
    folder = saved_router(tmp_path)
    rewrite(folder, test_opening=None)
    assert load_router(folder).test_opening == 0


def test_a_changed_margin_is_refused(tmp_path: Path) -> None:
    folder = saved_router(tmp_path)
    path = folder / ROUTER
    path.write_text(path.read_text().replace('"margin": 1.0', '"margin": 0.0'))
    with pytest.raises(ArtifactError, match="was changed after it was saved"):
        load_router(folder)


def test_a_router_of_a_later_version_asks_for_an_upgrade(tmp_path: Path) -> None:
    folder = saved_router(tmp_path)
    rewrite(folder, format=2, mystery=1)
    with pytest.raises(ArtifactError, match=r"later version .* \(format 2\)"):
        load_router(folder)
