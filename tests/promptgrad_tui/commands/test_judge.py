"""A project with a judge: answers graded by a person, the judge measured, and a gate on its agreement."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.project.judge_labels import AGREEMENT, load_labels
from engine.release.manifest import load_manifest
from promptgrad_tui.cli import promptgrad as command
from promptgrad_tui.work.judge.calibration import calibrate
from promptgrad_tui.work.judge.setting import judge_setting
from tests.engine.desk import POLICY, Desk
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server


class JudgingDesk(Desk):
    """A desk whose model also judges: an answer is good if it is the right queue for its ticket."""

    contrary = False

    def answer(self, messages):
        user = messages[-1]["content"]
        if "The criterion: the answer" not in user:
            return super().answer(messages)
        ticket = user.split("ticket: ")[1].splitlines()[0]
        right = next((queue for phrase, queue in POLICY.items() if phrase in ticket), "general")
        is_good = f"The answer to check: {right}" in user
        return json.dumps({"grade": "yes" if is_good is not self.contrary else "no"})


@pytest.fixture
def desk():
    return JudgingDesk()


@pytest.fixture
def server(desk):
    with desk_server(desk) as running:
        yield running


def judged_project(folder, uri, gates=""):
    project = write_project(folder, uri, rule_validation_examples=30)
    file = project / "promptgrad.toml"
    metric = 'kind = "rubric"\nfield = "queue"\ncriteria = ["names the right queue"]'
    text = file.read_text().replace('kind = "exact_match"\nfield = "queue"', metric)
    file.write_text(f"{text}[gates]\n{gates}\n" if gates else text)
    return project


def grade(project, keys, *options):
    return CliRunner().invoke(command, ["-C", str(project), "judge", "label", *options], input=keys)


def right_keys(project, n):
    """The keys that a person presses who knows the policy."""
    rows = {}
    for split in ("train", "validation"):
        for line in (project / "data" / f"{split}.jsonl").read_text().splitlines():
            row = json.loads(line)
            rows[row["id"]] = row
    shown = grade(project, "s" * n, "-n", str(n)).output
    names = re.findall(rf"^(\S+)  \(\d+ of {n}\)$", shown, re.MULTILINE)
    assert len(names) == n
    return "".join("y" if rows[name]["queue"] == "general" else "n" for name in names)


def test_labels_are_kept_at_once_taken_back_and_taken_up_again(server, tmp_path):
    project = judged_project(tmp_path, server.uri)
    first = grade(project, "yynus", "-n", "6")
    assert first.exit_code == 0, first.output
    assert [label.grade for label in load_labels(project)] == [1, 1]
    assert "Is it good? y or n   (u undo, s skip, q quit)" in first.output
    calls = server.calls
    second = grade(project, "nnnn", "-n", "6")
    assert "(1 of 4)" in second.output
    assert [label.grade for label in load_labels(project)] == [1, 1, 0, 0, 0, 0]
    assert server.calls == calls, "answers that the journal knows cost nothing"


def test_each_answer_is_seen_in_the_progress(server, tmp_path):
    project = judged_project(tmp_path, server.uri)
    told = promptgrad("-C", project, "judge", "answers", "-n", "12", "--json", "--json-progress").stderr
    assert [f"Asking the program: {n} of 12 answers" in told for n in range(13)] == [False] + 12 * [True]
    grade(project, "y" * 12, "-n", "12")
    seen = []
    with judge_setting(project) as setting:
        calibrate(setting, lambda text, done: seen.append((text, done)))
    assert len(seen) == 12
    assert seen[2] == ("Asking the judge: 3 of 12 answers", 0.25)


def test_too_few_labels_are_told(server, tmp_path):
    project = judged_project(tmp_path, server.uri)
    grade(project, "yyq", "-n", "6")
    done = promptgrad("-C", project, "judge", "check")
    assert done.returncode == 2
    assert "There are 2 labels to compare the judge with" in done.stderr


def test_a_judge_is_measured_by_labels_and_a_gate_holds_it_to_that(server, desk, tmp_path):
    project = judged_project(tmp_path, server.uri, "min_judge_agreement = 0.6")
    run = result(promptgrad("run", project, "--json", "-q"))
    assert run["status"] == "no_improvement", "nobody measured the judge"
    failed = [gate for gate in run["gates"] if not gate["passed"]]
    assert [gate["gate"] for gate in failed] == ["min_judge_agreement"]
    assert "never compared with labels" in failed[0]["detail"]
    notices = promptgrad("-C", project, "events", "last").stdout
    assert "The judge isn't calibrated" in notices

    grade(project, right_keys(project, 20), "-n", "20")
    told = result(promptgrad("-C", project, "judge", "check", "--json"))
    kappa = told["agreement"]["kappa"]
    assert (kappa["score"], kappa["n"]) == (1.0, 20)
    assert told["worst"] == []

    run = result(promptgrad("run", project, "--json", "-q"))
    assert run["status"] == "improved"
    manifest = load_manifest(Path(run["artifact"]))
    assert manifest.metric == "rubric(queue)"
    assert manifest.details["judge"]["uri"] == server.uri
    assert manifest.details["judge_agreement"]["kappa"]["score"] == 1.0


def test_a_judge_that_disagrees_is_told_apart_and_refused(server, desk, tmp_path):
    project = judged_project(tmp_path, server.uri, "min_judge_agreement = 0.6")
    keys = right_keys(project, 20)
    grade(project, "".join("y" if key == "n" else "n" for key in keys), "-n", "20")
    done = promptgrad("-C", project, "judge", "check")
    kappa = float(done.stdout.split("kappa")[1].split()[0])
    assert kappa < -0.8
    assert "Worst disagreements" in done.stdout
    assert f"The judge agrees badly with the labels: kappa {kappa:.2f}" in " ".join(done.stdout.split())
    run = result(promptgrad("run", project, "--json", "-q"))
    (failed,) = [gate for gate in run["gates"] if not gate["passed"]]
    assert failed["gate"] == "min_judge_agreement"
    assert failed["value"] == pytest.approx(kappa, abs=0.005)


def test_what_was_measured_holds_for_one_rubric(server, tmp_path):
    project = judged_project(tmp_path, server.uri)
    grade(project, "y" * 12, "-n", "12")
    result(promptgrad("-C", project, "judge", "check", "--json"))
    assert (project / AGREEMENT).exists()
    file = project / "promptgrad.toml"
    file.write_text(file.read_text().replace("names the right queue", "is polite"))
    result(promptgrad("run", project, "--json", "-q"))
    assert "The judge isn't calibrated" in promptgrad("-C", project, "events", "last").stdout


def test_a_check_says_that_the_judge_is_not_tried(server, tmp_path):
    project = judged_project(tmp_path, server.uri)
    told = result(promptgrad("check", project, "--no-model", "--json"))["findings"]
    assert any("not tried: it asks a judge" in finding["text"] for finding in told)


def test_without_a_judge_there_is_nothing_to_grade(server, tmp_path):
    done = promptgrad("-C", write_project(tmp_path, server.uri), "judge", "label")
    assert done.returncode == 2
    assert "The project's metric asks no judge" in done.stderr


def test_a_report_says_what_to_know_of_the_judge(server, tmp_path):
    project = judged_project(tmp_path, server.uri)
    result(promptgrad("run", project, "--json", "-q"))
    report = promptgrad("-C", project, "report", "last", "--markdown", tmp_path / "r.md")
    assert report.returncode == 0, report.stderr
    assert "The judge isn't calibrated" in (tmp_path / "r.md").read_text()
