"""Expected values that the program's types can never produce."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import dspy
from pydantic import TypeAdapter, ValidationError

from engine.ground.errors import MetricError
from engine.programs.coercion import as_metric
from engine.programs.formatting import as_text
from engine.project.data import LoadedExample
from engine.project.formats.tables import class_names
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.findings import Finding
from promptgrad_tui.work.run.planning import ProjectParts


def impossible_golds(parts: ProjectParts) -> Iterator[Finding]:
    """Yield a warning for each output whose expected values no answer of the program can equal.

    An expected value is fine if its type can hold it, or if the metric takes a value that the type can hold
    for it: "Positive" is, where a metric doesn't look at capitals.
    """
    types = _types(parts)
    for name, annotation in types.items():
        told = [example for example in parts.splits.examples if example.values.get(name) is not None]
        if named := _numbers_of_names(name, annotation, told):
            yield named
        if named or annotation in (str, Any):
            continue
        verdicts: dict[str, bool] = {}
        for example in told:
            value = _spelled(example.values[name])
            if value not in verdicts:
                verdicts[value] = _can_be(parts, example, name, annotation)
        wrong = [example for example in told if not verdicts[_spelled(example.values[name])]]
        if wrong:
            first = wrong[0]
            yield Finding(
                "warn",
                "data",
                f"The program's {name} is {_type_name(annotation)}, which can't be "
                f"{as_text(first.values[name])!r} as in {first.where}"
                + (f", nor what {count_text(len(wrong) - 1, 'other example')} expect" if wrong[1:] else ""),
                f"Write {'true or false' if annotation is bool else 'the values as the type has them'}, or "
                "change the type in [program] signature.",
                field="program.signature",
            )


def _spelled(value: Any) -> str:
    """Return a value as text, with what tells 4 from "4"."""
    return f"{type(value).__name__} {as_text(value)}"


def _types(parts: ProjectParts) -> dict[str, Any]:
    """Return the types of the outputs, by their names."""
    fields = {
        name: field.annotation
        for _, step in parts.program.named_predictors()
        for name, field in step.signature.output_fields.items()
    }
    return {name: fields[name] for name in parts.fields.outputs if name in fields}


def _can_be(parts: ProjectParts, example: LoadedExample, name: str, annotation: Any) -> bool:
    gold = example.values[name]
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except Exception:  # a type that only DSPy understands
        return True
    try:
        adapter.validate_python(gold, strict=_is_scalar(annotation))
        return True
    except ValidationError:
        candidates = _nearest(adapter, gold, annotation)
    outputs = {output: example.values.get(output) for output in parts.fields.outputs}
    metric = as_metric(parts.metric)
    for candidate in candidates:
        try:
            if metric(example.values, dspy.Prediction(**{**outputs, name: candidate})).is_success:
                return True
        except MetricError:
            continue
    return False


def _is_scalar(annotation: Any) -> bool:
    return annotation in (bool, int, float)


def _nearest(adapter: TypeAdapter[Any], gold: Any, annotation: Any) -> list[Any]:
    """Return values of the type that may be meant by an expected value that isn't one."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if annotation is bool:
        return [True, False]
    try:
        return [adapter.validate_python(gold)]
    except ValidationError:
        return []


def _numbers_of_names(name: str, annotation: Any, told: list[LoadedExample]) -> Finding | None:
    """Tell of class numbers whose names stand in the Parquet file, where the program answers with names."""
    if annotation in (int, float):
        return None
    for example in told:
        value = example.values[name]
        names = _names(example.file, name) if isinstance(value, int) and not isinstance(value, bool) else ()
        if names and 0 <= value < len(names):
            return Finding(
                "warn",
                "data",
                f"The column {name} holds numbers of classes: {value} in {example.where}, which the file's "
                f"metadata calls {names[value]!r}.",
                f"Write the names into the column: the program's {name} is {_type_name(annotation)}.",
                field="data.train",
            )
    return None


def _names(file: Path, column: str) -> tuple[str, ...]:
    return class_names(file).get(column, ()) if file.suffix == ".parquet" else ()


def _type_name(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation).replace("typing.", "")
