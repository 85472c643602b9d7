"""Answers that can't be read: what was asked for, how the prompt ended, and what came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from dspy.utils.exceptions import AdapterParseError

from engine.ground.errors import UnreadableAnswersError
from engine.ground.figures import count_text

_ENOUGH = 8
"""Examples without an answer that could be read, after which it isn't an accident."""
_NOTHING = "nothing was answered"
_MOST_SHOWN = 400
_PROMPT_SHOWN = 200
"""Characters at the end of a prompt: they say in which form to answer."""


@dataclass(frozen=True)
class Unreadable:
    """An answer that couldn't be read: what was asked for, as sentences, and what came."""

    asked: str
    answer: str

    @classmethod
    def of(cls, error: AdapterParseError) -> Self:
        """Return what is known from the adapter's error alone."""
        return cls(_form(error), _shortened(error.lm_response or _NOTHING))

    @classmethod
    def recorded(cls, error: AdapterParseError, prompt: str, answer: str, thought: str) -> Self:
        """Return an answer with its prompt's last message, and what the model thought before it."""
        ended = " ".join(prompt.split())[-_PROMPT_SHOWN:]
        if not answer:
            answer = _NOTHING + (f" after the thought: {thought}" if thought else "")
        return cls(f'{_form(error)} The prompt ended with "{ended}".', _shortened(answer))


class Reading:
    """Whether any answer could be read so far, and the first of each example that couldn't be."""

    def __init__(self) -> None:
        self._has_read = False
        self._unreadable: dict[str, Unreadable] = {}

    def note(self, answers: Mapping[str, Unreadable | None]) -> None:
        """Add what couldn't be read by the examples' keys; None for an answer that could.

        Raises:
            UnreadableAnswersError: not one answer could be read so far, and these are enough to tell.
        """
        self._has_read = self._has_read or None in answers.values()
        for key, answer in answers.items():
            if answer is not None:
                self._unreadable.setdefault(key, answer)
        if len(self._unreadable) >= _ENOUGH:
            self.refuse_unreadable()

    def refuse_unreadable(self) -> None:
        """End a run in which nothing could be scored so far: rules mend no answer that can't be read.

        Raises:
            UnreadableAnswersError: there were answers, and not one of them could be read.
        """
        if self._has_read or not self._unreadable:
            return
        first = next(iter(self._unreadable.values()))
        raise UnreadableAnswersError(
            f"Not one of {count_text(len(self._unreadable), 'answer')} could be read. {first.asked} "
            f"The first answer: {first.answer}",
            hint="If answers are cut short, raise [model] max_tokens. If the model thinks aloud, set think "
            "to true or false. If the server ignores the schema of an answer, update it, or let the program "
            "use another adapter.",
        )


def _form(error: AdapterParseError) -> str:
    fields = tuple(error.signature.output_fields)
    form = "JSON with " if error.adapter_name == "JSONAdapter" else ""
    return f"The model was asked for {form}the field{'s' if len(fields) > 1 else ''} {', '.join(fields)}."


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} ..."
