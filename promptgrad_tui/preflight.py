"""What `promptgrad check` looks at, in order; what can't be looked at ends the list. Needs DSPy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dspy

from engine.data import LoadedExample
from engine.errors import PromptGradError
from engine.gate_checks import decision_notes, refuse_unmeasurable
from engine.power import power_text, smallest_visible_gain
from engine.project import Project
from engine.revision import Model, RunModels
from models import Progress
from promptgrad_tui.display.figures import count_text, rough_duration_text
from promptgrad_tui.estimate import PlannedCalls, expected_cost, planned_calls
from promptgrad_tui.findings import Finding
from promptgrad_tui.job import open_project
from promptgrad_tui.planning import ProjectParts, load_parts, open_models
from promptgrad_tui.probing import probe
from promptgrad_tui.program import build_acceptor, build_formatter
from promptgrad_tui.prompt_sizes import PromptSizes, prompt_sizes

_TOKENS_OF_A_RULE = 30
_PROBED = 8


def inspect_project(folder: Path, *, probes: bool, on_progress: Progress | None = None) -> Iterator[Finding]:
    """Yield what was found in a project, up to the first thing without which nothing else can be checked.

    Without `probes` the model is opened but asked nothing.
    """
    subject = "project"
    try:
        project = open_project(folder, {})
        yield Finding("ok", subject, f"{project.name}: {project.file.name} can be read")
        subject = "program"
        parts = load_parts(project)
        build_formatter(project)
        build_acceptor(project)
        yield from _program(parts)
        subject = "gates"
        yield from _gates(project, parts)
        subject = "metric"
        yield _metric(parts)
        subject = "model"
        with ExitStack() as stack:
            log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "llama.log"
            models = open_models(project, log, on_progress, stack)
            yield from _models(models)
            subject = "context"
            sizes = prompt_sizes(project, parts, models)
            yield from _context(project, sizes, models)
            subject = "estimate"
            calls = _planned(project, parts)
            yield _calls(calls)
            if probes:
                yield from _measured(project, parts, models.task, calls, sizes)
    except PromptGradError as error:
        yield Finding.of(_subject_of(error, subject), error)


def _subject_of(error: PromptGradError, subject: str) -> str:
    name = type(error).__name__
    return {"DataError": "data", "MetricError": "metric", "ContextOverflowError": "context"}.get(
        name, subject
    )


def _program(parts: ProjectParts) -> Iterator[Finding]:
    fields = parts.fields
    steps = count_text(len(parts.program.named_predictors()), "predictor")
    inputs = ", ".join(fields.inputs) or "anything"
    yield Finding("ok", "program", f"{inputs} -> {', '.join(fields.outputs)}, {steps}")
    splits = parts.splits
    validation = (
        f"{len(splits.validation)} validation" if splits.validation else "validation held out of train"
    )
    test = f"{len(splits.test)} test" + (" (taken out of train)" if splits.is_test_carved else "")
    yield Finding(
        "ok", "data", f"{len(splits.train)} train, {validation}, {test}; no example is in two splits"
    )
    for warning in splits.warnings:
        yield Finding("warn", "data", warning)


def _gates(project: Project, parts: ProjectParts) -> Iterator[Finding]:
    test, field = parts.splits.test, project.data.slice
    can_show = smallest_visible_gain(len(test)) is not None
    yield Finding("ok" if can_show else "warn", "test", power_text(len(test)))
    refuse_unmeasurable(project.gates, parts.splits, field)
    for note in decision_notes(project.gates, test, field):
        yield Finding("warn", "gates", note, "Take more examples, or another bound.")


def _metric(parts: ProjectParts) -> Finding:
    """Run the metric on the expected outputs themselves: they should count as right."""
    splits = parts.splits
    examples = [*splits.train, *(splits.validation or ()), *splits.test]
    told = [example for example in examples if all(name in example.values for name in parts.fields.outputs)]
    if not told:
        names = ", ".join(parts.fields.outputs)
        return Finding("ok", "metric", f"not tried: no example holds the outputs ({names}) to try it on")
    wrong = [
        example for example in told if not parts.metric(example.values, _gold(parts, example)).is_success
    ]
    tried = f"the expected outputs of {len(told) - len(wrong)} of {len(told)} examples count as right"
    if not wrong:
        return Finding("ok", "metric", tried)
    return Finding(
        "warn",
        "metric",
        f"{tried}; not those of {wrong[0].where}",
        "Correct the metric or these examples: what is expected should be right.",
    )


def _gold(parts: ProjectParts, example: LoadedExample) -> dspy.Prediction:
    expected: dict[str, Any] = {name: example.values[name] for name in parts.fields.outputs}
    return dspy.Prediction(**expected)


def _models(models: RunModels) -> Iterator[Finding]:
    yield _model("model", models.task)
    if models.reflection is not models.task:
        yield _model("reflection", models.reflection)


def _model(subject: str, model: Model) -> Finding:
    text = f"{model.uri}, revision {model.revision.short}, context of {model.context_length:,} tokens"
    if model.revision.verified:
        return Finding("ok", subject, text)
    return Finding(
        "warn",
        subject,
        f"{text}; the server gives no hash of the model",
        "An artifact will be marked as unverified: it can't be told whether the model stays the same.",
    )


def _context(project: Project, sizes: PromptSizes, models: RunModels) -> Iterator[Finding]:
    limit = models.task.context_length
    if sizes.longest is None:
        yield Finding("ok", "context", "the prompts of this program are known only when it runs")
    else:
        yield _longest_prompt(project, sizes.longest, sizes.longest_at, limit)
    limit = models.reflection.context_length
    text = f"an analysis may read {sizes.analysis:,} tokens of {limit:,}"
    if sizes.analysis < limit:
        yield Finding("ok", "context", text)
    else:
        yield Finding("warn", "context", text, "Fewer failures will be shown where they don't fit.")


def _longest_prompt(project: Project, longest: int, where: str, limit: int) -> Finding:
    rules = project.optimizer.max_local_rules * _TOKENS_OF_A_RULE
    text = f"the longest prompt has {longest:,} tokens of {limit:,} ({where})"
    if longest >= limit:
        return Finding(
            "fail",
            "context",
            text,
            "Shorten the example, or raise [model] context_length as far as the model allows.",
            exit_code=2,
        )
    if longest + rules >= limit:
        return Finding(
            "warn",
            "context",
            f"{text}, and rules may add some {rules:,}",
            "Lower max_local_rules, or shorten it.",
        )
    return Finding("ok", "context", text)


def _planned(project: Project, parts: ProjectParts) -> PlannedCalls:
    config, splits = project.optimizer, parts.splits
    held_out = round(len(splits.train) * config.val_holdout_fraction)
    validation = len(splits.validation) if splits.validation else held_out
    return planned_calls(
        config,
        train=len(splits.train) - (0 if splits.validation else held_out),
        validation=validation,
        test=len(splits.test),
        predictors=len(parts.program.named_predictors()),
    )


def _calls(calls: PlannedCalls) -> Finding:
    return Finding(
        "ok",
        "estimate",
        f"about {calls.expected:,} calls, {calls.analyses:,} of them analyses; at most {calls.bound:,} with "
        f"{calls.proposals} proposals a batch",
    )


def _measured(
    project: Project, parts: ProjectParts, model: Model, calls: PlannedCalls, sizes: PromptSizes
) -> Iterator[Finding]:
    found = probe(parts, model, project.optimizer, _PROBED)
    cost = expected_cost(calls, found.measured, sizes.analysis)
    yield Finding(
        "ok",
        "estimate",
        f"about {float(f'{cost.tokens:.2g}'):,.0f} tokens and {rough_duration_text(cost.seconds)}, by "
        f"{found.measured.calls} measured calls; early stopping and tokens that are shared make it less",
    )
    if found.unparseable:
        yield Finding(
            "warn",
            "answers",
            f"{found.unparseable} of {found.rollouts} answers could not be read",
            "Raise [model] max_tokens, or try a larger model.",
        )
    else:
        yield Finding("ok", "answers", f"{found.right} of {found.rollouts} probed examples are right already")
