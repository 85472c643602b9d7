"""Triggers: the words by which an input shows that a rule concerns it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from engine.ground.words import content_words, letter_groups, stem, tokens
from engine.programs.formatting import as_text
from engine.programs.rules import Rule, RuleSet

FIRES_AT = 0.66
"""The least overlap at which a rule concerns an example: two words of two or three, three of four."""

_RANK_WITHOUT_TRIGGER = 0.65
_LIKE = 0.65
_SHORTEST_LIKE = 5

_ALTERNATIVES = re.compile(r",(?!\d)|(?<!\d)/|/(?!\d)|[;|\n\u3001\uff0c\uff1b]|\bor\b", re.IGNORECASE)
_ABOUT_TEXTS = (
    "ask concern contain describ exampl includ input mention phras refer regard say stat talk text word"
)
_ABOUT_TEXT = frozenset(_ABOUT_TEXTS.split())


def trigger_overlap(trigger: str, text: str) -> float:
    """Return the share (0..1) of a trigger's content words that are found in a text.

    Words are compared without case and endings, longer ones by their groups of three letters, so that
    "Rückerstattung" is found in "Rückerstattungen"; words about texts ("mentions", "contains") are ignored.
    Alternatives ("gift card or voucher", "a, b; c/d") are compared separately, and the best one counts. A
    trigger without words matches every text.
    """
    alternatives = _alternatives(trigger)
    if not alternatives:
        return 1.0
    words_of_text = _word_set(text)
    return max(sum(_is_in(word, words_of_text) for word in words) / len(words) for words in alternatives)


def example_text(inputs: Mapping[str, Any]) -> str:
    """Return the text of an example's inputs, in which triggers are looked for."""
    return "\n".join(as_text(value) for value in inputs.values())


def fires(rule: Rule, inputs: Mapping[str, Any], min_overlap: float = FIRES_AT) -> bool:
    """Return whether a rule's trigger overlaps at least `min_overlap` (0..1) with an example's inputs."""
    return trigger_overlap(rule.trigger, example_text(inputs)) >= min_overlap


def select_rules(rules: Iterable[Rule], inputs: Mapping[str, Any], top_k: int, min_overlap: float) -> RuleSet:
    """Return at most `top_k` rules that concern `inputs`, in their order.

    A rule with a trigger concerns an input from an overlap of `min_overlap` (0..1) on; the larger the
    overlap, the earlier it is taken, and of equals the first. Rules without a trigger concern every input:
    they come after those whose trigger is found, and before those of which only some words are.
    """
    text = example_text(inputs)
    everything = list(rules)
    overlaps = [trigger_overlap(rule.trigger, text) for rule in everything]
    ranks = [
        overlap if _alternatives(rule.trigger) else _RANK_WITHOUT_TRIGGER
        for rule, overlap in zip(everything, overlaps, strict=True)
    ]
    ranked = sorted(range(len(everything)), key=lambda index: -ranks[index])
    chosen = sorted(index for index in ranked[:top_k] if overlaps[index] >= min_overlap)
    return RuleSet(everything[index] for index in chosen)


@lru_cache(maxsize=1024)
def _alternatives(trigger: str) -> tuple[frozenset[str], ...]:
    alternatives = [frozenset(content_words(part)) for part in _ALTERNATIVES.split(trigger)]
    meaningful = [words - _ABOUT_TEXT for words in alternatives]
    kept = tuple(words for words in meaningful if words) or tuple(words for words in alternatives if words)
    return kept or _every_word(trigger)


def _every_word(trigger: str) -> tuple[frozenset[str], ...]:
    """The words of a trigger that has only stop words, such as "why"."""
    words = frozenset(stem(token.text) for token in tokens(trigger))
    return (words,) if words else ()


@lru_cache(maxsize=16_384)  # a validation split's inputs: each test of a rule looks at all of them
def _word_set(text: str) -> frozenset[str]:
    return frozenset(content_words(text)) | frozenset(
        stem(token.text) for token in tokens(text) if not token.unspaced
    )


def _is_in(word: str, found: frozenset[str]) -> bool:
    """Whether a text has a word, or another form of it."""
    return word in found or any(_is_form_of(word, other) for other in found)


def _is_form_of(word: str, other: str) -> bool:
    """Whether two longer words begin alike and share most of their groups of three letters.

    Dice's coefficient of character trigrams (Adamson and Boreham 1974) works in languages whose endings
    nobody listed. Scripts without capitals, such as Arabic and Hebrew, also put articles in front.
    """
    if min(len(word), len(other)) < _SHORTEST_LIKE or not (word.isalpha() and other.isalpha()):
        return False
    if word[:3] != other[:3] and word.upper() != word:
        return False
    ours, theirs = letter_groups(word), letter_groups(other)
    return 2 * len(ours & theirs) >= _LIKE * (len(ours) + len(theirs))
