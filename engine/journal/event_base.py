"""What all events are made of: frozen parts, a place in the run, a time, and tokens."""

from __future__ import annotations

import time

from pydantic import Field

from engine.ground.frozen_model import FrozenModel


class BaseEvent(FrozenModel):
    """Something that happened: `id` is made of its place in the run, `time` is in Unix seconds."""

    id: str
    time: float = Field(default_factory=time.time)


class Tokens(FrozenModel):
    """Tokens of prompts, of completions, and those of prompts that needed no evaluation."""

    prompt: int = 0
    completion: int = 0
    reused: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            reused=self.reused + other.reused,
        )
