"""What a measurement depends on, as named hashes, so that a change can be named too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.ground.errors import DataError
from engine.project.data import dataset_digest, load_split
from engine.project.local_imports import with_local_imports
from engine.project.settings import Project

ABSENT = "absent"


def project_fingerprint(project: Project) -> dict[str, str]:
    """Return hashes of the project's program, data and metric, each under its name in `promptgrad.toml`.

    Data files are hashed by their examples, so that another spelling of the same file stays the same; Python
    files by their bytes, together with the project's files that they import. Base instructions in [optimizer]
    that replace the program's own are included.
    """
    return dict(
        [
            *_section("program", project.program.model_dump(mode="json", exclude_unset=True)),
            *_code(project, "program.python", project.program.python),
            *_base(project),
            *_data(project),
            *_metrics(project),
        ]
    )


def project_code(project: Project, reference: str) -> list[Path]:
    """Return the file of a reference such as "program.py:build", and the project's files that it imports."""
    return with_local_imports(project.root, project.path(reference.rpartition(":")[0]))


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of what differs, in the order of `promptgrad.toml`."""
    names = list(dict.fromkeys((*now, *before)))
    return [name for name in names if before.get(name, ABSENT) != now.get(name, ABSENT)]


def _section(name: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        yield f"{name}.{key}", _digest(json.dumps(value, sort_keys=True).encode())


def _metrics(project: Project) -> Iterator[tuple[str, str]]:
    """Yield what scores an answer; a metric's minimum is a gate and no part of its score."""
    for metric in project.scoring:
        name = f"metrics.{metric.title}" if project.metrics else "metric"
        values = metric.model_dump(mode="json", exclude_unset=True, exclude={"minimum"})
        yield from _section(name, values)
        yield from _code(project, f"{name}.python", metric.python)
        if metric.rubric is not None:
            path = project.path(metric.rubric)
            content = _digest(path.read_bytes()) if path.is_file() else ABSENT
            yield f"{name}.rubric ({_shown(project, path)})", content


def _code(project: Project, name: str, reference: str | None) -> Iterator[tuple[str, str]]:
    if reference is None:
        return
    for path in project_code(project, reference):
        yield f"{name} ({_shown(project, path)})", _digest(path.read_bytes()) if path.is_file() else ABSENT


def _base(project: Project) -> Iterator[tuple[str, str]]:
    if project.optimizer.base_prompt_source != "module":
        yield "optimizer.base_prompt_source", _digest(project.optimizer.base_prompt_source.encode())


def _shown(project: Project, path: Path) -> str:
    root = project.root.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _data(project: Project) -> Iterator[tuple[str, str]]:
    data = project.data
    for name, file in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        if file is not None:
            try:
                yield f"data.{name}", dataset_digest(load_split(project, file))
            except DataError:
                yield f"data.{name}", ABSENT
    if data.test is None and data.test_seed:
        yield "data.test_seed", str(data.test_seed)
    if data.slice is not None:
        yield "data.slice", _digest(data.slice.encode())


def _digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"
