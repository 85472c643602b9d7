"""Every hyperparameter of the optimizer, with the names and defaults of the API reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from engine.ground.errors import ConfigError
from engine.programs.selection import RuleSelection, Selection

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]

SourceName = Literal[
    "auto", "failure_analysis", "topics", "contrast", "shapes", "pairs", "refinement", "corrections"
]

HIGHEST_TEMPERATURE = 2.0
"""The highest temperature that DSPy and the servers accept."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class _Fields:
    epochs: Count = Field(default=3, description="Training epochs.")
    batches_per_epoch: Count = Field(default=3, description="Batches per epoch; each is analysed once.")
    batch_size: Count = Field(default=10, description="Examples per batch.")
    max_workers: Count = Field(default=10, description="Threads that run the program at the same time.")
    num_val_runs: Count = Field(default=1, description="Validation runs per epoch, averaged.")
    verbose: bool = Field(default=True, description="Log progress.")
    seed: int | None = Field(default=None, description="Seed of all sampling; none draws one.")
    val_holdout_fraction: float = Field(
        default=0.2,
        gt=0.0,
        lt=1.0,
        description="Share of the training examples held out when no validation set is given.",
    )
    max_local_rules: Count = Field(default=15, description="More rules than this are pruned.")
    merge_threshold: Count = Field(
        default=8, description="More rules than this are merged where they are similar."
    )
    early_stop_patience: Count = Field(
        default=2, description="Stop after this many epochs without improvement."
    )
    convergence_window: int = Field(
        default=0,
        ge=0,
        description="Stop when as many epochs score closer than convergence_threshold; 0: never.",
    )
    convergence_threshold: Fraction = Field(
        default=0.01, description="Scores of converged epochs lie less than this apart."
    )
    rollback_threshold: Fraction = Field(
        default=0.05, description="A fall below the best state by more than this brings that state back."
    )
    failure_threshold: Fraction = Field(default=0.5, description="Scores below this are failures.")
    validate_rules: bool = Field(default=True, description="Test each rule by itself before it is applied.")
    rule_validation_examples: int = Field(default=15, ge=2, description="Examples in a rule's paired test.")
    rule_validation_min_delta: float = Field(
        default=0.01, ge=-1.0, le=1.0, description="Smallest gain that is accepted."
    )
    rule_validation_mode: Literal["delta", "auto"] = Field(
        default="delta", description='"delta": a fixed threshold. "auto": the 95 % interval must lie above 0.'
    )
    rule_validation_signal: Literal["score", "likelihood"] = Field(
        default="score",
        description='"likelihood": where the score of a set can\'t tell, right answers must become likelier; '
        'only in the mode "delta".',
    )
    futility_stopping: bool = Field(
        default=False,
        description="Stop a test of 30 examples or more as soon as its change can hardly pass any more.",
    )
    rule_selection_mode: Literal["default", "greedy"] = Field(
        default="default", description='"default": each rule by itself. "greedy": forward selection.'
    )
    rule_pruning_strategy: Literal["rollback", "delta"] = Field(
        default="rollback",
        description='"rollback": back to the best tested state. "delta": keep the largest gains.',
    )
    conditional_rules: bool = Field(
        default=False, description="Apply a rule only to the inputs its trigger fits."
    )
    rule_trigger_top_k: Count = Field(
        default=5, description="The most rules applied to one input, in conditional mode."
    )
    rule_trigger_min_overlap: Fraction = Field(
        default=0.1, description="The least overlap of trigger and input."
    )
    stratified_sampling: bool = Field(default=True, description="Draw batches across error types.")
    gradient_consensus: bool = Field(
        default=True, description="Keep what a majority of analysis passes proposes."
    )
    gradient_samples: Count = Field(default=3, description="Analysis passes per batch.")
    gradient_temperature_base: float = Field(
        default=0.7, ge=0.0, le=HIGHEST_TEMPERATURE, description="Temperature of the first pass."
    )
    gradient_temperature_step: float = Field(
        default=0.15, ge=0.0, le=1.0, description="Added for each further pass, up to a temperature of 2."
    )
    gradient_max_tokens: Count = Field(default=4000, description="Longest answer of an analysis, in tokens.")
    gradient_failure_display_limit: Count = Field(default=5, description="Failures shown to an analysis.")
    max_demonstrations: int = Field(
        default=0, ge=0, description="The most training examples shown in the prompt; 0 learns only rules."
    )
    conditional_demonstrations: int = Field(
        default=0,
        ge=0,
        description="Show each input only so many of the demonstrations, the most similar; 0 shows all.",
    )
    sources: tuple[SourceName, ...] = Field(
        default=("failure_analysis",),
        min_length=1,
        description='What proposes rules; "auto" chooses by the data: see the documentation.',
    )
    base_prompt_source: str = Field(
        default="module", min_length=1, description='"module", or the base instructions themselves.'
    )

    @field_validator("convergence_window")
    @classmethod
    def _shows_something(cls, window: int) -> int:
        if window == 1:
            raise ValueError("one epoch can't show convergence: 2 or more, or 0 for never")
        return window


class PromptGradConfig(_Fields):
    """The optimizer's hyperparameters; a value out of range is a `ConfigError` that names the field."""

    @property
    def selection(self) -> Selection | None:
        """How rules and demonstrations are chosen for each input; None if every input meets all of them."""
        if not self.conditional_rules and not self.conditional_demonstrations:
            return None
        rules = RuleSelection(self.rule_trigger_top_k, self.rule_trigger_min_overlap)
        return Selection(rules if self.conditional_rules else None, self.conditional_demonstrations)

    if not TYPE_CHECKING:  # type checkers and editors should see the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise _readable(error) from None


def _readable(error: ValidationError) -> ConfigError:
    problems = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"]) or "config"
        problems.append(f"{field} = {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
    return ConfigError(
        "; ".join(problems),
        hint="Correct it in [optimizer] of promptgrad.toml, or where the config is built.",
    )
