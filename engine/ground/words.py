"""Words as rules, triggers and examples are compared by: without case, without endings, in any script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import normalize

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7af"  # Hangul: it has spaces, but particles are glued to its nouns
)
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u0670\u0900-\u0963\u0966-\u0dff"
_LETTER = rf"(?![{_UNSPACED}])[^\W_]"
_TOKEN = re.compile(
    rf"(?P<run>[{_UNSPACED}]+)|{_LETTER}(?:{_LETTER}|[{_MARKS}])*(?:['\u2019](?:{_LETTER}|[{_MARKS}])+)*"
)

_STOP_WORDS = (
    "a about all also am an and any are as at be because been being but by can could did do does doing "
    "done each else every everything for from had has have having he her here hers him his how i if in "
    "into is it its itself just like may me might mine must my of on one only or other our ours shall she "
    "should so some something such than that the their theirs them themselves then there these they this "
    "those to too us very was we were what when where whether which while who whom whose why will with "
    "would you your yours"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, slots=True)
class Token:
    """A word at `start`..`end` of a text; `unspaced` if it is a run of a script without spaces."""

    text: str
    start: int
    end: int
    unspaced: bool


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of a text, case-folded."""
    for match in _TOKEN.finditer(text):
        word = normalize("NFKC", match.group()).casefold().replace("\u2019", "'")
        yield Token(word, match.start(), match.end(), match.group("run") is not None)


@lru_cache(maxsize=8192)
def content_words(text: str) -> tuple[str, ...]:
    """Return the stems of a text's words in their order, without stop words.

    A run of a script without spaces gives its pairs of characters, which serve in place of words.
    """
    stems: list[str] = []
    for token in tokens(text):
        if token.unspaced:
            stems.extend(_pairs(token.text))
        elif token.text not in STOP_WORDS:
            stems.append(stem(token.text))
    return tuple(stems)


@lru_cache(maxsize=16_384)
def letter_groups(word: str) -> frozenset[str]:
    """Return a word's groups of three letters, its beginning marked; none for a single letter."""
    marked = f" {word}"
    return frozenset(marked[start : start + 3] for start in range(len(marked) - 2))


def stem(word: str) -> str:
    """Return a word without plural, and an English one without -ing and -ed.

    Light on purpose, after Harman's s-stemmer (1991): "refunds", "refunded" and "refunding" meet, and
    words of different meaning seldom do.
    """
    word = word.removesuffix("'s").replace("'", "")
    if len(word) < 4 or not word.isalpha():
        return word
    word = _without_participle(_without_plural(word))
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


def _without_plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _without_participle(word: str) -> str:
    if word.endswith("ied") and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) > 2 and not word.endswith("eed") and set(root) & set("aeiouy"):
            return root
    return word


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]
