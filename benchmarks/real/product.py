"""PromptGrad as a user runs it: `init`, the project file filled in, `run --json`, and what the events say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from benchmarks.real.tasks import SPLITS, Task

_ROOT = Path(__file__).parents[2]

VARIANTS: dict[str, Mapping[str, Any]] = {
    "promptgrad": {},
    "promptgrad-rules": {"max_demonstrations": 0},
}
"""What each variant changes in [optimizer] of the project that `promptgrad init` writes."""


def measure(task: Task, model: Path, variant: str, seed: int, folder: Path) -> dict[str, Any]:
    """Run one variant in a project of its own and return its record.

    A project whose run was interrupted goes on where it was.
    """
    began = time.monotonic()
    if not (folder / "promptgrad.toml").exists():
        _write_project(task, model, VARIANTS[variant], folder)
    runs = json.loads(_promptgrad(folder, "runs", "--json").stdout or "[]")
    command = ["run", "--seed", str(seed)] if not runs else ["resume", runs[-1]["run"]]
    done = _promptgrad(folder, *command, "--json", "--quiet")
    try:
        summary = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        summary = {"status": "error", "reason": (done.stderr or "no answer").strip()[-300:]}
    if summary["status"] == "stopped":
        raise SystemExit(f"{folder} was stopped; the same command goes on with it.")
    if summary["status"] == "error" or not (summary.get("baseline") or {}).get("test"):
        return {"status": "failed", "problem": summary["reason"], "seconds": time.monotonic() - began}
    events = [json.loads(line) for line in _promptgrad(folder, "events", summary["run"]).stdout.splitlines()]
    return _record(summary, events)


def _write_project(task: Task, model: Path, changes: Mapping[str, Any], folder: Path) -> None:
    """Write the project of `promptgrad init` with the task's program, data and metric in it."""
    shutil.rmtree(folder, ignore_errors=True)
    done = _promptgrad(folder.parent, "init", folder.name)
    if done.returncode:
        raise SystemExit(done.stderr)
    shutil.rmtree(folder / "data")
    (folder / "data").mkdir()
    for split in SPLITS:
        lines = [json.dumps(example, ensure_ascii=False) + "\n" for example in getattr(task, split)]
        (folder / "data" / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    file = folder / "promptgrad.toml"
    project = tomlkit.parse(file.read_text(encoding="utf-8"))
    program: dict[str, Any] = {"signature": task.signature, "module": task.module}
    if task.instructions:
        program["instructions"] = task.instructions
    if task.fields:
        program["fields"] = dict(task.fields)
    project["program"] = program
    project["data"] = {split: f"data/{split}.jsonl" for split in SPLITS} | {"near_duplicate_threshold": 1.0}
    project["metric"] = {"kind": task.metric, "field": task.field, **task.metric_options}
    project["model"]["task"] = f"gguf:{model}"  # type: ignore[index]
    project["optimizer"].update(changes)  # type: ignore[union-attr]
    file.write_text(tomlkit.dumps(project), encoding="utf-8")


def _promptgrad(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "promptgrad_tui", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )


def _record(summary: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a finished run came to: its test scores before and after, and what it used."""
    rollouts = [event for event in events if event["kind"] == "rollout"]
    reflections = sum(
        len(event["completions"]) or 1 for event in events if event["kind"] in ("question", "analysis")
    )
    answered = sum(len(event["completions"]) or 1 for event in rollouts)
    learning = [event for event in rollouts if event["split"] != "test"]
    test = [event for event in rollouts if event["split"] == "test"]
    opened = [event["rules"] for event in events if event["kind"] == "test_opened"]
    before, after = _scores_by_state(test, opened[-1] if opened else "")
    result = (summary["optimized"] or {}).get("test") or summary["baseline"]["test"]
    task = _usage([event["tokens"] for event in learning])
    everything = _usage([event["tokens"] for event in rollouts])
    return {
        "status": "ok",
        "scores": after,
        "base_scores": before,
        "score": result["score"],
        "validation": (summary["optimized"] or {}).get("validation"),
        "seconds": summary["seconds"] - (test_seconds := _test_seconds(events)),
        "test_seconds": test_seconds,
        "usage": {
            "task": {**task, "calls": len(learning)},
            "reflection": {
                "calls": reflections,
                "prompt_tokens": max(0, summary["tokens"]["prompt"] - everything["prompt_tokens"]),
                "answer_tokens": max(0, summary["tokens"]["completion"] - everything["answer_tokens"]),
            },
        },
        "scored_prompts": max(0, summary["calls"] - answered - reflections),
        "outcome": summary["status"],
        "reason": summary["reason"],
        "released": summary.get("artifact") is not None,
        "rules": [rule["text"] for rule in summary["rules"]],
        "demonstrations": len(summary.get("demonstrations") or ()),
        "layers": summary.get("layers"),
    }


def _scores_by_state(test: Sequence[Mapping[str, Any]], best: str) -> tuple[list[float], list[float]]:
    """Return the test scores of the base and of the best state, each in the order of the examples' keys.

    The base is scored first. A run that learned nothing has no other state.
    """
    states: dict[str, dict[str, float]] = {}
    for event in test:
        states.setdefault(event["rules"], {})[event["example"]] = event["score"]
    if not states:
        return [], []
    base = next(iter(states.values()))
    learned = states.get(best, base)
    order = sorted(base)
    return [base[key] for key in order], [learned.get(key, base[key]) for key in order]


def _test_seconds(events: Sequence[Mapping[str, Any]]) -> float:
    """Return how long the test split took, for the base and for the best state."""
    began = [e["time"] for e in events if e["kind"] == "phase_started" and e["phase"] == "test"]
    ended = [e["time"] for e in events if e["kind"] == "test"]
    return float(ended[-1] - began[-1]) if began and ended else 0.0


def _usage(tokens: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {
        "prompt_tokens": sum(each["prompt"] for each in tokens),
        "answer_tokens": sum(each["completion"] for each in tokens),
    }
