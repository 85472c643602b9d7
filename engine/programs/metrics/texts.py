"""Texts as metrics compare them: what is kept of a text, and where one contains another."""

from __future__ import annotations

import re
import unicodedata

_ARTICLES = re.compile(r"^an?(?= \w)|\b(?:an|the)(?= \w)")
_KEPT_AFTER_WORD = frozenset("%#\u2030")
_JOINS_DIGITS = frozenset(".,:/-*")
_JOINS_WORDS = frozenset("@")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)


def canonical(text: str) -> str:
    """Return a text in Unicode's composed form (NFC) without spaces around it: how `exact_match` sees it."""
    return unicodedata.normalize("NFC", text).strip()


def normalize(text: str) -> str:
    """Return a text without capitals, punctuation, articles and extra spaces.

    Signs, points and separators between digits belong to numbers, and symbols to words: "1.5" is not "15",
    "-3" not "3", "C++" not "C#", "$10" not "10%". Compatible characters are one (NFKC), as are quotation
    marks and dashes of all kinds. An article goes where a word follows it, "a" only at the beginning:
    "hepatitis A" keeps its name. A text of nothing but punctuation keeps it, else it would equal the empty
    answer. After SQuAD's script, which is cruder.
    """
    while (simpler := _simplified(text)) != text:
        text = simpler
    return text


def contains(text: str, part: str) -> bool:
    """Return whether a text contains another between bounds of words, both as `normalize` makes them.

    "male" is not in "female", "1" not in "10", "1.5" or "-1", "C" not in "C++". Scripts without spaces
    have no bounds. An empty part is contained in an empty text alone.
    """
    whole, wanted = normalize(text), normalize(part)
    if not wanted:
        return not whole
    start = whole.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        if _is_bound(whole, start) and _is_bound(whole, end):
            return True
        start = whole.find(wanted, start + 1)
    return False


def _simplified(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    plain = "".join("-" if _is_dash(char) else char for char in folded)
    plain = _THOUSANDS.sub(lambda found: found.group().replace(",", ""), plain)
    kept = "".join(char for place, char in enumerate(plain) if _is_kept(plain, place))
    bare = " ".join(kept.split())
    without = " ".join(_ARTICLES.sub(" ", bare).split())
    return without or bare or " ".join(folded.split())


def _is_dash(char: str) -> bool:
    return char == "\N{MINUS SIGN}" or unicodedata.category(char) == "Pd"


def _is_kept(text: str, place: int) -> bool:
    char = text[place]
    kind = unicodedata.category(char)
    if kind in ("Cf", "Sk"):  # zero-width characters; accents and backticks that stand alone
        return False
    if not kind.startswith("P"):
        return True
    before = text[place - 1] if place else ""
    after = text[place + 1] if place + 1 < len(text) else ""
    if char in _KEPT_AFTER_WORD:
        return before.isalnum() or before == char
    if char in _JOINS_WORDS:
        return before.isalnum() and after.isalnum()
    if char not in _JOINS_DIGITS or not after.isdecimal():
        return False
    return before.isdecimal() or (char in "-." and not before.isalnum() and before != ")")


def _is_bound(text: str, place: int) -> bool:
    """Whether a word may begin or end between the characters before and at `place`."""
    if place in (0, len(text)):
        return True
    before, after = text[place - 1], text[place]
    if before.isspace() or after.isspace() or _UNSPACED.match(before) or _UNSPACED.match(after):
        return True
    if before.isalnum() and after.isalnum():
        return False
    if before.isalnum():
        return not (after in "+#@" or (after in _JOINS_DIGITS and before.isdecimal()))
    return before not in "+-@.,:/*" if after.isalnum() else True
