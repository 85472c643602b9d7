"""What happens while another optimizer makes the base: a method begins, and ends with a program."""

from __future__ import annotations

from typing import Literal

from engine.ground.interval import Interval
from engine.journal.event_base import BaseEvent


class MethodStarted(BaseEvent):
    """A method begins; `calls` is its budget of model calls."""

    kind: Literal["method_started"] = "method_started"
    method: str
    calls: int


class MethodFinished(BaseEvent):
    """A method has made a program: the instructions of each step, and how many demonstrations it shows."""

    kind: Literal["method_finished"] = "method_finished"
    method: str
    calls: int
    instructions: dict[str, str]
    demonstrations: dict[str, int]


class BaseCompared(BaseEvent):
    """What the base that a method made brings: validation scores of the project's own program, and of it."""

    kind: Literal["base_compared"] = "base_compared"
    method: str
    calls: int
    own: Interval
    made: Interval
    demonstrations: int = 0
