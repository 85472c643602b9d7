"""Thoughts that servers leave in the text of an answer, and answers that come as thoughts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from dspy import lm15
from dspy.clients.engines.base import StreamEvent

from models.server.thoughts import told_apart

SCHEMA = {"type": "object", "required": ["queue"]}
ANSWER = '{"queue": "billing"}'


async def events(pieces: Sequence[str], thoughts: str) -> AsyncGenerator[StreamEvent]:
    yield lm15.StreamStartEvent(model="m")
    if thoughts:
        yield lm15.StreamDeltaEvent(lm15.ThinkingDelta(thoughts, part_index=0))
    for piece in pieces:
        yield lm15.StreamDeltaEvent(lm15.TextDelta(piece, part_index=1))
    yield lm15.StreamEndEvent(finish_reason="stop", usage=lm15.Usage())


def told(pieces: Sequence[str], thoughts: str = "", schema: dict[str, Any] | None = None) -> tuple[str, str]:
    """Return what was thought and what was answered."""
    request = lm15.Request(model="m", messages=(lm15.Message.user("?"),))

    async def whole() -> lm15.Response:
        return await lm15.amaterialize_response(told_apart(events(pieces, thoughts), schema), request)

    parts = asyncio.run(whole()).message.parts

    def joined(kind: str) -> str:
        return "".join(part.text for part in parts if part.type == kind)

    return joined("thinking"), joined("text")


@pytest.mark.parametrize("cuts", [1, 4, 1000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"<think>Hm.</think>\n{ANSWER}", ("Hm.", ANSWER)),
        (f"[THINK]Hm [1].[/THINK]{ANSWER}", ("Hm [1].", ANSWER)),
        (f"<seed:think>Hm.</seed:think>{ANSWER}", ("Hm.", ANSWER)),
        (f"<|channel>thought\nHm.<channel|>{ANSWER}", ("Hm.", ANSWER)),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes",
            ("Hm.", "Yes"),
        ),
        (ANSWER, ("", ANSWER)),
        ("<table> is no thought", ("", "<table> is no thought")),
        ("[1, 2]", ("", "[1, 2]")),
        ("<th", ("", "<th")),
    ],
)
def test_a_thought_in_the_text_is_told_apart(text: str, expected: tuple[str, str], cuts: int) -> None:
    assert told([text[start : start + cuts] for start in range(0, len(text), cuts)]) == expected


@pytest.mark.parametrize("cuts", [1, 4, 1000])
@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        (f"Hm, {{x}}.\n</think>\n\n{ANSWER}", SCHEMA, ("Hm, {x}.", ANSWER)),
        (f"Hm.[/THINK]{ANSWER}", SCHEMA, ("Hm.", ANSWER)),
        (f"<thin ice.</think>{ANSWER}", SCHEMA, ("<thin ice.", ANSWER)),
        ("Hm.</think>It is billing.", SCHEMA, ("", "Hm.</think>It is billing.")),
        ("Hm.</think>", SCHEMA, ("", "Hm.</think>")),
        ('{"queue": "</think>"}', SCHEMA, ("", '{"queue": "</think>"}')),
        ("It is billing.", SCHEMA, ("", "It is billing.")),
        (f"Hm.</think>{ANSWER}", None, ("", f"Hm.</think>{ANSWER}")),
    ],
)
def test_a_thought_that_the_prompt_has_opened_is_told_apart_by_its_end(
    text: str, schema: dict[str, Any] | None, expected: tuple[str, str], cuts: int
) -> None:
    assert told([text[at : at + cuts] for at in range(0, len(text), cuts)], schema=schema) == expected


def test_an_answer_that_begins_as_json_is_read_while_it_is_written() -> None:
    async def first_pieces() -> list[str]:
        told = told_apart(events(['{"queue":', ' "billing"}'], ""), SCHEMA)
        return [event.delta.text async for event in told if event.type == "delta"]

    assert asyncio.run(first_pieces()) == ['{"queue":', ' "billing"}']


def test_an_answer_that_came_as_a_thought_is_taken_if_it_fits_the_schema() -> None:
    assert told([], ANSWER, SCHEMA) == (ANSWER, ANSWER)
    assert told([], "I think it is billing.", SCHEMA) == ("I think it is billing.", "")
    assert told([], ANSWER, None) == (ANSWER, "")
    assert told(['{"queue": "returns"}'], ANSWER, SCHEMA) == (ANSWER, '{"queue": "returns"}')
