"""Short questions in plain text, which a small model answers better than a form."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dspy

from engine.ground.seeds import derive_seed, sampling_lm
from engine.journal.events import Emit
from engine.journal.learning_events import QuestionAnswered
from engine.journal.replay import cause_of, recording
from engine.learning.place import Place

_AT_ONCE = 6
_LONGEST_ANSWER = 60
"""Tokens: one line."""


@dataclass(frozen=True)
class Question:
    """A question in one line of instructions, with worked examples as chat turns before it.

    `about` names its subject for a person; `number` distinguishes samples of the same question.
    """

    source: str
    about: str
    system: str
    examples: Sequence[tuple[str, str]]
    text: str
    number: int = 0
    temperature: float = 0.0

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat that is sent."""
        turns = [
            {"role": role, "content": content}
            for question, answer in self.examples
            for role, content in (("user", question), ("assistant", answer))
        ]
        system = {"role": "system", "content": self.system}
        return [system, *turns, {"role": "user", "content": self.text}]


class Questioner:
    """Asks the reflection model short questions, several at once, and reports each answer."""

    def __init__(self, lm: dspy.LM, *, seed: int, emit: Emit) -> None:
        self._lm = lm
        self._seed = seed
        self._emit = emit

    def ask(self, questions: Sequence[Question], place: Place) -> list[str]:
        """Return the first line of each answer, in the questions' order; "" if there was none.

        Raises:
            PromptGradError: the model failed, or the run ends here.
        """
        if not questions:
            return []
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="question") as pool:
            return list(pool.map(lambda question: self._answer(question, place), questions))

    def _answer(self, question: Question, place: Place) -> str:
        event = f"{place}/question/{question.source}/{question.about}/{question.number}"
        seed = derive_seed(self._seed, event)
        lm = sampling_lm(self._lm, seed, temperature=question.temperature, max_tokens=_LONGEST_ANSWER)
        with recording() as used:
            try:
                reply = _text(lm(messages=question.messages))
            except Exception as error:
                raise cause_of(error) or error from error
        line = next((line.strip() for line in reply.splitlines() if line.strip()), "")
        self._emit(
            QuestionAnswered(
                id=event,
                epoch=place.epoch,
                batch=place.batch,
                source=question.source,
                about=question.about,
                number=question.number,
                temperature=question.temperature,
                answer=line,
                completions=used.keys,
            )
        )
        return line


def _text(outputs: Sequence[Any]) -> str:
    first = outputs[0] if outputs else ""
    return str(first.get("text") or "") if isinstance(first, dict) else str(first or "")
