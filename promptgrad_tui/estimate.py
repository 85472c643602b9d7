"""What a run will cost, before it begins: calls by plan, tokens and minutes from a short measurement."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import PromptGradConfig
from engine.progress import Workload

_ANALYSIS_ANSWER = 150
"""Tokens that an analysis is expected to write."""

_DECODING = 4.0
"""How many tokens of a prompt take as long as one of an answer; local models lie around this."""


@dataclass(frozen=True)
class PlannedCalls:
    """Model calls of a run: those expected, the analyses among them, and those that it can't exceed.

    The bound holds while analyses propose at most `proposals` rules for each batch.
    """

    expected: int
    analyses: int
    bound: int
    proposals: int


def planned_calls(
    config: PromptGradConfig, *, train: int, validation: int, test: int, predictors: int = 1
) -> PlannedCalls:
    """Return the model calls of a run on splits of these sizes, for a program of some predictors.

    Expected is the engine's own plan (`engine.progress.Workload`), without early stopping. The bound counts
    every rollout as new, and as many proposals for each batch as failures are shown to an analysis.
    """
    passes = config.gradient_samples if config.gradient_consensus else 1
    analyses = config.epochs * config.batches_per_epoch * passes
    rollouts = Workload.of(config, validation, test).total(config) - analyses
    proposals = config.gradient_failure_display_limit
    batch = min(config.batch_size, train) + _tested_rollouts(config, validation, proposals)
    whole = validation * config.num_val_runs
    most_rollouts = whole + config.epochs * (config.batches_per_epoch * batch + whole) + 2 * test
    merges = config.epochs * config.batches_per_epoch * (config.max_local_rules // 2)
    return PlannedCalls(
        expected=rollouts * predictors + analyses,
        analyses=analyses,
        bound=most_rollouts * predictors + analyses + merges,
        proposals=proposals,
    )


def _tested_rollouts(config: PromptGradConfig, validation: int, proposals: int) -> int:
    """Rollouts of a batch's tests, both sides of each pair; greedy selection tests again what is left."""
    if not config.validate_rules:
        return 0
    is_greedy = config.rule_selection_mode == "greedy"
    tests = proposals * (proposals + 1) // 2 if is_greedy else proposals
    return 2 * tests * min(config.rule_validation_examples, validation)


@dataclass(frozen=True)
class Measured:
    """What a few calls took: together in `seconds`, tokens for each on average."""

    calls: int
    seconds: float
    prompt_tokens: float
    completion_tokens: float


@dataclass(frozen=True)
class Cost:
    """Tokens and seconds that a run is expected to take."""

    tokens: int
    seconds: float


def expected_cost(calls: PlannedCalls, measured: Measured, analysis_tokens: int) -> Cost:
    """Return the cost of the planned calls at the measured rate.

    An analysis, whose prompt has `analysis_tokens`, takes as many times longer than a rollout's call as it
    has more tokens, those of the answer counted by how much slower they come.
    """
    work = measured.prompt_tokens + _DECODING * measured.completion_tokens
    longer = (analysis_tokens + _DECODING * _ANALYSIS_ANSWER) / max(work, 1.0)
    others = calls.expected - calls.analyses
    tokens_of_call = measured.prompt_tokens + measured.completion_tokens
    return Cost(
        tokens=round(others * tokens_of_call + calls.analyses * (analysis_tokens + _ANALYSIS_ANSWER)),
        seconds=measured.seconds / measured.calls * (others + calls.analyses * longer),
    )
