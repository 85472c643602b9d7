"""A run in the files of an MLflow tracking store, for `mlflow ui --backend-store-uri`; needs no MLflow."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.ground.errors import ArtifactError
from engine.journal.events import EpochFinished, Event, RunStarted, RunSummary
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.release.manifest import load_manifest
from promptgrad_tui.work.release.results_table import as_csv, result_rows

_FINISHED, _FAILED = 3, 4
_LOCAL = 4
_LONGEST = 6000
"""Characters that MLflow takes for a parameter."""


def write_mlflow(folder: Path, run: str, store: Path) -> Path:
    """Write a finished run into a file store, and return the run's folder; a run written before is replaced.

    Parameters are the run's configuration, metrics its scores (those of epochs by step) and what it used;
    results.csv has every rollout.

    Raises:
        NoRunError: there is no such run.
        ArtifactError: the run isn't finished, or the store can't be written.
    """
    with Journal.open(journal_path(folder), read_only=True) as journal:
        record = journal.run(run)
        events = [event for _, event in journal.events(record.id)]
    begun = next((event for event in events if isinstance(event, RunStarted)), None)
    if record.summary is None or begun is None:
        raise ArtifactError(
            f"The run {record.id} isn't finished.", hint=f"Finish it first: promptgrad resume {record.id}"
        )
    try:
        experiment, place = _experiment(store, Path(record.project).name, begun.time)
        return _run(place, experiment, record, record.summary, begun, events, folder)
    except OSError as error:
        problem = f"{store} can't be written: {error.strerror}."
        raise ArtifactError(problem, hint="Name another folder: --out.") from error


def _experiment(store: Path, name: str, created: float) -> tuple[str, Path]:
    """Return the id and folder of the experiment of that name, which is made if it isn't there."""
    for meta in store.glob("*/meta.yaml"):
        if f"name: {json.dumps(name)}" in (lines := meta.read_text(encoding="utf-8").splitlines()) or (
            f"name: {name}" in lines
        ):
            return meta.parent.name, meta.parent
    number = str(int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)).rjust(18, "1")
    place = store / number
    place.mkdir(parents=True, exist_ok=True)
    at = _milliseconds(created)
    _meta(
        place,
        {
            "artifact_location": place.resolve().as_uri(),
            "creation_time": at,
            "experiment_id": number,
            "last_update_time": at,
            "lifecycle_stage": "active",
            "name": name,
        },
    )
    return number, place


def _run(
    place: Path,
    experiment: str,
    record: RunRecord,
    summary: RunSummary,
    begun: RunStarted,
    events: Iterable[Event],
    folder: Path,
) -> Path:
    identity = hashlib.sha256(f"{record.project} {record.id}".encode()).hexdigest()[:32]
    target = place / identity
    if target.exists():
        shutil.rmtree(target)
    for part in ("params", "metrics", "tags", "artifacts"):
        (target / part).mkdir(parents=True)
    ended = _milliseconds(record.last_event or begun.time)
    _meta(
        target,
        {
            "artifact_uri": (target / "artifacts").resolve().as_uri(),
            "end_time": ended,
            "entry_point_name": "",
            "experiment_id": experiment,
            "lifecycle_stage": "active",
            "run_id": identity,
            "run_name": record.id,
            "source_name": "",
            "source_type": _LOCAL,
            "source_version": "",
            "start_time": _milliseconds(begun.time),
            "status": _FAILED if summary.status == "error" else _FINISHED,
            "tags": [],
            "user_id": "",
        },
    )
    for name, value in _parameters(begun, summary):
        (target / "params" / name).write_text(str(value)[:_LONGEST], encoding="utf-8")
    for name, text in _metrics(summary, events, ended).items():
        (target / "metrics" / name).write_text(text, encoding="utf-8")
    tags = {
        "mlflow.runName": record.id,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "promptgrad",
        "status": summary.status,
        "reason": summary.reason,
    }
    for name, value in tags.items():
        (target / "tags" / name).write_text(value, encoding="utf-8")
    table = as_csv(result_rows(folder, record.id))
    (target / "artifacts" / "results.csv").write_text(table, encoding="utf-8", newline="")
    return target


def _parameters(begun: RunStarted, summary: RunSummary) -> Iterator[tuple[str, Any]]:
    yield from begun.config.items()
    yield from (("seed", begun.seed), ("model", begun.model.uri), ("model_revision", begun.model.revision))
    yield from (("program", begun.program), ("reflection_model", begun.reflection.uri))
    yield from ((f"data_{name}", used.digest) for name, used in begun.data.items())
    if summary.artifact and Path(summary.artifact).is_dir():
        yield "metric", load_manifest(summary.artifact).metric


def _metrics(summary: RunSummary, events: Iterable[Event], ended: int) -> dict[str, str]:
    """Return each metric's file: lines of time, value and step."""
    epochs = [event for event in events if isinstance(event, EpochFinished)]
    steps = (f"{_milliseconds(event.time)} {event.validation.score} {event.epoch}\n" for event in epochs)
    found = {"validation_score_by_epoch": "".join(steps)} if epochs else {}
    scores = {
        f"{split}_{state}": interval.score
        for state, of in (("baseline", summary.baseline), ("optimized", summary.optimized))
        for split, interval in (("validation", of.validation), ("test", of.test))
        if interval is not None
    }
    used = {
        "rules": len(summary.rules),
        "demonstrations": len(summary.demonstrations),
        "calls": summary.calls,
        "seconds": summary.seconds,
        "prompt_tokens": summary.tokens.prompt,
        "answer_tokens": summary.tokens.completion,
    }
    return found | {name: f"{ended} {float(value)} 0\n" for name, value in {**scores, **used}.items()}


def _meta(place: Path, values: Mapping[str, Any]) -> None:
    """Write a folder's meta.yaml; JSON's values are YAML's."""
    lines = (f"{name}: {json.dumps(value)}\n" for name, value in values.items())
    (place / "meta.yaml").write_text("".join(lines), encoding="utf-8")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
