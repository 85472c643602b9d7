"""Gates, releases and the matrix through the command line, with the desk behind a real server."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.release.manifest import load_manifest
from tests.engine.desk import POLICY, Desk, tickets
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A project with two artifacts of the same cell."""
    root = tmp_path_factory.mktemp("released")
    with desk_server() as server:
        write_project(root, server.uri, n=40)
        paths = [
            result(promptgrad("run", root, "--seed", seed, "--json", "--quiet"))["artifact"]
            for seed in (1, 2)
        ]
        yield root, *map(Path, paths)


@pytest.fixture
def project(released, tmp_path):
    """A copy of it to change, and its artifacts by their names."""
    root, first, second = released
    copied = shutil.copytree(root, tmp_path / "copy")
    return copied, copied / first.relative_to(root), copied / second.relative_to(root)


def add_gates(root, toml):
    file = root / "promptgrad.toml"
    file.write_text(f"{file.read_text()}\n[gates]\n{toml}\n")


def test_gate_tells_value_bound_and_verdict(project):
    root, first, _ = project
    add_gates(root, "min_test_score = 0.2\nmax_prompt_tokens = 5\nmust_pass = ['3-0', 'nobody']")
    done = promptgrad("-C", root, "gate", first)
    assert done.returncode == 1
    assert re.search(r"^  passed  min_test_score: [01]\S*, at least 0.2 required$", done.stdout, re.M)
    assert re.search(r"^  failed  max_prompt_tokens: \d+, at most 5 required$", done.stdout, re.M)
    assert "no example 'nobody' was measured" in done.stdout
    assert "Failed: 2 of 5 gates" in done.stdout
    assert "opened for the first time" in done.stdout


def test_gate_in_formats_for_machines(project):
    root, first, _ = project
    told = json.loads(promptgrad("-C", root, "gate", first, "--format", "json").stdout)
    assert told["passed"] is True
    assert [gate["gate"] for gate in told["gates"]] == ["min_test_gain"]
    add_gates(root, "max_prompt_tokens = 5\nmust_pass = ['<b>@all</b> | x']")
    failing = promptgrad("-C", root, "gate", first, "--format", "junit")
    assert failing.returncode == 1
    suite = ElementTree.fromstring(failing.stdout.encode()).find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert suite.find("testcase[@name='max_prompt_tokens']/failure") is not None
    markdown = promptgrad("-C", root, "gate", first, "--format", "markdown").stdout
    assert r"| max\_prompt\_tokens | " in markdown
    failed = "not measured | at least 1 | **failed** | no example "
    assert r"| must\_pass.\<b\>\@all\</b\> \| x | " + failed in markdown
    assert "**Failed: 2 of 3 gates**" in markdown


def current(root):
    entries = json.loads(promptgrad("-C", root, "matrix", "--json").stdout)
    return [entry["artifact"] for entry in entries if entry["current"]]


def test_promote_rollback_and_history(project):
    root, first, second = project
    assert current(root) == []
    assert promptgrad("-C", root, "promote", first).returncode == 0
    assert current(root) == [str(first)]
    assert promptgrad("-C", root, "promote", second).returncode == 0
    assert current(root) == [str(second)]
    assert "is current already" in promptgrad("-C", root, "promote", second).stderr
    back = promptgrad("-C", root, "rollback")
    assert back.returncode == 0
    assert "/v1" in back.stdout
    assert current(root) == [str(first)]
    none_left = promptgrad("-C", root, "rollback")
    assert none_left.returncode == 2
    assert "Nothing was current" in none_left.stderr
    history = json.loads(promptgrad("-C", root, "history", "--json").stdout)
    assert [(switch["action"], switch["artifact"][-2:]) for switch in history] == [
        ("promote", "v1"),
        ("promote", "v2"),
        ("rollback", "v1"),
    ]
    listed = promptgrad("-C", root, "history").stdout.splitlines()
    assert len([line for line in listed if line.startswith("2")]) == 3
    assert max(map(len, listed)) <= 80


def test_a_damaged_artifact_is_no_target_of_a_rollback(project):
    root, first, second = project
    for artifact in (first, second):
        assert promptgrad("-C", root, "promote", artifact).returncode == 0
    spoil(first / "program.json", "aviation", "avi4tion")
    done = promptgrad("-C", root, "rollback")
    assert done.returncode == 2
    assert "was changed after it was saved" in " ".join(done.stderr.split())
    assert current(root) == [str(second)]
    spoil(first / "program.json", "avi4tion", "aviation")
    assert promptgrad("-C", root, "rollback").returncode == 0
    assert current(root) == [str(first)]


def test_where_nothing_is_current_a_rollback_says_so(project):
    root, _, _ = project
    done = promptgrad("-C", root, "rollback")
    assert done.returncode == 2
    assert "No artifact is current." in done.stderr


def test_what_is_current_in_one_cell_says_nothing_of_another(project):
    root, first, second = project
    with desk_server(name="another") as other:
        overrides = ("--set", f"model.task={other.uri}", "--seed", 1)
        third = Path(result(promptgrad("run", root, *overrides, "--json", "--quiet"))["artifact"])
    for artifact in (first, third, second):
        assert promptgrad("-C", root, "promote", artifact).returncode == 0
    assert sorted(current(root)) == sorted(map(str, (second, third)))
    unsure = promptgrad("-C", root, "rollback")
    assert unsure.returncode == 2
    assert "Several cells have a current artifact:" in unsure.stderr
    assert promptgrad("-C", root, "rollback", third).returncode == 2, "nothing was before it in its cell"
    assert promptgrad("-C", root, "rollback", second).returncode == 0
    assert sorted(current(root)) == sorted(map(str, (first, third)))
    spoil(third / "prompt.txt", "Route", "Rout3")
    told = json.loads(promptgrad("-C", root, "matrix", "--json").stdout)
    [damaged] = [row for row in told if row["problem"]]
    assert (damaged["artifact"], damaged["current"]) == (str(third), True)
    assert f"* damaged  {third}" in promptgrad("-C", root, "matrix").stdout


def test_a_failed_gate_needs_force_and_a_reason_that_stays(project):
    root, first, _ = project
    add_gates(root, "max_prompt_tokens = 5")
    refused = promptgrad("-C", root, "promote", first)
    assert refused.returncode == 2
    assert "max_prompt_tokens" in refused.stderr
    assert promptgrad("-C", root, "promote", first, "--force").returncode == 2
    assert current(root) == []
    forced = promptgrad("-C", root, "promote", first, "--force", "--reason", "the demo is today")
    assert forced.returncode == 0, forced.stderr
    [note] = load_manifest(first).forced
    assert note.reason == "the demo is today"
    assert [gate.gate for gate in note.failed] == ["max_prompt_tokens"]
    assert "the demo is today" in promptgrad("-C", root, "history").stdout
    [entry] = [e for e in json.loads(promptgrad("-C", root, "matrix", "--json").stdout) if e["current"]]
    assert (entry["gate"], entry["failed"]) == ("forced", ["max_prompt_tokens"])


def test_the_matrix_says_what_has_changed_since(project):
    root, first, second = project
    told = promptgrad("-C", root, "matrix").stdout
    assert "stale" not in told
    assert str(first) in told
    assert str(second) in told
    with (root / "data/train.jsonl").open("a") as file:
        file.write(
            json.dumps({"id": "new", "ticket": "My bridge is closed for the winter", "queue": "roads"})
        )
    toml = (root / "promptgrad.toml").read_text()
    (root / "promptgrad.toml").write_text(toml.replace('instructions = "', 'instructions = "Please. '))
    entries = json.loads(promptgrad("-C", root, "matrix", "--json").stdout)
    assert [entry["stale"] for entry in entries] == [["program.instructions", "data.train"]] * 2
    assert "stale: program.instructions, data.train changed since" in promptgrad("-C", root, "matrix").stdout


def test_a_file_that_is_only_written_otherwise_is_the_same_data(project):
    root, _, _ = project
    file = root / "data/test.jsonl"
    lines = [
        json.dumps(json.loads(line), indent=None, sort_keys=True) for line in file.read_text().splitlines()
    ]
    file.write_text("\n\n".join(lines))
    assert "stale" not in promptgrad("-C", root, "matrix").stdout


TAMPERINGS = {
    "program": lambda folder: spoil(folder / "program.json", "aviation", "avi4tion"),
    "prompt": lambda folder: spoil(folder / "prompt.txt", "Route", "Rout3"),
    "measurement": lambda folder: spoil(folder / "measured.json", '"baseline": 0.0', '"baseline": 1.0'),
    "manifest": lambda folder: spoil(folder / "manifest.json", '"seed": 1', '"seed": 7'),
    "missing": lambda folder: (folder / "measured.json").unlink(),
}


def spoil(file, before, after):
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


@pytest.mark.parametrize("way", TAMPERINGS)
def test_a_tampered_artifact_is_neither_judged_nor_promoted(project, way):
    root, first, second = project
    TAMPERINGS[way](first)
    for command in ("gate", "promote"):
        done = promptgrad("-C", root, command, first)
        assert done.returncode == 2, command
        told = " ".join(done.stderr.split())
        assert "was changed after it was saved" in told or "is missing" in told
    told = promptgrad("-C", root, "matrix").stdout
    assert "damaged" in told
    assert str(second) in told


def test_releases_in_a_damaged_file_are_refused_and_stay_as_they_are(project):
    root, first, _ = project
    assert promptgrad("-C", root, "promote", first).returncode == 0
    file = root / "artifacts/releases.json"
    file.write_text(file.read_text()[:-20])
    broken = file.read_text()
    for command in (["rollback"], ["history"], ["matrix"], ["promote", first]):
        done = promptgrad("-C", root, *command)
        assert done.returncode == 2
        assert "Invalid JSON: EOF while parsing" in " ".join(done.stderr.split())
    assert file.read_text() == broken


def test_a_failing_critical_slice_is_withheld_though_the_mean_is_better(tmp_path):
    proposals = [{"text": f"Tickets that mention {w} go to {q}.", "trigger": w} for w, q in POLICY.items()]
    with desk_server(Desk(proposals=proposals[:4])) as server:
        write_project(tmp_path, server.uri, n=40)
        for split, seed in (("train", 1), ("validation", 2), ("test", 3)):
            lines = [
                json.dumps({**ticket, "task": "refund" if ticket["queue"] == "harbour" else "delivery"})
                for ticket in tickets(40, seed)
            ]
            (tmp_path / f"data/{split}.jsonl").write_text("\n".join(lines))
        toml = (tmp_path / "promptgrad.toml").read_text()
        (tmp_path / "promptgrad.toml").write_text(
            toml.replace("[metric]", 'slice = "task"\n[metric]') + "[gates]\nslices = { refund = 0.88 }\n"
        )
        done = promptgrad("run", tmp_path, "--json", "--quiet")
    told = result(done)
    assert done.returncode == 1
    assert (told["status"], told["artifact"]) == ("no_improvement", None)
    assert told["optimized"]["test"]["score"] > told["baseline"]["test"]["score"]
    assert "slices.refund: 0, at least 0.88" in told["reason"]
    assert told["slices"]["refund"]["failures"] == told["slices"]["refund"]["optimized"]["n"]
    assert promptgrad("-C", tmp_path, "gate", told["withheld"]).returncode == 1
    assert promptgrad("-C", tmp_path, "promote", told["withheld"]).returncode == 2


def test_what_the_test_split_can_decide_is_said_before_the_run(project):
    root, _, _ = project
    told = promptgrad("-C", root, "check", "--no-probe").stdout
    assert "40 examples: a gain below 0.150 can't be distinguished from chance" in " ".join(told.split())
    add_gates(root, "must_pass = ['nobody']")
    for command in (("check", root, "--no-probe"), ("run", root, "--quiet")):
        done = promptgrad(*command)
        assert done.returncode == 2
        assert "must_pass names 'nobody'" in " ".join((done.stdout + done.stderr).split())


def test_a_leak_between_splits_is_refused_before_any_call(project):
    root, _, _ = project
    with (root / "data/test.jsonl").open("a") as file:
        first = json.loads((root / "data/train.jsonl").read_text().splitlines()[0])
        file.write("\n" + json.dumps({**first, "id": "new", "ticket": first["ticket"].upper()}))
    done = promptgrad("run", root, "--quiet")
    assert done.returncode == 2
    told = "".join(done.stderr.split())  # long paths are broken into lines
    assert "test.jsonl,line42is100.0%like" in told
    assert "train.jsonl,line1" in told
