"""The benchmark of local inference asks what a run asks, and compares like with like."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.inference.contestants import Process, Round, ours
from benchmarks.inference.workloads import Asking, Workload, real_workloads
from benchmarks.local_inference import endless_demo_model, ratios
from benchmarks.real.tasks import Task


def task() -> Task:
    teams = ["cards", "fraud", "cash"]
    examples = [{"message": f"My card number {n} is stuck", "team": teams[n % 3]} for n in range(40)]
    return Task(
        name="teams",
        signature="message -> team",
        module="predict",
        instructions="Name the team.",
        fields={},
        metric="exact_match",
        field="team",
        metric_options={},
        train=examples[:20],
        validation=examples[20:30],
        test=examples[30:],
    )


def test_prompts_are_those_of_a_run() -> None:
    base, shown, ruled, analysis = real_workloads(task(), 4)
    assert [len(one.rounds[0]) for one in (base, shown, ruled, analysis)] == [4, 4, 4, 3]
    assert [len(one.rounds[0][0].messages) for one in (base, shown)] == [2, 26]
    assert base.rounds[0][0].schema == ruled.rounds[0][0].schema
    assert "the team is cards." in ruled.rounds[0][0].messages[0]["content"]
    assert len({asking.seed for asking in analysis.rounds[0]}) == 3
    assert base.scored == tuple(f'{{\n  "team": "{team}"\n}}' for team in ("cards", "fraud", "cash"))


def test_ratios_are_of_medians_and_scoring_stands_against_generating() -> None:
    rounds = [
        Round("ours", "base", 1.0, 0.0, 8),
        Round("ours", "base", 3.0, 0.0, 8),
        Round("ours, scoring", "base", 0.5, 0.0, 0),
        Round("Llama behind a lock", "base", 4.0, 0.0, 8),
    ]
    assert ratios(rounds) == {
        "base": {"Llama behind a lock": 2.0},
        "base, scoring": {"Llama behind a lock": 8.0},
    }


def test_a_contestant_has_a_process_of_its_own(tmp_path: Path) -> None:
    base, _, _, analysis = real_workloads(task(), 4)
    process = Process(ours, endless_demo_model(tmp_path), 1)
    try:
        assert process.run(base).tokens > 0
        evaluated = process.statistics()["prompt_tokens_evaluated"]
        assert evaluated >= process.distinct_tokens(base) > 0
        assert process.score(base).contestant == "ours, scoring"
        assert process.run(analysis).tokens == 3 * 160, "the demo model is kept from ending its answers"
        with pytest.raises(RuntimeError, match="ours: "):
            process.run(Workload("broken", [[Asking([], 1)]]))
    finally:
        process.close()
