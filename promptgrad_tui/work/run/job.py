"""A job: from a project and what a person asked for to a run of the engine."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from engine.ground.errors import DataError, NoRunError, ProjectError, PromptGradError, RunStoppedError
from engine.ground.model import Progress
from engine.ground.paths import relative_path
from engine.journal.events import (
    NOT_BEGUN,
    DataUsed,
    ModelUsed,
    ReviewApplied,
    RunFinished,
    RunStarted,
    RunSummary,
)
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.project.data_files import files_of
from engine.project.fingerprint import project_code
from engine.project.methods import ContestPlan
from engine.project.settings import Project
from promptgrad_tui.work.code.offline import import_dspy_offline, logging_to
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.run.budget import Budget

if TYPE_CHECKING:
    from engine.journal.decisions import Decision
    from engine.release.run_plan import RunPlan


class RunOptions(BaseModel):
    """What a run was started with and a resume needs again: kept in the journal.

    `overrides` are what `--set` gave, `contest` is set if methods are compared; `contents` holds a hash for
    each file and a value for each key of the project, so that a resume notices what has changed since.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    overrides: dict[str, str] = {}
    budget: Budget = Budget()
    contest: ContestPlan | None = None
    contents: dict[str, str] = {}


def create_run(
    journal: Journal,
    project: Project,
    overrides: Mapping[str, str],
    seed: int | None,
    budget: Budget,
    contest: ContestPlan | None = None,
) -> RunRecord:
    """Note a new run in the journal; without a seed in the options or the project, draw one."""
    if seed is None:
        seed = project.optimizer.seed
    options = RunOptions(
        seed=random.randrange(2**31) if seed is None else seed,
        overrides=dict(overrides),
        budget=budget,
        contest=contest,
        contents=dict(_contents(project)),
    )
    return journal.create_run(project.root, options.model_dump(mode="json"))


def unfinished_runs(
    journal: Journal,
    project: Project,
    overrides: Mapping[str, str],
    seed: int,
    contest: ContestPlan | None = None,
) -> Iterator[RunRecord]:
    """Yield the runs or contests of the project as it is now that a resume could end, the oldest first."""
    contents = dict(_contents(project))
    for record in journal.runs():
        options = RunOptions.model_validate(record.options)
        same = (options.overrides, options.seed, options.contents) == (dict(overrides), seed, contents)
        same = same and options.contest == contest
        if same and record.status in ("interrupted", "stopped", "error", "running"):
            yield record


def latest_unfinished(folder: Path) -> str:
    """Return the id of a project's latest run that a resume could go on with.

    A run that another process works on, and one that never paid for an answer, are chosen last.

    Raises:
        NoRunError: there is none.
    """
    with Journal.open(journal_path(folder), read_only=True) as journal:
        unfinished = [record for record in reversed(journal.runs()) if not record.is_done]
        if not unfinished:
            raise NoRunError(f"{folder}: every run is finished.", hint="Start another: promptgrad run")
        return max(
            unfinished,
            key=lambda record: (record.status != "running", journal.completions_paid(record.id) > 0),
        ).id


def run_job(
    journal: Journal,
    record: RunRecord,
    budget: Budget | None = None,
    *,
    heard: int | None = None,
    on_progress: Progress | None = None,
) -> RunSummary:
    """Carry out a run in this process, from reading its project to its last event.

    It obeys commands with numbers above `heard`; without one, those that are sent from now on.

    Raises:
        RunLockedError: another process works on this run.
        PromptGradError: an error ended the run; its last event says so too.
    """
    heard = journal.last_command(record.id) if heard is None else heard
    with journal.lock_run(record.id), ExitStack() as stack:
        try:
            plan = stack.enter_context(_prepared(journal, record, budget, heard, on_progress))
        except PromptGradError as error:
            _report_unprepared(journal, record, error)
            raise
        from engine.release.contest.contest import contested
        from engine.release.run import execute

        contest = RunOptions.model_validate(record.options).contest
        work = partial(contested, wanted=contest) if contest is not None else None
        return execute(plan, journal, after_command=heard, work=work)


def exit_code_of(summary: RunSummary) -> int:
    """Return what a process ends with after a run: 0 done, 1 a gate failed, 130 stopped."""
    if summary.status == "stopped":
        return RunStoppedError.exit_code
    return 0 if all(gate.passed for gate in summary.gates) else 1


def apply_review_job(
    journal: Journal, record: RunRecord, *, heard: int | None = None, on_progress: Progress | None = None
) -> ReviewApplied:
    """Make a finished run's rules what a person decided, in this process.

    It obeys the same commands as `run_job`.

    Raises:
        RunLockedError: another process works on this run.
        RunStoppedError: a person stopped it.
        PromptGradError: the review can't be applied, or something in the project can't be used.
    """
    heard = journal.last_command(record.id) if heard is None else heard
    with _prepared(journal, record, None, heard, on_progress) as plan:
        from engine.release.run import apply_review

        return apply_review(plan, journal, after_command=heard)


def try_edit_job(
    journal: Journal,
    record: RunRecord,
    rule: str,
    decision: Decision,
    *,
    heard: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Test a person's edit of a finished run's rule, in this process; the result goes into the journal.

    It obeys the same commands as `run_job`.

    Raises:
        RunLockedError: another process works on this run.
        RunStoppedError: a person stopped it.
        PromptGradError: there is no such rule, or something in the project can't be used.
    """
    heard = journal.last_command(record.id) if heard is None else heard
    with _prepared(journal, record, None, heard, on_progress) as plan:
        from engine.release.run import try_edit

        try_edit(plan, journal, rule, decision, after_command=heard)


@contextmanager
def _prepared(
    journal: Journal, record: RunRecord, budget: Budget | None, heard: int, on_progress: Progress | None
) -> Iterator[RunPlan]:
    """Lock a run and yield its plan with its models loaded, unless a stop arrived meanwhile."""
    # A model may take minutes to load: a run is in progress from here on, for everyone who looks.
    with journal.lock_run(record.id), ExitStack() as stack:
        plan = _prepare(journal, record, budget, on_progress, stack)
        if any(command.name == "stop" for command in journal.commands(record.id, after=heard)):
            raise _stopped_early(record)
        yield plan


def _stopped_early(record: RunRecord) -> RunStoppedError:
    if record.is_done:
        return RunStoppedError("The work on the run was stopped before it started.", hint="Start it again.")
    return RunStoppedError(
        "The run was stopped before it started.", hint=f"Resume it with: promptgrad resume {record.id}"
    )


def _prepare(
    journal: Journal, record: RunRecord, budget: Budget | None, on_progress: Progress | None, stack: ExitStack
) -> RunPlan:
    options = RunOptions.model_validate(record.options)
    folder = Path(record.project)
    project = open_project(folder, options.overrides)
    changed = _changed(options.contents, dict(_contents(project)))
    train = {relative_path(path, project.root) for path in _files(project, project.data.train)}
    has_grown = bool(changed) and train.issuperset(changed)
    if changed and not has_grown:
        raise _changes_refused(changed, record.id)
    if on_progress:
        on_progress("Loading DSPy", 0.0)
    import_dspy_offline()
    log_file = journal.path.parent / "logs" / f"{record.id}.log"
    stack.enter_context(logging_to(log_file))
    from promptgrad_tui.work.run.planning import make_plan

    return make_plan(
        project,
        run=record.id,
        seed=options.seed,
        budget=(budget or Budget()).or_else(options.budget),
        log_file=log_file,
        on_progress=on_progress,
        stack=stack,
        train_before=_train_of(journal, record.id) if has_grown else None,
    )


def _train_of(journal: Journal, run: str) -> DataUsed | None:
    """Return what train was when a run began, or None while it has not."""
    began = journal.event_of(run, RunStarted)
    return began.data["train"] if began else None


def _contents(project: Project) -> Iterator[tuple[str, str]]:
    """Yield each key that the project sets with its value, and each file that it names with its hash."""
    yield from _flat("", project.model_dump(mode="json", exclude={"name"}, exclude_unset=True))
    references = (
        project.program.python,
        *(metric.python for metric in project.scoring),
        project.example_formatter,
        project.rule_acceptor,
    )
    code = [path for reference in references if reference for path in project_code(project, reference)]
    rubric = project.rubric.rubric if project.rubric else None
    data = (project.data.train, project.data.validation, project.data.test, rubric)
    for path in (*code, *(path for named in data if named for path in _files(project, named))):
        if path.is_file():
            yield relative_path(path, project.root), hashlib.sha256(path.read_bytes()).hexdigest()


def _files(project: Project, named: str) -> list[Path]:
    try:
        return files_of(project.root, named)
    except DataError:  # whoever reads them says so
        return []


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, item)
    else:
        yield prefix, str(value)


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return sorted(key for key in {*before, *now} if before.get(key) != now.get(key)) if before else []


def _changes_refused(changed: Sequence[str], run: str) -> ProjectError:
    return ProjectError(
        f"Since run {run} began, these have changed: {', '.join(changed)}.",
        hint="Put them back, or start a new run: answers it needs again are taken from the journal.",
    )


def _report_unprepared(journal: Journal, record: RunRecord, error: PromptGradError) -> None:
    """Record in the journal that a run could not start or go on, for those who watch it."""
    ends = [event.summary for event in journal.events_of(record.id, RunFinished)]
    summary = RunSummary(
        run=record.id,
        status="stopped" if isinstance(error, RunStoppedError) else "error",
        reason=str(error),
        model=ModelUsed(uri="", revision=""),
    )
    if ends:
        # What the run cost before is still true.
        cost = {name: getattr(ends[-1], name) for name in ("calls", "tokens", "seconds")}
        summary = summary.model_copy(update=cost)
    journal.append(record.id, RunFinished(id=f"{NOT_BEGUN}{len(ends)}", summary=summary))
