"""Log-probabilities of given answers, which are a trie: what they share is evaluated once, in one sequence.

Once a path has been evaluated, its sequence is cut back to where the next one parts from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.gguf.library import Logits
from models.gguf.prefix_tree import Tokens
from models.gguf.sampling import Candidates, log_probabilities
from models.gguf.scheduling.request import Request

_MOST_IN_OPENING = 31
"""Tokens that all answers begin with and that are read with the prompt."""


@dataclass(slots=True)
class _Node:
    """A beginning that answers share."""

    token: int
    depth: int
    children: dict[int, _Node] = field(default_factory=dict)
    ends_here: bool = False
    is_asked: bool = False
    """Whether its logits tell something about an answer."""
    leads_on: bool = False
    """Whether it has to be evaluated, for itself or for what follows."""
    scores: dict[int | None, float] = field(default_factory=dict)
    """By what follows: a token, or None where an answer ends."""


class Scoring(Request):
    """Scores answers to a prompt; the result has one log-probability for each."""

    def __init__(
        self,
        prompt: Tokens,
        answers: Sequence[Sequence[int]],
        *,
        among: bool = False,
        end_token: int = -1,
        only: int | None = None,
    ) -> None:
        """Ask for the scores of all answers, or of `only` one of them where a sequence can't be cut back.

        With `among` the answer is known to be one of these: each token competes with the others that continue
        one of them, and where a single one does, nothing needs to be evaluated.
        """
        super().__init__(prompt, room=1 + max(map(len, answers), default=0))
        self._answers = answers
        self._among = among
        self._end_token = end_token
        self._root = _Node(-1, 0)
        for answer in answers:
            self._add(answer)
        self._mark(self._root)
        paths = _paths(self._root) if only is None else [self._path(answers[only])]
        self._passes = [path for path in paths if path]
        self._only = only
        self._asked: list[_Node] = []
        self._now: Sequence[_Node] = ()
        self._next_pass()
        self.opening += min(self._common(), len(self.tail), _MOST_IN_OPENING)

    @property
    def is_open(self) -> bool:
        """Whether anything has to be evaluated."""
        return self._root.leads_on

    def settled(self) -> list[float]:
        """Return the scores; all that has to be evaluated must have been."""
        answers = self._answers if self._only is None else [self._answers[self._only]]
        return [self._score(answer) for answer in answers]

    def outputs(self, start: int, end: int) -> Iterable[int]:
        """Return which positions' logits tell something."""
        first = len(self.shared)
        nodes = [self._root, *self._now]
        positions = [
            position for position in range(max(start, first), end) if nodes[position - first].is_asked
        ]
        self._asked = [nodes[position - first] for position in positions]
        return [position - start for position in positions]

    def absorb(self, rows: Sequence[Logits], _likeliest: Sequence[int], _candidates: Candidates) -> bool:
        """Look up what answers go on with; True after the last path."""
        for node, row in zip(self._asked, rows, strict=True):
            self._look_up(node, row)
        if self.evaluated < len(self.tokens) + len(self.tail):
            return False
        if self._next_pass():
            return False
        self.result = self.settled()
        return True

    def _add(self, answer: Sequence[int]) -> None:
        node = self._root
        for token in answer:
            node = node.children.setdefault(token, _Node(token, node.depth + 1))
        node.ends_here = True

    def _common(self) -> int:
        """Return how many tokens all answers begin with."""
        node, count = self._root, 0
        while len(node.children) == 1 and not node.ends_here:
            (node,) = node.children.values()
            count += 1
        return count

    def _mark(self, node: _Node) -> None:
        for child in node.children.values():
            self._mark(child)
        options = len(node.children) + (node.ends_here and self._among)
        node.is_asked = options > (1 if self._among else 0)
        node.leads_on = node.is_asked or any(child.leads_on for child in node.children.values())

    def _path(self, answer: Sequence[int]) -> list[_Node]:
        node, path = self._root, []
        for token in answer:
            node = node.children[token]
            if not node.leads_on:
                break
            path.append(node)
        return path

    def _next_pass(self) -> bool:
        """Go back to where the next path parts from this one; False if there is none."""
        if not self._passes:
            return False
        path = self._passes.pop(0)
        shared = sum(1 for one, other in zip(self._now, path, strict=False) if one is other)
        self.evaluated = min(self.evaluated, len(self.tokens) + shared)
        self._now = path
        self.tail = [node.token for node in path]
        return True

    def _look_up(self, node: _Node, row: Logits) -> None:
        options: list[int | None] = [*node.children]
        tokens = [*node.children]
        if node.ends_here and self._among:
            options.append(None)
            tokens.append(self._end_token)
        scores = log_probabilities(row[tokens] if self._among else row)
        found = scores if self._among else scores[tokens]
        node.scores = dict(zip(options, found.astype(np.float64).tolist(), strict=True))

    def _score(self, answer: Sequence[int]) -> float:
        node, total = self._root, 0.0
        for token in answer:
            total += node.scores.get(token, 0.0)
            node = node.children[token]
        return total + node.scores.get(None, 0.0)


def _paths(root: _Node) -> list[list[_Node]]:
    """Return the paths to all nodes that have to be evaluated and lead to none, neighbours in order."""
    paths: list[list[_Node]] = []
    stack: list[tuple[_Node, list[_Node]]] = [(root, [])]
    while stack:
        node, path = stack.pop()
        following = [child for child in node.children.values() if child.leads_on]
        if not following:
            paths.append(path)
        stack += [(child, [*path, child]) for child in reversed(following)]
    return paths
