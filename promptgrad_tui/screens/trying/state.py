"""The state of the Try screen: the worker, and both answers as they arrive. Needs no screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic_core import from_json

from engine.programs.formatting import as_text
from promptgrad_tui.screens.trying.process import Gone
from promptgrad_tui.work.trying.messages import (
    Answered,
    Cancelled,
    Described,
    Failed,
    Loading,
    Ready,
    Reply,
    Saved,
    Side,
    Streamed,
)

Phase: TypeAlias = Literal["starting", "ready", "failed", "gone"]
Problem: TypeAlias = tuple[str, str]
"""What happened, and what to do about it."""

_GONE_HINT = (
    "ctrl+r starts it again; your text is kept. `promptgrad doctor` says whether llama.cpp works here."
)


@dataclass
class Answer:
    """One side's answer: `pieces` are what the model said so far, by the number of its call."""

    state: Literal["running", "answered", "cancelled", "failed"] = "running"
    pieces: dict[int, str] = field(default_factory=dict)
    answered: Answered | None = None
    problem: Problem | None = None

    def fields(self) -> dict[str, str]:
        """Return the answer by fields: whole ones, or as far as they can be read from what has come."""
        if self.answered is not None:
            return self.answered.fields
        found: dict[str, str] = {}
        for call, text in self.pieces.items():
            read = _partial_fields(text)
            found |= read if read is not None else {f"call {call}": text}
        return found


@dataclass
class TryState:
    """Replies of the worker folded into what is shown; `request` is the prediction that counts.

    `is_wanted` says that an input waits for the model to be open, `is_cancelling` that a person has cancelled
    the answers.
    """

    phase: Phase = "starting"
    loading: Loading | None = None
    described: Described | None = None
    ready: Ready | None = None
    problem: Problem | None = None
    request: int = 0
    answers: dict[Side, Answer] = field(default_factory=dict)
    is_wanted: bool = False
    is_cancelling: bool = False

    @property
    def sides(self) -> tuple[Side, ...]:
        """What answers: both sides until the worker says otherwise."""
        return self.described.sides if self.described is not None else ("base", "optimized")

    @property
    def is_running(self) -> bool:
        """Whether an answer is still to come."""
        return any(answer.state == "running" for answer in self.answers.values())

    def begin(self) -> int:
        """Begin another prediction and return its number."""
        self.request += 1
        self.is_wanted = self.is_cancelling = False
        self.answers = {side: Answer() for side in self.sides}
        return self.request

    def restart(self) -> None:
        """Forget the previous worker; complete answers stay."""
        self.phase, self.problem, self.ready, self.loading = "starting", None, None, None

    def apply(self, reply: Reply | Gone) -> None:
        """Take in what the worker said, or that it is gone."""
        match reply:
            case Described():
                self.described = reply
            case Loading():
                self.loading = reply
            case Saved() if self.described is not None:
                self.described = self.described.model_copy(update={"expected": reply.expected})
            case Ready():
                self.ready, self.phase = reply, "ready"
            case Gone():
                self._lose(reply)
            case Failed(place="open"):
                self.phase, self.problem, self.is_wanted = "failed", (reply.message, reply.hint), False
            case Streamed() | Answered() | Cancelled() | Failed(place="predict"):
                if reply.id == self.request:
                    self._apply_answer(reply)
            case _:
                pass

    def _apply_answer(self, reply: Streamed | Answered | Cancelled | Failed) -> None:
        # A failure without a side, of an input for instance, is that of all sides.
        for side in [reply.side] if reply.side else list(self.answers):
            answer = self.answers[side]
            match reply:
                case Streamed():
                    answer.pieces[reply.call] = answer.pieces.get(reply.call, "") + reply.text
                case Answered():
                    answer.state, answer.answered = "answered", reply
                case Cancelled():
                    answer.state = "cancelled"
                case Failed():
                    answer.state, answer.problem = "failed", (reply.message, reply.hint)

    def _lose(self, gone: Gone) -> None:
        words = f" Its last words:\n{gone.words}" if gone.words else ""
        self.phase, self.is_wanted = "gone", False
        self.problem = (f"The model's process has died. {gone.how}{words}", _GONE_HINT)
        for answer in self.answers.values():
            if answer.state == "running":
                answer.state = "cancelled"

    def answer_to(self, inputs: dict[str, str], asked: dict[str, str]) -> dict[str, str]:
        """Return the best answer to `inputs`, if they are what was `asked`: that with the rules, if any."""
        whole = [answer.answered.fields for answer in self.answers.values() if answer.answered]
        return whole[-1] if whole and inputs == asked else {}

    def differing(self) -> frozenset[str]:
        """Return the fields in which two whole answers differ."""
        whole = [answer.answered.fields for answer in self.answers.values() if answer.answered]
        if len(whole) < 2:
            return frozenset()
        base, optimized = whole
        return frozenset(name for name in {*base, *optimized} if base.get(name) != optimized.get(name))


def _partial_fields(text: str) -> dict[str, str] | None:
    """Return the fields of JSON that may be cut off anywhere, or None if it isn't a JSON object."""
    try:
        read: Any = from_json(text, allow_partial="trailing-strings")
    except ValueError:
        return None
    return {str(name): as_text(value) for name, value in read.items()} if isinstance(read, dict) else None
