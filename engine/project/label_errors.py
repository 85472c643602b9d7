"""Labels that are probably wrong: examples that say nearly the same and expect different answers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engine.programs.formatting import as_text
from engine.project.comparing import ALONE, Comparing
from engine.project.data import LoadedExample
from engine.project.near_duplicates import alike, normalized

_SHORTEST = 20
"""Characters; shorter texts that aren't equal are alike without saying the same."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Contradiction:
    """Two examples that say nearly the same and expect different answers, and how alike they are (0..1)."""

    first: LoadedExample
    second: LoadedExample
    answers: tuple[str, str]
    similarity: float

    def __str__(self) -> str:
        one, other = (f"{text[:40]!r}" for text in self.answers)
        return (
            f"{self.first.where} expects {one}, and {self.second.where}, which is {self.similarity:.1%} like "
            f"it, {other}"
        )


def contradictions(
    examples: Sequence[LoadedExample],
    inputs: Collection[str],
    outputs: Collection[str],
    comparing: Comparing = ALONE,
) -> list[Contradiction]:
    """Return the pairs of all splits of which one label is probably wrong, the most similar first.

    Only where answers repeat, as those of a classification do, and where both hold the same numbers: else
    examples may be alike and rightly have different answers. Examples with exactly the same inputs aren't
    among them.
    """
    labelled = [example for example in examples if all(name in example.values for name in outputs)]
    answers = ["; ".join(as_text(example.values[name]).strip() for name in outputs) for example in labelled]
    if not outputs or 2 * len(set(answers)) > len(answers):
        return []
    texts = [" ".join(as_text(example.values.get(name, "")) for name in inputs) for example in labelled]
    bare = [normalized(text) for text in texts]
    return sorted(
        (
            Contradiction(labelled[one], labelled[other], (answers[one], answers[other]), similarity)
            for one, other, similarity in alike(texts, comparing)
            if answers[one] != answers[other]
            and texts[one] != texts[other]  # the same inputs are reported as such, by split
            and _says_the_same(bare[one], bare[other])
        ),
        key=lambda pair: -pair.similarity,
    )


def _says_the_same(one: str, other: str) -> bool:
    """Whether two texts that are alike, without case and punctuation, mean the same."""
    if one == other:
        return bool(one)
    return len(one) >= _SHORTEST and _NUMBER.findall(one) == _NUMBER.findall(other)
