"""The benchmark on real tasks, with the demo's task and model in place of larger ones."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.real.intervals import paired_difference, wilson
from benchmarks.real.peers import Bench
from benchmarks.real.table import rows
from benchmarks.real.tasks import load_task
from engine.testing import scripted_model
from models.demo import demo_model_path
from models.demo.project import INSTRUCTIONS, write_demo_project

ROOT = Path(__file__).parents[2]
TASK = f'''
signature = "ticket -> queue"
module = "chain_of_thought"
instructions = "{INSTRUCTIONS}"
metric = "exact_match"
field = "queue"
'''


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    write_demo_project(folder / "project", 0)
    (folder / "project" / "data").rename(folder / "desk")
    (folder / "desk" / "task.toml").write_text(TASK)
    return folder


def bench(tasks: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/real_tasks.py", "--models", str(demo_model_path().parent)]
    command += ["--tasks", str(tasks), "--only", "desk", "--out", str(out), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_is_scored_as_it_says_itself_and_nothing_is_measured_twice(tasks: Path, tmp_path: Path) -> None:
    options = ("--product", "promptgrad-rules", "--against", "none", "--seeds", "1", "--limit", "16")
    bench(tasks, tmp_path, *options)
    ours, base = lines(tmp_path)
    assert (ours["method"], ours["status"]) == ("promptgrad-rules", "ok")
    assert sum(ours["scores"]) / 16 == pytest.approx(ours["score"])
    assert ours["demonstrations"] == 0
    # The same program on the same model: the base is what the run's own baseline was, but for near-ties.
    assert sum(ours["base_scores"]) > 0
    assert abs(sum(base["scores"]) - sum(ours["base_scores"])) <= 1

    again = bench(tasks, tmp_path, *options)
    assert len(lines(tmp_path)) == 2
    assert f"| {sum(ours['scores']) / 16:.3f} |" in again.stdout
    table = json.loads((tmp_path / "results.json").read_text())
    assert [row["method"] for row in table] == ["base", "promptgrad-rules"]
    assert table[1]["gain"] == pytest.approx((sum(ours["scores"]) - sum(ours["base_scores"])) / 16)
    drawing = ElementTree.parse(tmp_path / "results.svg")
    assert "PromptGrad, rules only" in [
        text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")
    ]


def test_an_optimizer_keeps_to_its_budget_and_what_it_used_is_counted(tasks: Path) -> None:
    """The scripted model knows the queue of a ticket if demonstrations are shown, and says billing else."""
    task = replace(load_task(tasks / "desk"), module="predict")
    queues = {example["ticket"]: example["queue"] for example in (*task.train, *task.validation, *task.test)}

    def answer(messages: list[dict[str, str]]) -> str:
        ticket = max((text for text in queues if text in messages[-1]["content"]), key=len)
        return json.dumps({"queue": queues[ticket] if len(messages) > 2 else "billing"})

    bench = Bench(task, scripted_model(answer).lm)
    base = bench.measure("base", 0, 0)
    labeled = bench.measure("labeled-12", 1, 0)
    bootstrapped = bench.measure("bootstrap_rs", 1, 300)
    assert sum(base["scores"]) == sum(example["queue"] == "billing" for example in task.test)
    assert sum(labeled["scores"]) == sum(bootstrapped["scores"]) == 120
    assert labeled["usage"]["task"]["calls"] == 0
    assert labeled["prompt"][0]["demonstrations"] == 12
    # Zero-shot, labelled, bootstrapped and one random draw, each on 60 examples, besides bootstrapping.
    assert bootstrapped["settings"] == {"num_candidate_programs": 1}
    assert 240 < bootstrapped["usage"]["task"]["calls"] <= 300
    assert bootstrapped["usage"]["reflection"]["calls"] == 0
    assert bootstrapped["test_usage"]["task"]["calls"] == 120


def test_an_optimizer_that_raises_is_a_record_that_says_so(tasks: Path) -> None:
    def refuse(messages: list[dict[str, str]]) -> str:
        raise ValueError("no such token")

    bench = Bench(load_task(tasks / "desk").limited(5), scripted_model(refuse).lm)
    record = bench.measure("infer_rules", 1, 100)
    assert record["status"] == "failed"
    assert "scores" not in record
    assert record["problem"]


def record(method: str, seed: int, scores: Sequence[float], **more: Any) -> dict[str, Any]:
    used = {"calls": 5, "prompt_tokens": 10, "answer_tokens": 2}
    return {
        "task": "t",
        "model": "m",
        "method": method,
        "seed": seed,
        "status": "ok",
        "scores": scores,
        "seconds": 60.0,
        "test_seconds": 1.0,
        "usage": {"task": used, "reflection": used},
        **more,
    }


def test_seeds_are_averaged_by_example_and_failures_are_named() -> None:
    base = record("base", 0, [0, 0, 1, 1])
    failed = {**record("gepa", 1, []), "status": "failed", "problem": "ValueError: no"}
    seeds = [record("labeled-12", 1, [1, 1, 1, 1]), record("labeled-12", 2, [0, 1, 1, 0])]
    labeled, gepa = rows([base, *seeds, failed])[1:]
    assert labeled.scores == (1.0, 0.5)
    assert labeled.score == 0.75
    assert labeled.gain == 0.25  # (0.5 + 1 + 0 - 0.5) / 4
    assert (gepa.scores, gepa.problem) == ((), "ValueError: no")


def test_a_failure_that_was_measured_again_is_forgotten() -> None:
    failed = {**record("gepa", 1, []), "status": "failed", "problem": "ValueError: no"}
    (row,) = rows([failed, record("gepa", 1, [1, 0])])
    assert (row.score, row.problem) == (0.5, "")


def test_intervals_are_those_of_the_books() -> None:
    low, high = wilson(0.5, 100)
    assert (low, high) == (pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))
    assert wilson(1.0, 10) == (pytest.approx(0.7225, abs=1e-4), pytest.approx(1.0))
    delta, low, high = paired_difference([0, 0, 0, 0] * 25, [1, 0, 0, 0] * 25)
    assert delta == 0.25
    assert low == pytest.approx(0.17, abs=0.02)
    assert high == pytest.approx(0.34, abs=0.02)


def test_a_task_may_give_its_metric_as_a_section_and_leaves_out_what_a_later_split_has(
    tmp_path: Path,
) -> None:
    (tmp_path / "task.toml").write_text(
        'signature = "q, hint -> answer: float"\n[metric]\nkind = "number"\ntolerance = 0.5\n'
    )
    for split, names in {"train": "ab", "validation": "bc", "test": "cd"}.items():
        rows = [json.dumps({"q": name, "hint": "", "answer": 1}) for name in names]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows))
    task = load_task(tmp_path)
    assert (task.metric, task.field, task.metric_options) == ("number", "answer", {"tolerance": 0.5})
    assert task.module == "predict"
    assert [[e["q"] for e in split] for split in (task.train, task.validation, task.test)] == [
        ["a"],
        ["b"],
        ["c", "d"],
    ]
