"""Leakage: a rule that quotes a training example memorises it instead of correcting anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from engine.ground.words import Token, tokens

_SHORTEST_QUOTE = 5
_QUOTED_SHARE = 0.6


class QuotationIndex:
    """Finds what a proposal quotes from `texts`: a run of at least `longest` of their words.

    A run of five words is a quotation too if it is 60 % of the proposal. Case, punctuation and line
    breaks don't matter. In scripts without spaces two characters count as a word.

    Source: the n-gram overlap of contamination checks, 13 words for GPT-3 (Brown et al. 2020, appendix
    C) and 8 for PaLM (Chowdhery et al. 2022, section 8).
    """

    def __init__(self, texts: Iterable[str], longest: int = 8) -> None:
        self._texts = "\n".join(_joined(_units(text)) for text in dict.fromkeys(texts))
        self._longest = longest

    def quoted_span(self, text: str) -> str | None:
        """Return the longest quotation in a text, as the text has it, or None."""
        units = _units(text)
        sizes = [0.0, *accumulate(0.5 if unit.unspaced else 1.0 for unit in units)]
        first, last = max(self._runs(units), key=lambda run: sizes[run[1]] - sizes[run[0]], default=(0, 0))
        size = sizes[last] - sizes[first]
        short = size >= _SHORTEST_QUOTE and size >= _QUOTED_SHARE * sizes[-1]
        if size >= self._longest or short:
            return text[units[first].start : units[last - 1].end]
        return None

    def _runs(self, units: Sequence[Token]) -> Iterable[tuple[int, int]]:
        """For each end, the longest run of units up to there that is found in the texts."""
        first = 0
        for last in range(1, len(units) + 1):
            while first < last and _joined(units[first:last]) not in self._texts:
                first += 1
            yield first, last


def _units(text: str) -> list[Token]:
    units: list[Token] = []
    for token in tokens(text):
        if token.unspaced:
            units.extend(
                Token(character, token.start + offset, token.start + offset + 1, True)
                for offset, character in enumerate(token.text)
            )
        else:
            units.append(token)
    return units


def _joined(units: Sequence[Token]) -> str:
    return " " + " ".join(unit.text for unit in units) + " "
