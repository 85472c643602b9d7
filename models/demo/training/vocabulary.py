"""Phrases and queue names that training draws from, and those that only evaluation may use."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from random import Random

from models.demo.world import CAUSES, MENTION_SENTENCES, ORDINARY, QUEUES, SMALL_TALK, TOPIC_SENTENCES, TOPICS

_WORDS: dict[str, str] = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))

_ONSETS: str = "b br d dr f fl g gr h j k kl l m n p pr r s sk st t tr v w z"
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "oo")
_CODAS = ("", "", "n", "r", "l", "t", "x", "m", "st", "ck")

_RESERVED = frozenset((*ORDINARY, *(phrase for group in CAUSES.values() for phrase in group)))


def _every_seventh(kind: str) -> tuple[list[str], list[str]]:
    """Return (training, held out)."""
    unique = sorted(set(_WORDS[kind].split()))
    return [word for place, word in enumerate(unique) if place % 7], unique[::7]


MODIFIERS, HELD_OUT_MODIFIERS = _every_seventh("modifiers")
NOUNS, HELD_OUT_NOUNS = _every_seventh("nouns")
QUEUE_NAMES, _held_out_queues = _every_seventh("queues")
QUEUE_NAMES = [name for name in QUEUE_NAMES if name not in CAUSES]
HELD_OUT_QUEUES = sorted({*_held_out_queues, *CAUSES} - set(QUEUES))


_SENTENCES = (
    *TOPIC_SENTENCES,
    *MENTION_SENTENCES,
    *SMALL_TALK,
    *(topic for own in TOPICS.values() for topic in own),
)
_ALL_WORDS: list[str] = sorted(
    {*MODIFIERS, *NOUNS, *QUEUE_NAMES, *re.findall(r"[a-z]{4,}", " ".join(_SENTENCES).lower())}
)
_LATIN = (*range(33, 127), *range(161, 383))
_CHARACTERS = "".join(map(chr, _LATIN)) + "\u2019\u20ac\u3042\u4e00\U0001f600"


def invented_word(rng: Random) -> str:
    """Return a word that no dictionary holds: of two or three syllables, or spliced from two real words.

    Spliced words show training every piece that the tokenizer may cut an unseen word into.
    """
    if rng.random() < 0.6:
        return f"{_piece(rng)}{_piece(rng)}"
    onsets, count = _ONSETS.split(), rng.choice((2, 2, 2, 3))
    syllables = [rng.choice(onsets) + rng.choice(_VOWELS) for _ in range(count)]
    return "".join((*syllables, rng.choice(_CODAS)))


def _piece(rng: Random) -> str:
    word = rng.choice(_ALL_WORDS)
    cut = rng.randint(2, 6)
    return word[:cut] if rng.random() < 0.5 else word[-cut:]


def noise(rng: Random) -> str:
    """Return a few characters or words that mean nothing, as real tickets hold some."""
    if rng.random() < 0.5:
        return "".join(rng.choice(_CHARACTERS) for _ in range(rng.randint(1, 12)))
    return " ".join(_piece(rng) for _ in range(rng.randint(1, 4)))


def training_phrase(rng: Random) -> str:
    """Return a thing that a ticket can mention: one to two words, some of them invented."""
    while True:
        kind = rng.random()
        noun = rng.choice(NOUNS) if rng.random() < 0.65 else invented_word(rng)
        modifier = rng.choice(MODIFIERS) if rng.random() < 0.6 else invented_word(rng)
        phrase = noun if kind < 0.15 else f"{modifier} {noun}"
        if kind > 0.93:
            phrase = f"{noun} {rng.choice(NOUNS)}"
        if phrase not in _RESERVED:
            return phrase


def training_queue(rng: Random) -> str:
    """Return a queue's name: a known one, another word, or an invented one."""
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(QUEUES)
    return rng.choice(QUEUE_NAMES) if kind < 0.8 else invented_word(rng)


def held_out_phrase(rng: Random) -> str:
    """Return a phrase whose words were never seen in training, or only apart."""
    kind = rng.random()
    if kind < 0.4:
        return rng.choice([phrase for group in CAUSES.values() for phrase in group])
    if kind < 0.8:
        return f"{rng.choice(HELD_OUT_MODIFIERS)} {rng.choice(HELD_OUT_NOUNS)}"
    return f"{rng.choice(MODIFIERS)} {rng.choice(HELD_OUT_NOUNS)}"


def held_out_queue(rng: Random) -> str:
    """Return a queue's name that was never seen in training, or one of the known ones."""
    return rng.choice(HELD_OUT_QUEUES) if rng.random() < 0.7 else rng.choice(QUEUES)
