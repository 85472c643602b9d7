"""Compression: demonstrations, sentences and words are left out while no more than a margin is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Protocol

from engine.ground.errors import ConfigError
from engine.ground.interval import Interval
from engine.release.compression.parts import Level, PromptParts, Shown, pieces_of, sayer
from engine.release.compression.surprisal import Surprisal
from engine.release.objectives.margin import NonInferiority
from engine.release.objectives.thinning import most_questions, thinned

LEVELS: tuple[Level, ...] = ("demonstration", "sentence", "token")
_CHUNKS_OF_WORDS = 16
"""Words are left out in chunks of at least this part of them: each chunk costs a test."""


class Measured(Protocol):
    """The score and the prompt tokens of each example that was asked for."""

    @property
    def scores(self) -> Sequence[float]:
        """The scores, 0..1."""

    @property
    def tokens(self) -> Sequence[int]:
        """The tokens of the prompts."""


Measure = Callable[[PromptParts, Sequence[int]], Measured]
"""Measures a prompt on the examples with these numbers."""


@dataclass(frozen=True)
class Step:
    """One level: mean prompt tokens before and after, and the paired gain over the uncompressed program."""

    level: Level
    before: float
    after: float
    dropped: int
    of: int
    tested: int
    left_out: int
    """Answers that the tests could do without."""
    gain: Interval


@dataclass(frozen=True)
class Compressed:
    """The shortest prompt that was found, and the steps to it."""

    parts: PromptParts
    steps: tuple[Step, ...]
    margin: float

    @property
    def ratio(self) -> float:
        """The share of the prompt tokens that is left, 0..1."""
        return self.steps[-1].after / self.steps[0].before if self.steps else 1.0


class Compressor:
    """Compresses level by level; every step is tested on `n` examples against the uncompressed program.

    `on_test` hears of each test: its level, its number in it, and how many there are at most.
    """

    def __init__(
        self,
        measure: Measure,
        n: int,
        surprisal: Surprisal | None,
        margin: float,
        *,
        with_base: bool,
        on_test: Callable[[Level, int, int], None] = lambda level, number, most: None,  # noqa: ARG005
    ) -> None:
        self._measure = measure
        self._all = range(n)
        self._surprisal = surprisal
        self._margin = margin
        self._with_base = with_base
        self._on_test = on_test
        self._tested = 0

    def most_tests(self, parts: PromptParts, levels: Sequence[Level]) -> dict[Level, int]:
        """Return how many tests the compression of a prompt takes at most, by level.

        Raises:
            ConfigError: words are to be left out, and the model has no log-probabilities of its own.
        """
        if "token" in levels and self._surprisal is None:
            raise ConfigError(
                "Words are left out by the model's own log-probabilities, and this model has none: it is "
                "behind a server.",
                hint="Leave token out of --level, or use a model in process (gguf:FILE).",
            )
        texts = parts.texts(with_base=self._with_base)
        sizes = {
            level: len(parts.shown) if level == "demonstration" else len(pieces_of(texts, level))
            for level in LEVELS
            if level in levels
        }
        return {level: most_questions(size, _smallest(level, size)) for level, size in sizes.items()}

    def compress(self, parts: PromptParts, levels: Sequence[Level]) -> Compressed:
        """Return what is left of a prompt after these levels, always in the order of `LEVELS`.

        Raises:
            ConfigError: see `most_tests`.
        """
        known = self.most_tests(parts, levels)
        test = NonInferiority(self._measure(parts, self._all).scores, self._margin)
        steps = []
        for level in known:
            before, tested, left_out = parts, self._tested, test.left_out
            parts, dropped, of = self._at(level, parts, test)
            measured = self._measure(parts, self._all)
            steps.append(
                Step(
                    level=level,
                    before=fmean(self._measure(before, self._all).tokens),
                    after=fmean(measured.tokens),
                    dropped=dropped,
                    of=of,
                    tested=self._tested - tested,
                    left_out=test.left_out - left_out,
                    gain=test.gain(measured.scores),
                )
            )
        return Compressed(parts, tuple(steps), self._margin)

    def _at(self, level: Level, parts: PromptParts, test: NonInferiority) -> tuple[PromptParts, int, int]:
        """Return the parts without what isn't missed at a level, how many pieces went, and of how many."""
        if level == "demonstration":
            return self._thinned(level, parts, self._ranked_shown(parts), partial(_showing, parts), test)
        texts = parts.texts(with_base=self._with_base)
        pieces = pieces_of(texts, level)
        base = {number for number, text in enumerate(texts) if text.kind == "base"}
        say = sayer(parts, texts, pieces)

        def made(left: Sequence[int]) -> PromptParts | None:
            # A program without any instructions gets others from DSPy.
            return say(left) if base <= {pieces[number][0] for number in left} else None

        return self._thinned(level, parts, self._ranked_pieces(level, pieces), made, test)

    def _thinned(
        self,
        level: Level,
        parts: PromptParts,
        ranked: Sequence[int],
        made: Callable[[Sequence[int]], PromptParts | None],
        test: NonInferiority,
    ) -> tuple[PromptParts, int, int]:
        begun, smallest = self._tested, _smallest(level, len(ranked))
        most = most_questions(len(ranked), smallest)

        def may_go(left: Sequence[int]) -> bool:
            shorter = made(left)
            if shorter is None:
                return False
            self._tested += 1
            self._on_test(level, self._tested - begun, most)
            return test.holds(lambda numbers: self._measure(shorter, numbers).scores)

        left = thinned(ranked, may_go, smallest)
        shorter = made(left) if len(left) < len(ranked) else None
        return shorter or parts, len(ranked) - len(left), len(ranked)

    def _ranked_shown(self, parts: PromptParts) -> list[int]:
        """Return the numbers of the demonstrations, the most predictable last, or the longest."""
        texts = [_shown_text(one) for one in parts.shown]
        if self._surprisal is None:
            return sorted(range(len(texts)), key=lambda number: len(texts[number]))
        weights = [
            self._surprisal.mean(text, parts.base[one.predictor])
            for text, one in zip(texts, parts.shown, strict=True)
        ]
        return sorted(range(len(parts.shown)), key=lambda number: weights[number], reverse=True)

    def _ranked_pieces(self, level: Level, pieces: Sequence[tuple[int, str]]) -> list[int]:
        """Return the numbers of the pieces, the most predictable last; else the longest."""
        if self._surprisal is None:
            return sorted(range(len(pieces)), key=lambda number: len(pieces[number][1]))
        weights: list[float] = []
        for text in dict.fromkeys(number for number, _ in pieces):
            own = [piece for number, piece in pieces if number == text]
            found = self._surprisal.of(own)
            sizes = [max(len(piece.split()), 1) if level == "sentence" else 1 for piece in own]
            weights += [weight / size for weight, size in zip(found, sizes, strict=True)]
        return sorted(range(len(pieces)), key=lambda number: weights[number], reverse=True)


def _smallest(level: Level, pieces: int) -> int:
    """Return how many pieces are left out together at least."""
    return -(-pieces // _CHUNKS_OF_WORDS) if level == "token" else 1


def _showing(parts: PromptParts, left: Sequence[int]) -> PromptParts:
    kept = set(left)
    shown = tuple(one for number, one in enumerate(parts.shown) if number in kept)
    return PromptParts(parts.base, parts.rules, shown)


def _shown_text(one: Shown) -> str:
    return " ".join(str(value) for name, value in one.values.items() if name != "augmented")
