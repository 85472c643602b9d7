"""A task of the benchmark: a folder with `task.toml` and three splits as JSON lines."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Example = dict[str, Any]

SPLITS = ("train", "validation", "test")
_METRIC_OPTIONS = ("tolerance", "threshold", "pattern")


@dataclass(frozen=True)
class Task:
    """What is asked, how an answer is scored, and the examples of the three splits."""

    name: str
    signature: str
    module: str
    instructions: str
    fields: Mapping[str, str]
    metric: str
    field: str
    metric_options: Mapping[str, Any]
    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the signature's inputs."""
        import dspy

        return tuple(dspy.Signature(self.signature).input_fields)

    def limited(self, limit: int | None) -> Task:
        """Return the task with the first `limit` examples of each split, for trying the benchmark out."""
        if limit is None:
            return self
        return replace(self, **{split: getattr(self, split)[:limit] for split in SPLITS})


def load_tasks(folder: Path, only: Sequence[str]) -> list[Task]:
    """Return the tasks in the subfolders of `folder`, or those called by the names in `only`."""
    names = only or sorted(path.parent.name for path in folder.glob("*/task.toml"))
    missing = [name for name in names if not (folder / name / "task.toml").is_file()]
    if missing or not names:
        raise SystemExit(f"There is no {', '.join(missing) or 'task'} in {folder}.")
    return [load_task(folder / name) for name in names]


def load_task(folder: Path) -> Task:
    """Read one task.

    `task.toml` has the keys signature, module, instructions, metric and field, and the metric's options
    beside them; or it has them in the sections [program] and [metric], as `promptgrad.toml` does.
    """
    raw = tomllib.loads((folder / "task.toml").read_text(encoding="utf-8"))
    program = {**raw, **raw.get("program", {})}
    metric = raw["metric"] if isinstance(raw.get("metric"), dict) else {**raw, "kind": raw.get("metric")}
    options = {**metric, **metric.get("options", {})}
    task = Task(
        name=folder.name,
        signature=program["signature"],
        module=program.get("module", "predict"),
        instructions=program.get("instructions", "").strip(),
        fields=program.get("fields", {}),
        metric=metric.get("kind") or "exact_match",
        field=metric.get("field") or raw.get("field") or _last_output(program["signature"]),
        metric_options={name: options[name] for name in _METRIC_OPTIONS if name in options},
        **{split: _read_lines(folder / f"{split}.jsonl") for split in SPLITS},
    )
    return _without_leaks(task)


def _last_output(signature: str) -> str:
    return signature.rpartition("->")[2].rpartition(",")[2].partition(":")[0].strip()


def _read_lines(file: Path) -> list[Example]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _without_leaks(task: Task) -> Task:
    """Return the task without examples whose inputs stand in a later split too; PromptGrad refuses those."""
    seen: set[str] = set()
    kept: dict[str, list[Example]] = {}
    for split in reversed(SPLITS):
        keys = [(_inputs_key(task, example), example) for example in getattr(task, split)]
        kept[split] = [example for key, example in keys if key not in seen]
        if dropped := len(keys) - len(kept[split]):
            print(f"{task.name}: {dropped} examples of {split} are left out; a later split has their inputs.")
        seen |= {key for key, _ in keys}
    return replace(task, **kept)


def _inputs_key(task: Task, example: Example) -> str:
    return json.dumps([example.get(name) for name in task.inputs], sort_keys=True)
