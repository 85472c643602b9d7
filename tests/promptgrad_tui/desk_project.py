"""A project on disk about the support desk, and the `promptgrad` command as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from engine.journal.events import Event
from engine.journal.journal import Journal, journal_path
from promptgrad_tui.cli import promptgrad as command
from tests.engine.desk import BASE, tickets
from tests.patience import PATIENCE_SECONDS

SPLITS = {"train": 1, "validation": 2, "test": 3}
PROMPTGRAD = str(Path(sys.executable).with_name("promptgrad"))


def write_project(root: Path, uri: str, n: int = 30, **optimizer: Any) -> Path:
    """Write a project of three splits of `n` tickets whose model is at `uri`."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    for split, seed in SPLITS.items():
        lines = (json.dumps(ticket) for ticket in tickets(n, seed))
        (root / "data" / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    fields = {"epochs": 1, "batches_per_epoch": 2, "seed": 1, **optimizer}
    settings = "\n".join(f"{name} = {json.dumps(value)}" for name, value in fields.items())
    files = "\n".join(f'{split} = "data/{split}.jsonl"' for split in SPLITS)
    (root / "promptgrad.toml").write_text(
        f'[program]\nsignature = "ticket -> queue"\ninstructions = "{BASE}"\n'
        f'[data]\n{files}\n[metric]\nkind = "exact_match"\nfield = "queue"\n'
        f'[model]\ntask = "{uri}"\n[optimizer]\n{settings}\n'
    )
    return root


@dataclass(frozen=True)
class Done:
    """What a command printed and ended with."""

    returncode: int
    stdout: str
    stderr: str


def promptgrad(*arguments: Any, **environment: str) -> Done:
    """Run the command to its end, in this process."""
    done = CliRunner(env=environment).invoke(command, [str(argument) for argument in arguments])
    return Done(done.exit_code, done.stdout, done.stderr)


def promptgrad_process(*arguments: Any) -> Done:
    """Run the command to its end, in a process of its own."""
    done = subprocess.run(
        [PROMPTGRAD, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    return Done(done.returncode, done.stdout, done.stderr)


def started(*arguments: Any) -> subprocess.Popen[str]:
    """Start the command and leave it running."""
    return subprocess.Popen(
        [PROMPTGRAD, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(project: Path, kind: str, process: subprocess.Popen[str]) -> None:
    """Wait until the project's last run has an event of a kind, or its process has ended."""
    while process.poll() is None:
        if journal_path(project).exists() and kind in {event.kind for event in last_events(project)}:
            return
        time.sleep(0.05)


def last_events(project: Path) -> list[Event]:
    """The events of the project's last run, none before it has begun."""
    with Journal.open(journal_path(project)) as journal:
        runs = journal.runs()
        return [event for _, event in journal.events(runs[-1].id)] if runs else []


def result(done: Done) -> dict[str, Any]:
    """The one JSON object on stdout."""
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def outcome(summary: dict[str, Any]) -> dict[str, Any]:
    """What must be the same for the same seed, however often the run was interrupted."""
    return {key: summary[key] for key in ("status", "rules", "baseline", "optimized")}
