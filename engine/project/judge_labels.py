"""What people said of answers, and how well a judge agrees with them: data of a project."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from engine.ground.agreement import best_threshold, bootstrap_interval, cohen_kappa, fitted_calls, spearman
from engine.ground.errors import DataError
from engine.ground.files import replace_file
from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Interval

LABELS = "judge-labels.jsonl"
AGREEMENT = "judge-agreement.json"
FAIR = 0.4
"""The kappa from which agreement is called moderate (Landis and Koch 1977)."""

_WORTH_SETTING = 0.1
"""By how much another threshold has to raise kappa to be worth a word."""


class Label(FrozenModel):
    """A person's grade of one answer, from 0 (worst) to `grades` - 1; `example` is the example's key."""

    example: str
    answer: str
    grade: int
    grades: int = 2

    @property
    def key(self) -> str:
        """What is labelled: the example and the answer."""
        return sha256(f"{self.example}\x1f{self.answer}".encode()).hexdigest()[:16]


class Agreement(FrozenModel):
    """How well a judge agreed with labels: Cohen's kappa, Spearman's correlation, and its bias by length.

    It holds for one `judge`, a revision's digest, and one `rubric`, a hash of its criteria and scale.
    `length_bias` correlates an answer's length with how much more the judge gave it than the person did.
    `position_bias` is how much more a judge that compares likes what comes first (-1..1). For labels of yes
    or no, `threshold` is the score from which calling an answer right agrees best with them, and
    `fitted_kappa` what that would bring, each answer called by the threshold that fits the others.
    """

    judge: str
    rubric: str
    kappa: Interval
    spearman: Interval
    length_bias: Interval
    position_bias: Interval | None = None
    threshold: float | None = None
    fitted_kappa: Interval | None = None

    @property
    def needs_threshold(self) -> bool:
        """Whether another threshold would make the agreement clearly better."""
        fitted = self.fitted_kappa
        return fitted is not None and fitted.score >= self.kappa.score + _WORTH_SETTING

    @property
    def text(self) -> str:
        """The agreement as a part of a sentence."""
        kappa = self.kappa
        return f"kappa {kappa.score:.2f} [{kappa.low:.2f}, {kappa.high:.2f}] on {kappa.n} labels"


def load_labels(folder: Path) -> list[Label]:
    """Return the labels of a project, the last of each answer.

    Raises:
        DataError: a line can't be read.
    """
    path = folder / LABELS
    if not path.exists():
        return []
    labels: dict[str, Label] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                label = Label.model_validate_json(line)
            except ValidationError as error:
                raise DataError(
                    f"{path}, line {number}: {error.errors()[0]['msg']}.", hint="Correct or remove the line."
                ) from None
            labels[label.key] = label
    return list(labels.values())


def save_labels(folder: Path, labels: Iterable[Label]) -> None:
    """Write the labels of a project."""
    text = "".join(f"{json.dumps(label.model_dump(), ensure_ascii=False)}\n" for label in labels)
    replace_file(folder / LABELS, text.encode())


def measured_agreement(
    labels: Sequence[Label],
    scores: Sequence[float],
    judge: str,
    rubric: str,
    *,
    right_from: float = 0.5,
    positions: Sequence[float] = (),
) -> Agreement:
    """Return how well a judge's scores (0..1) agree with labels.

    A label of yes or no is compared with whether the score is `right_from` or more. `positions` are how much
    more the judge liked each answer where that came first, if it compares.
    """
    grades = max((label.grades for label in labels), default=2)
    people = [label.grade for label in labels]
    judged = [
        int(score >= right_from) if grades == 2 else min(grades - 1, int(score * (grades - 1) + 0.5))
        for score in scores
    ]
    excess = [score - label.grade / (grades - 1) for label, score in zip(labels, scores, strict=True)]
    lengths = [float(len(label.answer)) for label in labels]

    def correlation(first: Sequence[float], second: Sequence[float]) -> Interval:
        return bootstrap_interval(
            len(labels), lambda rows: spearman([first[row] for row in rows], [second[row] for row in rows])
        )

    def kappa(calls: Sequence[int]) -> Interval:
        return bootstrap_interval(
            len(labels),
            lambda rows: cohen_kappa([people[row] for row in rows], [calls[row] for row in rows], grades),
        )

    right = [grade == 1 for grade in people]
    is_fitted = grades == 2 and len(labels) > 1
    return Agreement(
        judge=judge,
        rubric=rubric,
        kappa=kappa(judged),
        threshold=round(best_threshold(right, scores), 3) if is_fitted else None,
        fitted_kappa=kappa(list(map(int, fitted_calls(right, scores)))) if is_fitted else None,
        spearman=correlation(people, scores),
        length_bias=correlation(lengths, excess),
        position_bias=bootstrap_interval(len(positions), lambda rows: fmean(positions[row] for row in rows))
        if positions
        else None,
    )


def load_agreement(folder: Path, judge: str, rubric: str) -> Agreement | None:
    """Return what was measured of this very judge with this very rubric, if it was."""
    try:
        found = Agreement.model_validate_json((folder / AGREEMENT).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
    return found if (found.judge, found.rubric) == (judge, rubric) else None


def save_agreement(folder: Path, agreement: Agreement) -> None:
    """Keep what was measured of a judge."""
    replace_file(folder / AGREEMENT, f"{agreement.model_dump_json(indent=2)}\n".encode())


def caution_text(agreement: Agreement | None) -> str:
    """Return what a person should know of a judge before trusting its scores, or ""."""
    if agreement is None:
        return (
            "The judge isn't calibrated: nobody knows how well its scores agree with people's. "
            "Label some answers (promptgrad judge label), then: promptgrad judge check"
        )
    if agreement.kappa.score >= FAIR:
        return ""
    advice = "Take a larger judge, or write the criteria more plainly."
    if agreement.needs_threshold and agreement.fitted_kappa is not None:
        kappa = agreement.fitted_kappa
        advice = (
            f"It calls too many or too few answers right: with threshold = {agreement.threshold:g} in "
            f"[metric], kappa would be {kappa.score:.2f} [{kappa.low:.2f}, {kappa.high:.2f}]. Set it, and "
            "check again."
        )
    return (
        f"The judge agrees badly with the labels: {agreement.text}. A rule that it prefers may be no "
        f"better for people. {advice}"
    )
