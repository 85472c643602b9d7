"""What a metric gets to see of a program's steps, and where what it says arrives."""

from __future__ import annotations

import dspy
import pytest

from engine import PromptGradConfig, PromptGradOptimizer, Score
from engine.journal.events import RolloutFinished
from engine.learning.optimizer import OptimizationSession
from engine.learning.session_inputs import SessionExamples, SessionFollowers, SessionModels
from engine.testing import scripted_model


class TwoSteps(dspy.Module):
    """Reads a topic off a note, and names the team for it."""

    def __init__(self):
        super().__init__()
        self.read = dspy.Predict("note -> topic")
        self.route = dspy.ChainOfThought("topic -> team")

    def forward(self, note):
        return self.route(topic=self.read(note=note).topic)


def script(messages):
    system = messages[0]["content"]
    if "`analysis`" in system:
        return '{"analysis": "none", "add": [], "remove": []}'
    if "`team`" in system:
        return '{"reasoning": "so", "team": "music"}'
    return '{"topic": "piano"}'


def rollouts(metric, program, n=2):
    """The rollouts of one epoch, and the prompts of its analyses."""
    examples = [{"note": f"Note {number}", "team": "sports"} for number in range(2 * n)]
    events, model = [], scripted_model(script)
    session = OptimizationSession(
        PromptGradOptimizer(metric, PromptGradConfig(seed=1, epochs=1, verbose=False)),
        program,
        SessionExamples(examples[:n], examples[n:]),
        SessionModels(model.lm),
        SessionFollowers(events.append),
    )
    session.run()
    session.close()
    analyses = [r.messages[-1].text for r in model.requests if "## failures" in (r.messages[-1].text or "")]
    return [event for event in events if isinstance(event, RolloutFinished)], analyses


def test_a_metric_that_asks_gets_every_step_with_its_name_inputs_and_outputs():
    seen = []

    def metric(example, prediction, trace=None, pred_name=None, pred_trace=None):
        seen.append((trace, pred_name, pred_trace))
        return 0.0

    rollouts(metric, TwoSteps(), n=1)
    trace, name, own = seen[0]
    assert [
        (step.name, dict(step.inputs), step.outputs["topic" if step.name == "read" else "team"])
        for step in trace
    ] == [
        ("read", {"note": "Note 1"}, "piano"),
        ("route.predict", {"topic": "piano"}, "music"),
    ]
    assert (name, own) == (None, None)
    predictor, inputs, outputs = trace[0]
    assert isinstance(predictor, dspy.Predict)
    assert (inputs, outputs.topic) == ({"note": "Note 1"}, "piano")
    assert [(asked, [step.name for step in steps]) for _, asked, steps in seen[1:3]] == [
        ("read", ["read"]),
        ("route.predict", ["route.predict"]),
    ]


def test_feedback_on_a_step_reaches_the_analysis_and_the_journal():
    def metric(example, prediction, trace=None, pred_name=None, pred_trace=None):
        feedback = {"read": "name the sport", "route.predict": "sports is a team too"}.get(
            pred_name, "wrong team"
        )
        return dspy.Prediction(score=0.0, feedback=feedback)

    events, analyses = rollouts(metric, TwoSteps())
    steps = {"read": "name the sport", "route.predict": "sports is a team too"}
    assert events[0].metadata == {"steps": steps}
    assert events[0].feedback == "wrong team"
    assert "feedback on step read: name the sport" in analyses[0]
    assert "feedback on step route: sports is a team too" in analyses[0]


def test_a_program_with_one_step_is_scored_once_and_its_step_is_named():
    seen = []

    def metric(example, prediction, trace, pred_name, pred_trace):
        seen.append((pred_name, trace == pred_trace, pred_trace[0].inputs["note"]))
        return 0.0

    rollouts(metric, dspy.Predict("note -> topic"), n=1)
    assert seen[0] == ("self", True, "Note 1")
    assert len(seen) == 2


def test_a_metric_of_dspy_is_not_made_strict_by_a_trace():
    def metric(example, prediction, trace=None):
        return 0.7 if trace is None else False

    events, _ = rollouts(metric, dspy.Predict("note -> topic"))
    assert {event.score for event in events} == {0.7}


def test_what_a_score_says_besides_is_journaled():
    numpy = pytest.importorskip("numpy")

    def metric(example, prediction):
        return Score(0.0, False, metadata={"length": numpy.int64(5), "parts": ["a"], "odd": {1, 2}.__class__})

    events, _ = rollouts(metric, dspy.Predict("note -> topic"))
    assert events[0].metadata == {"length": 5, "parts": ["a"], "odd": "<class 'set'>"}
    assert RolloutFinished.model_validate_json(events[0].model_dump_json()).metadata == events[0].metadata
