"""Which token sequences are evaluated, and which KV sequence holds each of them.

A radix tree: the path from the root to a node spells the beginning of a prompt. The KV cells of a path are
kept alive by the sequence of any leaf below it, so a node in the middle needs none of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]


class Evaluation(Protocol):
    """A prompt under evaluation; whoever shares its beginning waits for it."""

    evaluated: int
    """Tokens of the prompt that are in the KV cache."""


class Node:
    """A run of tokens that every prompt below it shares."""

    __slots__ = (
        *("children", "floor", "last_used", "owner", "parent", "sequence", "start", "tokens"),
        *("users", "uses"),
    )

    def __init__(self, tokens: Tokens, start: int, parent: Node | None) -> None:
        self.tokens = tokens
        self.start = start
        self.parent = parent
        self.children: dict[int, Node] = {}
        self.sequence: int | None = None
        self.owner: Evaluation | None = None
        self.users = 0
        self.uses = 0
        self.last_used = 0
        self.floor = 0.0
        """What the leaf that was dropped last had been worth when this node was used last."""

    @property
    def end(self) -> int:
        """The position after the node's last token."""
        return self.start + len(self.tokens)


@dataclass(frozen=True, slots=True)
class Match:
    """How much of a prompt the tree has."""

    node: Node
    length: int
    """Tokens that the tree knows, evaluated or about to be."""
    ready: int
    """Tokens that are evaluated."""


@dataclass(frozen=True, slots=True)
class Trim:
    """What an eviction asks of the KV cache: keep the first `length` positions of `sequence`."""

    sequence: int
    length: int
    """0 frees the sequence."""


def common_prefix(left: Tokens, right: Tokens) -> int:
    """Return how many tokens two runs share at their beginning."""
    length = min(len(left), len(right))
    different = left[:length] != right[:length]
    first = int(different.argmax()) if length else 0
    return first if length and different[first] else length


class PrefixTree:
    """All prompts whose evaluation is worth keeping.

    There are few sequences, and a prompt that nobody asks for again must not push out a beginning that many
    share. First to go is what is short, was used seldom and long ago (Cherkasova, "Improving WWW Proxies
    Performance with Greedy-Dual-Size-Frequency Caching Policy", 1998).
    """

    def __init__(self) -> None:
        self.root = Node(np.empty(0, np.int32), 0, None)
        self.size = 0
        """Tokens in the tree, which is the number of KV cells it holds."""
        self.clock = 0
        """Tokens evaluated so far, which is the time that counts here."""
        self._floor = 0.0

    def match(self, tokens: Tokens) -> Match:
        """Return the longest beginning of a prompt that the tree has."""
        node, depth = self.root, 0
        while depth < len(tokens):
            child = node.children.get(int(tokens[depth]))
            if child is None:
                break
            node = child
            shared = common_prefix(child.tokens, tokens[depth:])
            depth += shared
            if shared < len(child.tokens):
                break
        return Match(node, depth, depth if node.owner is None else min(depth, node.owner.evaluated))

    def holder(self, node: Node) -> int:
        """Return a KV sequence that covers everything evaluated on the way to a node."""
        while node.sequence is None:
            node = next(iter(node.children.values()))
        return node.sequence

    def use(self, node: Node) -> None:
        """Protect a node from eviction until `release`."""
        node.users += 1
        current: Node | None = node
        while current is not None:
            current.uses += 1
            current.last_used, current.floor = self.clock, self._floor
            current = current.parent

    def release(self, node: Node) -> None:
        """Let a node be evicted again."""
        node.users -= 1
        current: Node | None = node
        while current is not None:
            current.last_used, current.floor = self.clock, self._floor
            current = current.parent

    def ending(self, match: Match) -> Match:
        """Return a match whose node ends where it does: what another prompt has behind it may be evicted."""
        if match.ready < match.length:
            return match  # A part that is still being evaluated stays in one piece.
        return replace(match, node=self._split(match.node, match.length))

    def insert(self, tokens: Tokens, match: Match, sequence: int, owner: Evaluation) -> Node:
        """Add the rest of a prompt below its match, to be evaluated by `owner` into `sequence`."""
        parent = self._split(match.node, match.length)
        node = Node(tokens[match.length :], match.length, parent)
        node.sequence = sequence
        node.owner = owner
        parent.children[int(node.tokens[0])] = node
        self.size += len(node.tokens)
        return node

    def settle(self, node: Node) -> None:
        """Declare everything from a node up to be evaluated."""
        owner = node.owner
        current: Node | None = node
        while current is not None and owner is not None and current.owner is owner:
            current.owner = None
            current = current.parent

    def abandon(self, leaf: Node, evaluated: int) -> Trim:
        """Forget what an evaluation that ends early has not reached.

        Only its leaf can have such tokens: others attach to, and so split, what is evaluated.
        """
        self.settle(leaf)
        if evaluated <= leaf.start:
            return self._remove(leaf)
        keep = min(len(leaf.tokens), evaluated - leaf.start)
        self.size -= len(leaf.tokens) - keep
        leaf.tokens = leaf.tokens[:keep]
        assert leaf.sequence is not None
        return Trim(leaf.sequence, leaf.end)

    def yield_sequence(self, node: Node) -> int | None:
        """Take the sequence from a node that others continue: they hold its cells too."""
        if not node.children or node.sequence is None:
            return None
        sequence, node.sequence = node.sequence, None
        return sequence

    def evict(self) -> Trim | None:
        """Drop the leaf that is worth least, of equals the one used longest ago; None if all are in use."""
        idle = [(self._worth(leaf), leaf.last_used, leaf) for leaf in self.leaves() if leaf.users == 0]
        if not idle:
            return None
        worth, _, leaf = min(idle, key=lambda each: each[:2])
        self._floor = max(self._floor, worth)
        return self._remove(leaf)

    def leaves(self) -> Iterator[Node]:
        """Yield the nodes that nothing continues."""
        stack = list(self.root.children.values())
        while stack:
            node = stack.pop()
            if node.children:
                stack.extend(node.children.values())
            else:
                yield node

    def _worth(self, leaf: Node) -> float:
        """Return what a leaf's sequence is worth: the tokens that no other sequence holds, by their use."""
        worth, node = leaf.floor, leaf
        while True:
            worth += len(node.tokens) * math.sqrt(max(node.uses, 1))
            parent = node.parent
            assert parent is not None
            if parent is self.root or len(parent.children) > 1 or parent.sequence is not None or parent.users:
                return worth
            node = parent

    def _split(self, node: Node, depth: int) -> Node:
        """Return the node that ends at a depth within `node`, cutting it in two if need be."""
        if depth == node.end:
            return node
        parent = node.parent
        assert parent is not None
        cut = depth - node.start
        upper = Node(node.tokens[:cut], node.start, parent)
        upper.owner = node.owner
        upper.uses, upper.last_used, upper.floor = node.uses, node.last_used, node.floor
        parent.children[int(upper.tokens[0])] = upper
        node.tokens, node.start, node.parent = node.tokens[cut:], depth, upper
        upper.children[int(node.tokens[0])] = node
        return upper

    def _remove(self, leaf: Node) -> Trim:
        """Remove a leaf; its sequence goes on to hold the parent if nothing else does."""
        parent, sequence = leaf.parent, leaf.sequence
        assert parent is not None
        assert sequence is not None
        del parent.children[int(leaf.tokens[0])]
        self.size -= len(leaf.tokens)
        if parent is self.root or parent.children or parent.sequence is not None:
            return Trim(sequence, 0)
        parent.sequence = sequence
        return Trim(sequence, parent.end)
