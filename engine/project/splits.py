"""The three splits of a project: complete, disjoint by content, and large enough for their purpose."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.ground.errors import DataError
from engine.ground.examples import example_key, input_key, public_fields
from engine.ground.figures import count_text
from engine.ground.model import Progress
from engine.programs.formatting import as_text
from engine.project.carving import Carving, carve_test
from engine.project.cautions import Caution
from engine.project.comparing import Comparing
from engine.project.data import LoadedExample, load_split
from engine.project.data_files import line_error
from engine.project.near_duplicates import LISTED_FROM, near_duplicates
from engine.project.neighbours import mapping_hint
from engine.project.settings import Project

_FEW = 30
_SHOWN_REPEATS = 3
_LISTED_PAIRS = 10
_SIMILARITY = "data.near_duplicate_threshold"


@dataclass(frozen=True)
class Splits:
    """The examples to learn from, to select by, and to score once; `validation` is None if it is held out.

    `carving` is set if the test split was taken out of train.
    """

    train: tuple[LoadedExample, ...]
    validation: tuple[LoadedExample, ...] | None
    test: tuple[LoadedExample, ...]
    carving: Carving | None
    warnings: tuple[Caution, ...]

    @property
    def examples(self) -> tuple[LoadedExample, ...]:
        """The examples of all splits."""
        return (*self.train, *(self.validation or ()), *self.test)


def load_splits(
    project: Project,
    inputs: Collection[str],
    outputs: Collection[str],
    on_progress: Progress | None = None,
) -> Splits:
    """Read the project's splits and check them against the program's `inputs` and `outputs`.

    Two examples are the same if their inputs are. A missing test split is taken out of train and stays the
    same in every run, so that it remains unseen (see `engine.project.carving`).

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
        refuse_incomplete(examples, _required(project, inputs), project.data.fields)
    _refuse_leakage(splits, inputs)
    warnings = _near_duplicates(
        splits, inputs, project.data.near_duplicate_threshold, Comparing.of(project.root, on_progress)
    )
    for name, split in splits.items():
        warnings += _repeats(name, split, inputs, outputs)
    # Carved only now: a leak between the files must not be hidden by drawing both copies into one split.
    carving = None if "test" in splits else carve_test(project, splits["train"], inputs, outputs)
    if carving is not None:
        splits["train"], splits["test"] = carving.train, carving.test
        warnings += [Caution(carving.warning, "data.test")] if carving.warning else []
    warnings += _size_warnings(project, splits)
    validation = splits.get("validation")
    return Splits(
        train=tuple(splits["train"]),
        validation=None if validation is None else tuple(validation),
        test=tuple(splits["test"]),
        carving=carving,
        warnings=tuple(warnings),
    )


def fields_to_score(project: Project, inputs: Collection[str]) -> dict[str, str]:
    """Return the fields that an example needs in order to be answered and scored, each with the reason."""
    required = dict.fromkeys(inputs, "an input of the program")
    for metric in project.scoring:
        # A rubric takes an example's value for a good answer where there is one, and needs none.
        if metric.field is not None and metric.kind != "rubric":
            required[metric.field] = f"compared by the metric{f' {metric.title}' if project.metrics else ''}"
    return required


def _required(project: Project, inputs: Collection[str]) -> dict[str, str]:
    """Return the fields that every example of the project needs, each with the reason."""
    required = fields_to_score(project, inputs)
    if project.data.slice is not None:
        required[project.data.slice] = "the slice field in [data]"
    return required


def refuse_incomplete(
    examples: Sequence[LoadedExample], required: Mapping[str, str], sources: Mapping[str, str]
) -> None:
    """Refuse examples without a field that is `required` (each with the reason); `sources` are [data.fields].

    Raises:
        DataError: one lacks a field, or holds something in it that no example can hold.
    """
    for field, need in required.items():
        lacking = [example for example in examples if field not in example.values]
        if not lacking:
            continue
        first = lacking[0]
        more = f" (and in {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        unusable = first.unusable.get(field)
        if unusable:
            raise line_error(
                first.at,
                f"the field {field!r} holds {unusable}{more}; it is {need}.",
                hint="Write null, text, a finite number, a truth value, a date, a list or a structure.",
            )
        absent = [name for name in required if name not in first.values]
        known = mapping_hint(first.values, absent)
        raise line_error(
            first.at,
            f"{_missing(field, sources)}{more}; it is {need}.",
            hint=f"Its fields are {', '.join(first.values)}. {known}",
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
        hint="Keep each example in one file only; otherwise a score measures what the model remembers.",
        file=second.file,
        line=second.line,
    )


def _near_duplicates(
    splits: Mapping[str, Sequence[LoadedExample]],
    inputs: Collection[str],
    threshold: float,
    comparing: Comparing,
) -> list[Caution]:
    """Refuse examples of two splits that are more alike than `threshold`; list those that come close."""
    texts = {
        name: [(example, _input_text(example, inputs)) for example in split] for name, split in splits.items()
    }
    pairs = near_duplicates(texts, min(LISTED_FROM, threshold), comparing)
    refused = [pair for pair in pairs if pair.similarity > threshold]
    if refused:
        listed = "\n".join(f"  {pair}" for pair in refused[:_LISTED_PAIRS])
        more = f"\n  and {len(refused) - _LISTED_PAIRS} more" if len(refused) > _LISTED_PAIRS else ""
        raise DataError(
            f"Examples of two splits are nearly the same ({len(refused)} in all):\n{listed}{more}",
            hint="Keep one of each, or allow them: [data] near_duplicate_threshold, "
            f"which is {threshold:g} now.",
            field=_SIMILARITY,
        )
    if not pairs:
        return []
    shown = "; ".join(str(pair) for pair in pairs[:_SHOWN_REPEATS])
    more = f"; and {len(pairs) - _SHOWN_REPEATS} more" if len(pairs) > _SHOWN_REPEATS else ""
    return [Caution(f"Examples of two splits resemble each other: {shown}{more}.", _SIMILARITY)]


def _input_text(example: LoadedExample, inputs: Collection[str]) -> str:
    return " ".join(as_text(example.values[name]) for name in inputs or public_fields(example.values))


def _repeats(
    split: str, examples: Sequence[LoadedExample], inputs: Collection[str], outputs: Collection[str]
) -> list[Caution]:
    groups: dict[str, list[LoadedExample]] = defaultdict(list)
    has_files = len({example.file for example in examples}) > 1
    for example in examples:
        groups[input_key(example.values, inputs)].append(example)
    same, contradicting = [], []
    for group in groups.values():
        places = " and ".join(example.where if has_files else str(example.line) for example in group)
        answers = {example_key(example.values, outputs) for example in group}
        if len(answers) > 1:
            contradicting.append(places)
        elif len(group) > 1:
            same.append(places)
    where = "in" if has_files else "on lines"
    return [
        Caution(f"{split}: the examples {where} {_some(places_of_groups)} {what}.", f"data.{split}")
        for places_of_groups, what in (
            (contradicting, "have the same inputs and expect different outputs; no rule can serve both"),
            (same, "are the same; each counts more than once"),
        )
        if places_of_groups
    ]


def _some(places: Sequence[str]) -> str:
    more = len(places) - _SHOWN_REPEATS
    return "; ".join(places[:_SHOWN_REPEATS]) + (f"; and {more} more" if more > 0 else "")


def _size_warnings(project: Project, splits: Mapping[str, Sequence[LoadedExample]]) -> list[Caution]:
    warnings = []
    wanted = project.optimizer.batch_size
    if len(splits["train"]) < wanted:
        text = f"train has {count_text(len(splits['train']), 'example')}, fewer than a batch ({wanted})."
        warnings.append(Caution(text, "data.train"))
    validation = splits.get("validation")
    subset = project.optimizer.rule_validation_examples
    if validation is not None and len(validation) < subset:
        count = count_text(len(validation), "example")
        text = f"validation has {count}; a rule's test asks for {subset} and will use all."
        warnings.append(Caution(text, "data.validation"))
    n = len(splits["test"])
    if n < _FEW:
        margin = round(98 / math.sqrt(n))  # 1.96 standard errors of a share of 50 %, in percentage points
        text = f"test has {n} examples: a score of 50 % on it is known to within {margin} points only."
        warnings.append(Caution(text, "data.test"))
    return warnings
