"""The demo project from its run to its release, through the command line, on the real demo model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.journal.events import EpochFinished, TestOpened
from engine.journal.journal import Journal, journal_path
from engine.release.manifest import load_manifest
from models.demo import demo_model_path
from models.demo.project import write_demo_project
from models.demo.world import CHANNELS
from promptgrad_tui.views.figures import score_text
from promptgrad_tui.views.markdown import escaped
from tests.promptgrad_tui.desk_project import Done, promptgrad, result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not demo_model_path().is_file(), reason="the demo model isn't built: make demo-model"),
]

RUN_CI = """
import sys
from promptgrad_tui.cli import promptgrad
promptgrad(sys.argv[1:], standalone_mode=False)
print(sorted({"dspy", "llama_cpp"} & sys.modules.keys()))
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The demo project, shortened to one epoch, after its first check; and what its run came to."""
    root = tmp_path_factory.mktemp("demo")
    write_demo_project(root, seed=0)
    edit(root, "epochs = 3", "epochs = 1")
    done = ci(root)
    assert done.returncode == 0, done.stdout + done.stderr
    with Journal.open(journal_path(root), read_only=True) as journal:
        summary = journal.run("last").summary
    assert summary is not None
    return root, summary.model_dump(mode="json")


@pytest.fixture
def desk(released: tuple[Path, dict[str, Any]], tmp_path: Path) -> tuple[Path, Path]:
    """A copy of it to change, and its artifact."""
    root, summary = released
    copy = shutil.copytree(root, tmp_path / "desk")
    return copy, copy / Path(summary["artifact"]).relative_to(root)


def ci(root: Path, *options: object) -> Done:
    files = ("--report", root / "report.md", "--junit", root / "junit.xml")
    return promptgrad("-C", root, "ci", *files, *options)


def edit(root: Path, old: str, new: str) -> None:
    file = root / "promptgrad.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def told(done: Done) -> str:
    return " ".join((done.stdout + done.stderr).split())


def test_slices_are_told_wherever_scores_are(released: tuple[Path, dict[str, Any]]) -> None:
    root, summary = released
    channels = set(CHANNELS)
    assert summary["slices"].keys() == summary["validation_slices"].keys() == channels
    for split, slices in (("test", summary["slices"]), ("validation", summary["validation_slices"])):
        assert sum(scores["gain"]["n"] for scores in slices.values()) == summary["baseline"][split]["n"]
    with Journal.open(journal_path(root), read_only=True) as journal:
        run = journal.run("last").id
        epochs = [event for _, event in journal.events(run) if isinstance(event, EpochFinished)]
    assert [epoch.slices.keys() for epoch in epochs] == [channels, channels]
    shown = promptgrad("-C", root, "show", "last").stdout
    for part in ("Slices of the validation split", "Slices of the test split"):
        assert part in shown
    for epoch in epochs:
        for scores in epoch.slices.values():
            assert f"{scores.score.score:.3f}" in shown
    report = (root / "report.md").read_text()
    assert "## Validation slices by epoch" in report
    assert "| slice | Baseline | Epoch 1 |" in report
    dumped = result(promptgrad("-C", root, "show", "last", "--json"))
    assert dumped["epochs"][0]["slices"]["phone"]["score"]["n"] == epochs[0].slices["phone"].score.n


def test_an_unchanged_project_is_said_to_be_so_without_its_model(desk: tuple[Path, Path]) -> None:
    root, _ = desk
    command = [
        sys.executable,
        "-c",
        RUN_CI,
        "-C",
        root,
        "ci",
        "--report",
        root / "r.md",
        "--junit",
        root / "j",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Nothing to do" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_changed_project_is_run_and_compared_slice_by_slice(desk: tuple[Path, Path]) -> None:
    root, artifact = desk
    assert promptgrad("-C", root, "promote", artifact).returncode == 0
    edit(root, "[gates]", "[gates]\nmin_test_score = 0.1")
    done = ci(root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gates.min_test_score" in told(done)
    report = (root / "report.md").read_text()
    assert "## Compared with the current artifact" in report
    phone = load_manifest(artifact).slices["phone"]
    cells = f"{escaped(score_text(phone.optimized))}, n = {phone.optimized.n}, {phone.failures} wrong"
    assert f"| phone | {cells} | {cells} |" in report
    assert "opened for the first time" in report, "the same rules looked at again tell nothing new"


def test_a_budget_ends_a_check_cleanly(desk: tuple[Path, Path]) -> None:
    root, _ = desk
    edit(root, "[gates]", "[gates]\nmin_test_score = 0.1")
    edit(root, "seed = 0", "seed = 5")
    done = ci(root, "--max-calls", 400)
    assert "budget used up" in (root / "report.md").read_text().lower()
    with Journal.open(journal_path(root), read_only=True) as journal:
        opened = [event for _, event in journal.events_of_all_runs(TestOpened)]
        looks = {event.rules for event in opened if isinstance(event, TestOpened)}
        summary = journal.run("last").summary
    assert summary is not None
    assert summary.calls <= 400
    assert summary.optimized.test is not None, "the test split is paid for"
    assert summary.baseline.test is not None
    assert summary.optimized.test.score > summary.baseline.test.score + 0.2, "by the rules found until then"
    assert done.returncode == int(not all(gate.passed for gate in summary.gates)), done.stdout + done.stderr
    assert (len(opened), summary.test_opening) == (2, len(looks))


def test_a_critical_slice_withholds_a_better_mean(desk: tuple[Path, Path]) -> None:
    root, artifact = desk
    manifest = load_manifest(artifact)
    name, worst = min(manifest.slices.items(), key=lambda item: item[1].optimized.score)
    assert manifest.optimized.test.score > manifest.baseline.test.score
    assert worst.optimized.score < 1.0
    assert promptgrad("-C", root, "gate", artifact).returncode == 0
    edit(root, f"{name} = 0.6", f"{name} = 1.0")
    done = promptgrad("-C", root, "gate", artifact)
    assert done.returncode == 1
    assert f"slices.{name}" in done.stdout
    assert "Failed: 1 of" in done.stdout
    refused = promptgrad("-C", root, "promote", artifact)
    assert refused.returncode == 2
    assert f"slices.{name}" in told(refused)


def test_a_leak_is_refused_before_any_call(desk: tuple[Path, Path]) -> None:
    root, _ = desk
    first = json.loads((root / "data" / "test.jsonl").open().readline())
    with (root / "data" / "train.jsonl").open("a") as file:
        file.write(json.dumps({**first, "id": "leak", "ticket": first["ticket"].upper()}) + "\n")
    done = promptgrad("run", root, "--quiet")
    assert done.returncode == 2
    assert "train.jsonl,line61" in told(done).replace(" ", "")


SPOILED = {
    "program.json": lambda text: text.replace("Route", "Rout3"),
    "prompt.txt": lambda text: f"{text} ",
    "measured.json": lambda text: text.replace('"baseline": 0.0', '"baseline": 1.0', 1),
    "manifest.json": lambda text: text.replace('"seed": 0', '"seed": 1'),
    "measured.json is gone": None,
}


@pytest.mark.parametrize("way", SPOILED)
def test_a_tampered_artifact_serves_nobody(desk: tuple[Path, Path], way: str) -> None:
    root, artifact = desk
    file, spoil = artifact / way.partition(" ")[0], SPOILED[way]
    if spoil is None:
        file.unlink()
    else:
        before = file.read_text()
        file.write_text(spoil(before))
        assert file.read_text() != before
    for command in (
        ("predict", artifact, "--input", "ticket=hello"),
        ("gate", artifact),
        ("promote", artifact),
    ):
        refused = promptgrad("-C", root, *command)
        assert refused.returncode == 2, command
        assert "was changed after it was saved" in told(refused) or "is missing" in told(refused)


def test_another_revision_is_measured_and_never_served(desk: tuple[Path, Path]) -> None:
    root, artifact = desk
    other = root / "other.gguf"
    other.write_bytes(demo_model_path().read_bytes() + b"\0")
    moved = f"gguf:{other}"
    transferred = result(promptgrad("-C", root, "transfer", artifact, "--to", moved, "--json"))
    manifest = load_manifest(artifact)
    assert manifest.optimized.test is not None
    there, here = transferred["optimized"], manifest.optimized.test
    assert there["n"] == here.n
    assert there["score"] == pytest.approx(here.score, abs=2 / here.n), "the same weights, but for a tie"
    assert transferred["test_opening"] == 2
    row = result(promptgrad("-C", root, "matrix", "--json"))[-1]
    assert (row["kind"], row["model"]["uri"], row["loadable"]) == ("transfer", moved, False)
    assert row["proved"] == [str(artifact)]
    edit(root, 'task = "demo"', f'task = "{moved}"')
    refused = promptgrad("-C", root, "recheck", artifact, "--data", root / "data" / "test.jsonl")
    assert refused.returncode == 2
    assert "was proved on" in told(refused)


def test_a_recheck_finds_that_the_world_has_changed(desk: tuple[Path, Path], tmp_path: Path) -> None:
    root, artifact = desk
    lines = [json.loads(line) for line in (root / "data" / "test.jsonl").open()]
    for line in lines[:80]:
        line["queue"] = "elsewhere"
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = promptgrad("-C", root, "recheck", artifact, "--data", tmp_path / "new.jsonl")
    assert done.returncode == 1
    assert "Recompile: a score has dropped" in told(done)
