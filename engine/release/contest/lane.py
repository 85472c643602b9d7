"""One lane of a contest, a method with one seed, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass, field

import dspy

from engine.journal.event_base import Tokens
from engine.programs.selection import Selection
from engine.programs.state import LearnedState
from engine.project.methods import Contestant


@dataclass(frozen=True)
class Lane:
    """A method with one of its seeds; `number` counts from 1."""

    contest: str
    method: Contestant
    number: int
    seed: int

    @property
    def id(self) -> str:
        """The run under which the journal keeps the lane's events and completions."""
        return f"{self.contest}.{self.method}.{self.number}"


@dataclass(frozen=True)
class Found:
    """What a lane came to: a program, what was learned on it, and what it used; without one, the problem.

    With a `selection` each input meets only a part of the state.
    """

    program: dspy.Module
    state: LearnedState
    selection: Selection | None = None
    calls: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    problem: str = ""
