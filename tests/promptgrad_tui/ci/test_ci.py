"""`promptgrad ci` through the command line: unchanged, changed in each way, gated, compared, bounded."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.journal.journal import Journal, journal_path
from engine.project.fingerprint import project_fingerprint
from engine.testing import scripted_revision
from promptgrad_tui.ci.standing import standing_artifact
from promptgrad_tui.work.opening import open_project
from tests.engine.desk import BASE, POLICY, Desk, tickets
from tests.engine.project_folders import write_lines
from tests.promptgrad_tui.desk_project import Done, promptgrad, promptgrad_process, write_project
from tests.promptgrad_tui.model_server import DeskServer, desk_server


@pytest.fixture(scope="module")
def server() -> Iterator[DeskServer]:
    with desk_server() as server:
        yield server


@pytest.fixture(scope="module")
def proved(server: DeskServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A project after its first check, and what that printed."""
    root = write_project(tmp_path_factory.mktemp("proved"), server.uri)
    return root, ci(root)


@pytest.fixture
def project(proved: tuple[Path, Done], tmp_path: Path) -> Path:
    """A project with an artifact that passed its gates."""
    return shutil.copytree(proved[0], tmp_path / "desk")


def ci(root: Path, *options: str) -> Done:
    files = ("--report", str(root / "report.md"), "--junit", str(root / "junit.xml"))
    return promptgrad("-C", str(root), "ci", *files, *options)


def edit(root: Path, old: str, new: str) -> None:
    file = root / "promptgrad.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def suite(root: Path) -> ElementTree.Element:
    found = ElementTree.parse(root / "junit.xml").getroot().find("testsuite")
    assert found is not None
    return found


def artifacts(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob("artifacts/*/*/*/manifest.json"))


def runs(root: Path) -> int:
    with Journal.open(journal_path(root), read_only=True) as journal:
        return len(journal.runs())


def test_the_first_check_runs_gates_and_reports(proved: tuple[Path, Done]) -> None:
    root, done = proved
    assert done.returncode == 0, done.stderr
    assert "There is no artifact that passed its gates" in done.stdout
    report = (root / "report.md").read_text()
    assert "| min\\_test\\_gain |" in report
    assert "go to" in report
    assert "```diff" in report
    assert re.search(r"\d+ calls", report)
    assert suite(root).attrib["tests"] == "1"
    assert suite(root).attrib["failures"] == "0"
    assert len(artifacts(root)) == 1


def test_an_unchanged_project_costs_nothing(project: Path, server: DeskServer) -> None:
    calls = server.calls
    done = ci(project)
    assert done.returncode == 0
    assert "Nothing to do" in done.stdout
    assert "Nothing to do" in (project / "report.md").read_text()
    assert suite(project).attrib["skipped"] == "1"
    assert (server.calls, runs(project)) == (calls, 1)


def test_data_that_is_only_written_otherwise_is_unchanged(project: Path) -> None:
    file = project / "data" / "test.jsonl"
    file.write_text("".join(json.dumps(json.loads(line), indent=None) + "  \n" for line in file.open()))
    assert "Nothing to do" in ci(project).stdout


def more_data(split: str) -> Callable[[Path], None]:
    return lambda root: write_lines(root / "data" / f"{split}.jsonl", tickets(31, 7)) and None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda root: edit(root, "Route the ticket", "Send the ticket"), "program.instructions"),
        (lambda root: edit(root, "exact_match", "normalized_match"), "metric.kind"),
        (more_data("train"), "data.train"),
        (more_data("test"), "data.test"),
        (
            lambda root: edit(root, "[optimizer]", "[gates]\nmin_test_score = 0.01\n[optimizer]"),
            "gates.min_test_score",
        ),
    ],
)
def test_each_kind_of_change_is_named_and_run(
    project: Path, change: Callable[[Path], None], told: str
) -> None:
    change(project)
    done = ci(project)
    assert f"Changed since {project}" in done.stdout.replace("\n", " ")
    assert told in done.stdout
    assert done.returncode == 0, done.stderr
    assert runs(project) == 2
    assert f"changed since: {told.replace('_', chr(92) + '_')}." in (project / "report.md").read_text()
    assert "Nothing to do" in ci(project).stdout


def test_python_that_the_program_imports_is_a_part_of_it(server: DeskServer, tmp_path: Path) -> None:
    root = write_project(tmp_path, server.uri)
    (root / "desk").mkdir()
    (root / "desk" / "words.py").write_text(f"BASE = {BASE!r}\n")
    (root / "program.py").write_text(
        "import dspy\n\n\ndef build():\n    from desk.words import BASE\n\n"
        '    return dspy.Predict(dspy.Signature("ticket -> queue", BASE))\n'
    )
    edit(root, f'signature = "ticket -> queue"\ninstructions = "{BASE}"', 'python = "program.py:build"')
    first = promptgrad_process(
        "-C", root, "ci", "--report", root / "report.md", "--junit", root / "junit.xml"
    )
    assert first.returncode == 0, first.stderr
    assert "Nothing to do" in ci(root).stdout
    (root / "desk" / "words.py").write_text(f"BASE = {'Please. ' + BASE!r}\n")
    assert "stale: program.python (desk/words.py)" in promptgrad("-C", root, "matrix").stdout
    again = promptgrad_process(
        "-C", root, "ci", "--report", root / "report.md", "--junit", root / "junit.xml"
    )
    assert "program.python (desk/words.py)" in " ".join(again.stdout.split())
    assert runs(root) == 2


def test_another_model_revision_is_a_change(project: Path) -> None:
    loaded = open_project(project, {})
    standing = standing_artifact(loaded, scripted_revision("another"))
    assert standing is not None
    assert standing.changed == ("model",)
    assert project_fingerprint(loaded) == standing.manifest.details["fingerprint"]


def test_a_model_set_for_one_check_is_a_change_and_the_project_file_stays(project: Path) -> None:
    text = (project / "promptgrad.toml").read_text()
    with desk_server(name="other") as other:
        done = ci(project, "--set", f"model.task={other.uri}")
        assert done.returncode == 0, done.stderr
        assert other.calls > 0
    assert f"Changed since {project}" in done.stdout.replace("\n", " ")
    uris = {json.loads((path / "manifest.json").read_text())["model"]["uri"] for path in artifacts(project)}
    assert other.uri in uris
    assert (project / "promptgrad.toml").read_text() == text
    assert "Nothing to do" in ci(project).stdout


def test_a_run_without_a_gain_leaves_nothing_to_propose(tmp_path: Path) -> None:
    class Perfect(Desk):
        def _queue(self, system: str, user: str) -> str:
            ticket = user.split("[[ ## ticket ## ]]")[1].split("Respond")[0]
            return json.dumps({"queue": next((POLICY[word] for word in POLICY if word in ticket), "general")})

    with desk_server(Perfect()) as server:
        done = ci(write_project(tmp_path, server.uri, n=10))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "artifacts").exists()


def test_a_failed_gate_ends_with_1_and_is_in_every_report(project: Path) -> None:
    edit(project, "[optimizer]", '[gates]\nmin_test_gain = 0.99\nmust_pass = ["3-0"]\n[optimizer]')
    done = ci(project)
    assert done.returncode == 1
    assert "**failed**" in (project / "report.md").read_text()
    failures = {case.attrib["name"]: case.find("failure") for case in suite(project)}
    assert failures["min_test_gain"] is not None
    assert "at least 0.99" in failures["min_test_gain"].attrib["message"]
    assert failures["must_pass.3-0"] is None
    assert suite(project).attrib["failures"] == "1"
    again = ci(project)
    assert again.returncode == 1, "what failed its gates never counts as done"


def test_the_comparison_names_the_current_artifact_and_its_rules(project: Path) -> None:
    (first,) = artifacts(project)
    assert promptgrad("-C", str(project), "promote", str(first)).returncode == 0
    known = json.loads((first / "manifest.json").read_text())["rules"][0]["trigger"]
    write_lines(project / "data" / "train.jsonl", [t for t in tickets(60, 9) if known not in t["ticket"]])
    done = ci(project)
    assert done.returncode == 0, done.stderr
    report = (project / "report.md").read_text()
    assert "## Compared with the current artifact" in report
    second = next(path for path in artifacts(project) if path != first)
    before, now = (
        {rule["text"] for rule in json.loads((path / "manifest.json").read_text())["rules"]}
        for path in (first, second)
    )
    assert before != now
    for text in now - before:
        assert f"| added | {text} |" in report
    for text in before - now:
        assert f"| removed | {text} |" in report
        assert f"-- {text}" in report


def test_scores_of_different_test_splits_are_not_compared_silently(project: Path) -> None:
    more_data("test")(project)
    ci(project)
    assert "of different examples" in (project / "report.md").read_text()


def test_a_budget_ends_the_check_cleanly(server: DeskServer, tmp_path: Path) -> None:
    root = write_project(tmp_path, server.uri, epochs=4)
    done = ci(root, "--max-calls", "150")
    assert done.returncode == 0, done.stderr
    assert "budget used up" in (root / "report.md").read_text().lower()
    assert suite(root).attrib["failures"] == "0"


def test_a_project_that_cannot_be_read_is_no_failed_gate(tmp_path: Path) -> None:
    assert ci(tmp_path).returncode == 2
