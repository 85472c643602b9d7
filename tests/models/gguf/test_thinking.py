from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from asking import ask, request
from conftest import Open
from dspy import lm15

from models.thinking import TextSplitter, split_thinking

TEXTS = (
    "<think>\nHm.\n</think>\n\nBilling",
    '\n<think>Is 1 < 2?  Yes.\n\n It \u00e4\u20ac\U0001f600</think> \n {"queue": "billing"} ',
    "Hm, </thin> is no tag.\n</think>\nBilling </think> again",
    "  Billing <think>no thought</think> ",
    "<think>Hm. </th",
    "<think>",
    "<thi",
    "<think>\n\n</think>\n\n",
    " \n",
    "",
)


def parts(events: Sequence[lm15.StreamEvent]) -> tuple[str, str]:
    """Return what was thought and what was answered."""
    texts = {"thinking": "", "text": ""}
    for event in events:
        if isinstance(event, lm15.StreamDeltaEvent):
            texts[event.delta.type] += event.delta.text
    return texts["thinking"], texts["text"]


def streamed(content: bytes, cuts: Sequence[int], thinks: bool) -> Iterator[lm15.StreamEvent]:
    splitter, begin = TextSplitter(thinks), 0
    for cut in cuts:
        yield from splitter.events(content[begin:cut])
        begin = cut
    yield from splitter.events(content[begin:])
    yield from splitter.events(b"", final=True)


@pytest.mark.parametrize(
    ("text", "opened", "thinking", "answer"),
    [
        ("<think>\nHm.\n</think>\n\nBilling", False, "Hm.", "Billing"),
        ("Hm.\n</think>\nBilling", True, "Hm.", "Billing"),
        ("Billing", False, "", "Billing"),
        ("<think>Hm", False, "Hm", ""),
    ],
)
def test_thinking_is_kept_apart_from_the_answer(text: str, opened: bool, thinking: str, answer: str) -> None:
    assert split_thinking(text, opened) == (thinking, answer)
    assert parts(list(streamed(text.encode(), (), opened))) == (thinking, answer)


@pytest.mark.parametrize("thinks", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_a_stream_says_the_same_wherever_it_is_cut(text: str, thinks: bool) -> None:
    content, rng = text.encode(), random.Random(7)
    cuttings = [range(1, len(content))]
    for _ in range(200):
        cuttings.append(sorted(rng.randrange(len(content) + 1) for _ in range(rng.randrange(6))))

    for cuts in cuttings:
        assert parts(list(streamed(content, cuts, thinks))) == split_thinking(text, thinks)


def test_broken_characters_read_as_they_do_in_the_whole() -> None:
    content = b"<think>a\xe2\x82</think>\xf0\x9f\x98"

    got = parts(list(streamed(content, range(1, len(content)), False)))

    assert got == split_thinking(content.decode("utf-8", "replace"), False) == ("a\ufffd", "\ufffd")


def test_nothing_waits_for_the_end_of_a_thought() -> None:
    splitter = TextSplitter(thinks=True)

    shown = [
        parts(list(splitter.events(piece)))
        for piece in (b" Let ", b"me", b" see.\n</th", b"ink>\n\nYes", b"!")
    ]

    assert shown == [("Let", ""), (" me", ""), (" see.", ""), ("", "Yes"), ("", "!")]


def test_a_thinking_model_is_heard_while_it_thinks(open_tiny: Open) -> None:
    model = open_tiny(think=True)
    expected = ask(model, "Tell me", max_tokens=40)

    events = list(model.lm.engine.stream(request(model, "Tell me", max_tokens=40)))

    response = lm15.materialize_response(iter(events), request(model, "Tell me", max_tokens=40))
    assert response.message.parts == expected.message.parts
    assert expected.message.parts[0].type == "thinking"
    assert len(events) > 10
