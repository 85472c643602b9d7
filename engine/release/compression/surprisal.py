"""How well a model predicts the words of a text: what it would have guessed tells it little.

Source: LLMLingua (Jiang et al. 2023, arXiv 2310.05736), with the serving model as its own judge.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from statistics import fmean
from typing import Any

from engine.ground.answer_scoring import knows_among
from engine.ground.model import Model
from engine.journal.event_base import Tokens
from engine.journal.replay import Replay

_UNKNOWN = 100.0
"""The surprisal of the first piece of a text, which nothing precedes: it is left out last."""


class Surprisal:
    """The surprisal of pieces of text in nats, recorded once for each text."""

    def __init__(self, replay: Replay, model: Any) -> None:
        self._replay = replay
        self._model = model

    def of(self, pieces: Sequence[str], context: str = "") -> list[float]:
        """Return -log p of each piece, given the context and all pieces before it."""
        before = [context + "".join(pieces[:number]) for number in range(len(pieces))]
        asked = [number for number, text in enumerate(before) if text.strip()]
        identity = ["surprisal", self._model.revision.digest, context, list(pieces)]
        key = sha256(json.dumps(identity).encode()).hexdigest()

        def answer() -> tuple[str, Tokens]:
            found = self._scores([before[number] for number in asked], [pieces[number] for number in asked])
            return json.dumps(found), Tokens()

        kept = self._replay.recorded(key, json.dumps({"surprisal": "".join(pieces)}), answer)
        known = dict(zip(asked, json.loads(kept.response), strict=True))
        return [-known[number] if number in known else _UNKNOWN for number in range(len(pieces))]

    def mean(self, text: str, context: str) -> float:
        """Return the mean surprisal of a text's words behind a context."""
        words = text.split(" ")
        return fmean(self.of([f" {word}" for word in words], context))

    def _scores(self, prompts: Sequence[str], pieces: Sequence[str]) -> list[float]:
        if hasattr(self._model, "score_all"):
            return [found[0] for found in self._model.score_all(prompts, [[piece] for piece in pieces])]
        return [self._model.score(text, [piece])[0] for text, piece in zip(prompts, pieces, strict=True)]


def surprisal_of(replay: Replay, model: Model) -> Surprisal | None:
    """Return a model's surprisal, or None: models behind servers only compare answers with each other."""
    return Surprisal(replay, model) if knows_among(model) else None
