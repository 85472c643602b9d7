"""A rubric: a judge is asked about each criterion of an answer that has no single right wording.

The score of a criterion is what the judge expects on the scale, by its own probabilities, and not the grade
that it happens to write (G-Eval, Liu et al. 2023, arXiv 2303.16634, section 2).
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

_YES_NO = ("no", "yes")
_MET_FROM = 0.5
_LONGEST_NAME = 40
_TASK = (
    "You check the answer that somebody gave to a task. You look at one criterion only. You are strict: an "
    "answer that doesn't clearly meet the criterion doesn't meet it, however well it is written."
)


class Rubric:
    """A metric that asks the judge about each criterion; `scale` is None for yes or no, or whole grades."""

    def __init__(
        self,
        field: str,
        criteria: Sequence[Criterion],
        *,
        scale: tuple[int, int] | None = None,
        threshold: float = 0.5,
        inputs: Collection[str] = (),
    ) -> None:
        if not criteria:
            raise MetricError("The rubric has no criterion.", hint="List what a good answer does.")
        self.criteria = tuple(criteria)
        self._field = field
        self._threshold = threshold
        self._met_from = min(_MET_FROM, threshold)
        self._inputs = tuple(inputs)
        self._grades = _YES_NO if scale is None else tuple(map(str, range(scale[0], scale[1] + 1)))

    def __call__(self, example: Example, prediction: Any) -> Score:
        """Return the weighted mean of the criteria's scores, with those that aren't met as feedback."""
        answer = as_text(prediction[self._field])
        judge = current_judge()
        values: dict[str, float] = {}
        failures: list[str] = []
        for criterion in self.criteria:
            failed = criterion.failed_check(answer) if answer.strip() else "the answer is empty"
            value = 0.0 if failed else self._asked(judge, criterion, example, answer)
            values[criterion.text] = round(value, 4)
            if value < self._met_from:
                failures.append(f"{criterion.text} ({failed or f'judged {value:.2f}'})")
        weights = sum(criterion.weight for criterion in self.criteria)
        total = sum(values[criterion.text] * criterion.weight for criterion in self.criteria) / weights
        feedback = f"Not met: {'; '.join(failures)}." if failures else ""
        missed = next((text for text, value in values.items() if value < self._met_from), "")
        kind = f"fails: {missed}" if len(missed) <= _LONGEST_NAME else f"fails: {missed[:_LONGEST_NAME]}..."
        return Score(total, total >= self._threshold, feedback, kind if missed else "", {"criteria": values})

    def messages(self, criterion: Criterion, example: Example, answer: str) -> list[dict[str, str]]:
        """Return the question about one criterion, as chat messages."""
        parts = shown_fields(example, self._inputs, self._field)
        reference = example.get(self._field)
        if reference not in (None, ""):
            parts.append(f"An answer that is known to be good: {as_text(reference)}")
        parts += [f"The answer to check: {answer}", f"The criterion: the answer {criterion.text}"]
        if self._grades == _YES_NO:
            ask = "Does the answer meet the criterion? Reply with one word, yes or no."
        else:
            ask = (
                f"How well does the answer meet the criterion? Reply with one number from {self._grades[0]} "
                f"(not at all) to {self._grades[-1]} (fully)."
            )
        return [{"role": "system", "content": _TASK}, {"role": "user", "content": "\n\n".join((*parts, ask))}]

    def _asked(self, judge: Judge, criterion: Criterion, example: Example, answer: str) -> float:
        return expected_grade(
            grade_probabilities(judge, self.messages(criterion, example, answer), self._grades)
        )


def expected_grade(probabilities: Sequence[float]) -> float:
    """Return what is expected (0..1) of grades from the worst to the best; the worst where none is known."""
    mean = sum(place * probability for place, probability in enumerate(probabilities))
    return min(1.0, max(0.0, mean / (len(probabilities) - 1)))
