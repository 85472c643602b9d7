"""A real run on the demo model, killed again and again: it ends like one that was left alone."""

import json
import random
import time
from pathlib import Path

import pytest

from engine.journal import Journal, journal_path
from models.demo import demo_model_path
from tests.promptgrad_tui.desk_project import promptgrad_process, started

KILLS = 20
SMALL = ("--set", "optimizer.epochs=1", "--set", "optimizer.batches_per_epoch=2")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
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
    """A summary without what two runs never share: id, seconds, place, and the tokens of analyses.

    What a batch holds beside a request, and what is evaluated already, changes a model's arithmetic in
    the last digits: sampled at a temperature, an analysis may then say the same in a word more or less.
    """
    summary = json.loads(stdout)
    unequal = ("run", "seconds", "artifact", "tokens")
    return {key: value for key, value in summary.items() if key not in unequal}


def test_twenty_kills_change_nothing(tmp_path):
    left_alone = demo_project(tmp_path / "alone")
    whole = promptgrad_process("run", left_alone, "--json", "--quiet", *SMALL)
    total = json.loads(whole.stdout)["calls"]

    killed = demo_project(tmp_path / "killed")
    moments = sorted(random.Random(0).sample(range(1, total), KILLS))
    kill_once_paid(killed, moments[0], "run", str(killed), "--quiet", *SMALL)
    for moment in moments[1:]:
        kill_once_paid(killed, moment, "-C", str(killed), "resume", "last", "--quiet")
    resumed = promptgrad_process("-C", killed, "resume", "last", "--json", "--quiet")

    assert what_counts(resumed.stdout) == what_counts(whole.stdout)
    assert paid(killed) == paid(left_alone) == total
    if json.loads(whole.stdout)["artifact"]:
        prompts = [Path(json.loads(done.stdout)["artifact"]) / "prompt.txt" for done in (whole, resumed)]
        assert prompts[0].read_text() == prompts[1].read_text()
