"""Every error a person can meet, as one tree.

PromptGradError                 what happened, to which thing, and what to do
├── ProjectError                promptgrad.toml, or Python that it names          exit 2
│   └── ConfigError             a field of PromptGradConfig out of range
├── DataError                   an example file: file, line, fix                  exit 2
├── MetricError                 a metric that raised or returned no score         exit 2
├── JournalError                the run's file can't be written or read           exit 1
│   ├── NoRunError              no journal yet, or no run of that name            exit 2
│   └── RunLockedError          another process works on this run
├── ArtifactError               a damaged artifact, or one for another program    exit 2
│   └── RevisionMismatchError   an artifact proved on another model revision
├── ContextOverflowError        an example that doesn't fit the model's context   exit 2
├── UnreadableAnswersError      a model not one of whose answers can be read      exit 3
├── ModelUnavailableError       the model stopped answering; the run can resume   exit 3
├── BudgetExhaustedError        --max-calls or --max-minutes is used up           exit 1
├── BudgetTooSmallError         a budget that pays for no more than the proof     exit 2
├── RunStoppedError             a person stopped the run                          exit 130
└── models.errors.ModelError    a model that can't be opened or reached           exit 3
"""

from __future__ import annotations

from pathlib import Path


class PromptGradError(Exception):
    """An error made to be shown to a person: a sentence, and what to do about it.

    It also carries facts for programs: `file` and `line` (from 1) say where to correct it, `field` is the
    dotted key of the project file it is about, and `example` is the key of the example. `example_place` is
    that example's file and line, set by the code that read the file; the message ends with it.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        example: str = "",
        file: Path | None = None,
        line: int = 0,
        field: str = "",
    ) -> None:
        super().__init__(message)
        self._sentence = message
        self.hint = hint
        self.example = example
        self.example_place = ""
        self.file = file
        self.line = line
        self.field = field

    @property
    def message(self) -> str:
        """What happened, and to which thing."""
        place = f" The example is in {self.example_place}." if self.example_place else ""
        return f"{self._sentence}{place}"

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ProjectError(PromptGradError):
    """The project file, or Python code that it names, can't be used."""

    exit_code = 2


class ConfigError(ProjectError, ValueError):
    """A field of `PromptGradConfig` has a value outside its range."""


class DataError(PromptGradError):
    """A data file can't be used; the message names the file and the line."""

    exit_code = 2


class MetricError(PromptGradError):
    """A metric raised, or returned something other than a score."""

    exit_code = 2


class JournalError(PromptGradError):
    """The journal can't be written or read; what it already holds is safe."""


class NoRunError(JournalError):
    """There is no journal, or it holds no run of that name."""

    exit_code = 2


class RunLockedError(JournalError):
    """Another process is working on this run."""


class ArtifactError(PromptGradError):
    """An artifact is damaged, or was made for another program."""

    exit_code = 2


class RevisionMismatchError(ArtifactError):
    """An artifact was proved on another revision of the model."""


class ContextOverflowError(PromptGradError):
    """A prompt has more tokens than the model's context holds."""

    exit_code = 2


class ModelUnavailableError(PromptGradError):
    """A model stopped answering in the middle of a run; the run can be resumed."""

    exit_code = 3


class UnreadableAnswersError(PromptGradError):
    """Not one of a model's answers could be read, so that there is nothing to learn from."""

    exit_code = 3


class BudgetExhaustedError(PromptGradError):
    """The run has used up its calls or its minutes."""


class BudgetTooSmallError(PromptGradError):
    """The budget pays for no more than the run's proof: nothing could be learned."""

    exit_code = 2


class RunStoppedError(PromptGradError):
    """A person stopped the run."""

    exit_code = 130
