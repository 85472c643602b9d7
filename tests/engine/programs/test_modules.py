"""`refine` and `meta_prompting`: what each step sees, and that rules and demonstrations work on each."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest

from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.modules import MetaPrompting, Refine
from engine.programs.program import FrozenProgram, run_program
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.testing import ScriptedModel, scripted_model
from promptgrad_tui.work.code.program import program_fields

SIGNATURE = dspy.Signature("ticket -> queue, urgent: bool", "Route the ticket.")
TICKET = "my piano is late"


def script(messages: list[dict[str, str]]) -> str:
    """A critic who knows where pianos go, an expert who does too, and an answer that follows both."""
    system, user = messages[0]["content"], messages[-1]["content"]
    answers: dict[str, Any] = {"queue": "general", "urgent": False}
    if "loyal" in user or "music" in user:
        answers = {"queue": "music", "urgent": True}
    if "Check the draft" in system:
        answers = {"critique": "A piano belongs to music."}
    elif "You conduct" in system:
        done = "music" in user
        answers = {"expert": "none" if done else "musician", "question": "Where do pianos go?"}
    elif "as this expert would" in system:
        answers = {"advice": "To the queue music."}
    return json.dumps(answers)


def ran(program: dspy.Module) -> tuple[Any, ScriptedModel]:
    model = scripted_model(script)
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        return run_program(program, {"ticket": TICKET}), model


def test_refine_answers_again_with_the_critique_in_view() -> None:
    answer, model = ran(Refine(SIGNATURE))
    assert (answer.queue, answer.urgent) == ("music", True)
    first, critic, second = (request.messages[-1].text for request in model.requests)
    assert "draft" not in first
    assert "queue: general; urgent: False" in critic
    assert "queue: general; urgent: False" in second
    assert "A piano belongs to music." in second


def test_an_expert_sees_the_question_alone_and_the_answer_sees_the_advice() -> None:
    answer, model = ran(MetaPrompting(SIGNATURE))
    assert answer.queue == "music"
    conduct, expert, again, last = (request.messages[-1].text for request in model.requests)
    assert TICKET in conduct
    assert TICKET not in expert
    assert "Where do pianos go?" in expert
    assert "To the queue music." in again
    assert "To the queue music." in last


@pytest.mark.parametrize("made", [Refine, MetaPrompting])
def test_inputs_and_outputs_are_those_of_the_signature(made: Any) -> None:
    fields = program_fields(made(SIGNATURE))
    assert fields.inputs == ("ticket",)
    assert fields.outputs == ("queue", "urgent")
    assert FrozenProgram(made(SIGNATURE)).inputs == {"ticket"}


@pytest.mark.parametrize("made", [Refine, MetaPrompting])
def test_rules_and_demonstrations_reach_each_step(made: Any) -> None:
    frozen = FrozenProgram(made(SIGNATURE))
    assert len(frozen.predictors) == 3
    for name in frozen.predictors:
        step = frozen.signature(name)
        shown = Demonstration(
            predictor=name,
            inputs=dict.fromkeys(step.input_fields, "x"),
            outputs=dict.fromkeys(step.output_fields, "y"),
        )
        state = LearnedState(
            RuleSet([Rule(text=f"Mind step {name}.", predictor=name)]), DemonstrationSet([shown])
        )
        changed = {
            other: (f"Mind step {name}." in step.signature.instructions, len(step.demos))
            for other, step in frozen.with_state(state).named_predictors()
        }
        assert changed == {other: (other == name, int(other == name)) for other in frozen.predictors}


@pytest.mark.parametrize("made", [Refine, MetaPrompting])
def test_its_state_survives_saving(made: Any, tmp_path: Any) -> None:
    program = FrozenProgram(made(SIGNATURE)).with_rules([Rule(text="Mind it.", predictor="answer")])
    program.save(tmp_path / "state.json")
    loaded = made(SIGNATURE)
    loaded.load(tmp_path / "state.json")
    assert loaded.dump_state() == program.dump_state()
