"""What each candidate of a run scores and costs on validation, from the journal alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from engine.ground.errors import DataError
from engine.ground.interval import Interval
from engine.ground.statistics import mean_interval, percentile
from engine.journal.completions import Used
from engine.journal.contest_events import LaneFinished
from engine.journal.event_parts import DataUsed
from engine.journal.events import EpochFinished, Event, RolloutFinished, RulesChanged, RunStarted
from engine.journal.journal import Journal
from engine.journal.learning_events import LayerTested, LayerTestStarted
from engine.release.judged import judge_of
from engine.release.manifest import MANIFEST, load_manifest


@dataclass(frozen=True)
class Candidate:
    """A program that was scored on all of validation; tokens and seconds are means for one example.

    They are the program's own: a judge's aren't among them. `latency` is the time that the model took when it
    was asked, together with whatever else it was asked then, and `p95_latency` the time within which 95 % of
    the examples were answered; None if no model was.
    """

    run: str
    name: str
    digest: str
    score: Interval
    prompt_tokens: float
    reused_tokens: float
    answer_tokens: float
    latency: float | None
    p95_latency: float | None
    rules: int
    demonstrations: int

    @property
    def new_tokens(self) -> float:
        """The prompt tokens that had to be evaluated."""
        return self.prompt_tokens - self.reused_tokens

    def as_dict(self) -> dict[str, Any]:
        """Return the candidate as JSON-ready data."""
        return {
            "run": self.run,
            "name": self.name,
            "state": self.digest,
            "score": self.score.model_dump(),
            "prompt_tokens": self.prompt_tokens,
            "new_tokens": self.new_tokens,
            "reused_tokens": self.reused_tokens,
            "answer_tokens": self.answer_tokens,
            "latency": self.latency,
            "p95_latency": self.p95_latency,
            "rules": self.rules,
            "demonstrations": self.demonstrations,
        }


def candidates_of(journal: Journal, run: str) -> list[Candidate]:
    """Return every state of a run that was scored on all of validation; of a contest, also its lanes'.

    Raises:
        NoRunError: there is no such run.
    """
    record = journal.run(run)
    events = [event for _, event in journal.events(record.id)]
    n = _validation_size(events)
    found = _of_events(journal, record.id, "", events, n)
    for lane in (event for event in events if isinstance(event, LaneFinished)):
        name = f"{lane.method} {lane.number}"
        of_lane = [event for _, event in journal.events(lane.lane)]
        found += _of_events(journal, record.id, name, of_lane, n)
    return found


def candidate_of(journal: Journal, folder: Path) -> list[Candidate]:
    """Return an artifact's program as a candidate; empty if the journal doesn't hold its answers.

    Raises:
        ArtifactError: the artifact is damaged.
    """
    manifest = load_manifest(folder)
    used = manifest.data.get("validation")
    events = [event for _, event in journal.events(manifest.run)]
    digest = manifest.state.digest
    sizes = (len(manifest.rules), len(manifest.demonstrations))
    return [
        replace(found, name="/".join(folder.parts[-2:]), rules=sizes[0], demonstrations=sizes[1])
        for found in _of_events(journal, manifest.run, "", events, used.n if used else 0)
        if found.digest == digest
    ]


def comparable(journal: Journal, names: Sequence[str]) -> list[Candidate]:
    """Return the candidates of several runs and artifacts, which must have been scored alike.

    Raises:
        NoRunError: there is no such run.
        ArtifactError: an artifact is damaged.
        DataError: they were scored on other validation examples, on another model, or by another metric.
    """
    found: list[Candidate] = []
    first: tuple[str, Mapping[str, str]] | None = None
    for name in names:
        folder = Path(name)
        is_artifact = (folder / MANIFEST).is_file()
        known = _artifact_identity(folder) if is_artifact else _run_identity(journal, name)
        if known is None:
            continue
        first = first or (name, known)
        # What an earlier version didn't record may be the same.
        pairs = ((what, value, first[1][what]) for what, value in known.items())
        other = next((what for what, one, before in pairs if one and before and one != before), None)
        if other is not None:
            raise DataError(
                f"{first[0]} and {name} can't be compared: {other} differ.",
                hint="Name runs and artifacts of the same model on the same data, scored alike.",
            )
        found += candidate_of(journal, folder) if is_artifact else candidates_of(journal, name)
    return found


def _artifact_identity(folder: Path) -> Mapping[str, str]:
    manifest = load_manifest(folder)
    judge = judge_of(manifest)
    model = manifest.model.digest
    return _identity(manifest.data, model, manifest.metric, judge.revision if judge else model)


def _run_identity(journal: Journal, name: str) -> Mapping[str, str] | None:
    """Return what a run was scored on; None if it hasn't begun."""
    started = journal.event_of(journal.run(name).id, RunStarted)
    if started is None:
        return None
    judge = started.judge or started.model
    return _identity(started.data, started.model.revision, started.metric, judge.revision)


def _identity(data: Mapping[str, DataUsed], model: str, metric: str, judge: str) -> Mapping[str, str]:
    validation = data.get("validation")
    return {
        "their validation examples": validation.digest if validation else "",
        "their models": model,
        "their metrics": metric,
        "their judges": judge,
    }


def _validation_size(events: Iterable[Event]) -> int:
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    used = started.data.get("validation") if started else None
    return used.n if used else 0


def _of_events(journal: Journal, run: str, lane: str, events: Sequence[Event], n: int) -> list[Candidate]:
    rollouts: dict[str, dict[str, RolloutFinished]] = {}
    for event in events:
        if isinstance(event, RolloutFinished) and event.split == "validation" and event.repeat == 0:
            rollouts.setdefault(event.rules, {}).setdefault(event.example, event)
    # Without a validation file, some of train is held out, and how many is known from the baseline.
    wanted = n or max((len(own) for own in rollouts.values()), default=0)
    names, sizes = _names(events), _sizes(events)
    whole = {digest: own for digest, own in rollouts.items() if len(own) >= wanted > 0}
    # A lane whose method doesn't learn by rules has one state, with the digest of nothing.
    unnamed = lane if lane and len(whole) == 1 else ""
    return [
        _candidate(
            journal, run, _name(lane, names.get(digest, unnamed or digest)), digest, list(own.values()), sizes
        )
        for digest, own in whole.items()
    ]


def _name(lane: str, name: str) -> str:
    return f"{lane}: {name}" if lane and name not in ("baseline", lane) else lane or name


def _candidate(
    journal: Journal,
    run: str,
    name: str,
    digest: str,
    rollouts: Sequence[RolloutFinished],
    sizes: Mapping[str, tuple[int, int]],
) -> Candidate:
    own = [_own(journal, rollout) for rollout in rollouts]
    times = [answers.seconds for answers in own if answers.completions]
    tokens = [
        answers.tokens if rollout.judged else rollout.tokens
        for answers, rollout in zip(own, rollouts, strict=True)
    ]
    rules, demonstrations = sizes.get(digest, (0, 0))
    return Candidate(
        run=run,
        name=name,
        digest=digest,
        score=mean_interval([rollout.score for rollout in rollouts]),
        prompt_tokens=fmean(one.prompt for one in tokens),
        reused_tokens=fmean(one.reused for one in tokens),
        answer_tokens=fmean(one.completion for one in tokens),
        latency=fmean(times) if times else None,
        p95_latency=percentile(times, 0.95),
        rules=rules,
        demonstrations=demonstrations,
    )


def _own(journal: Journal, rollout: RolloutFinished) -> Used:
    """Return the program's own completions in a rollout, as far as the journal holds them."""
    known = [journal.completion(key) for key in rollout.completions if key not in rollout.judged]
    return Used([completion for completion in known if completion is not None])


def _names(events: Iterable[Event]) -> dict[str, str]:
    """Return what each state is called: an epoch's before a test's."""
    tested: dict[str, str] = {}
    epochs: dict[str, str] = {}
    for event in events:
        if isinstance(event, LayerTested):
            tested.setdefault(
                event.after, f"without {event.title}" if event.action == "remove" else event.title
            )
        if isinstance(event, EpochFinished):
            epochs.setdefault(event.rules, f"epoch {event.epoch}" if event.epoch else "baseline")
    return {**tested, **epochs}


def _sizes(events: Iterable[Event]) -> dict[str, tuple[int, int]]:
    """Return how many rules and demonstrations each state has that a test or an epoch tells of."""
    sizes: dict[str, tuple[int, int]] = {}
    for event in events:
        if isinstance(event, EpochFinished):
            sizes[event.rules] = (event.n_rules, event.n_demonstrations)
        if isinstance(event, RulesChanged):
            sizes[event.digest] = (len(event.rules), len(event.demonstrations))
        if isinstance(event, LayerTestStarted) and event.after not in sizes and event.before in sizes:
            rules, shown = sizes[event.before]
            sign = -1 if event.action == "remove" else 1
            sizes[event.after] = (
                rules + sign * len(event.rules),
                shown + sign * len(event.demonstrations),
            )
    return sizes
