from __future__ import annotations

import dspy
import pytest

from engine.ground.model import Model
from engine.testing import scripted_model


def test_a_queue_of_answers_is_given_in_order_and_then_ends() -> None:
    model = scripted_model(["one", "two"])
    assert [model.lm("a")[0], model.lm("b")[0]] == ["one", "two"]
    with pytest.raises(Exception, match="no more answers"):
        model.lm("c")
    assert [request.messages[0].text for request in model.requests] == ["a", "b", "c"]


def test_a_scripted_model_is_a_model_for_the_engine() -> None:
    model: Model = scripted_model(["x"], name="mine", context_length=3)
    assert model.count_prompt_tokens([{"role": "user", "content": "three short words"}]) == 3
    assert model.revision.digest.startswith("sha256:")
    assert model.revision.as_dict()["name"] == "mine"
    assert model.revision.short in model.uri
    model.verify_revision()
    with pytest.raises(Exception, match="4 tokens in a context of 3"):
        model.lm("one two three four")


def test_a_scripted_model_streams() -> None:
    program = dspy.streamify(dspy.Predict("question -> answer"), async_streaming=False)
    model = scripted_model(['{"answer": "42"}'])
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        *_, last = program(question="?")
    assert last.answer == "42"
