"""Predictions for a whole file: in order, several at a time, and resumed where they were left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.ground.errors import ArtifactError, ContextOverflowError, DataError, ProjectError
from engine.project.data import LoadedExample, load_rows
from engine.project.data_files import line_error
from engine.project.splits import refuse_incomplete
from engine.release.manifest import PROGRAM, load_manifest
from engine.release.routing.router import LARGE, is_router, router_digest
from promptgrad_tui.views.output_file import refuse_unwritable
from promptgrad_tui.work.predict.prediction import field_types, serving, takes_null
from promptgrad_tui.work.release.artifact_project import project_of

if TYPE_CHECKING:
    import dspy

_AT_ONCE = 8

OnAnswer = Callable[[int, int], None]
"""Called with the rows that are done and all rows."""


def predict_file(artifact: Path, source: Path, target: Path, folder: Path, on_answer: OnAnswer) -> int:
    """Answer each row of `source` into the JSON Lines file `target`, and return how many have no answer.

    The rows are read as the project reads its data, [data.fields] included. A line holds `line` (that of
    `source`), `artifact` (the program's hash), `inputs`, and `answer` or `problem`. What `target` already
    holds of the same artifact and rows is kept, so an interrupted call goes on where it was; a line that was
    cut off is written again.

    Raises:
        DataError: `source` can't be read, an input is missing or null, or `target` holds something else.
        ProjectError: `target` can't be written, or the program's code has a mistake that shows on any input.
        ArtifactError, ModelError: see `predict`.
    """
    program_hash = _hash_of(artifact)
    made = artifact / LARGE if is_router(artifact) else artifact
    sources = project_of(load_manifest(made), made, folder).data.fields
    if target.exists() and not target.is_file():
        raise ProjectError(
            f"{target} is a device or a pipe, and not a file.",
            hint="Name a file: an interrupted call continues from what it holds.",
        )
    refuse_unwritable(target)
    with serving(artifact, folder) as (module, program):
        heads = [
            {"line": row.line, "artifact": program_hash, "inputs": inputs}
            for row, inputs in _rows(source, program, sources)
        ]
        problems = _take_up(target, heads)
        done = len(problems)
        with target.open("a", encoding="utf-8") as file:
            for answered in _answers(module, heads[done:]):
                file.write(json.dumps(answered, ensure_ascii=False) + "\n")
                file.flush()
                problems.append("problem" in answered)
                on_answer(len(problems), len(heads))
        return sum(problems)


def _hash_of(artifact: Path) -> str:
    if is_router(artifact):
        return router_digest(artifact)
    return load_manifest(artifact).files[PROGRAM]


def _answers(module: dspy.Module, heads: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="predict")
    try:
        yield from pool.map(lambda head: {**head, **_answer(module, head["inputs"])}, heads)
    finally:
        pool.shutdown(cancel_futures=True)


def _answer(module: dspy.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    from engine.journal.replay import cause_of
    from engine.programs.faults import fault_of, program_error

    try:
        return {"answer": {name: _plain(value) for name, value in module(**inputs).items()}}
    except Exception as error:
        cause, fault = cause_of(error), fault_of(error)
        if isinstance(cause, ContextOverflowError):
            return {"problem": cause.message}
        if cause is None and fault == "answer":
            return {"problem": f"The answer can't be read: {error}"}
        if cause is None and fault == "unknown":
            return {"problem": program_error(error).message}
        raise cause or program_error(error) from error


def _rows(
    source: Path, program: dspy.Module, sources: Mapping[str, str]
) -> Iterator[tuple[LoadedExample, dict[str, Any]]]:
    """Yield the rows of a file, each with the program's inputs."""
    from promptgrad_tui.work.code.program import program_fields

    fields, types = program_fields(program).inputs, field_types(program)
    rows = load_rows(source, None, sources)
    refuse_incomplete(rows, dict.fromkeys(fields, "an input of the program"), sources)
    for row in rows:
        inputs = {name: row.values[name] for name in fields or row.values}
        for name, value in inputs.items():
            if value is None and name in types and not takes_null(types[name]):
                raise line_error(
                    row.at,
                    f"the input {name!r} is null.",
                    hint='Write its value, or "" if it is empty, or remove the row.',
                )
        yield row, inputs


def _take_up(target: Path, heads: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Return of each answered row whether it is a problem; what was cut off in the middle is removed."""
    if not target.exists():
        return []
    content = target.read_bytes()
    whole, _, cut_off = content.rpartition(b"\n")
    lines = whole.split(b"\n") if whole else []
    if len(lines) > len(heads):
        raise _other(target, len(heads) + 1)
    problems = []
    for number, (line, head) in enumerate(zip(lines, heads, strict=False), 1):
        try:
            known = json.loads(line)
        except ValueError:
            raise _other(target, number) from None
        if not isinstance(known, dict) or any(known.get(name) != head[name] for name in ("line", "inputs")):
            raise _other(target, number)
        if known.get("artifact") != head["artifact"]:
            raise ArtifactError(
                f"{target} holds answers of another artifact.", hint="Write the answers to a new file."
            )
        problems.append("problem" in known)
    if cut_off:
        if not any(_begins(cut_off, head) for head in heads[len(lines) : len(lines) + 1]):
            raise _other(target, len(lines) + 1)
        with target.open("r+b") as file:
            file.truncate(len(content) - len(cut_off))
    return problems


def _begins(cut_off: bytes, head: Mapping[str, Any]) -> bool:
    """Return whether bytes are the beginning of the line that starts with `head`."""
    start = json.dumps(head, ensure_ascii=False).removesuffix("}").encode()
    return cut_off.startswith(start) or start.startswith(cut_off)


def _other(target: Path, line: int) -> DataError:
    return DataError(
        f"{target}, line {line} is not an answer to the corresponding row of the input file.",
        hint="Write the answers to a new file.",
    )


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value
