"""Drawing examples in proportion: holdouts across labels, batches across error types."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from random import Random
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def stratified_split(labels: Sequence[Hashable], fraction: float, rng: Random) -> tuple[list[int], list[int]]:
    """Return the indexes that stay and those held out, both sorted; each label is held out in proportion.

    `fraction` (0..1) of the examples is held out, rounded, but never none and never all of two or more.
    Labels that all differ make this a plain random split.
    """
    size = held_out_size(len(labels), fraction)
    groups = _shuffled_groups(labels, rng)
    seats = _proportional_seats({label: len(members) for label, members in groups.items()}, size)
    held_out = {index for label, members in groups.items() for index in members[: seats[label]]}
    return [index for index in range(len(labels)) if index not in held_out], sorted(held_out)


def held_out_size(n: int, fraction: float) -> int:
    """Return how many of `n` examples `stratified_split` holds out."""
    return min(max(round(fraction * n), 1), max(n - 1, 0))


def draw_batch(
    categories: Sequence[str | None],
    size: int,
    rng: Random,
    stratified: bool,
    recent: Collection[int] = (),
) -> list[int]:
    """Return the indexes of `size` different examples (or all there are), in random order.

    A category is "" for a success, an error type for a failure, None for an example not tried yet. In a
    stratified batch each category has seats in proportion to its size (largest remainders), and each
    failure category has at least one, the most frequent first if there are fewer seats than categories.
    Among equals, examples in `recent` come last.
    """
    size = min(size, len(categories))
    groups = _shuffled_groups(categories if stratified else [None] * len(categories), rng)
    seats = _batch_seats({category: len(members) for category, members in groups.items()}, size)
    used = frozenset(recent)
    batch = [
        index
        for category, members in groups.items()
        for index in sorted(members, key=used.__contains__)[: seats[category]]
    ]
    rng.shuffle(batch)
    return batch


def _shuffled_groups(labels: Iterable[Key], rng: Random) -> dict[Key, list[int]]:
    """Indexes by label, both in random order, so that no label is favoured where seats are tied."""
    groups: dict[Key, list[int]] = {}
    for index, label in enumerate(labels):
        groups.setdefault(label, []).append(index)
    order = list(groups)
    rng.shuffle(order)
    for label in order:
        rng.shuffle(groups[label])
    return {label: groups[label] for label in order}


def _batch_seats(sizes: Mapping[str | None, int], seats: int) -> dict[str | None, int]:
    failures = sorted((category for category in sizes if category), key=lambda name: -sizes[name])
    least: dict[str | None, int] = dict.fromkeys(failures[:seats], 1)
    return _proportional_seats(sizes, seats, least)


def _proportional_seats(
    sizes: Mapping[Key, int], seats: int, least: Mapping[Key, int] | None = None
) -> dict[Key, int]:
    """Seats by largest remainder; those for `least` come from the groups furthest above their share."""
    total = sum(sizes.values()) or 1
    quota = {key: seats * size / total for key, size in sizes.items()}
    given = {key: int(share) for key, share in quota.items()}
    remainders = sorted(quota, key=lambda key: given[key] - quota[key])
    for key in remainders[: seats - sum(given.values())]:
        given[key] += 1
    floor = least or {}
    for key in floor:
        if given[key] < floor[key]:
            donors = [donor for donor in given if given[donor] > floor.get(donor, 0)]
            given[max(donors, key=lambda donor: given[donor] - quota[donor])] -= 1
            given[key] += 1
    return given
