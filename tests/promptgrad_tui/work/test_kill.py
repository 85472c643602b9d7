"""A real run on the demo model, killed again and again: it ends like one that was left alone."""

import json
import random
import time
from pathlib import Path

import pytest

from engine.journal.journal import Journal, journal_path
from models.demo import demo_model_path
from tests.promptgrad_tui.desk_project import promptgrad_process, started

KILLS = 20
SMALL = ("--set", "optimizer.epochs=1", "--set", "optimizer.batches_per_epoch=2")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # it starts some twenty processes, one after another
    pytest.mark.skipif(not demo_model_path().exists(), reason="the demo model was not made: make demo-model"),
]


def demo_project(folder: Path) -> Path:
    from models.demo.project import write_demo_project

    write_demo_project(folder, seed=5)
    return folder


def paid(project: Path) -> int:
    with Journal.open(journal_path(project), read_only=True) as journal:
        return sum(journal.completions_paid(run.id) for run in journal.runs())


def kill_once_paid(project: Path, calls: int, *command: str) -> None:
    process = started(*command)
    while process.poll() is None:
        if journal_path(project).exists() and paid(project) >= calls:
            process.kill()
        time.sleep(0.01)
    process.wait()


def what_counts(stdout: str) -> dict:
    """A summary without what two runs never share: their ids, places and durations, and who paid."""
    summary = json.loads(stdout)
    unequal = ("run", "seconds", "artifact", "withheld", "tokens", "calls")
    return {key: value for key, value in summary.items() if key not in unequal}


def saved_prompt(stdout: str) -> str | None:
    """The text that a run has saved, also where a gate holds it back."""
    summary = json.loads(stdout)
    folder = summary["artifact"] or summary["withheld"]
    return (Path(folder) / "prompt.txt").read_text() if folder else None


def test_twenty_kills_change_nothing(tmp_path):
    """A killed run ends like one that is left alone and gets the same answers.

    It gets them from the killed run's journal, which remembers them. A model of its own wouldn't do: what a
    batch holds beside a request changes a model's arithmetic in the last digits, and with it now and then
    a word of an analysis.
    """
    left_alone = promptgrad_process("run", demo_project(tmp_path / "alone"), "--json", "--quiet", *SMALL)
    moments = sorted(random.Random(0).sample(range(1, json.loads(left_alone.stdout)["calls"]), KILLS))

    project = demo_project(tmp_path / "killed")
    kill_once_paid(project, moments[0], "run", str(project), "--quiet", *SMALL)
    for moment in moments[1:]:
        kill_once_paid(project, moment, "-C", str(project), "resume", "last", "--quiet")
    resumed = promptgrad_process("-C", project, "resume", "last", "--json", "--quiet")
    total = paid(project)
    remembered = promptgrad_process("run", project, "--json", "--quiet", *SMALL)

    assert what_counts(resumed.stdout) == what_counts(remembered.stdout)
    assert json.loads(resumed.stdout)["calls"] == total
    assert paid(project) == total
    assert json.loads(remembered.stdout)["calls"] == 0
    assert saved_prompt(resumed.stdout) == saved_prompt(remembered.stdout)
