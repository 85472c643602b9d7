"""The demonstrations that are most like an input: nearest neighbours by the words of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from engine.ground.words import content_words, letter_groups
from engine.programs.demonstrations import Demonstration
from engine.programs.triggers import example_text


def nearest_demonstrations(
    demonstrations: Iterable[Demonstration], inputs: Mapping[str, Any], k: int
) -> list[Demonstration]:
    """Return the demonstrations of the `k` examples that are most like `inputs`, the most similar last.

    Of examples that are equally similar, the first counts as the more similar. All steps of a program show
    the same examples.
    """
    text = example_text(inputs)
    examples = _by_example(demonstrations)
    similarities = [text_similarity(_text_of(own, inputs), text) for own in examples]
    ranked = sorted(range(len(examples)), key=lambda number: -similarities[number])
    return [shown for number in reversed(ranked[:k]) for shown in examples[number]]


def longest_demonstrations(demonstrations: Iterable[Demonstration], k: int) -> list[Demonstration]:
    """Return the demonstrations of the `k` longest examples: no choice of so many makes a longer prompt."""
    examples = sorted(_by_example(demonstrations), key=lambda own: -sum(map(_length, own)))
    return [shown for own in examples[:k] for shown in own]


@lru_cache(maxsize=65_536)  # a validation split and the demonstrations: each state compares them again
def text_similarity(one: str, other: str) -> float:
    """Return how alike two texts are, 0..1.

    Dice's coefficient of their words' groups of three letters: endings and word order hardly matter, and stop
    words don't count.
    """
    ours, theirs = _groups(one), _groups(other)
    total = len(ours) + len(theirs)
    return 2 * len(ours & theirs) / total if total else 0.0


@lru_cache(maxsize=4096)
def _groups(text: str) -> frozenset[str]:
    return frozenset(group for word in content_words(text) for group in letter_groups(word) or (word,))


def _by_example(demonstrations: Iterable[Demonstration]) -> list[list[Demonstration]]:
    examples: dict[str, list[Demonstration]] = {}
    for shown in demonstrations:
        examples.setdefault(shown.example or shown.id, []).append(shown)
    return list(examples.values())


def _text_of(own: list[Demonstration], inputs: Mapping[str, Any]) -> str:
    """Return the text of an example's inputs, as far as its steps were given them."""
    given = {name: value for shown in reversed(own) for name, value in shown.inputs.items()}
    return example_text({name: given[name] for name in inputs if name in given})


def _length(shown: Demonstration) -> int:
    return len(example_text(shown.values))
