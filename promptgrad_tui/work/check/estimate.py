"""What a run will cost, before it begins: calls by plan, tokens and minutes from a short measurement."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.learning.findings.search_agreement import COMPARED
from engine.learning.progress import Workload
from engine.project.config import PromptGradConfig
from engine.project.gates import timed_examples
from engine.project.methods import most_calls
from engine.project.settings import Project
from promptgrad_tui.views.estimate import Cost, Measured, PlannedCalls

_PROPOSALS = 3
"""Rules that a batch is expected to propose."""

_ANALYSIS_ANSWER = 150
"""Tokens that an analysis is expected to write."""

_DECODING = 4.0
"""How many prompt tokens take as long as one generated token; typical of local models."""


@dataclass(frozen=True)
class Sizes:
    """How many examples there are for a program of some predictors; the splits are those of a run.

    `also` counts the examples of other splits that the gates name. `judgements` is how often models are asked
    about one answer at most: equal answers are judged once.
    """

    train: int
    validation: int
    test: int
    predictors: int = 1
    also: int = 0
    judgements: int = 0

    @property
    def calls_of_rollout(self) -> int:
        """The calls of one program run and of its score."""
        return self.predictors + self.judgements


def project_calls(project: Project, sizes: Sizes) -> PlannedCalls:
    """Return the model calls of a run of a project."""
    calls = planned_calls(
        project.optimizer,
        sizes,
        is_timed=project.gates.ask_latency,
        has_search_model=project.model.search != "task",
    )
    base = project.base
    return _with_base(calls, sizes, most_calls(base.optimizer, base.calls)) if base.optimizer else calls


def _with_base(calls: PlannedCalls, sizes: Sizes, optimizing: int) -> PlannedCalls:
    """Return the calls of a run whose base is made first and compared with the project's own program."""
    judged = optimizing // sizes.predictors * sizes.judgements
    base = optimizing + judged + sizes.validation * sizes.calls_of_rollout
    return replace(
        calls,
        least=calls.least + sizes.validation * sizes.predictors,
        few=calls.few + base,
        few_proved=calls.few_proved + base,
        many=calls.many + base,
        many_proved=calls.many_proved + base,
        most=calls.most + base,
        base=base,
    )


def planned_calls(
    config: PromptGradConfig, sizes: Sizes, *, is_timed: bool = False, has_search_model: bool = False
) -> PlannedCalls:
    """Return the model calls of a run; `is_timed` says that a gate bounds the model's latency.

    With `has_search_model`, the search has a model of its own, whose first answers are compared with those
    of the task's. The plans for a test of rules are the engine's own (`engine.learning.progress.Workload`).
    The most counts every rollout as new, and as many proposals for each batch as failures are shown to an
    analysis.
    """
    is_greedy = config.rule_selection_mode == "greedy"
    work = Workload.of(config, sizes.validation, 0, _tests(_PROPOSALS, is_greedy=is_greedy))
    batches = config.epochs * config.batches_per_epoch
    batch = min(config.batch_size, sizes.train)
    once = sizes.test + sizes.also
    test = 2 * once + (timed_examples(sizes.test) if is_timed else 0)
    proposals = config.gradient_failure_display_limit
    # What was answered with the same rules before is known: later batches, and the epochs after the first.
    later = min((batches - 1) * batch, sizes.train)
    one_rule = Workload.of(config, sizes.validation, 0, tests=1).validation
    compared = min(COMPARED, sizes.train) if has_search_model else 0
    few_proved = work.baseline + work.epoch + test + compared
    many_proved = work.baseline + config.epochs * work.epoch + test + compared
    few = few_proved + batch + one_rule + later
    many = many_proved + batches * (work.validation + batch)
    test_of_rule = 2 * min(config.rule_validation_examples, sizes.validation) if config.validate_rules else 0
    tests = batches * _tests(proposals, is_greedy=is_greedy)
    # Rules are merged where there are more than a threshold; to have so many takes some batches.
    merging = max(batches - config.merge_threshold // proposals, 0)
    merges = merging * ((config.max_local_rules + proposals) // 2)
    most = many_proved + compared + batches * batch + (tests + merges) * test_of_rule
    calls_of_few = few * sizes.calls_of_rollout + work.gradients
    calls_of_many = many * sizes.calls_of_rollout + batches * work.gradients
    return PlannedCalls(
        least=(work.baseline + compared + batch + once) * sizes.predictors,
        few=calls_of_few,
        few_analyses=work.gradients,
        few_proved=few_proved * sizes.calls_of_rollout if has_search_model else calls_of_few,
        many=calls_of_many,
        many_analyses=batches * work.gradients,
        many_proved=many_proved * sizes.calls_of_rollout if has_search_model else calls_of_many,
        most=most * sizes.calls_of_rollout + batches * work.gradients + merges,
        proposals=proposals,
    )


def _tests(proposals: int, *, is_greedy: bool) -> int:
    """Tests of a batch's proposals; greedy selection tests again what is left after each rule it takes."""
    return proposals * (proposals + 1) // 2 if is_greedy else proposals


def expected_cost(
    calls: int, analyses: int, measured: Measured, analysis_tokens: int, picked_tokens: int = 0
) -> Cost:
    """Return the cost of `calls`, `analyses` among them, at the measured rate.

    The time of a call grows with its tokens, where a generated token counts `_DECODING` times a prompt token.
    An analysis has `analysis_tokens` in its prompt, and other calls have `picked_tokens` of demonstrations
    that no other prompt shares.
    """
    work = measured.prompt_tokens + _DECODING * measured.completion_tokens
    longer = (analysis_tokens + _DECODING * _ANALYSIS_ANSWER) / max(work, 1.0)
    others = calls - analyses
    read = 1 + picked_tokens / max(work, 1.0)
    tokens_of_call = measured.prompt_tokens + measured.completion_tokens + picked_tokens
    return Cost(
        tokens=round(others * tokens_of_call + analyses * (analysis_tokens + _ANALYSIS_ANSWER)),
        seconds=measured.seconds_of_call * (others * read + analyses * longer),
    )


def costs(
    calls: PlannedCalls,
    measured: Measured,
    analysis_tokens: int,
    picked_tokens: int = 0,
    searched: Measured | None = None,
) -> tuple[Cost, Cost]:
    """Return the cost of the few calls and that of the many; `searched` is the rate of the search's model."""

    def cost(all_calls: int, analyses: int, proved: int) -> Cost:
        if proved == all_calls:
            return expected_cost(all_calls, analyses, measured, analysis_tokens, picked_tokens)
        rate = searched or measured
        search = expected_cost(all_calls - proved, analyses, rate, analysis_tokens, picked_tokens)
        return expected_cost(proved, 0, measured, analysis_tokens, picked_tokens) + search

    return (
        cost(calls.few, calls.few_analyses, calls.few_proved),
        cost(calls.many, calls.many_analyses, calls.many_proved),
    )
