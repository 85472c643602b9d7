"""The three splits of a project: complete, disjoint by content, and large enough for their purpose."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.ground.errors import DataError
from engine.ground.examples import example_key, input_key, public_fields
from engine.programs.formatting import as_text
from engine.project.carving import Carving, carve_test
from engine.project.data import LoadedExample, load_split
from engine.project.near_duplicates import LISTED_FROM, near_duplicates
from engine.project.neighbours import mapping_hint
from engine.project.settings import Project

_FEW = 30
_SHOWN_REPEATS = 3
_LISTED_PAIRS = 10


@dataclass(frozen=True)
class Splits:
    """The examples to learn from, to choose by, and to score once; `validation` is None if it is held out.

    `carving` tells how the test split was taken out of train, if it was. `warnings` are sentences.
    """

    train: tuple[LoadedExample, ...]
    validation: tuple[LoadedExample, ...] | None
    test: tuple[LoadedExample, ...]
    carving: Carving | None
    warnings: tuple[str, ...]

    @property
    def examples(self) -> tuple[LoadedExample, ...]:
        """The examples of all splits."""
        return (*self.train, *(self.validation or ()), *self.test)


def load_splits(project: Project, inputs: Collection[str], outputs: Collection[str]) -> Splits:
    """Read the project's splits and check them against the program's `inputs` and `outputs`.

    Two examples are the same if their inputs are. A missing test split is taken out of train, and is the
    same in every run, so that it stays unseen (see `engine.project.carving`).

    Raises:
        DataError: a file is damaged, an example lacks a field, or an example is in two splits.
        JournalError: the project's journal can't be read.
    """
    files = {
        "train": project.data.train,
        "validation": project.data.validation,
        "test": project.data.test,
    }
    splits = {name: load_split(project, file) for name, file in files.items() if file}
    for examples in splits.values():
        _refuse_incomplete(examples, _required(project, inputs), project.data.fields)
    _refuse_leakage(splits, inputs)
    warnings = _near_duplicates(splits, inputs, project.data.near_duplicate_threshold)
    warnings += [text for name, split in splits.items() for text in _repeats(name, split, inputs, outputs)]
    carving = None if "test" in splits else carve_test(project, splits["train"], inputs, outputs)
    if carving is not None:
        splits["train"], splits["test"] = carving.train, carving.test
        warnings += [carving.warning] if carving.warning else []
    warnings += _size_warnings(project, splits)
    validation = splits.get("validation")
    return Splits(
        train=tuple(splits["train"]),
        validation=None if validation is None else tuple(validation),
        test=tuple(splits["test"]),
        carving=carving,
        warnings=tuple(warnings),
    )


def _required(project: Project, inputs: Collection[str]) -> dict[str, str]:
    """Return the fields that every example needs, each with who needs it."""
    required = dict.fromkeys(inputs, "an input of the program")
    if project.metric.field is not None:
        required[project.metric.field] = "compared by the metric"
    if project.data.slice is not None:
        required[project.data.slice] = "the slice field in [data]"
    return required


def _refuse_incomplete(
    examples: Sequence[LoadedExample], required: Mapping[str, str], sources: Mapping[str, str]
) -> None:
    for field, need in required.items():
        lacking = [example for example in examples if field not in example.values]
        if not lacking:
            continue
        first = lacking[0]
        more = f" (and in {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        unusable = first.unusable.get(sources.get(field, field))
        if unusable:
            raise DataError(
                f"{first.where}: the field {field!r} holds {unusable}{more}; it is {need}.",
                hint="Fields hold text, numbers, truth values, dates, lists or structures.",
            )
        absent = [name for name in required if name not in first.values]
        there = f"Its fields are {', '.join(first.values)}."
        known = mapping_hint(first.values, absent) or "Correct it, or the name in promptgrad.toml."
        raise DataError(
            f"{first.where}: {_missing(field, sources)}{more}; it is {need}.", hint=f"{there} {known}"
        )


def _missing(field: str, sources: Mapping[str, str]) -> str:
    if field in sources:
        return f"the field {field!r}, which [data.fields] reads from {sources[field]!r}, is missing"
    return f"the field {field!r} is missing"


def _refuse_leakage(splits: Mapping[str, Sequence[LoadedExample]], inputs: Collection[str]) -> None:
    seen: dict[str, tuple[str, LoadedExample]] = {}
    leaks = []
    for name, examples in splits.items():
        for example in examples:
            other, first = seen.setdefault(input_key(example.values, inputs), (name, example))
            if other != name:
                leaks.append((first, example))
    if not leaks:
        return
    first, second = leaks[0]
    raise DataError(
        f"{second.where} has the same inputs as {first.where}: an example is in two splits "
        f"({len(leaks)} in all).",
        hint="Keep each example in one file only; else a score says how well examples are remembered.",
    )


def _near_duplicates(
    splits: Mapping[str, Sequence[LoadedExample]], inputs: Collection[str], threshold: float
) -> list[str]:
    """Refuse examples of two splits that are more alike than `threshold`; name those that nearly are."""
    texts = {
        name: [(example, _input_text(example, inputs)) for example in split] for name, split in splits.items()
    }
    found = near_duplicates(texts, min(LISTED_FROM, threshold))
    refused = [pair for pair in found if pair.similarity > threshold]
    if refused:
        listed = "\n".join(f"  {pair}" for pair in refused[:_LISTED_PAIRS])
        more = f"\n  and {len(refused) - _LISTED_PAIRS} more" if len(refused) > _LISTED_PAIRS else ""
        raise DataError(
            f"Examples of two splits are nearly the same ({len(refused)} in all):\n{listed}{more}",
            hint="Keep one of each, or allow them: [data] near_duplicate_threshold, "
            f"which is {threshold:g} now.",
        )
    if not found:
        return []
    shown = "; ".join(str(pair) for pair in found[:_SHOWN_REPEATS])
    more = f"; and {len(found) - _SHOWN_REPEATS} more" if len(found) > _SHOWN_REPEATS else ""
    return [f"Examples of two splits resemble each other: {shown}{more}."]


def _input_text(example: LoadedExample, inputs: Collection[str]) -> str:
    return " ".join(as_text(example.values[name]) for name in inputs or public_fields(example.values))


def _repeats(
    split: str, examples: Sequence[LoadedExample], inputs: Collection[str], outputs: Collection[str]
) -> list[str]:
    groups: dict[str, list[LoadedExample]] = defaultdict(list)
    for example in examples:
        groups[input_key(example.values, inputs)].append(example)
    same, contradicting = [], []
    for group in groups.values():
        lines = " and ".join(str(example.line) for example in group)
        answers = {example_key(example.values, outputs) for example in group}
        if len(answers) > 1:
            contradicting.append(lines)
        elif len(group) > 1:
            same.append(lines)
    return [
        f"{split}: the examples on lines {_some(found)} {what}."
        for found, what in (
            (contradicting, "have the same inputs and expect different outputs; no rule can serve both"),
            (same, "are the same; each counts more than once"),
        )
        if found
    ]


def _some(lines: Sequence[str]) -> str:
    more = len(lines) - _SHOWN_REPEATS
    return "; ".join(lines[:_SHOWN_REPEATS]) + (f"; and {more} more" if more > 0 else "")


def _size_warnings(project: Project, splits: Mapping[str, Sequence[LoadedExample]]) -> list[str]:
    warnings = []
    wanted = project.optimizer.batch_size
    if len(splits["train"]) < wanted:
        warnings.append(f"train has {len(splits['train'])} examples, fewer than a batch ({wanted}).")
    validation = splits.get("validation")
    subset = project.optimizer.rule_validation_examples
    if validation is not None and len(validation) < subset:
        warnings.append(
            f"validation has {len(validation)} examples; a rule's test asks for {subset} and will use all."
        )
    n = len(splits["test"])
    if n < _FEW:
        margin = round(98 / math.sqrt(n))
        warnings.append(
            f"test has {n} examples: a score of 50 % on it is known to within {margin} points only."
        )
    return warnings
