"""What the engine needs to know of a model: a `dspy.LM` and the exact revision behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import dspy


class ModelRevision(Protocol):
    """The identity of a model's weights and template: a content hash, never a name."""

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits, or `unverified:` and what the server tells."""
        ...

    @property
    def template_digest(self) -> str | None:
        """Hash of the chat template, where it can be read."""
        ...

    @property
    def verified(self) -> bool:
        """Whether `digest` is a hash of content."""
        ...

    @property
    def short(self) -> str:
        """Twelve hexadecimal digits for folders and screens."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """All fields, for a manifest."""
        ...


class Model(Protocol):
    """A local model as the engine meets it; `models.LocalModel` is one."""

    @property
    def uri(self) -> str:
        """What opened it."""
        ...

    @property
    def lm(self) -> dspy.LM:
        """The model as DSPy calls it."""
        ...

    @property
    def revision(self) -> ModelRevision:
        """Its exact identity."""
        ...

    @property
    def context_length(self) -> int:
        """Tokens that one request may use, prompt and answer together."""
        ...

    @property
    def sampling(self) -> Mapping[str, Any]:
        """Settings that shape an answer and aren't part of each request, such as top_k."""
        ...

    def count_prompt_tokens(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Tokens of a rendered chat prompt."""
        ...

    def cancel(self) -> None:
        """End every request under way within a second."""
        ...

    def verify_revision(self) -> None:
        """Read the identity again, and raise a `PromptGradError` if the name means other weights by now."""
        ...


@dataclass(frozen=True)
class RunModels:
    """The model that does the task, and the one that writes gradients (often the same)."""

    task: Model
    reflection: Model
