"""What an optimization works with: the examples, the models that it asks, and who follows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import dspy

from engine.ground.answer_scoring import AnswerScorer
from engine.ground.model import Messages
from engine.ground.score import Example
from engine.journal.events import Emit, Event
from engine.journal.live_text import LiveText
from engine.learning.review import Decisions

PromptRoom = Callable[[Messages], bool]
"""Whether a prompt leaves room enough for its answer."""

_MOST_CHARACTERS = 10_000


def room_by_characters(messages: Messages) -> bool:
    """Return whether messages are short enough for any model, if tokens can't be counted."""
    return sum(len(str(message["content"])) for message in messages) <= _MOST_CHARACTERS


def _usual_adapter() -> dspy.Adapter:
    return dspy.settings.adapter or dspy.JSONAdapter()


def _ignore(event: Event) -> None:
    del event


@dataclass(frozen=True)
class SessionExamples:
    """The examples of the splits; the test split stays sealed, and only its size is known.

    Without `validation`, a share of `train` is held out. `declared` names the program's inputs where the
    examples do.
    """

    train: Sequence[Example]
    validation: Sequence[Example] | None = None
    test_size: int = 0
    slice_field: str | None = None
    declared: frozenset[str] | None = None


@dataclass(frozen=True)
class SessionModels:
    """The models and how they are asked; the task's also searches and reflects, unless another one does.

    `scorer` gives the probabilities of answers, if the model of the search has them. `adapter` renders the
    program's prompts, `reflection_adapter` the questions about them; both are DSPy's configured one by
    default, or JSONAdapter. `room` says whether a prompt leaves room for its answer.
    """

    task: dspy.LM
    search: dspy.LM | None = None
    reflection: dspy.LM | None = None
    scorer: AnswerScorer | None = None
    adapter: dspy.Adapter = field(default_factory=_usual_adapter)
    reflection_adapter: dspy.Adapter = field(default_factory=_usual_adapter)
    room: PromptRoom = room_by_characters

    @property
    def reflecting(self) -> dspy.LM:
        """The model that analyses failures and answers questions about examples."""
        return self.reflection or self.task


@dataclass(frozen=True)
class SessionFollowers:
    """Who follows an optimization: `emit` gets its events, `live` a model's text while it is written.

    With `decisions`, a person decides what is kept.
    """

    emit: Emit = _ignore
    live: LiveText | None = None
    decisions: Decisions | None = None
