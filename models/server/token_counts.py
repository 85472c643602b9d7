"""How many tokens a text has: counted if the vocabulary can be read, otherwise estimated on the high side."""

from __future__ import annotations

import re
import weakref
from pathlib import Path
from typing import Protocol

from engine.ground.model import Messages

LETTERS_PER_TOKEN = 3
"""English has 4 to 5 in common vocabularies; 3 allows for names, other languages and smaller vocabularies."""

TEMPLATE_TOKENS_PER_MESSAGE = 8
"""Tokens that a chat template adds to one message: role, begin and end. ChatML and Llama 3 add 5."""

_PIECES = re.compile(r"[A-Za-z]+|\s+|.", re.DOTALL)


class TokenCounter(Protocol):
    """Counts the tokens of a text."""

    exact: bool

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""


class EstimatedCounter:
    """Overestimates: a token is 3 letters, a digit, a sign, or a byte outside ASCII."""

    exact = False

    def count(self, text: str) -> int:
        """Return an estimate; white space counts as one token per four characters."""
        return sum(_estimate(piece) for piece in _PIECES.findall(text))


class VocabularyCounter:
    """Counts with the vocabulary of a GGUF file without loading its weights.

    Raises:
        ModelFileError: llama.cpp can't read the file's vocabulary.
    """

    exact = True

    def __init__(self, path: Path) -> None:
        from models.gguf.library import NativeModel

        self._model = NativeModel(path, gpu_layers=0, vocabulary_only=True)
        weakref.finalize(self, self._model.close)

    def count(self, text: str) -> int:
        """Return how many tokens a text has; safe to call from many threads."""
        return len(self._model.tokenize(text))

    def count_prompt(self, rendered: str) -> int:
        """Return how many tokens a whole prompt has, with the one that begins a text where there is one."""
        begins = self._model.special_text(self._model.bos)
        adds = self._model.adds_bos and not (begins and rendered.startswith(begins))
        return self.count(rendered) + adds


def count_prompt(counter: TokenCounter, messages: Messages) -> int:
    """Return the messages' tokens, with an allowance for the server's chat template."""
    return sum(counter.count(message["content"]) + TEMPLATE_TOKENS_PER_MESSAGE for message in messages) + 8


def fewest_tokens(text: str) -> int:
    """Return the least number of tokens in any common vocabulary: a token doesn't span two words."""
    return len(text.split())


def _estimate(piece: str) -> int:
    if piece.isspace():
        return -(-len(piece) // 4) if len(piece) > 1 else 0  # a single space belongs to the next word
    if piece.isascii():
        return -(-len(piece) // LETTERS_PER_TOKEN)
    return len(piece.encode())
