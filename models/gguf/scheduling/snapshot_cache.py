"""Shares beginnings of prompts on models whose memory can be copied as a whole but not cut.

Recurrent and hybrid models keep a state that has read everything up to its position. So a state is kept where
prompts part: at the end of what many of them share, a request pauses once and leaves a copy for the others.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass

from models.gguf.context import NativeContext
from models.gguf.prefix_tree import Match, PrefixTree, Tokens, common_prefix
from models.gguf.scheduling.request import Request

_REMEMBERED = 64
"""Requests that tell where the next ones are likely to part."""
_MOST_SNAPSHOTS = 8
"""States are large, and few beginnings are in use at a time."""
_WORTH_IT = 16
"""Tokens that a snapshot has to save."""


@dataclass(slots=True, eq=False)
class _Snapshot:
    """The state after a beginning that prompts share."""

    tokens: Tokens
    sequence: int
    maker: Request | None
    """Who evaluates it, until it is there."""
    last_used: int = 0


class SnapshotCache:
    """The sequences of one context, and the states that are kept; used by the scheduler's thread."""

    def __init__(self, context: NativeContext) -> None:
        self._context = context
        self._free = list(range(context.sequences))
        self._snapshots: list[_Snapshot] = []
        self._seen: OrderedDict[Request, None] = OrderedDict()
        self._reserved = 0
        self._clock = 0
        self._nowhere = PrefixTree().root

    def forget(self) -> None:
        """Begin again on a context that was emptied; no request may be under way."""
        self._free = list(range(self._context.sequences))
        self._snapshots.clear()

    @property
    def cells(self) -> int:
        """Cells that there are, those for each sequence's longest prompt and answer."""
        return self._context.cells * self._context.sequences

    @property
    def used(self) -> int:
        """Cells that hold a snapshot or are promised to a request."""
        return self._reserved + sum(len(snapshot.tokens) for snapshot in self._snapshots)

    @property
    def idle_sequences(self) -> int:
        """Sequences that hold nothing."""
        return len(self._free)

    @property
    def kept_prompts(self) -> int:
        """Beginnings whose state is kept."""
        return len(self._snapshots)

    def match(self, request: Request) -> Match:
        """Return how much of a request's prompt is evaluated, or is about to be, up to a snapshot."""
        self._notice(request)
        lengths = [0, *(len(each.tokens) for each in self._snapshots if _begins(each, request))]
        snapshot = self._longest(request)
        return Match(self._nowhere, max(lengths), len(snapshot.tokens) if snapshot else 0)

    def place(self, request: Request, _match: Match) -> bool:
        """Give a request its sequence and cells, beginning with a snapshot's; False if it must wait."""
        source = self._longest(request)
        shared = len(source.tokens) if source else 0
        while not self._free:
            if not self._evict(other_than=source):
                return False
        request.sequence = heapq.heappop(self._free)
        if source:
            self._context.copy(source.sequence, request.sequence, shared)
            source.last_used = self._clock
        request.evaluated = request.reused = shared
        request.room += len(request.shared) - shared
        self._reserved += request.room
        self._plan_snapshot(request)
        return True

    def evaluated(self, request: Request, length: int) -> None:
        """Note that more of a request's prompt is evaluated; take its snapshot where it pauses."""
        request.evaluated += length
        if request.evaluated != request.pause:
            return
        for snapshot in self._snapshots:
            if snapshot.maker is request:
                self._context.copy(request.sequence, snapshot.sequence, request.pause)
                snapshot.maker = None

    def passed(self, tokens: int) -> None:
        """Let time go on by the tokens of a step."""
        self._clock += tokens

    def leave(self, request: Request) -> None:
        """Free a request's place; the snapshot that it left stays."""
        self._reserved -= request.room
        self._release(request.sequence)
        for snapshot in [each for each in self._snapshots if each.maker is request]:
            self._drop(snapshot)

    def undo(self, request: Request, length: int) -> None:
        """Forget what a step that failed has written behind a position."""
        self._context.cut(request.sequence, length)

    def evict(self) -> bool:
        """Drop the snapshot that was not used for longest; False if there is none to drop."""
        return self._evict(other_than=None)

    def _notice(self, request: Request) -> None:
        self._seen[request] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _longest(self, request: Request) -> _Snapshot | None:
        """Return the longest snapshot that is there and begins a prompt."""
        ready = [each for each in self._snapshots if each.maker is None and _begins(each, request)]
        return max(ready, key=lambda each: len(each.tokens), default=None)

    def _plan_snapshot(self, request: Request) -> None:
        """Let a request pause where most can be saved for others, if there is room to keep the state."""
        end = self._best_end(request)
        if not end:
            return
        while not self._free or len(self._snapshots) >= _MOST_SNAPSHOTS:
            if not self._evict(other_than=None):
                return
        request.pause = end
        self._snapshots.append(
            _Snapshot(request.shared[:end], heapq.heappop(self._free), maker=request, last_used=self._clock)
        )

    def _best_end(self, request: Request) -> int:
        """Return where a snapshot would have saved most, had the requests seen so far begun with it; or 0."""
        start = request.evaluated
        shared = (common_prefix(request.shared, other.shared) for other in self._seen if other is not request)
        ends = sorted((end for end in shared if end >= start + _WORTH_IT), reverse=True)
        savings = {end: (end - start) * count for count, end in enumerate(ends, start=1)}
        return max(savings, key=lambda end: savings[end], default=0)

    def _evict(self, *, other_than: _Snapshot | None) -> bool:
        idle = [each for each in self._snapshots if each.maker is None and each is not other_than]
        if idle:
            self._drop(min(idle, key=lambda each: each.last_used))
        return bool(idle)

    def _drop(self, snapshot: _Snapshot) -> None:
        self._snapshots.remove(snapshot)
        self._release(snapshot.sequence)

    def _release(self, sequence: int) -> None:
        self._context.cut(sequence, 0)
        heapq.heappush(self._free, sequence)


def _begins(snapshot: _Snapshot, request: Request) -> bool:
    """Whether a request's prompt begins with a snapshot's tokens and has to go on behind them."""
    length = len(snapshot.tokens)
    return common_prefix(snapshot.tokens, request.shared) == length
