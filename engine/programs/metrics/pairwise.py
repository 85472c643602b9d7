"""A comparison: a judge says whether an answer or one that is known to be good meets the criteria better.

Judges favour a place as such, most of them the first (Zheng et al. 2023, arXiv 2306.05685, section 3.3). So
each pair is shown in both orders; the score is the mean, and what the orders differ by is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from engine.ground.errors import MetricError
from engine.ground.score import Example, Score
from engine.programs.formatting import as_text
from engine.programs.judge import Judge, current_judge
from engine.programs.metrics.asking import grade_probabilities, shown_fields
from engine.programs.metrics.criteria import Criterion
from engine.programs.metrics.texts import normalize

POSITION = "position"
"""In a score's metadata: how much more the judge liked the answer where it came first, -1..1."""

_NAMES = ("A", "B")
_TASK = (
    "You compare two answers to the same task. You look at the given criteria only, and not at which answer "
    "comes first or is longer."
)


class Pairwise:
    """A metric that compares an answer with the example's value, in both orders."""

    def __init__(
        self,
        field: str,
        criteria: Sequence[Criterion],
        *,
        threshold: float = 0.5,
        inputs: Collection[str] = (),
    ) -> None:
        if not criteria:
            raise MetricError("The comparison has no criterion.", hint="List what a good answer does.")
        self.criteria = tuple(criteria)
        self._field = field
        self._threshold = threshold
        self._inputs = tuple(inputs)

    def __call__(self, example: Example, prediction: Any) -> Score:
        """Return how probably the answer is the better one, 0..1; 0.5 is as good as the known one.

        An answer that fails a check of a criterion isn't put to the judge.
        """
        answer, known = as_text(prediction[self._field]), as_text(example[self._field])
        failed = self._failed_check(answer)
        if failed:
            return Score(0.0, False, f"Not met: {failed}.", "fails a check")
        if normalize(answer) == normalize(known):
            return Score(0.5, self._threshold <= 0.5, metadata={POSITION: 0.0})
        judge = current_judge()
        as_first, _ = self._preferred(judge, example, answer, known)
        _, as_second = self._preferred(judge, example, known, answer)
        value = (as_first + as_second) / 2
        is_success = value >= self._threshold
        wanted = "; ".join(criterion.text for criterion in self.criteria)
        feedback = f'Worse than the answer known to be good, "{known}" ({value:.2f}), by: {wanted}.'
        return Score(
            value,
            is_success,
            "" if is_success else feedback,
            "" if is_success else "worse than the known answer",
            {POSITION: round(as_first - as_second, 4)},
        )

    def messages(self, example: Example, first: str, second: str) -> list[dict[str, str]]:
        """Return the question which of two answers is better, as chat messages."""
        parts = [
            *shown_fields(example, self._inputs, self._field),
            f"Answer A: {first}",
            f"Answer B: {second}",
            "The criteria: a good answer " + "; ".join(criterion.text for criterion in self.criteria),
            "Which answer meets the criteria better? Reply with one letter, A or B.",
        ]
        return [{"role": "system", "content": _TASK}, {"role": "user", "content": "\n\n".join(parts)}]

    def _preferred(self, judge: Judge, example: Example, first: str, second: str) -> tuple[float, float]:
        found = grade_probabilities(judge, self.messages(example, first, second), _NAMES)
        return found[0], found[1]

    def _failed_check(self, answer: str) -> str:
        if not answer.strip():
            return "the answer is empty"
        failed = ((criterion.text, criterion.failed_check(answer)) for criterion in self.criteria)
        return next((f"{text} ({why})" for text, why in failed if why), "")
