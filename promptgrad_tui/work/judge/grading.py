"""A person grades answers one at a time; each grade is kept at once, and can be taken back. Needs no DSPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.project.judge_labels import Label, load_labels, save_labels


@dataclass(frozen=True)
class GradedAnswer:
    """An answer to be graded: to which example, what the program was given, and what it answered."""

    example: str
    name: str
    inputs: Mapping[str, Any]
    answer: str
    reference: str = ""


@dataclass(frozen=True)
class GradingTask:
    """The answers to be graded, what a good one does, and the grades; without a `scale` they are no and yes.

    With `is_compared`, the question is whether an answer is at least as good as its reference.
    """

    answers: Sequence[GradedAnswer]
    criteria: Sequence[str] = ()
    scale: tuple[int, int] | None = None
    is_compared: bool = False

    @property
    def keys(self) -> list[str]:
        """The keys of the grades, the worst first."""
        return ["n", "y"] if self.scale is None else [*map(str, range(self.scale[0], self.scale[1] + 1))]

    @property
    def question(self) -> str:
        """What is asked about each answer, with the keys."""
        if self.is_compared:
            return "Is it at least as good as the known answer? y or n"
        if self.scale is None:
            return "Is it good? y or n"
        return f"How good is it? {self.keys[0]} to {self.keys[-1]}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "criteria": list(self.criteria),
            "scale": self.scale,
            "compared": self.is_compared,
            "answers": [asdict(one) for one in self.answers],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> GradingTask:
        """Return what `as_json` wrote."""
        scale = told["scale"]
        return cls(
            [GradedAnswer(**one) for one in told["answers"]],
            told["criteria"],
            None if scale is None else (scale[0], scale[1]),
            told["compared"],
        )


class Grading:
    """Goes through the answers that have no grade of this scale yet; `root` is the project's folder.

    A new grade replaces one of another scale.

    Raises:
        DataError: the labels that are there can't be read.
    """

    def __init__(self, root: Path, task: GradingTask) -> None:
        self.task = task
        self._root = root
        self._before = load_labels(root)
        known = {label.key for label in self._before if self._is_of_scale(label)}
        self._waiting = [answer for answer in task.answers if self._label(answer, 0).key not in known]
        self._done: list[Label | None] = []

    @property
    def current(self) -> GradedAnswer | None:
        """The answer to be graded now; None where all are."""
        place = len(self._done)
        return self._waiting[place] if place < len(self._waiting) else None

    @property
    def place(self) -> str:
        """Which of the waiting answers it is: 3 of 40."""
        return f"{min(len(self._done) + 1, len(self._waiting))} of {len(self._waiting)}"

    @property
    def graded(self) -> int:
        """How many answers have a grade of this scale, in all sittings together."""
        return sum(map(self._is_of_scale, self._before)) + len(self._kept)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._done)

    def grade(self, key: str) -> None:
        """Keep the grade of a key for the current answer."""
        if self.current is not None:
            self._go_on(self._label(self.current, self.task.keys.index(key)))

    def skip(self) -> None:
        """Leave the current answer without a grade; a later sitting asks about it again."""
        if self.current is not None:
            self._go_on(None)

    def undo(self) -> None:
        """Go back to the answer before, and take its grade back if it got one."""
        if self._done:
            self._done.pop()
            self._save()

    def _go_on(self, label: Label | None) -> None:
        self._done.append(label)
        self._save()

    def _save(self) -> None:
        save_labels(self._root, [*self._before, *self._kept])

    @property
    def _kept(self) -> list[Label]:
        return [label for label in self._done if label is not None]

    def _is_of_scale(self, label: Label) -> bool:
        return label.grades == len(self.task.keys)

    def _label(self, answer: GradedAnswer, grade: int) -> Label:
        return Label(example=answer.example, answer=answer.answer, grade=grade, grades=len(self.task.keys))
