"""What `promptgrad check --json` prints: the findings, and the facts that they rest on."""

from __future__ import annotations

from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

from promptgrad_tui.views.estimate import Measured
from promptgrad_tui.views.findings import Finding
from promptgrad_tui.work.check.estimate import Sizes


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class SplitFound(_Part):
    """A split: its file, how many examples it has, and how many of each slice.

    `origin` says where the examples come from: their own file, or a part of train.
    """

    name: str
    file: str
    examples: int
    origin: Literal["file", "held out of train", "taken out of train"] = "file"
    slices: dict[str, int] = {}


class ModelOpened(_Part):
    """A model that was opened: its exact revision, and whether that was verified."""

    role: Literal["task", "reflection"]
    uri: str
    revision: str
    verified: bool
    context_length: int


class RateMeasured(_Part):
    """What some rollouts on a model took, and how long an analysis' prompt is, in tokens.

    `picked_tokens` are those of demonstrations that a prompt shares with no other one.

    `repeated` answers were asked for again, of which `changed` were others then; none are repeated where an
    answer is known to depend on its request alone. `searched` is what they took on the search's own model.
    """

    uri: str
    measured: Measured
    searched: Measured | None = None
    analysis_tokens: int
    at_a_time: int
    picked_tokens: int = 0
    repeated: int = 0
    changed: int = 0

    @property
    def answer_tokens_per_second(self) -> float:
        """Tokens that all requests together wrote in a second."""
        return self.measured.calls * self.measured.completion_tokens / self.measured.seconds


CheckItem: TypeAlias = Finding | SplitFound | Sizes | ModelOpened | RateMeasured


class CheckReport(_Part):
    """Everything that a check found, as far as it came."""

    findings: tuple[Finding, ...] = ()
    splits: tuple[SplitFound, ...] = ()
    models: tuple[ModelOpened, ...] = ()
    sizes: Sizes | None = None
    rate: RateMeasured | None = None

    @classmethod
    def of(cls, items: list[CheckItem]) -> Self:
        """Return the report of a check."""
        return cls(
            findings=tuple(item for item in items if isinstance(item, Finding)),
            splits=tuple(item for item in items if isinstance(item, SplitFound)),
            models=tuple(item for item in items if isinstance(item, ModelOpened)),
            sizes=next((item for item in items if isinstance(item, Sizes)), None),
            rate=next((item for item in items if isinstance(item, RateMeasured)), None),
        )
