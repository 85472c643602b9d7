"""One of two programs that are compared: a run's, its baseline, or an artifact's, with all that was measured.

Everything comes from the journal and from artifacts: nothing is run, and no split is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.ground.errors import JournalError
from engine.journal.events import Event, KeptRule, ReviewApplied, RolloutFinished, SplitScores
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import RuleSet, instructions_with
from engine.programs.state import LearnedState
from engine.release.manifest import MEASURED, ArtifactManifest, load_manifest, load_measurement
from engine.release.measurement import MeasuredExample
from promptgrad_tui.views.answers import Answer
from promptgrad_tui.views.comparison.changes import SPLITS, HeldOut
from promptgrad_tui.views.comparison.comparison import ComparedProgram
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.work.compare.changes import held_out_answers, is_conditional
from promptgrad_tui.work.compare.shown import shown_demonstrations

_TOLD = ("run_started", "epoch", "batch", "rules", "rollout", "test", "review_applied", "run_finished")
"""The kinds of events that scores, rules and answers follow from."""


def program_of_run(journal: Journal, record: RunRecord, *, is_baseline: bool = False) -> ComparedProgram:
    """Return what a run has come to, as its last review left it; or its program without rules.

    The result of a contest is the program of the method in the first place, which is an artifact.

    Raises:
        JournalError: the journal can't be read.
        ArtifactError: the artifact of a contest's first place is gone, or damaged.
    """
    winner = record.summary.winner if record.summary is not None and not is_baseline else None
    if winner is not None:
        method, folder = winner
        program = program_of_artifact(Path(folder), Path(record.project))
        return replace(program, title=f"run {record.id}, {method}")
    events = [event for _, event in journal.events(record.id, kinds=_TOLD)]
    story = RunStory.of(events)
    started, review = story.started, story.review
    learned = () if is_baseline else review.rules if review else story.best_rules
    rules = [KeptRule.of(rule) for rule in learned]
    shown = () if is_baseline else review.demonstrations if review else story.best_demonstrations
    base = started.base_instructions if started else {}
    kind = "baseline of run" if is_baseline else "run"
    return ComparedProgram(
        title=f"{kind} {record.id}{', reviewed' if review and not is_baseline else ''}",
        uri=started.model.uri if started else "",
        model=started.model.revision if started else "",
        program=started.program if started else "",
        data={name: used.digest for name, used in started.data.items()} if started else {},
        scores=_baseline_scores(story) if is_baseline else _scores(story, review),
        rules=rules,
        demonstrations=shown,
        prompts=instructions_with(learned, base),
        answers=_answers(events, rules, shown, story),
        journal=journal.path,
        note="" if story.epochs else f"Run {record.id} has scored nothing to the end.",
    )


def program_of_artifact(folder: Path, project: Path, *, is_baseline: bool = False) -> ComparedProgram:
    """Return an artifact's program, or the same without rules.

    What it answered is read from the journal of `project`, if its run is there; else its scores on
    the test split alone are known.

    Raises:
        ArtifactError: the folder isn't an artifact, or it is damaged.
    """
    manifest = load_manifest(folder)
    rules = [] if is_baseline else [KeptRule.of(rule) for rule in manifest.rules]
    measured = load_measurement(folder).tested if MEASURED in manifest.files else []
    known = _events_of(_run_of(manifest, is_baseline=is_baseline), project)
    shown = () if is_baseline else manifest.demonstrations
    answers = _answers(known, rules, shown, RunStory.of(known)) if known else {}
    note = ""
    if not answers.get("test") and measured:
        note = "The journal doesn't hold the answers of an artifact: its scores alone are known."
        score = _baseline_score if is_baseline else _optimized_score
        answers = {**answers, "test": {example.key: score(example) for example in measured}}
        if is_baseline:
            note += " Without rules, an answer counts as right where its score is 1."
    name = "/".join(folder.resolve().parts[-3:])
    if (method := manifest.details.get("method")) and not is_baseline:
        name = f"{name}, {method}"
    return ComparedProgram(
        title=f"baseline of artifact {name}" if is_baseline else f"artifact {name}",
        uri=manifest.model.uri,
        model=manifest.model.digest,
        program=manifest.program,
        data={split: used.digest for split, used in manifest.data.items()},
        scores=manifest.baseline if is_baseline else manifest.optimized,
        rules=rules,
        demonstrations=() if is_baseline else shown_demonstrations(folder, manifest),
        prompts=manifest.base_instructions if is_baseline else manifest.instructions,
        answers=answers,
        journal=journal_path(project) if known else None,
        note=note,
    )


def _scores(story: RunStory, review: ReviewApplied | None) -> SplitScores:
    if review is not None:
        return SplitScores(validation=review.validation, test=review.test)
    best = story.best_epoch
    return SplitScores(
        validation=best.validation if best else None, test=story.test.optimized if story.test else None
    )


def _baseline_scores(story: RunStory) -> SplitScores:
    first = next((epoch for epoch in story.epochs if epoch.epoch == 0), None)
    return SplitScores(
        validation=first.validation if first else None, test=story.test.baseline if story.test else None
    )


def _answers(
    events: Iterable[Event],
    rules: Sequence[KeptRule],
    demonstrations: Sequence[Demonstration],
    story: RunStory,
) -> dict[HeldOut, Mapping[str, Answer]]:
    rollouts = [event for event in events if isinstance(event, RolloutFinished)]
    own = LearnedState(RuleSet(rule.rule for rule in rules), DemonstrationSet(demonstrations))
    picks = is_conditional(story.started.config if story.started else {}, own)
    return {split: held_out_answers(rollouts, split, own, is_conditional=picks) for split in SPLITS}


def _run_of(manifest: ArtifactManifest, *, is_baseline: bool) -> str:
    """Return the run with the program's answers: a contest itself has those of the project's own program."""
    contest: str | None = manifest.details.get("contest")
    return contest if is_baseline and contest else manifest.run


def _events_of(run: str, project: Path) -> list[Event]:
    path = journal_path(project)
    if not path.is_file():
        return []
    try:
        with Journal.open(path, read_only=True) as journal:
            return [event for _, event in journal.events(run, kinds=_TOLD)]
    except JournalError:
        return []


def _baseline_score(example: MeasuredExample) -> Answer:
    return Answer(score=example.baseline, is_success=example.baseline >= 1.0, is_kept=False)


def _optimized_score(example: MeasuredExample) -> Answer:
    return Answer(score=example.optimized, is_success=example.is_success, is_kept=False)
