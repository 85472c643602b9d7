"""`promptgrad contest`: optimizers compared at the same budget, from the command line."""

from __future__ import annotations

import csv
import json
import re
import signal
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.journal.events import ProgressEstimated
from engine.journal.journal import Journal, journal_path
from tests.engine.desk import POLICY
from tests.promptgrad_tui.desk_project import (
    last_events,
    promptgrad,
    result,
    started,
    wait_for,
    write_project,
)
from tests.promptgrad_tui.model_server import DeskServer, desk_server

SMALL = ("--with", "promptgrad,labeled_few_shot", "--calls", "300", "--seeds", "1")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str, DeskServer]:
    root = tmp_path_factory.mktemp("contest")
    with desk_server() as server:
        done = promptgrad("contest", write_project(root, server.uri), *SMALL, "--json")
        assert done.returncode == 0, done.stderr
        yield root, result(done), done.stderr, server


def test_json_has_the_ranking_and_the_comparisons(held: tuple[Path, dict[str, Any], str, Any]) -> None:
    _, told, progress, server = held
    first, last = told["contest"]["standings"]
    assert (first["method"], first["place"]) == ("promptgrad", 1)
    assert (last["method"], last["place"], last["demonstrations"]) == ("labeled_few_shot", 2, 12)
    assert first["gain"]["low"] > 0
    assert last["behind"]["high"] < 0
    assert last["prompt_tokens"] > first["prompt_tokens"], "twelve demonstrations are longer"
    assert (told["test_opening"], told["status"]) == (1, "improved")
    assert told["calls"] == server.calls
    assert "labeled_few_shot, seed 1: " in progress
    assert "Contest: 2 methods, 1 seed, at most 300 calls for each" in progress


def test_show_runs_and_compare_work_with_the_results(held: tuple[Path, dict[str, Any], str, Any]) -> None:
    root, told, _, _ = held
    first, last = told["contest"]["standings"]
    text = promptgrad("-C", root, "show", "last").stdout
    assert "Contest: 2 methods, 1 seed, 300 calls for each" in text
    assert f"{first['validation']['score']:.3f}" in text
    assert "hold for all 3 comparisons together" in " ".join(text.split())
    assert "Validation over calls" in text
    assert max(map(len, text.replace(str(root), "").splitlines())) <= 80
    assert told["run"] in promptgrad("-C", root, "runs").stdout
    compared = result(promptgrad("-C", root, "compare", last["artifact"], first["artifact"], "--json"))
    assert compared["scores"]["test"]["before"] == last["test"]
    assert compared["scores"]["test"]["after"] == first["test"]
    assert compared["notes"] == []
    assert len(compared["examples"]) == 30, "the journal has the answers of both"
    base = result(promptgrad("-C", root, "compare", "baseline", last["artifact"], "--json"))
    assert base["scores"]["test"]["before"] == told["baseline"]["test"]


def test_a_contest_stands_for_its_winner_in_a_comparison(held: tuple[Path, dict[str, Any], str, Any]) -> None:
    root, told, _, _ = held
    first, last = told["contest"]["standings"]
    gained = result(promptgrad("-C", root, "compare", "baseline", "last", "--json"))
    assert gained["scores"]["validation"]["after"] == first["validation"]
    assert gained["scores"]["test"]["after"] == first["test"]
    assert gained["scores"]["test"]["gain"]["score"] == pytest.approx(first["gain"]["score"])
    assert gained["after"]["title"] == f"run {told['run']}, promptgrad"
    assert len(gained["rules"]["added"]) == first["rules"]
    text = promptgrad("-C", root, "compare", first["artifact"], last["artifact"]).stdout
    assert f"{last['demonstrations']} demonstrations" in text
    assert f"Demonstrations added: {last['demonstrations']}" in text


def test_every_table_fits_80_columns_without_breaking_an_interval(
    held: tuple[Path, dict[str, Any], str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _, _, _ = held
    monkeypatch.chdir(root)
    text = promptgrad("show", "last").stdout
    for place, method in enumerate(("promptgrad", "labeled_few_shot"), 1):
        assert re.search(rf"(?m)^  {place}  {method} +\d\.\d{{3}} \[\d\.\d{{3}}, \d\.\d{{3}}\]", text)
    assert re.search(r"(?m)^  labeled_few_shot +0 +\d+ +0 +12$", text), "calls, tokens, rules, demonstrations"
    matrix = promptgrad("matrix").stdout
    assert "    labeled_few_shot  test 0." in matrix
    assert [line for line in matrix.splitlines() if line.startswith("  artifacts/")] == [
        f"  {folder.relative_to(root)}" for folder in sorted(root.glob("artifacts/*/*/v*"))
    ]
    assert max(map(len, (text + matrix).splitlines())) <= 80


def test_candidates_are_called_by_their_methods(held: tuple[Path, dict[str, Any], str, Any]) -> None:
    root, _, _, _ = held
    names = {one["name"] for one in json.loads(promptgrad("-C", root, "pareto", "--json").stdout)}
    assert {"baseline", "labeled_few_shot 1", "promptgrad 1: epoch 1"} <= names


def test_a_table_has_the_rollouts_of_every_method(held: tuple[Path, dict[str, Any], str, Any]) -> None:
    root, told, _, _ = held
    rows = list(csv.DictReader(promptgrad("-C", root, "export", "last", "--to", "csv").stdout.splitlines()))
    lane = f"{told['run']}.labeled_few_shot.1"
    scores = [float(row["score"]) for row in rows if row["run"] == lane and row["split"] == "test"]
    assert sum(scores) / len(scores) == pytest.approx(told["contest"]["standings"][1]["test"]["score"])
    assert {row["run"] for row in rows if row["is_baseline"] == "True"} == {
        told["run"],
        f"{told['run']}.promptgrad.1",
    }


def test_the_report_has_the_tables_and_the_plot(held: tuple[Path, dict[str, Any], str, Any]) -> None:
    root, told, _, _ = held
    promptgrad("-C", root, "report", "last", "--html", root / "report.html", "--markdown", root / "report.md")
    page, text = (root / "report.html").read_text(), (root / "report.md").read_text()
    first = told["contest"]["standings"][0]
    assert "Score on validation over the calls used" in page
    assert page.count('class="point"') >= 2
    for told_by in (page, text):
        assert "hold for all 3 comparisons together" in told_by
        assert f"{first['gain']['low']:+.3f}" in told_by


def test_what_a_method_made_is_served(held: tuple[Path, dict[str, Any], str, Any]) -> None:
    _, told, _, _ = held
    phrase = told["rules"][0]["trigger"]
    done = promptgrad("predict", told["artifact"], "--input", f"ticket=my {phrase} is late", "--json")
    assert result(done) == {"queue": POLICY[phrase]}


def test_the_scoring_of_a_method_is_seen_as_it_goes_on(held: tuple[Path, dict[str, Any], str, Any]) -> None:
    root, _, _, _ = held
    progress = [event for event in last_events(root) if isinstance(event, ProgressEstimated)]
    for place in ("lane", "test"):
        name = f"{place}/labeled_few_shot/1/scored/"
        done = [event.done for event in progress if event.id.startswith(name)]
        assert [after - before for before, after in pairwise(done)] == [10, 10], "of 30 examples"
    assert max(event.done for event in progress) <= progress[-1].expected


def paid_for(root: Path) -> int:
    """How many answers the last contest and its first lane have in the journal."""
    if not journal_path(root).exists():
        return 0
    with Journal.open(journal_path(root), read_only=True) as journal:
        run = journal.runs()[-1].id
        return journal.completions_paid(run) + journal.completions_paid(f"{run}.promptgrad.1")


def test_started_again_it_goes_on_and_pays_for_nothing_twice(
    held: tuple[Path, dict[str, Any], str, Any], tmp_path: Path
) -> None:
    _, whole, _, _ = held
    with desk_server() as server:
        root = write_project(tmp_path, server.uri)
        server.answers = 60
        process = started("contest", root, *SMALL, "--json")
        wait_for(root, "contest_started", process)
        while paid_for(root) < 60:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        server.release()
        done = promptgrad("contest", root, *SMALL, "--json")
        assert "Resuming contest" in done.stderr
        again = result(done)
    assert server.calls == whole["calls"]

    def table(told: dict[str, Any]) -> list[dict[str, Any]]:
        return [{**row, "artifact": None} for row in told["contest"]["standings"]]

    assert table(again) == table(whole)
    assert {event.kind for event in last_events(root)} >= {"contest_started", "lane", "test", "artifact"}


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    with desk_server() as server:
        root = write_project(tmp_path, server.uri)
        unknown = promptgrad("contest", root, "--with", "promptgrad,magic")
        both = promptgrad("contest", root, "--calls", "10", "--minutes", "1")
    assert (unknown.returncode, both.returncode) == (2, 2)
    assert "there is no method 'magic'" in unknown.stderr
    assert "can't be combined" in both.stderr
    assert server.calls == 0
