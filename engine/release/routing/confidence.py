"""How sure a model is of an answer: by how much it is more probable than any other possible one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dspy

from engine.ground.answer_scoring import AnswerScorer


class Confidence:
    """The margin of an answer among the possible ones of a field, in nats; below 0 for one that isn't first.

    An answer that isn't possible has no margin, and neither has a program whose steps don't see the inputs
    themselves.
    """

    def __init__(
        self,
        program: dspy.Module,
        predictor: str,
        field: str,
        answers: Sequence[Any],
        scorer: AnswerScorer,
        adapter: dspy.Adapter,
    ) -> None:
        self._step = dict(program.named_predictors())[predictor]
        self._field = field
        self._answers = tuple(answers)
        self._scorer = scorer
        self._adapter = adapter

    def margin(self, inputs: Mapping[str, Any], prediction: Mapping[str, Any]) -> float | None:
        """Return log p of the predicted answer, less that of the most probable other one.

        What the program said before its answer, such as its reasoning, comes before each possible answer too.
        """
        answer = prediction.get(self._field)
        if answer not in self._answers:
            return None
        step = self._step
        known = {name: inputs[name] for name in step.signature.input_fields if name in inputs}
        said = {name: prediction[name] for name in step.signature.output_fields if name in prediction}
        messages = self._adapter.format(step.signature, step.demos, known)
        texts = [
            str(
                self._adapter.format_assistant_message_content(
                    step.signature, {**said, self._field: possible}
                )
            )
            for possible in self._answers
        ]
        scores = self._scorer.score(messages, texts)
        own = list(self._answers).index(answer)
        return scores[own] - max(score for index, score in enumerate(scores) if index != own)
