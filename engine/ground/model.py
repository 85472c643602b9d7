"""A local model as its callers see it: what the engine needs, and what the application needs besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from engine.ground.closing import Closing

if TYPE_CHECKING:
    import dspy

    from engine.ground.revision import ModelRevision

Progress = Callable[[str, float], None]
"""Called, from any thread, with a sentence for a person and how much of it is done, 0..1."""

Messages = Sequence[Mapping[str, Any]]
"""Chat messages as OpenAI's API has them: `[{"role": "user", "content": "..."}]`."""


class Model(Protocol):
    """A model as the engine sees it: `lm` goes into DSPy, `revision` identifies it exactly."""

    @property
    def uri(self) -> str:
        """The URI that opens this model again."""

    @property
    def lm(self) -> dspy.LM:
        """The model for DSPy; safe to call from many threads, and never cached by DSPy."""

    @property
    def revision(self) -> ModelRevision:
        """The exact model at the time it was opened."""

    @property
    def context_length(self) -> int:
        """How many tokens a prompt and its answer may have together."""

    @property
    def sampling(self) -> Mapping[str, Any]:
        """The settings that shape an answer and aren't part of each request, such as top_k."""

    def count_prompt_tokens(self, messages: Messages) -> int:
        """Return how many tokens the messages have after the chat template is applied."""

    def verify_revision(self) -> None:
        """Read the model's identity again.

        Raises:
            RevisionMovedError: the same name now means other weights.
        """

    def cancel(self) -> None:
        """Cancel all running requests; their callers get an error within a second."""


class LocalModel(Model, Closing, Protocol):
    """An opened model, with what only the application needs."""

    @property
    def exact_token_counts(self) -> bool:
        """Whether counts come from the model's own tokenizer; if not, they err on the high side."""

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""


class Embedder(Closing, Protocol):
    """A model that turns texts into vectors, so that texts can be compared by what they mean."""

    @property
    def uri(self) -> str:
        """The URI that opens this model again."""

    @property
    def revision(self) -> ModelRevision:
        """The exact model at the time it was opened."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text; none is ever cut."""

    def verify_revision(self) -> None:
        """Read the model's identity again.

        Raises:
            RevisionMovedError: the same name now means other weights.
        """


@dataclass(frozen=True)
class RunModels:
    """The model that does the task, the one that writes gradients, and the one that judges: often one.

    `embedder` compares meanings, for a metric that asks for it.
    `search` is the task's model by another way, faster and not proof: candidates are tried and ranked on it.
    """

    task: Model
    reflection: Model
    judge: Model | None = None
    embedder: Embedder | None = None
    search: Model | None = None

    @property
    def judging(self) -> Model:
        """The model that judges: the task's, unless another one does."""
        return self.judge or self.task

    @property
    def searching(self) -> Model:
        """The model on which candidates are tried: the task's, unless another one does that."""
        return self.search or self.task

    @property
    def doing(self) -> list[Model]:
        """The models that do the task, to prove or to search."""
        return [self.task] if self.search is None else [self.task, self.search]

    @property
    def all(self) -> list[Model]:
        """Every model, each once."""
        models = (self.task, self.reflection, self.judging, self.searching)
        return list({id(model): model for model in models}.values())
