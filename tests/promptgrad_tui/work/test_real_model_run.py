"""A whole run on a real small model: everything holds together, and equal seeds give equal journals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.journal.journal import Journal, journal_path
from tests.promptgrad_tui.desk_project import promptgrad_process, write_project
from tests.real_model import ModelUnavailableHereError, smollm2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

UNEQUAL = {"time", "seconds", "latency", "live", "artifact", "withheld", "project", "run", "reused"}
"""What two equal runs never share: times, places, and how much of a prompt was still in the cache."""


@pytest.fixture(scope="module")
def model(pytestconfig: pytest.Config) -> Path:
    assert pytestconfig.cache
    try:
        return smollm2(pytestconfig.cache.mkdir("smollm2"))
    except ModelUnavailableHereError as error:
        pytest.skip(str(error))


def what_counts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: what_counts(inner) for key, inner in value.items() if key not in UNEQUAL}
    if isinstance(value, list):
        return [what_counts(inner) for inner in value]
    return value


def run(root: Path, model: Path) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the summary of a run, and its events' contents by their kind."""
    write_project(root, f"gguf:{model}", n=16, sources=["auto"], max_demonstrations=6, batches_per_epoch=1)
    short = ("--set", "model.max_tokens=48")  # so small a model may repeat itself without an end
    done = promptgrad_process("-C", root, "run", *short, "--json", "--quiet")
    assert done.returncode in (0, 1), done.stderr
    summary = json.loads(done.stdout)
    with Journal.open(journal_path(root), read_only=True) as journal:
        events = [event.model_dump(mode="json") for _, event in journal.events(summary["run"])]
    found: dict[str, list[Any]] = {}
    for event in sorted(events, key=lambda event: event["id"]):
        found.setdefault(event["kind"], []).append(what_counts(event))
    return summary, found


def test_a_run_learns_on_a_real_model_and_another_with_its_seed_is_the_same(
    model: Path, tmp_path: Path
) -> None:
    summary, events = run(tmp_path / "one", model)
    assert summary["status"] in ("improved", "no_improvement", "held_back")
    assert {"epoch", "rollout", "candidates", "screening", "layer_test", "run_finished"} <= events.keys()
    for rollout in events["rollout"]:
        assert rollout["tokens"]["prompt"] > 50
    tested = events["layer_test"][0]
    assert tested["layer"] == "demonstrations"
    assert len(tested["demonstrations"]) == 6
    before, after = events["epoch"][0]["validation"], events["epoch"][-1]["validation"]
    if summary["status"] == "improved":
        assert after["score"] > before["score"]
    again, same = run(tmp_path / "two", model)
    assert again["status"] == summary["status"]
    for kind in ("rollout", "candidates", "screening", "layer_test", "question", "epoch"):
        assert same.get(kind) == events.get(kind), kind
