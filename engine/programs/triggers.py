"""Triggers: the words by which an input shows that a rule concerns it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from engine.ground.words import content_words, stem, tokens
from engine.programs.formatting import as_text
from engine.programs.rules import Rule, RuleSet

FIRES_AT = 0.66
"""The least overlap at which a rule concerns an example: two words of two or three, three of four."""

_ALTERNATIVES = re.compile(r",(?!\d)|(?<!\d)/|/(?!\d)|[;|\n\u3001\uff0c\uff1b]|\bor\b", re.IGNORECASE)
_ABOUT_TEXTS = (
    "ask concern contain describ exampl includ input mention phras refer regard say stat talk text word"
)
_ABOUT_TEXT = frozenset(_ABOUT_TEXTS.split())


def trigger_overlap(trigger: str, text: str) -> float:
    """Return the share (0..1) of a trigger's content words that are found in a text.

    Words are compared without case and endings; words about texts ("mentions", "contains") are ignored.
    Alternatives ("gift card or voucher", "a, b; c/d") are compared separately, and the best one counts. A
    trigger without words matches every text.
    """
    alternatives = _alternatives(trigger)
    if not alternatives:
        return 1.0
    words_of_text = _word_set(text)
    return max(len(words & words_of_text) / len(words) for words in alternatives)


def example_text(inputs: Mapping[str, Any]) -> str:
    """Return the text of an example's inputs, in which triggers are looked for."""
    return "\n".join(as_text(value) for value in inputs.values())


def fires(rule: Rule, inputs: Mapping[str, Any], min_overlap: float = FIRES_AT) -> bool:
    """Return whether a rule's trigger overlaps at least `min_overlap` (0..1) with an example's inputs."""
    return trigger_overlap(rule.trigger, example_text(inputs)) >= min_overlap


def select_rules(rules: Iterable[Rule], inputs: Mapping[str, Any], top_k: int, min_overlap: float) -> RuleSet:
    """Return the rules that concern `inputs`, in their order.

    These are the `top_k` with the largest overlap, if it is at least `min_overlap` (0..1); ties go to the
    earlier rule.
    """
    text = example_text(inputs)
    everything = list(rules)
    overlaps = [trigger_overlap(rule.trigger, text) for rule in everything]
    ranked = sorted(range(len(everything)), key=lambda index: -overlaps[index])
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
