"""Measuring an artifact again: on another model's revision, or on new data. The artifact stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import hypot
from pathlib import Path

import dspy

from engine.ground.errors import ArtifactError
from engine.ground.examples import example_key
from engine.ground.interval import Interval
from engine.ground.model import Embedder, Model
from engine.journal.events import Emit, Event, ModelUsed, RolloutFinished
from engine.journal.journal import Journal, journal_path
from engine.journal.replay import Replay
from engine.journal.scoring import recorded_judge
from engine.learning.rollouts import RolloutRunner
from engine.programs.coercion import as_metric
from engine.programs.judge import Judge
from engine.programs.program import FrozenProgram
from engine.project.config import PromptGradConfig
from engine.project.data import LoadedExample, load_examples
from engine.project.fingerprint import project_fingerprint
from engine.project.settings import Project
from engine.project.splits import fields_to_score, refuse_incomplete
from engine.release.artifacts import base_of, check_revision, program_digest
from engine.release.judged import agreement_of, embedder_of, judge_of
from engine.release.manifest import ArtifactManifest, content_digest, load_manifest
from engine.release.release_gate import evaluate_gates
from engine.release.releases import load_releases
from engine.release.sealed_test import TestSplit, measure_test_split
from models import LocalModel
from promptgrad_tui.views.artifacts.measurement import NewScore, Rechecked, Transferred
from promptgrad_tui.views.metrics import parts_of
from promptgrad_tui.work.opening import open_project, open_project_model
from promptgrad_tui.work.predict.serving import adapter_of
from promptgrad_tui.work.release.artifact_project import folder_of
from promptgrad_tui.work.run.planning import ProjectParts, load_parts, opened_embedder


def transfer(artifact: Path, uri: str, folder: Path) -> Transferred:
    """Score an artifact's rules on the test split with another model; an interrupted call can be repeated.

    Raises:
        ArtifactError: the artifact is damaged, was made for another program, or belongs to that same model.
        PromptGradError: something in the project or the model can't be used.
    """
    with setting_of(artifact, folder, uri) as setting:
        manifest, model = setting.manifest, setting.model
        if model.revision.digest == manifest.model.digest:
            raise ArtifactError(f"{artifact} was proved on that same model.", hint="See: promptgrad matrix")
        gates, fingerprint = setting.project.gates, project_fingerprint(setting.project)
        split = TestSplit(setting.parts.splits.test, setting.project.data.slice, is_timed=gates.ask_latency)
        measured, opening = measure_test_split(
            setting.journal,
            setting.run,
            split,
            setting.runner,
            manifest.state,
            place=f"transfer/{content_digest(fingerprint).rpartition(':')[2][:12]}",
            purpose="transfer",
            program=manifest.program,
            model=model,
            emit=setting.emit,
            fingerprint=fingerprint,
        )
        report = evaluate_gates(gates, measured, agreement_of(manifest))
        return Transferred(manifest, ModelUsed.of(model), measured, report, opening)


def recheck(artifact: Path | None, data: Path, folder: Path) -> Rechecked:
    """Score an artifact (by default the current one) on new labelled data, against its score at release.

    Raises:
        ArtifactError: it is damaged, has no test score, or none is current.
        RevisionMismatchError: the project's model is no longer the one it was proved on.
        RevisionMovedError: it changed while it was measured.
        DataError: the data can't be read, or lack a field.
    """
    chosen = artifact or _current(folder)
    with setting_of(chosen, folder, None) as setting:
        manifest = setting.manifest
        released = manifest.optimized.test
        if released is None:
            raise ArtifactError(f"{chosen} has no test score.", hint="Run the optimizer with a test split.")
        examples = load_examples(data, setting.project.data.id, setting.project.data.fields)
        required = fields_to_score(setting.project, setting.parts.fields.inputs)
        refuse_incomplete(examples, required, setting.project.data.fields)
        split = TestSplit(examples, setting.project.data.slice)
        measured = split.measure(setting.runner, manifest.state)
        setting.model.verify_revision()
        slices, metrics = measured.slices, measured.metrics
        comparisons = [_compared("all", released, measured.optimized)] + [
            _compared(name, scores.optimized, slices[name].optimized)
            for name, scores in manifest.slices.items()
            if name in slices
        ]
        comparisons += [
            _compared(name, change.optimized.score, metrics[name].optimized.score, is_metric=True)
            for name, change in parts_of(manifest.metrics).items()
            if len(manifest.metrics) > 1 and name in metrics
        ]
        return Rechecked(chosen, measured.gain, tuple(comparisons), _seen(examples, setting.parts))


def difference(before: Interval, after: Interval) -> Interval:
    """Return the difference of two scores of different examples with its 95 % interval (-1..1).

    Source: Newcombe 1998, Statistics in Medicine 17, 873, method 10: from the intervals of both.
    """
    change = after.score - before.score
    return Interval(
        score=change,
        n=after.n,
        low=change - hypot(after.score - after.low, before.high - before.score),
        high=change + hypot(after.high - after.score, before.score - before.low),
    )


@dataclass(frozen=True)
class Setting:
    """An artifact with all that it takes to measure it; `base` is what its rules were learned on."""

    artifact: Path
    project: Project
    parts: ProjectParts
    manifest: ArtifactManifest
    model: LocalModel
    journal: Journal
    run: str
    replay: Replay
    judge: Judge
    base: dspy.Module

    @cached_property
    def adapter(self) -> dspy.Adapter:
        """The adapter that the artifact was proved with."""
        return adapter_of(self.artifact, self.manifest)

    @cached_property
    def runner(self) -> RolloutRunner:
        """What runs `base`."""
        return self.runner_of(self.base)

    def emit(self, event: Event) -> None:
        """Record what happens; answers are known by their completions."""
        if not isinstance(event, RolloutFinished):
            self.journal.append(self.run, event)

    def runner_of(self, program: dspy.Module, emit: Emit | None = None) -> RolloutRunner:
        """Return what runs a program as the artifact's was measured."""
        config = PromptGradConfig(**self.manifest.config)
        return RolloutRunner(
            FrozenProgram(program),
            as_metric(self.parts.metric).judged_by(self.judge),
            self.replay.lm(self.model),
            adapter=self.adapter,
            max_workers=config.max_workers,
            seed=self.manifest.seed,
            selection=self.manifest.selection,
            emit=emit or self.emit,
        )


@contextmanager
def setting_of(artifact: Path, folder: Path, uri: str | None) -> Iterator[Setting]:
    """Open everything for a measurement; without a URI the model is the artifact's own, and verified."""
    manifest = load_manifest(artifact)
    project = open_project(folder_of(artifact, folder), {} if uri is None else {"model.task": uri})
    parts = load_parts(project)
    if program_digest(parts.program) != manifest.program:
        raise ArtifactError(
            f"{artifact} was made for another program than the project's.",
            hint="Go back to its program, or run the optimizer for this one: promptgrad run",
        )
    task = uri or project.model.task
    with (
        Journal.open(journal_path(project.root)) as journal,
        ExitStack() as stack,
        open_project_model(project, task) as model,
    ):
        judge = model
        if project.model.judge not in ("same", task):
            judge = stack.enter_context(open_project_model(project, project.model.judge))
        embedder = opened_embedder(project, None, stack)
        if uri is None:
            check_revision(artifact, manifest, model.revision)
            _refuse_other(artifact, "judge", judge_of(manifest), judge)
            _refuse_other(artifact, "embedding", embedder_of(manifest), embedder)
        run = f"measured-{manifest.state.digest[:12]}-{model.revision.short}"
        with journal.lock_run(run):
            replay = Replay(journal, run)
            setting = Setting(
                artifact=artifact,
                project=project,
                parts=parts,
                manifest=manifest,
                model=model,
                journal=journal,
                run=run,
                replay=replay,
                judge=recorded_judge(replay, judge, embedder),
                base=base_of(artifact, parts.program),
            )
            with closing(setting.runner):
                yield setting


def _refuse_other(
    artifact: Path, role: str, before: ModelUsed | None, model: Model | Embedder | None
) -> None:
    """Refuse to compare scores by two judges, or by two embedding models.

    Raises:
        ArtifactError: the artifact was proved by another one's scores.
    """
    now = ModelUsed.of(model) if model is not None else None
    if before is not None and now is not None and now.is_other_than(before):
        raise ArtifactError(
            f"{artifact} was scored by the {role} model {before.uri} ({before.short}); the project's is "
            f"{now.uri} ({now.short}). Their scores can't be compared.",
            hint=f"Set [model] {role} to that model, or make an artifact with this one: promptgrad run",
        )


def _current(folder: Path) -> Path:
    root = folder / "artifacts"
    current = list(load_releases(root).current.values())
    if len(current) != 1:
        listed = ", ".join(current) or "none"
        raise ArtifactError(f"Which artifact? Current are: {listed}.", hint="Name it, or promote one first.")
    return root / current[0]


def _seen(examples: Sequence[LoadedExample], parts: ProjectParts) -> int:
    inputs = parts.fields.inputs
    known = {example_key(example.values, inputs or example.values) for example in parts.splits.examples}
    return sum(example_key(example.values, inputs or example.values) in known for example in examples)


def _compared(name: str, released: Interval, new: Interval, *, is_metric: bool = False) -> NewScore:
    return NewScore(name, released, new, difference(released, new), is_metric)
