"""Gives requests their place in the KV cache and keeps what they evaluated for the next ones."""

from __future__ import annotations

import heapq

from models.gguf.context import NativeContext
from models.gguf.prefix_tree import Match, PrefixTree, Trim
from models.gguf.scheduling.request import Request


class PromptCache:
    """The sequences of one context, and what of them prompts share along a prefix tree.

    Used by the scheduler's thread. A shared beginning is copied from sequence to sequence, which takes a
    hundredth of the time that evaluating it takes.
    """

    def __init__(self, context: NativeContext, *, shares: bool) -> None:
        self._context = context
        self._free = list(range(context.sequences))
        self._shares = shares
        self._tree = PrefixTree()
        self._reserved = 0
        self._placed = 0
        """Requests that have a place."""

    def forget(self) -> None:
        """Begin again on a context that was emptied; no request may be under way."""
        self._free = list(range(self._context.sequences))
        self._tree = PrefixTree()

    @property
    def cells(self) -> int:
        """Cells that there are, those for each sequence's longest prompt and answer."""
        return self._context.cells * self._context.sequences

    @property
    def used(self) -> int:
        """Cells that hold a prompt or are promised to an answer."""
        return self._tree.size + self._reserved

    @property
    def idle_sequences(self) -> int:
        """Sequences that hold nothing."""
        return len(self._free)

    @property
    def kept_prompts(self) -> int:
        """Prompts, or beginnings of such, that nothing continues."""
        return sum(1 for _ in self._tree.leaves())

    def match(self, request: Request) -> Match:
        """Return how much of a request's prompt is known."""
        if not self._shares:
            return Match(self._tree.root, 0, 0)
        return self._tree.match(request.shared)

    def place(self, request: Request, match: Match) -> bool:
        """Give a request its sequence and cells, sharing those of its match; False if it must wait."""
        match = self._tree.ending(match)
        if not self._make_room(match):
            if self._placed:
                return False
            while self.evict():  # One sequence is all there is: what it holds can't be copied.
                pass
            match = self._tree.match(request.shared)
        shared = match.ready
        request.sequence = heapq.heappop(self._free)
        if shared:
            self._context.copy(self._tree.holder(match.node), request.sequence, shared)
        request.evaluated = request.reused = shared
        if self._shares and match.length < len(request.shared):
            request.node = self._tree.insert(request.shared, match, request.sequence, request)
            request.owns_node = True
            self._release_parent(request)
        else:
            request.node = match.node
            request.room += len(request.shared) - shared
        self._tree.use(request.node)
        self._reserved += request.room
        self._placed += 1
        return True

    def evaluated(self, request: Request, length: int) -> None:
        """Note that more of a request's prompt is in the cache."""
        request.evaluated += length
        if not request.prefilling and request.owns_node and request.node is not None:
            self._tree.settle(request.node)

    def passed(self, tokens: int) -> None:
        """Let time go on by the tokens of a step."""
        self._tree.clock += tokens

    def leave(self, request: Request) -> None:
        """Free a request's place; what it evaluated of its prompt stays."""
        node = request.node
        assert node is not None
        self._placed -= 1
        self._reserved -= request.room
        self._tree.release(node)
        if not request.owns_node:
            self._apply(Trim(request.sequence, 0))
        elif request.prefilling:
            self._apply(self._tree.abandon(node, request.evaluated))
        elif (sequence := self._tree.yield_sequence(node)) is not None:
            self._apply(Trim(sequence, 0))
        else:
            self._apply(Trim(request.sequence, len(request.shared)))

    def undo(self, request: Request, length: int) -> None:
        """Forget what a step that failed has written behind a position."""
        self._context.cut(request.sequence, length)

    def evict(self) -> bool:
        """Drop the prompt that was not used for longest; False if everything is in use."""
        trim = self._tree.evict()
        if trim is not None:
            self._apply(trim)
        return trim is not None

    def _make_room(self, match: Match) -> bool:
        """Evict until a sequence is free; the match itself stays."""
        match.node.users += 1
        try:
            while not self._free:
                if not self.evict():
                    return False
        finally:
            match.node.users -= 1
        return True

    def _release_parent(self, request: Request) -> None:
        """Free the sequence of an idle node that the request's own sequence now covers."""
        parent = request.node.parent if request.node else None
        if parent is not None and parent.users == 0 and parent.owner is None:
            sequence = self._tree.yield_sequence(parent)
            if sequence is not None:
                self._apply(Trim(sequence, 0))

    def _apply(self, trim: Trim) -> None:
        """Carry out what the tree decided."""
        self._context.cut(trim.sequence, trim.length)
        if trim.length == 0:
            heapq.heappush(self._free, trim.sequence)
