"""Answers of the real demo model: heard while they are written, and the same as unheard ones."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from dspy.clients.call_result import response_to_dict
from dspy.clients.engines.base import StreamEvent
from dspy.lm15 import (
    Config,
    Message,
    Request,
    StreamDeltaEvent,
    StreamEndEvent,
    StreamStartEvent,
    TextDelta,
    ThinkingDelta,
    Usage,
)

from engine.journal.listening import ask, listening
from models import LocalModel, open_model


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    with open_model("demo") as model:
        yield model


@pytest.mark.parametrize("sampling", [{"temperature": 0.0}, {"temperature": 0.9, "seed": 7}])
@pytest.mark.parametrize("response_format", [None, {"type": "json_object"}])
def test_a_heard_answer_is_the_same_as_an_unheard_one(
    model: LocalModel, sampling: dict[str, Any], response_format: dict[str, Any] | None
) -> None:
    config = Config(max_tokens=24, response_format=response_format, **sampling)
    request = Request(model="demo", messages=(Message.user("Why did these fail?"),), config=config)
    engine: Any = model.lm.engine
    engine.complete(request)  # once, so that both find the same prompt evaluated
    heard: list[str] = []
    with listening(heard.append):
        listened = ask(engine, request)
    unheard = ask(engine, request)
    assert json.dumps(response_to_dict(listened)) == json.dumps(response_to_dict(unheard))
    assert heard[-1] == listened.message.text
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(heard))


class Thinker:
    """An engine whose model thinks before it answers."""

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        yield StreamStartEvent(model="thinker")
        for piece in ("Is it ", "{this}?"):
            yield StreamDeltaEvent(delta=ThinkingDelta(text=piece, part_index=0))
        for piece in ('{"analysis": ', '"It is."}'):
            yield StreamDeltaEvent(delta=TextDelta(text=piece, part_index=1))
        yield StreamEndEvent(finish_reason="stop", usage=Usage())


def test_what_a_model_thinks_and_what_it_answers_are_heard_apart() -> None:
    heard: list[str] = []
    with listening(heard.append):
        ask(Thinker(), Request(model="thinker", messages=(Message.user("Why?"),)))
    assert heard[1] == "Is it {this}?"
    assert heard[-1] == 'Is it {this}?\n\n{"analysis": "It is."}'
