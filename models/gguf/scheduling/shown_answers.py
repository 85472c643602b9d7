"""What the demonstrations in a prompt answer, likeliest first: a guess at the answer that costs no model.

Looking an answer's continuation up in its prompt is prompt lookup decoding (Saxena 2023). Here the questions
are compared as well, so that there is a guess before the answer begins.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

_LETTERS = 5
"""How long the pieces are that texts are compared by."""
_COMPARED = 1000
"""How many characters at the beginning of a text are compared."""


def shown_answers(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the different answers in a chat that ends with a question, likeliest first.

    An answer counts by how much the questions that it was given have in common with the last one; what many
    of them have in common counts less.
    """
    turns = [(str(message["role"]), str(message["content"])) for message in messages]
    given = [
        (_pieces(question), answer)
        for (asks, question), (replies, answer) in pairwise(turns)
        if (asks, replies) == ("user", "assistant")
    ]
    if not given or turns[-1][0] != "user":
        return []
    asked = _pieces(turns[-1][1])
    spread = Counter(piece for pieces, _ in given for piece in pieces & asked)
    likeness: defaultdict[str, float] = defaultdict(float)
    for pieces, answer in given:
        # fsum: the sum must not depend on the order of a set, which changes from process to process.
        shared = math.fsum(1 / spread[piece] for piece in pieces & asked)
        likeness[answer] += shared / math.sqrt(len(pieces))
    return sorted(likeness, key=lambda answer: likeness[answer], reverse=True)


@lru_cache(maxsize=256)
def _pieces(text: str) -> frozenset[str]:
    plain = " ".join(text[:_COMPARED].lower().split())
    return frozenset(plain[at : at + _LETTERS] for at in range(max(1, len(plain) - _LETTERS + 1)))
