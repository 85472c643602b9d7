"""Screening by likelihood: how probable a state makes the right answers, without decoding any.

The probability of the right answer relative to competing answers separates good additions from useless
ones on a few training examples (Zhou et al. 2023, APE, arXiv 2211.01910, section 3). Its absolute
probability depends mostly on its form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import exp, fsum, log
from typing import Any

import dspy

from engine.ground.answer_scoring import AnswerScorer
from engine.ground.examples import Item
from engine.journal.replay import cause_of
from engine.learning.answers import AnswerSpace
from engine.programs.program import FrozenProgram
from engine.programs.selection import Selection
from engine.programs.state import LearnedState

_AT_ONCE = 8
_MOST_OTHERS = 3
"""Wrong answers that compete in addition to the possible ones."""
_STEPS_KEPT = 64
"""Programs that are kept ready: with a selection nearly every input has its own."""


@dataclass(frozen=True)
class AnswerLikelihood:
    """The model's view of one example: log p of each competing answer, including the right one."""

    right: Any
    log_p: Mapping[Any, float]

    @property
    def of_right(self) -> float:
        """The log-probability of the right answer among its rivals."""
        return self.log_p[self.right]

    @property
    def favourite(self) -> Any:
        """The most probable answer."""
        return max(self.log_p, key=self.log_p.__getitem__)


class Likelihood:
    """The likelihood of right answers under a state, each computed at most once.

    An example that a state shows as a demonstration is scored without that demonstration; with a selection
    it is scored with what it meets of the state. The competing answers are the possible ones, and wrong ones
    that were given (`compete`).
    """

    def __init__(
        self,
        program: FrozenProgram,
        scorer: AnswerScorer,
        adapter: dspy.Adapter,
        space: AnswerSpace,
        selection: Selection | None = None,
    ) -> None:
        self._program = program
        self._scorer = scorer
        self._adapter = adapter
        self._space = space
        self._selection = selection
        self._common: tuple[Any, ...] = space.values
        self._given: dict[str, tuple[Any, ...]] = {}
        self._known: dict[tuple[str, str], AnswerLikelihood] = {}
        self._steps: dict[str, Any] = {}
        self.asked = 0

    def compete(self, given: Mapping[str, Any]) -> None:
        """Let wrong answers compete from now on: everywhere if answers are few, otherwise where given."""
        if self._space.is_closed:
            new = [answer for answer in dict.fromkeys(given.values()) if answer not in self._common]
            self._common += tuple(new[: max(0, len(self._space.values) - len(self._common) + _MOST_OTHERS)])
        else:
            new = [key for key, answer in given.items() if answer not in self._given.get(key, ())]
            self._given |= {key: (*self._given.get(key, ()), given[key]) for key in new}
        if new:
            self._known.clear()

    def answers(self, item: Item) -> list[Any]:
        """Return the right answer of an example and those that compete with it."""
        return list(
            dict.fromkeys([self._space.expected(item), *self._common, *self._given.get(item.key, ())])
        )

    def of(self, state: LearnedState, items: Sequence[Item]) -> list[AnswerLikelihood]:
        """Return the model's view of each example.

        Raises:
            PromptGradError: a prompt is too long, the model failed, or the run ends here.
        """
        digest = state.digest
        new = list({item.key: item for item in items if (digest, item.key) not in self._known}.values())
        if new:
            # The first request fills the model's cache with the prefix that all prompts share.
            self._known[digest, new[0].key] = self._ask(state, new[0])
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="screening") as pool:
                rest = new[1:]
                for item, found in zip(
                    rest, pool.map(lambda item: self._ask(state, item), rest), strict=True
                ):
                    self._known[digest, item.key] = found
            self.asked += len(new)
        return [self._known[digest, item.key] for item in items]

    def _ask(self, state: LearnedState, item: Item) -> AnswerLikelihood:
        shown = state.demonstrations
        if item.key in shown.examples:
            state = state.with_demonstrations(shown.without_examples([item.key]))
        if self._selection is not None:
            state = self._selection(state, item.inputs)
        step = self._step(state)
        answers = self.answers(item)
        messages = self._adapter.format(step.signature, step.demos, item.inputs)
        texts = [
            str(self._adapter.format_assistant_message_content(step.signature, {self._space.field: answer}))
            for answer in answers
        ]
        try:
            scores = self._scorer.score(messages, texts)
        except Exception as error:
            raise cause_of(error) or error from error
        top = max(scores)
        total = top + log(fsum(exp(score - top) for score in scores))
        return AnswerLikelihood(
            answers[0], {answer: score - total for answer, score in zip(answers, scores, strict=True)}
        )

    def _step(self, state: LearnedState) -> Any:
        step = self._steps.get(state.digest)
        if step is None:
            if len(self._steps) >= _STEPS_KEPT:
                self._steps.pop(next(iter(self._steps)), None)
            step = dict(self._program.with_state(state).named_predictors())[self._space.predictor]
            self._steps[state.digest] = step
        return step
