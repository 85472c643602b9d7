"""A judge compared with the labels that people gave."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dspy

from engine.ground.errors import DataError
from engine.ground.examples import example_name
from engine.ground.model import Progress
from engine.journal.scoring import recorded_judge
from engine.programs.metrics.pairwise import POSITION
from engine.project.judge_labels import (
    Agreement,
    Label,
    load_labels,
    measured_agreement,
    save_agreement,
)
from promptgrad_tui.work.answer_progress import counted
from promptgrad_tui.work.code.program import judged_section, rubric_digest
from promptgrad_tui.work.judge.setting import JudgeSetting

_FEWEST = 10


@dataclass(frozen=True)
class Judgement:
    """One labelled answer with the judge's score (0..1), and what its place did to that (-1..1)."""

    name: str
    label: Label
    score: float
    feedback: str
    is_right: bool
    position: float | None = None

    @property
    def distance(self) -> float:
        """How far the judge's score is from the person's, 0..1."""
        return abs(self.score - self.label.grade / (self.label.grades - 1))

    @property
    def disagrees(self) -> bool:
        """Whether judge and person call the answer differently, or grade it half a scale apart."""
        return self.is_right != bool(self.label.grade) if self.label.grades == 2 else self.distance >= 0.5


@dataclass(frozen=True)
class Calibration:
    """How a judge did on the labels; `lost` counts labels whose example is gone."""

    judge: str
    agreement: Agreement
    judgements: tuple[Judgement, ...]
    lost: int

    @property
    def worst(self) -> list[Judgement]:
        """The largest disagreements, the largest first."""
        apart = [judgement for judgement in self.judgements if judgement.disagrees]
        return sorted(apart, key=lambda judgement: -judgement.distance)


def calibrate(setting: JudgeSetting, on_progress: Progress) -> Calibration:
    """Let the judge score every labelled answer, and keep how well it agrees.

    `on_progress` is called after each answer.

    Raises:
        DataError: there are too few labels.
        PromptGradError: the judge doesn't answer.
    """
    labels = load_labels(setting.project.root)
    known = {example.key: example.values for example in setting.parts.splits.examples}
    usable = [label for label in labels if label.example in known and label.grades == setting.grades]
    if len(usable) < _FEWEST:
        raise DataError(
            f"There are {len(usable)} labels to compare the judge with; at least {_FEWEST} are needed, and "
            "some 40 say something.",
            hint="Grade answers with: promptgrad judge label",
        )
    model = setting.models.judging
    metric = setting.metric.judged_by(recorded_judge(setting.replay, model))

    def judged(label: Label) -> Judgement:
        values: Mapping[str, Any] = known[label.example]
        score = metric(values, dspy.Prediction(**{setting.field: label.answer}))
        name, position = example_name(values, label.example), score.metadata.get(POSITION)
        return Judgement(name, label, score.value, score.feedback, score.is_success, position)

    with ThreadPoolExecutor(setting.project.optimizer.max_workers) as pool:
        answers = pool.map(judged, usable)
        judgements = list(counted(answers, "Asking the judge", len(usable), on_progress))
    scores = [judgement.score for judgement in judgements]
    digest = model.revision.digest
    positions = [judgement.position for judgement in judgements if judgement.position is not None]
    agreement = measured_agreement(
        usable,
        scores,
        digest,
        rubric_digest(setting.project),
        right_from=judged_section(setting.project).threshold,
        positions=positions,
    )
    save_agreement(setting.project.root, agreement)
    return Calibration(
        f"{model.uri} ({model.revision.short})", agreement, tuple(judgements), len(labels) - len(usable)
    )
