"""Small project folders for tests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TOML = """\
[program]
signature = "ticket -> queue"
instructions = "Route the ticket."

[data]
train = "train.jsonl"
validation = "validation.jsonl"
test = "test.jsonl"

[metric]
kind = "exact_match"
field = "queue"

[model]
task = "demo"
"""


def write_lines(path: Path, examples: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(example) + "\n" for example in examples), encoding="utf-8")
    return path


@contextmanager
def two_drives() -> Iterator[None]:
    """Let no path lead from one folder to another, as between the drives of Windows."""

    def refused(*_: object, **__: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os.path, "relpath", refused)
        yield


def tickets(prefix: str, count: int = 12) -> list[dict[str, Any]]:
    """Distinct tickets of two queues in turn."""
    return [
        {"ticket": f"{prefix} ticket {number}", "queue": ("billing", "shipping")[number % 2]}
        for number in range(count)
    ]


def write_project(root: Path, toml: str = TOML, **files: str) -> Path:
    """Write a project with three splits; `files` are texts by file stem (`_py` for Python)."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "promptgrad.toml").write_text(toml, encoding="utf-8")
    for split in ("train", "validation", "test"):
        write_lines(root / f"{split}.jsonl", tickets(split))
    for name, text in files.items():
        file = root / name.replace("_py", ".py").replace("_jsonl", ".jsonl")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root
