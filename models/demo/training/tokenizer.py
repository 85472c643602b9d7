"""The demo model's tokenizer: byte-level BPE, with each constant piece of the prompts as one token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from models.demo.training.data import RULE_FORMS, analysis, base_instructions, merge, triage
from models.demo.training.prompts import END, START, boilerplate
from models.demo.training.vocabulary import MODIFIERS, NOUNS, QUEUE_NAMES

PAD = "<|pad|>"
CONTROL = (PAD, START, END)
LEARNED_VOCABULARY = 1536
"""Byte and merged tokens, before control tokens and boilerplate are added."""


def train_tokenizer() -> Tokenizer:
    """Return a tokenizer trained on the demo's own language, without plurals so that they keep their stem."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=LEARNED_VOCABULARY,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(Random(0)), trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in CONTROL])
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in boilerplate()])
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer saved at `path`."""
    return Tokenizer.from_file(str(path))


def _corpus(rng: Random) -> Iterator[str]:
    constant = re.compile("|".join(re.escape(piece) for piece in (*CONTROL, *boilerplate())))
    for _ in range(1500):
        for conversation in (triage(rng, max_rules=3, turns=3), analysis(rng), merge(rng)):
            system, turns = conversation.texts()
            for text in (system, *turns):
                yield from (_without_plurals(part) for part in constant.split(text) if part)
    for form in RULE_FORMS * 20:
        yield form.format(a="", s="", q="")
    words = [*MODIFIERS, *NOUNS, *QUEUE_NAMES]
    for _ in range(40):
        yield " ".join(rng.sample(words, len(words)))
        yield base_instructions(rng)


def _without_plurals(text: str) -> str:
    return text if " {s}" in text else re.sub(r"(?<=[a-z]{3})s (?=go|must|are|always|to|answer)", " ", text)
