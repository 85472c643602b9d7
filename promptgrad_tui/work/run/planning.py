"""From a project to all that a run needs: program, metric, examples, opened models. Needs DSPy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dspy

from engine.ground.errors import ProjectError
from engine.ground.model import Embedder, Model, RunModels
from engine.ground.score import Metric
from engine.journal.events import DataUsed, ModelUsed
from engine.programs.formatting import FieldFormatter
from engine.project.carving import CARVED
from engine.project.data import LoadedExample, dataset_digest
from engine.project.fingerprint import project_fingerprint
from engine.project.judge_labels import Agreement, caution_text, load_agreement
from engine.project.settings import Project
from engine.project.splits import Splits, load_splits
from engine.release.gate_checks import refuse_unmeasurable
from engine.release.judged import AGREEMENT, EMBEDDER, JUDGE
from engine.release.objectives.margin import objectives_margin
from engine.release.run_plan import RunPlan
from models import Progress, check_models_fit, open_in_process
from promptgrad_tui.work.code.judging import asks_judge
from promptgrad_tui.work.code.program import (
    ProgramFields,
    build_acceptor,
    build_formatter,
    build_metric,
    build_program,
    check_metric_field,
    program_fields,
    rubric_digest,
)
from promptgrad_tui.work.opening import model_settings, open_project_model
from promptgrad_tui.work.run.budget import Budget


@dataclass(frozen=True)
class ProjectParts:
    """What a project is made of, apart from its models."""

    program: dspy.Module
    fields: ProgramFields
    metric: Metric
    splits: Splits


def load_parts(project: Project, on_progress: Progress | None = None) -> ProjectParts:
    """Build a project's program and metric and read its examples.

    Raises:
        ProjectError, MetricError, DataError: something in the project can't be used.
    """
    program = build_program(project)
    fields = program_fields(program)
    check_metric_field(project, fields)
    return ProjectParts(
        program,
        fields,
        build_metric(project, fields.inputs),
        load_splits(project, fields.inputs, fields.outputs, on_progress),
    )


def open_models(
    project: Project, log_file: Path, on_progress: Progress | None, stack: ExitStack
) -> RunModels:
    """Open the project's models; `stack` closes them.

    Raises:
        ModelError: a model can't be opened or reached.
    """
    settings = model_settings(project)
    named = (project.model.reflection, project.model.judge)
    reflection, judge = (project.model.task if uri == "same" else uri for uri in named)
    uris = list(dict.fromkeys((project.model.task, reflection, judge)))
    if len(uris) > 1:
        check_models_fit(uris, settings, project.root)
    models = {
        uri: stack.enter_context(open_project_model(project, uri, log_file=log_file, on_progress=on_progress))
        for uri in uris
    }
    task = models[project.model.task]
    embedder = opened_embedder(project, on_progress, stack)
    if project.model.search == "task":
        return RunModels(task, models[reflection], models[judge], embedder)
    search = stack.enter_context(
        open_in_process(task, settings=settings, log_file=log_file, on_progress=on_progress)
    )
    # What isn't proof may be asked where answers are faster.
    writer = search if project.model.reflection == "same" else models[reflection]
    return RunModels(task, writer, models[judge], embedder, search)


def opened_embedder(project: Project, on_progress: Progress | None, stack: ExitStack) -> Embedder | None:
    """Open the project's embedding model, if one of its metrics compares by it.

    Raises:
        ModelError: it can't be opened, or has no embeddings.
    """
    uri = project.model.embedding
    if uri is None or not any(metric.kind == "semantic" for metric in project.scoring):
        return None
    from models.embedding.opening import open_embedder

    settings = model_settings(project)
    return stack.enter_context(
        open_embedder(uri, settings=settings, project_dir=project.root, on_progress=on_progress)
    )


def make_plan(
    project: Project,
    *,
    run: str,
    seed: int,
    budget: Budget,
    log_file: Path,
    on_progress: Progress | None,
    stack: ExitStack,
    train_before: DataUsed | None = None,
) -> RunPlan:
    """Return the plan of a run; `stack` closes the models that it opens.

    `train_before` is what train was when the run began: examples appended since then are left out.

    Raises:
        PromptGradError: something in the project or one of its models can't be used.
    """
    parts = load_parts(project, on_progress)
    refuse_unmeasurable(project.gates, parts.splits, project.data.slice)
    if parts.splits.validation:  # of what is held out, the run itself knows the size
        objectives_margin(project.objectives, len(parts.splits.validation))
    carving = parts.splits.carving
    train = _as_begun(parts.splits.train, train_before, run, project.data.train)
    hidden = [project.data.slice] if project.data.slice else []
    formatter = build_formatter(project) or FieldFormatter(parts.fields.inputs, hidden)
    models = open_models(project, log_file, on_progress, stack)
    agreement = known_agreement(project, models.judging) if asks_judge(project) else None
    return RunPlan(
        run=run,
        project=project.root,
        name=project.name,
        program=parts.program,
        metric=parts.metric,
        metric_name=_metric_name(project),
        config=replace(project.optimizer, seed=seed),
        train=train,
        validation=parts.splits.validation or (),
        test=parts.splits.test,
        models=models,
        artifacts=project.root / "artifacts",
        base=project.base,
        formatter=formatter,
        rule_acceptor=build_acceptor(project),
        max_calls=budget.max_calls,
        max_minutes=budget.max_minutes,
        carving=carving,
        gates=project.gates,
        objectives=project.objectives,
        slice_field=project.data.slice,
        review=project.review,
        judge_agreement=agreement,
        judge_caution=caution_text(agreement) if project.rubric is not None else "",
        details={
            "project": _recorded(project, models.task),
            "fingerprint": _fingerprint(project, train if train_before and not carving else None),
            **({"search": ModelUsed.of(models.search).model_dump()} if models.search else {}),
            **({JUDGE: ModelUsed.of(models.judging).model_dump()} if asks_judge(project) else {}),
            **({EMBEDDER: ModelUsed.of(models.embedder).model_dump()} if models.embedder else {}),
            **({AGREEMENT: agreement.model_dump()} if agreement else {}),
            **({CARVED: carving.recorded_by(run).model_dump()} if carving else {}),
        },
    )


def _recorded(project: Project, task: Model) -> dict[str, Any]:
    """Return the project's file as an artifact keeps it, with the date that the prompts show every day."""
    content = project.model_dump(mode="json", exclude_unset=True)
    date = getattr(task, "printed_date", None)
    if date is not None and date.is_pinned:
        content["model"].setdefault("template_switches", {})["today"] = date.text
    return content


def known_agreement(project: Project, judge: Model) -> Agreement | None:
    """Return how well a project's judge agrees with its labels, if that was measured for this very judge."""
    return load_agreement(project.root, judge.revision.digest, rubric_digest(project))


def _as_begun(
    train: Sequence[LoadedExample], before: DataUsed | None, run: str, named: str
) -> Sequence[LoadedExample]:
    if before is None:
        return train
    known = train[: before.n]
    if dataset_digest(known) != before.digest:
        raise ProjectError(
            f"Since run {run} began, examples in {named} were changed, removed or moved.",
            hint="Put them back, or start a new run. Examples may be appended at any time.",
        )
    return known


def _fingerprint(project: Project, train: Sequence[LoadedExample] | None) -> dict[str, str]:
    """Return what the run's result depends on; `train` where it isn't all that the file holds now."""
    now = project_fingerprint(project)
    return now | {"data.train": dataset_digest(train)} if train is not None else now


def _metric_name(project: Project) -> str:
    if project.metrics:
        return project.optimized
    metric = project.metric
    return metric.python or f"{metric.kind}({metric.field})"
