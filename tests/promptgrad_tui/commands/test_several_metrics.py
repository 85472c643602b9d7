"""A project with several metrics: the sum that is optimized, and each of them wherever scores are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.release.manifest import load_manifest, load_measurement
from tests.engine.desk import Desk
from tests.promptgrad_tui.desk_project import SPLITS, promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server

METRICS = """
[[metrics]]
name = "queue"
kind = "exact_match"
field = "queue"
weight = 3
by_class = true

[[metrics]]
name = "brief"
python = "metric.py:brief"
minimum = {minimum}
"""
BRIEF = '''
def brief(example, prediction):
    """Half of the credit for a queue with a long name."""
    is_long = len(prediction.queue) > 6
    return {"score": 0.5 if is_long else 1.0, "feedback": "Too long." if is_long else ""}
'''
SUM = "0.75 queue + 0.25 brief"


@pytest.fixture
def server():
    with desk_server(Desk()) as running:
        yield running


def project_with(folder: Path, uri: str, minimum: float = 0.5) -> Path:
    project = write_project(folder, uri, rule_validation_examples=30)
    file = project / "promptgrad.toml"
    text = file.read_text().replace('[metric]\nkind = "exact_match"\nfield = "queue"\n', "")
    text = text.replace("[data]\n", '[data]\nslice = "channel"\n')
    for split in SPLITS:
        sliced = (row | {"channel": ("mail", "phone")[n % 2]} for n, row in enumerate(rows(project, split)))
        (project / "data" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, sliced)))
    file.write_text(text + METRICS.format(minimum=minimum))
    (project / "metric.py").write_text(BRIEF)
    return project


def rows(project: Path, split: str) -> list[dict]:
    return [json.loads(line) for line in (project / "data" / f"{split}.jsonl").read_text().splitlines()]


def test_each_metric_is_told_with_its_figures_and_the_sum_is_named(server, tmp_path):
    project = project_with(tmp_path, server.uri)
    run = result(promptgrad("run", project, "--json", "-q"))
    assert run["status"] == "improved"
    assert run["metric"] == SUM
    for metrics, n in ((run["metrics"], 30), (run["validation_metrics"], 30)):
        assert list(metrics) == [SUM, "queue", "brief"]
        assert metrics["queue"]["optimized"]["score"]["n"] == n
    before, after = run["metrics"]["queue"]["baseline"], run["metrics"]["queue"]["optimized"]
    policy = sum(row["queue"] != "general" for row in rows(project, "test"))
    assert before["failures"] == policy, "without rules all is general"
    assert before["score"]["score"] == pytest.approx(1 - policy / 30)
    assert (before["min"], before["std"]) == (0.0, pytest.approx((policy * (30 - policy)) ** 0.5 / 30))
    classes = {row["queue"] for row in rows(project, "test")}
    assert before["balanced_accuracy"]["score"] == pytest.approx(1 / len(classes))
    assert after["macro_f1"]["score"] > before["macro_f1"]["score"]
    brief = run["metrics"]["brief"]
    assert (brief["baseline"]["score"]["score"], brief["baseline"]["min"]) == (0.5, 0.5)
    assert brief["optimized"]["balanced_accuracy"] is None
    weighed = 0.75 * after["score"]["score"] + 0.25 * brief["optimized"]["score"]["score"]
    assert run["optimized"]["test"]["score"] == pytest.approx(weighed)
    assert run["metrics"][SUM]["optimized"]["score"] == run["optimized"]["test"]
    mail = run["slices"]["mail"]
    assert list(mail["metrics"]) == [SUM, "queue", "brief"]
    wrong = sum(row["queue"] != "general" for row in rows(project, "test")[::2])
    assert mail["metrics"]["queue"]["baseline"]["failures"] == wrong
    assert mail["metrics"][SUM]["optimized"]["score"] == mail["optimized"]
    passed = {gate["gate"]: gate for gate in run["gates"]}
    assert passed["metrics.brief"]["value"] == pytest.approx(brief["optimized"]["score"]["score"])

    manifest = load_manifest(run["artifact"])
    assert (manifest.metric, list(manifest.metrics)) == (SUM, [SUM, "queue", "brief"])
    measured = load_measurement(run["artifact"]).metrics
    assert measured["queue"].optimized.failures == after["failures"]


def test_a_minimum_is_a_gate_whatever_the_sum_is(server, tmp_path):
    project = project_with(tmp_path, server.uri, minimum=0.95)
    run = result(promptgrad("run", project, "--json", "-q"))
    assert run["optimized"]["test"]["score"] > run["baseline"]["test"]["score"]
    assert (run["status"], run["artifact"]) == ("no_improvement", None)
    (failed,) = [gate for gate in run["gates"] if not gate["passed"]]
    assert (failed["gate"], failed["bound"]) == ("metrics.brief", 0.95)
    again = promptgrad("-C", project, "gate", run["withheld"])
    assert "metrics.brief" in again.stdout
    assert again.returncode == 1


def test_figures_by_class_can_be_gates(server, tmp_path):
    project = project_with(tmp_path, server.uri)
    file = project / "promptgrad.toml"
    file.write_text(f"{file.read_text()}[gates]\nmin_balanced_accuracy = 0.999\nmin_macro_f1 = 0.1\n")
    run = result(promptgrad("run", project, "--json", "-q"))
    gates = {gate["gate"]: gate for gate in run["gates"]}
    score = run["metrics"]["queue"]["optimized"]["balanced_accuracy"]["score"]
    assert gates["min_balanced_accuracy"]["value"] == score
    assert gates["min_balanced_accuracy"]["passed"] is (score >= 0.999)
    assert gates["min_macro_f1"]["passed"]


def test_every_face_shows_them(server, tmp_path):
    project = project_with(tmp_path, server.uri)
    run = result(promptgrad("run", project, "--json", "-q"))
    shown = promptgrad("-C", project, "show", "last").stdout
    assert f"Metrics of the test split\n  optimized: {SUM}\n" in shown
    flat = " ".join(shown.split())
    assert "queue, balanced accuracy: " in flat
    figures = run["metrics"]["brief"]["optimized"]
    assert f"{figures['failures']} of 30 wrong, std {figures['std']:.3f}, min 0.50" in flat
    done = promptgrad(
        "-C", project, "report", "last", "--markdown", tmp_path / "r.md", "--html", tmp_path / "r.html"
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "r.md").read_text()
    score = figures["score"]
    cell = f"{score['score']:.3f} \\[{score['low']:.3f}, {score['high']:.3f}\\]"
    (row,) = [line for line in text.splitlines() if line.startswith("| brief |") and cell in line][:1]
    assert row.endswith(f"| {figures['std']:.3f} | 0.50 | {figures['failures']} of 30 wrong |")
    assert "### Metrics by slice, test split" in text
    html = (tmp_path / "r.html").read_text()
    assert f"{SUM} (optimized)" in html
    assert "queue, macro F1" in html
    assert "by channel, each metric" in html
    compared = result(promptgrad("-C", project, "compare", "baseline", "last", "--json"))
    assert compared["metrics"]["queue"] == run["metrics"]["queue"]
    assert "brief" in compared["examples"][0]["after"]["metrics"]


def test_a_check_tries_each_metric(server, tmp_path):
    project = project_with(tmp_path, server.uri)
    told = result(promptgrad("check", project, "--no-model", "--json"))["findings"]
    texts = [finding["text"] for finding in told if finding["subject"] == "metric"]
    short = sum(
        len(row["queue"]) <= 6 for split in ("train", "validation", "test") for row in rows(project, split)
    )
    assert any(text.startswith("queue: the expected outputs of 90 of 90 count as right") for text in texts)
    assert any(text.startswith("brief: the expected outputs of") for text in texts)
    assert short < 90


def test_a_later_measurement_compares_each_metric(server, tmp_path):
    project = project_with(tmp_path, server.uri)
    run = result(promptgrad("run", project, "--json", "-q"))
    new = tmp_path / "new.jsonl"
    new.write_text((project / "data" / "test.jsonl").read_text())
    told = result(promptgrad("-C", project, "recheck", run["artifact"], "--data", new, "--json"))
    by_metric = {score["metric"]: score for score in told["scores"] if score["metric"]}
    assert list(by_metric) == ["queue", "brief"]
    assert by_metric["brief"]["new"] == run["metrics"]["brief"]["optimized"]["score"]
