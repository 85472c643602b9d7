"""What a model reads of a request, whether it runs in this process or on a server."""

from __future__ import annotations

import pytest
from dspy import lm15

from models.chat import chat_messages


def request(*parts: lm15.Part, system: str | None = None) -> lm15.Request:
    return lm15.Request(model="m", messages=(lm15.Message.user(list(parts)),), system=system)


def test_the_texts_of_a_message_are_separate_lines() -> None:
    asked = request(lm15.TextPart("First."), lm15.TextPart("Second."), system="Route it.")
    assert chat_messages(asked) == [
        {"role": "system", "content": "Route it."},
        {"role": "user", "content": "First.\nSecond."},
    ]


def test_developers_speak_as_the_system_and_thoughts_are_left_out() -> None:
    messages = (
        lm15.Message(role="developer", parts=(lm15.TextPart("Be brief."),)),
        lm15.Message.assistant([lm15.ThinkingPart("Hm."), lm15.TextPart("Yes.")]),
    )
    assert chat_messages(lm15.Request(model="m", messages=messages)) == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Yes."},
    ]


def test_what_is_not_text_is_refused() -> None:
    image = lm15.ImagePart(url="https://example.com/a.png", media_type="image/png")
    with pytest.raises(lm15.UnsupportedFeatureError, match="A part of type image can't be sent"):
        chat_messages(request(lm15.TextPart("What is it?"), image))
