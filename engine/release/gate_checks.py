"""Checks of the gates before a run: can they be measured on these splits, and are there enough examples?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.ground.errors import ProjectError
from engine.ground.figures import count_text
from engine.learning.slices import by_slice
from engine.project.cautions import Caution
from engine.project.data import LoadedExample
from engine.project.gates import Gates
from engine.project.splits import Splits
from engine.release.power import smallest_shown_loss, smallest_visible_gain

_FEW = 20


def refuse_unmeasurable(gates: Gates, splits: Splits, slice_field: str | None) -> None:
    """Refuse gates on slices and examples that aren't in the data.

    Raises:
        ProjectError: a gate could never pass.
    """
    if (gates.slices or gates.slice_non_inferiority_margin is not None) and slice_field is None:
        raise ProjectError(
            "[gates] has bounds for slices, and [data] names no slice field.",
            hint='Add slice = "..." to [data], the field whose values are the slices.',
            field="gates.slices",
        )
    sizes = _slices(splits.test, slice_field)
    unknown = [name for name in gates.slices if name not in sizes]
    if unknown:
        raise ProjectError(
            f"[gates.slices] names {unknown[0]!r}, and no test example has that {slice_field}.",
            hint=f"The test split has {', '.join(sizes) or 'none'}.",
            field="gates.slices",
        )
    names = {example.name for example in splits.examples}
    missing = [name for name in gates.must_pass if name not in names]
    if missing:
        raise ProjectError(
            f"[gates] must_pass names {missing[0]!r}, and no example has that id.",
            hint="Correct it, or give the example an id in its file.",
            field="gates.must_pass",
        )


def decision_notes(gates: Gates, test: Sequence[LoadedExample], slice_field: str | None) -> Iterator[Caution]:
    """Yield a caution for each gate that a test split of this size can't decide reliably."""
    sizes = _slices(test, slice_field)
    if gates.min_test_gain_low is not None and smallest_visible_gain(len(test)) is None:
        text = f"min_test_gain_low: {len(test)} test examples can't show any gain."
        yield Caution(text, "gates.min_test_gain_low")
    margin = gates.non_inferiority_margin
    if margin is not None and margin < smallest_shown_loss(len(test)):
        yield _too_small("non_inferiority_margin", margin, len(test), "the test split")
    yield from _slices_too_small(gates.slice_non_inferiority_margin, sizes)
    for name in gates.slices:
        if 0 < sizes.get(name, 0) < _FEW:
            text = f"slices.{name} is decided by {sizes[name]} examples: each counts {1 / sizes[name]:.2f}."
            yield Caution(text, "gates.slices")


def _slices_too_small(margin: float | None, sizes: Mapping[str, int]) -> Iterator[Caution]:
    gate = "slice_non_inferiority_margin"
    small = [name for name, n in sizes.items() if margin is not None and margin < smallest_shown_loss(n)]
    if margin is None or not small:
        return
    name = min(small, key=lambda name: sizes[name])
    if len(small) == 1:
        yield _too_small(gate, margin, sizes[name], f"slice {name}")
        return
    yield Caution(
        f"{gate} = {margin:g} can't be shown on {len(small)} of {len(sizes)} slices. The smallest is {name}: "
        f"on its {count_text(sizes[name], 'example')}, {smallest_shown_loss(sizes[name]):.3f} is the "
        "smallest that can.",
        f"gates.{gate}",
    )


def _too_small(gate: str, margin: float, n: int, where: str) -> Caution:
    return Caution(
        f"{gate} = {margin:g} can't be shown on the {n} examples of {where}; "
        f"{smallest_shown_loss(n):.3f} is the smallest that can.",
        f"gates.{gate}",
    )


def _slices(test: Sequence[LoadedExample], slice_field: str | None) -> dict[str, int]:
    return by_slice([example.values for example in test], slice_field)
