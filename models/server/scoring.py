"""How probable answers are, from servers that tell the likeliest next tokens and continue a begun answer.

The beginning that all answers share is put into the model's mouth; the probabilities of the tokens that come
next are summed for the answer that each of them begins. A token that begins several answers is put into its
mouth too, and the next ones are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

NEXT_TOKENS = 20
"""How many of the likeliest tokens are asked for: the most that Ollama tells."""

_MOST_STEPS = 4
"""Further questions about answers that begin alike."""

_UNSEEN = 1e-9
"""The probability of an answer of which no token was told, where none bounds it."""

_WITHIN_A_WORD = re.compile(r"\s*\w*\Z")


@dataclass(frozen=True)
class NextToken:
    """A token that may come next, and how probable it is."""

    text: bytes
    log_p: float

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> NextToken:
        """Return a token as OpenAI's protocol and Ollama's tell it; `bytes` may be half a character."""
        text = told.get("bytes")
        return cls(bytes(text) if text is not None else str(told["token"]).encode(), float(told["logprob"]))


AskNext = Callable[[str], Awaitable[Sequence[NextToken]]]
"""Returns the likeliest next tokens after the beginning of an answer."""


async def score_continuations(continuations: Sequence[str], ask: AskNext) -> list[float]:
    """Return the log-probability of each continuation, of what follows the beginning that all share."""
    wanted = list(dict.fromkeys(continuations))
    if len(wanted) < 2:
        return [0.0] * len(continuations)
    begun = _WITHIN_A_WORD.sub("", _common_beginning(wanted)).encode()
    rests = {text: text.encode()[len(begun) :] for text in wanted}
    found = await _Scoring(ask).spread(begun, rests)
    return [log(found[text]) for text in continuations]


class _Scoring:
    def __init__(self, ask: AskNext) -> None:
        self._ask = ask
        self._steps = _MOST_STEPS

    async def spread(self, begun: bytes, rests: Mapping[str, bytes]) -> dict[str, float]:
        """Return how probable each answer is after a beginning; never 0."""
        tokens = await self._ask(begun.decode())
        found = dict.fromkeys(rests, 0.0)
        shared: list[tuple[NextToken, list[str]]] = []
        for token in tokens:
            fitting = [text for text, rest in rests.items() if token.text and rest.startswith(token.text)]
            if len(fitting) == 1:
                found[fitting[0]] += exp(token.log_p)
            elif fitting:
                shared.append((token, fitting))
        for token, fitting in sorted(shared, key=lambda pair: -pair[0].log_p):
            within = await self._within(begun + token.text, {t: rests[t][len(token.text) :] for t in fitting})
            for text, share in within.items():
                found[text] += exp(token.log_p) * share
        least = min((exp(token.log_p) for token in tokens), default=_UNSEEN)
        for text, rest in rests.items():
            if not rest:  # what the others leave: that the answer ends here
                found[text] = 1 - sum(found.values())
        return {text: value if value > 0 else least for text, value in found.items()}

    async def _within(self, begun: bytes, rests: Mapping[str, bytes]) -> Mapping[str, float]:
        """Return how the probability of a token that begins several answers is shared among them."""
        if self._steps and _is_text(begun):
            self._steps -= 1
            return await self.spread(begun, rests)
        return dict.fromkeys(rests, 1 / len(rests))


def _common_beginning(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    differs = (index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return first[: next(differs, len(first))]


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
