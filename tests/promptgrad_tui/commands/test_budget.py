"""A budget that ends in the middle of the first epoch, and what a larger one makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.journal.events import (
    AnalysisFinished,
    Event,
    RolloutFinished,
    RulesChanged,
    TestFinished,
    TestOpened,
    ValidationFinished,
)
from engine.journal.journal import Journal, journal_path
from engine.release.manifest import load_manifest
from tests.promptgrad_tui.desk_project import last_events, outcome, promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server

TEST_CALLS = 60
"""The baseline and the optimized program on 30 examples."""


@dataclass(frozen=True)
class Whole:
    """A run without a budget: its project, its summary, what happened, and the calls that it paid for."""

    root: Path
    summary: dict[str, Any]
    events: list[Event]
    calls: int

    def calls_until(self, number: int) -> int:
        """How many calls it had paid for when its `number`th rule was accepted."""
        seen: set[str] = set()
        for event in self.events:
            if isinstance(event, RolloutFinished | AnalysisFinished):
                seen.update(event.completions)
            if isinstance(event, ValidationFinished) and event.verdict == "accepted":
                number -= 1
                if number == 0:
                    return len(seen)
        raise AssertionError("too few rules were accepted")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    root = tmp_path_factory.mktemp("whole")
    with desk_server() as server:
        write_project(root, server.uri)
        summary = result(promptgrad("run", root, "--json"))
        yield Whole(root, summary, last_events(root), server.calls)


def accepted(events: list[Event]) -> list[str]:
    return [
        event.rule.text
        for event in events
        if isinstance(event, ValidationFinished) and event.verdict == "accepted"
    ]


def test_rules_of_an_epoch_that_a_budget_cuts_short_are_proved_and_saved(
    whole: Whole, tmp_path: Path
) -> None:
    budget = whole.calls_until(1) + TEST_CALLS + 3
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        told = result(promptgrad("run", project, "--json", "--max-calls", budget))
        assert told["calls"] == server.calls <= budget
        assert told["status"] == "budget"
        assert [rule["text"] for rule in told["rules"]] == accepted(last_events(project))[:1]
        assert told["optimized"]["validation"] is None
        assert told["optimized"]["test"]["score"] > told["baseline"]["test"]["score"]
        assert "epoch 1: its rules were accepted one by one" in told["reason"]
        assert f"Of {budget} calls, {TEST_CALLS} were kept for the test split" in told["reason"]
        manifest = load_manifest(told["artifact"])
        assert [rule.text for rule in manifest.rules] == [rule["text"] for rule in told["rules"]]

        resumed = result(promptgrad("-C", project, "resume", "last", "--json", "--max-calls", "5000"))
        assert outcome(resumed) == outcome(whole.summary)
        assert resumed["artifact"] != told["artifact"]
        events = last_events(project)
        both = [
            [event.digest for event in run if isinstance(event, RulesChanged)]
            for run in (events, whole.events)
        ]
        assert both[0] == both[1]
        # The test split was looked at for two sets of rules: both are told, the last one is the run's.
        assert [event.opening for event in events if isinstance(event, TestOpened)] == [1, 2]
        last = [event for event in events if isinstance(event, TestFinished)][-1]
        assert last.optimized.model_dump() == resumed["optimized"]["test"]


def test_a_budget_in_the_middle_of_a_rules_test_keeps_only_what_passed(whole: Whole, tmp_path: Path) -> None:
    budget = whole.calls_until(2) + TEST_CALLS - 1
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        told = result(promptgrad("run", project, "--json", "--max-calls", budget))
    assert told["calls"] <= budget
    assert (
        [rule["text"] for rule in told["rules"]]
        == accepted(last_events(project))
        == accepted(whole.events)[:1]
    )


def test_a_budget_for_the_test_split_alone_is_no_run(tmp_path: Path) -> None:
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        refused = promptgrad("run", project, "--max-calls", TEST_CALLS)
        assert refused.returncode == 2
        assert f"{TEST_CALLS} calls don't pay for more than the test split" in refused.stderr
        assert "--max-calls" in refused.stderr
        assert "promptgrad resume" not in refused.stdout + refused.stderr
        assert server.calls == 0
        assert last_events(project)[-1].summary.status == "error"  # type: ignore[union-attr]


def test_a_budget_that_found_no_rule_leaves_the_test_split_sealed(whole: Whole, tmp_path: Path) -> None:
    budget = whole.calls_until(1) + TEST_CALLS - 1
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        told = result(promptgrad("run", project, "--json", "--max-calls", budget))
        assert (told["status"], told["rules"], told["artifact"]) == ("budget", [], None)
        assert f"Of {budget} calls, {TEST_CALLS} were kept for the test split." in told["reason"]
        assert "No rules had been proved, so the test split stays sealed" in told["reason"]
        assert told["baseline"] == {"validation": whole.summary["baseline"]["validation"], "test": None}
        assert not [event for event in last_events(project) if isinstance(event, TestOpened)]
        resumed = result(promptgrad("-C", project, "resume", "last", "--json", "--max-calls", "5000"))
        assert outcome(resumed) == outcome(whole.summary)
        assert server.calls == whole.calls, "nothing is paid for twice"


def test_resume_without_a_name_passes_over_a_run_that_never_began_and_one_that_is_running(
    whole: Whole, tmp_path: Path
) -> None:
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        first = result(promptgrad("run", project, "--json", "--max-calls", TEST_CALLS + 40))
        assert first["status"] == "budget"
        assert promptgrad("run", project, "--max-calls", TEST_CALLS).returncode == 2
        with Journal.open(journal_path(project)) as journal:
            running = journal.create_run(project, journal.run("last").options)
            with journal.lock_run(running.id):
                resumed = result(promptgrad("-C", project, "resume", "--json", "--max-calls", "5000"))
    assert resumed["run"] == first["run"]
    assert outcome(resumed) == outcome(whole.summary)


def test_minutes_are_kept_for_the_test_split_too(tmp_path: Path) -> None:
    with desk_server(seconds=0.02) as server:
        project = write_project(tmp_path, server.uri, max_workers=1)
        # Each call takes 0.02 s at the least: of 0.03 minutes the test split needs 1.2 s, the baseline 0.6 s.
        told = result(promptgrad("run", project, "--json", "--max-minutes", "0.03"))
        assert told["status"] == "budget"
        assert "the budget of 0.03 minutes is used up" in told["reason"]
        assert server.calls <= (1.8 - 1.2) / 0.02
        resumed = result(promptgrad("-C", project, "resume", "last", "--json", "--max-minutes", "60"))
        assert resumed["status"] == "improved"


def test_without_tests_of_rules_only_a_scored_state_counts(whole: Whole, tmp_path: Path) -> None:
    with desk_server() as server:
        project = write_project(tmp_path, server.uri, validate_rules=False)
        told = result(promptgrad("run", project, "--json", "--max-calls", "115"))
    assert (told["status"], told["rules"]) == ("budget", [])
