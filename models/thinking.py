"""What a model thinks, kept apart from what it answers: in a whole text, and in one that still grows."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Literal

import dspy.lm15 as lm15

from models.thought_tags import USUAL, ThoughtTags


def split_thinking(text: str, open_already: bool, tags: ThoughtTags = USUAL) -> tuple[str, str]:
    """Return what a model thought and what it answered; the prompt may have opened the thought already."""
    body = text.lstrip()
    if body.startswith(tags.open):
        body = body.removeprefix(tags.open)
    elif not open_already:
        return "", text
    thinking, closed, answer = body.partition(tags.close)
    return (thinking.strip(), answer.lstrip()) if closed else (thinking.strip(), "")


class TextSplitter:
    """Makes stream events of bytes as they come; joined, they are what `split_thinking` makes of the whole.

    Bytes may end in the middle of a character or of a tag. What the whole may turn out not to have is
    held back: a tag that has begun, and blanks, which count only between words.
    """

    def __init__(self, thinks: bool, tags: ThoughtTags = USUAL) -> None:
        self._tags = tags
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._opened = thinks
        self._now: Literal["beginning", "thinking", "after", "answering"] = "beginning"
        self._held = ""
        self._has_thought = self._has_answered = False

    def events(self, piece: bytes, *, final: bool = False) -> Iterator[lm15.StreamEvent]:
        """Yield what the new bytes complete."""
        self._held += self._decoder.decode(piece, final)
        if self._now == "beginning":
            self._begin(final)
        if self._now == "thinking":
            yield from self._think(final)
        if self._now == "after":
            self._held = self._held.lstrip()
            self._now = "answering" if self._held else "after"
        if self._now == "answering" and self._held:
            yield self._answer()
        if final and not self._has_answered:
            yield self._answer()

    def _begin(self, final: bool) -> None:
        """Find out whether the text opens with a thought."""
        body = self._held.lstrip()
        if body.startswith(self._tags.open):
            self._now, self._held = "thinking", body.removeprefix(self._tags.open)
        elif final or not self._tags.open.startswith(body):
            self._now = "thinking" if self._opened else "answering"

    def _think(self, final: bool) -> Iterator[lm15.StreamEvent]:
        thought, closed, answer = self._held.partition(self._tags.close)
        sure = thought if closed or final else thought[: len(thought) - _begun(thought, self._tags.close)]
        sure = (sure if self._has_thought else sure.lstrip()).rstrip()
        if sure:
            self._has_thought = True
            yield lm15.StreamDeltaEvent(delta=lm15.ThinkingDelta(text=sure, part_index=0))
        if closed:
            self._now, self._held = "after", answer
        else:
            self._held = "" if final else thought[thought.find(sure) + len(sure) :]

    def _answer(self) -> lm15.StreamEvent:
        text, self._held, self._has_answered = self._held, "", True
        return lm15.StreamDeltaEvent(delta=lm15.TextDelta(text=text, part_index=int(self._has_thought)))


def _begun(text: str, tag: str) -> int:
    """Return how many characters at the end may be the beginning of a tag."""
    return next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
