"""Conversations packed into rows of fixed length, so that every step has the same shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from models.demo.training.data import Conversation, analysis, look_ups, merge, triage
from models.demo.training.prompts import START
from models.demo.training.tokenizer import PAD

PROMPT_WEIGHT = 0.1
"""Loss weight of tokens that the model reads; those it writes weigh 1."""


@dataclass
class Batch:
    """Rows of packed conversations, each (rows, time).

    `document` numbers the conversations in a row and `turn` the turns in one (0 is the system message):
    a turn sees its own conversation's system message and itself, exactly as when the application asks.
    """

    tokens: Tensor
    targets: Tensor
    weights: Tensor
    positions: Tensor
    document: Tensor
    turn: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        return Batch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


def visible(batch: Batch) -> Tensor:
    """Return which positions each position sees: (rows, 1, time, time), boolean."""
    time = batch.tokens.shape[1]
    causal = torch.ones(time, time, dtype=torch.bool, device=batch.tokens.device).tril()
    same = batch.document[:, :, None] == batch.document[:, None, :]
    reachable = (batch.turn[:, None, :] == 0) | (batch.turn[:, :, None] == batch.turn[:, None, :])
    return (causal & same & reachable)[:, None]


@dataclass(frozen=True)
class Encoded:
    """One conversation as tokens, with position, turn and loss weight of each."""

    tokens: list[int]
    positions: list[int]
    turns: list[int]
    weights: list[float]

    def __len__(self) -> int:
        return len(self.tokens)


class Packer:
    """Encodes conversations and packs them into rows of `length` tokens."""

    def __init__(self, tokenizer: Tokenizer, length: int) -> None:
        self._tokenizer = tokenizer
        self._length = length
        (self._pad,) = tokenizer.encode(PAD).ids
        self._opening = tokenizer.encode(f"{START}assistant\n").ids

    def encode(self, conversation: Conversation) -> Encoded:
        """Return the conversation's tokens; every turn starts at the position after the system message."""
        system, turns = conversation.texts()
        encodings = self._tokenizer.encode_batch([system, *turns])
        tokens = list(encodings[0].ids)
        start = len(tokens)
        positions, numbers, weights = list(range(start)), [0] * start, [PROMPT_WEIGHT] * start
        for number, encoding in enumerate(encodings[1:], 1):
            tokens += encoding.ids
            positions += range(start, start + len(encoding.ids))
            numbers += [number] * len(encoding.ids)
            weights += self._turn_weights(encoding.ids)
        return Encoded(tokens, positions, numbers, weights)

    def _turn_weights(self, ids: list[int]) -> list[float]:
        """Return the loss weight of each token of a turn: the answer and its end count fully."""
        size = len(self._opening)
        answer = next(i + size for i in range(len(ids)) if ids[i : i + size] == self._opening)
        return [0.0] + [PROMPT_WEIGHT] * (answer - 1) + [1.0] * (len(ids) - answer - 1) + [0.0]

    def pack(self, conversations: Iterator[Conversation], rows: int) -> Batch:
        """Return a batch of `rows` rows, filled with the next conversations."""
        waiting: list[Encoded] = []
        numbered = [list(enumerate(self._row(conversations, waiting))) for _ in range(rows)]
        tokens, positions, turns, weights, documents = (
            torch.tensor(
                [self._padded([part for one in row for part in read(one)], padding) for row in numbered]
            )
            for read, padding in (
                (lambda one: one[1].tokens, self._pad),
                (lambda one: one[1].positions, 0),
                (lambda one: one[1].turns, 0),
                (lambda one: one[1].weights, 0.0),
                (lambda one: [one[0]] * len(one[1]), -1),
            )
        )
        targets = torch.roll(tokens, -1, 1)
        weights = torch.roll(weights, -1, 1)
        weights[:, -1] = 0.0
        return Batch(tokens, targets, weights, positions, documents, turns)

    def _padded(self, values: list[float], padding: float) -> list[float]:
        return values + [padding] * (self._length - len(values))

    def _row(self, conversations: Iterator[Conversation], waiting: list[Encoded]) -> list[Encoded]:
        row: list[Encoded] = []
        left, misses = self._length, 0
        while misses < 4 and left > 60:
            fitting = next((one for one in waiting if len(one) <= left), None)
            if fitting is not None:
                waiting.remove(fitting)
            else:
                drawn = self.encode(next(conversations))
                if len(drawn) > left:
                    misses += 1
                    if len(drawn) <= self._length and len(waiting) < 16:
                        waiting.append(drawn)
                    continue
                fitting = drawn
            row.append(fitting)
            left -= len(fitting)
        return row


@dataclass(frozen=True)
class Mixture:
    """How often each kind of conversation is drawn, and how many rules it has at most."""

    look_ups: float
    triage: float
    analysis: float
    merge: float
    max_rules: int

    def conversations(self, rng: Random) -> Iterator[Conversation]:
        """Yield conversations for ever."""
        shares = (self.look_ups, self.triage, self.analysis, self.merge)
        while True:
            (kind,) = rng.choices(range(4), shares)
            if kind == 0:
                yield look_ups(rng, max_rules=self.max_rules, entries=rng.randint(12, 20))
            elif kind == 1:
                yield triage(rng, max_rules=self.max_rules, turns=rng.randint(1, 5))
            elif kind == 2:
                yield analysis(rng)
            else:
                yield merge(rng)


def mixture(progress: float) -> Mixture:
    """Return what to train on at `progress` (0..1): dense look-ups first, then the application's prompts."""
    if progress < 0.08:
        return Mixture(0.8, 0.2, 0.0, 0.0, max_rules=3)
    if progress < 0.3:
        return Mixture(0.5, 0.4, 0.05, 0.05, max_rules=6)
    if progress < 0.6:
        return Mixture(0.2, 0.4, 0.3, 0.1, max_rules=10)
    return Mixture(0.05, 0.4, 0.35, 0.2, max_rules=13)
