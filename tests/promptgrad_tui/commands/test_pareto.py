"""`promptgrad pareto` on runs that the command made, with the desk as the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("pareto")
    with desk_server(seconds=0.01) as server:
        done = promptgrad("run", write_project(root, server.uri, max_workers=2), "--json")
        return root, result(done)


def placed(root: Path, *runs: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(promptgrad("-C", root, "pareto", *runs, "--json").stdout)
    return told


def test_the_result_and_the_baseline_are_on_the_front(learned: tuple[Path, dict[str, Any]]) -> None:
    root, told = learned
    front = {one["name"]: one for one in placed(root) if one["is_on_front"]}
    base, best = front["baseline"], front["epoch 1"]
    assert base["score"] == told["baseline"]["validation"]
    assert best["score"] == told["optimized"]["validation"]
    assert (base["rules"], best["rules"]) == (0, len(told["rules"]))
    # The desk counts words: each rule of seven words and its mark is in every prompt.
    assert best["prompt_tokens"] > base["prompt_tokens"] + 7 * best["rules"]
    assert base["answer_tokens"] == 2
    assert 0.01 <= base["latency"] <= base["p95_latency"] < 5


def test_lines_have_the_table_the_plot_and_the_dominated(learned: tuple[Path, dict[str, Any]]) -> None:
    root, _ = learned
    text = promptgrad("-C", root, "pareto").stdout
    assert "on the front, of" in text
    assert "Score over prompt tokens" in text
    assert f"{placed(root)[0]['prompt_tokens']:,.0f}" in text
    for one in placed(root):
        if one["dominated_by"]:
            assert f"is dominated by {one['dominated_by']['name']}" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_report_has_the_same_figures(learned: tuple[Path, dict[str, Any]]) -> None:
    root, _ = learned
    page = root / "report.html"
    promptgrad("-C", root, "report", "last", "--html", page, "--markdown", root / "report.md")
    best = placed(root)[0]
    for text in (page.read_text(), (root / "report.md").read_text()):
        assert "Score against cost" in text
        assert f"{best['prompt_tokens']:,.0f}" in text


def test_an_artifact_is_a_candidate_too(learned: tuple[Path, dict[str, Any]]) -> None:
    root, told = learned
    (own,) = placed(root, told["artifact"])
    best = next(one for one in placed(root) if one["name"] == "epoch 1")
    assert (own["score"], own["prompt_tokens"]) == (best["score"], best["prompt_tokens"])
    assert own["name"].endswith("/v1")


def test_runs_that_were_scored_on_other_data_are_not_compared(
    learned: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root = tmp_path / "desk"
    with desk_server() as server:
        for n in (20, 24):
            assert promptgrad("run", write_project(root, server.uri, n=n), "--quiet").returncode == 0
    runs = promptgrad("-C", root, "runs", "--json").stdout
    both = [run["run"] for run in json.loads(runs)]
    done = promptgrad("-C", root, "pareto", *both)
    assert done.returncode == 2
    assert "their validation examples differ" in " ".join(done.stderr.split())
    assert promptgrad("-C", root, "pareto", "nothing").returncode == 2
