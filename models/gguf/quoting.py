"""Keeps text of messages that looks like a special token from being read as one.

A ticket may hold `<|im_end|>`, by accident or to end its turn early; the chat template's own must be read as
such. So the two are told apart before they are one text: a message bears a seal through the template, within
what spells a special token, and where the seal comes out, the text is read as plain text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from models.gguf.library import NativeModel
from models.gguf.prefix_tree import Tokens

_SEAL = "70531926408275913648"
"""Digits, which no template trims, escapes, splits at or writes in capitals."""
_BLANKS = " \t\n\v\f\r"

Span = tuple[int, int]


class Quoting:
    """Seals what spells a special token of one vocabulary, and tokenizes texts with seals; thread-safe."""

    def __init__(self, model: NativeModel) -> None:
        self._model = model
        self._specials = {token.text: token for token in model.special_tokens() if len(token.text) > 1}
        self._lengths: dict[str, list[int]] = {}
        for text in sorted(self._specials, key=len, reverse=True):
            lengths = self._lengths.setdefault(text[:2], [])
            if len(text) not in lengths:
                lengths.append(len(text))
        self._beginning = re.compile("|".join(map(re.escape, self._lengths)) or r"(?!)")

    def specials_in(self, text: str) -> Iterator[int]:
        """Yield the special tokens that a text spells."""
        for start, end in self._spelled(text):
            yield self._specials[text[start:end]].token

    def sealed(self, text: str) -> str:
        """Return the text with a seal in each special token that it spells."""
        while spans := list(self._spelled(text)):  # A seal may uncover another one that overlaps
            ends = [0, *(start + 1 for start, _ in spans), len(text)]
            text = _SEAL.join(text[start:end] for start, end in pairwise(ends))
        return text

    def sealed_messages(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the messages with sealed contents."""
        return [{**message, "content": self.sealed(str(message["content"]))} for message in messages]

    def tokenize(self, text: str) -> Tokens:
        """Return a text's tokens as llama.cpp has them, but what is sealed isn't a special token."""
        if _SEAL not in text:
            return self._model.tokenize(text)
        pieces = text.split(_SEAL)
        return self._tokenize_around("".join(pieces), list(accumulate(map(len, pieces[:-1]))))

    def _tokenize_around(self, text: str, seals: Sequence[int]) -> Tokens:
        """Return tokens where nothing that has one of these positions inside is special.

        llama.cpp cuts a text at its special tokens and reads each part between them by itself, so cutting it
        there changes no other token.
        """
        specials = [span for span in self._spelled(text) if not _any_inside(seals, span)]
        parts: list[Tokens] = []
        done = 0
        for (before, start), (end, after) in pairwise([(0, 0), *specials, (len(text), len(text))]):
            if _any_inside(seals, (start, end)):
                parts.append(self._model.tokenize(text[done:start]))
                plain = self._without_stripped(text[start:end], text[before:start], text[end:after])
                parts.append(self._model.tokenize(plain, special=False))
                done = end
        parts.append(self._model.tokenize(text[done:]))
        return np.concatenate(parts)

    def _without_stripped(self, text: str, before: str, after: str) -> str:
        """Return a text without the blanks that the special tokens around it take with them."""
        if before and self._specials[before].strips_right:
            text = text.lstrip(_BLANKS)
        if after and self._specials[after].strips_left:
            text = text.rstrip(_BLANKS)
        return text

    def _spelled(self, text: str) -> Iterator[Span]:
        """Yield where a text spells special tokens, the longest one at each place."""
        at = 0
        while found := self._beginning.search(text, at):
            at = found.start()
            lengths = (n for n in self._lengths[found[0]] if text[at : at + n] in self._specials)
            length = next(lengths, 0)
            if length:
                yield at, at + length
            at += length or 1


def unsealed(text: str) -> str:
    """Return a text as it was before it was sealed."""
    return text.replace(_SEAL, "")


def _any_inside(positions: Sequence[int], span: Span) -> bool:
    """Whether one of the positions, which are in order, lies between a span's first and last letter."""
    index = bisect_right(positions, span[0])
    return index < len(positions) and positions[index] < span[1]
