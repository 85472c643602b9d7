"""Every rollout of a run as a row, for spreadsheets and pandas; needs no DSPy."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.ground.errors import ArtifactError
from engine.journal.contest_events import LaneFinished
from engine.journal.events import RolloutFinished
from engine.journal.journal import Journal, journal_path
from engine.programs.rules import RuleSet

COLUMNS = (
    "run",
    "example",
    "split",
    "rules",
    "is_baseline",
    "repeat",
    "searched",
    "score",
    "is_success",
    "error_type",
    "feedback",
    "prediction",
    "prompt_tokens",
    "answer_tokens",
    "seconds",
)


def result_rows(folder: Path, run: str) -> list[dict[str, Any]]:
    """Return a run's rollouts in order; `rules` is the digest of those that the example met.

    `searched` marks those of a search with a model of its own. Those of a contest's methods follow, each
    under the name of its lane.

    Raises:
        NoRunError: there is no such run.
    """
    with Journal.open(journal_path(folder), read_only=True) as journal:
        record = journal.run(run)
        rows = [_row(record.id, event) for event in journal.events_of(record.id, RolloutFinished)]
        for lane in journal.events_of(record.id, LaneFinished):
            of_lane = [_row(lane.lane, event) for event in journal.events_of(lane.lane, RolloutFinished)]
            # What other methods make has no rules of ours, and isn't the baseline for that.
            is_other = lane.method != "promptgrad"
            rows += [{**row, "is_baseline": False} for row in of_lane] if is_other else of_lane
    return rows


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as CSV with a header; an answer is JSON in its cell."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_parquet(rows: list[dict[str, Any]], file: Path) -> None:
    """Write rows as a Parquet file.

    Raises:
        ArtifactError: pyarrow isn't installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ArtifactError(
            "A Parquet file needs pyarrow, which is not installed.",
            hint="pip install 'promptgrad-tui[parquet]', or --to csv.",
        ) from None
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    parquet.write_table(pyarrow.table(columns), file)


def _row(run: str, event: RolloutFinished) -> dict[str, Any]:
    return {
        "run": run,
        "example": event.example,
        "split": event.split,
        "rules": event.rules,
        "is_baseline": event.rules == RuleSet().digest,
        "repeat": event.repeat,
        "searched": event.searched,
        "score": event.score,
        "is_success": event.is_success,
        "error_type": event.error_type,
        "feedback": event.feedback,
        "prediction": json.dumps(event.prediction, ensure_ascii=False),
        "prompt_tokens": event.tokens.prompt,
        "answer_tokens": event.tokens.completion,
        "seconds": event.seconds,
    }
