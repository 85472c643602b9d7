"""Thoughts that a server leaves in the text of an answer, and answers that it takes for thoughts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

from dspy import lm15
from dspy.clients.engines.base import StreamEvent

from models.server.schemas import fits
from models.thinking import TextSplitter
from models.thought_tags import KNOWN_TAGS


async def told_apart(
    events: AsyncGenerator[StreamEvent],
    schema: dict[str, Any] | None,
    on_taken: Callable[[], None] = lambda: None,
) -> AsyncGenerator[StreamEvent]:
    """Yield an answer's events with its thoughts as thoughts, whatever their tags.

    An answer that came as a thought, and nothing after it, is taken if it fits the schema; `on_taken` is
    called then.
    """
    text, thoughts, has_answered = _Text(schema), "", False
    async with aclosing(events) as told:
        async for event in told:
            found: Iterator[StreamEvent] = iter((event,))
            if isinstance(event, lm15.StreamDeltaEvent) and isinstance(event.delta, lm15.ThinkingDelta):
                thoughts += event.delta.text
            elif isinstance(event, lm15.StreamDeltaEvent) and isinstance(event.delta, lm15.TextDelta):
                found = text.pieces(event.delta.text)
            elif isinstance(event, lm15.StreamEndEvent):
                for last in text.pieces("", final=True):
                    has_answered = has_answered or _is_text(last)
                    yield last
                if not has_answered and fits(thoughts, schema):
                    on_taken()
                    yield lm15.StreamDeltaEvent(lm15.TextDelta(thoughts.strip(), part_index=1))
            for piece in found:
                has_answered = has_answered or _is_text(piece)
                yield piece


class _Text:
    """The text of an answer, from which a thought at its beginning is split off.

    The prompt may have opened the thought, so that the text has only the tag that closes it. With a schema,
    a text that doesn't begin as JSON is therefore held back to its end.
    """

    def __init__(self, schema: dict[str, Any] | None) -> None:
        self._schema = schema
        self._held = ""
        self._splitter: TextSplitter | None = None
        self._is_plain = False

    def pieces(self, text: str, *, final: bool = False) -> Iterator[StreamEvent]:
        """Yield what is known after another piece of text."""
        self._held += text
        if not self._is_plain and self._splitter is None:
            self._decide(final)
        if self._splitter is not None:
            held, self._held = self._held.encode(), ""
            yield from self._splitter.events(held, final=final)
        elif self._is_plain and self._held:
            held_text, self._held = self._held, ""
            yield lm15.StreamDeltaEvent(lm15.TextDelta(held_text, part_index=1))

    def _decide(self, final: bool) -> None:
        """Find out whether the text begins with a thought, opened in it or before it."""
        body = self._held.lstrip()
        tags = next((tags for tags in KNOWN_TAGS if body.startswith(tags.open)), None)
        if tags is not None:
            self._splitter = TextSplitter(False, tags)
        elif final:
            closed = next((tags for tags in KNOWN_TAGS if self._fits_after(tags.close)), None)
            self._splitter = TextSplitter(True, closed) if closed else None
            self._is_plain = closed is None
        elif not any(tags.open.startswith(body) for tags in KNOWN_TAGS):
            self._is_plain = self._schema is None or body.startswith("{")

    def _fits_after(self, tag: str) -> bool:
        _, found, rest = self._held.partition(tag)
        return bool(found) and fits(rest, self._schema)


def _is_text(event: StreamEvent) -> bool:
    return (
        isinstance(event, lm15.StreamDeltaEvent)
        and isinstance(event.delta, lm15.TextDelta)
        and bool(event.delta.text)
    )
