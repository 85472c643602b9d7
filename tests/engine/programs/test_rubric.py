"""A rubric: a judge asked about each criterion, and metrics of users that ask it too."""

from __future__ import annotations

import json
import math
from typing import Any

import dspy
import pytest

from engine import PromptGradConfig, PromptGradOptimizer
from engine.ground.errors import MetricError, ModelUnavailableError
from engine.journal.completions import MemoryCompletions
from engine.journal.events import RolloutFinished
from engine.journal.replay import Replay
from engine.learning.optimizer import OptimizationSession
from engine.learning.session_inputs import SessionExamples, SessionFollowers, SessionModels
from engine.programs.coercion import as_metric
from engine.programs.judge import Judge
from engine.programs.metrics import built_in_metric
from engine.programs.metrics.asking import grade_probabilities
from engine.programs.metrics.combined import CombinedMetric, WeightedMetric
from engine.programs.metrics.criteria import Criterion, criteria_of
from engine.programs.metrics.rubric import Rubric, expected_grade
from engine.testing import scripted_model

TIME, POLICY = Criterion(text="names a time"), Criterion(text="cites a policy")
EXAMPLE = {"id": "7", "question": "Where is my parcel?", "reply": "It comes in two days (policy 4)."}


def judge_says(*replies: str) -> tuple[Judge, Any]:
    model = scripted_model([json.dumps({"grade": reply}) if reply else "?" for reply in replies])
    return Judge(model.lm), model


class Scorer:
    """Log-probabilities by the number of yes votes in the criterion's text."""

    def __init__(self, *rows: list[float]) -> None:
        self.rows = list(rows)
        self.asked: list[tuple[Any, Any]] = []

    def score(self, messages: Any, continuations: Any) -> list[float]:
        self.asked.append((messages, list(continuations)))
        return [math.log(value) for value in self.rows.pop(0)]


def scored(rubric: Rubric, judge: Judge, reply: str = "In three days.") -> Any:
    return as_metric(rubric).judged_by(judge)(EXAMPLE, dspy.Prediction(reply=reply))


def test_each_criterion_is_one_question_and_what_is_missed_is_the_feedback():
    judge, model = judge_says("yes", "no")
    score = scored(Rubric("reply", [TIME, POLICY], threshold=0.8), judge)
    assert (score.value, score.is_success) == (0.5, False)
    assert score.feedback == "Not met: cites a policy (judged 0.00)."
    assert score.error_type == "fails: cites a policy"
    assert score.metadata == {"criteria": {"names a time": 1.0, "cites a policy": 0.0}}
    first, second = (request.messages[-1].text for request in model.requests)
    assert "The criterion: the answer names a time" in first
    assert "question: Where is my parcel?" in first
    assert "An answer that is known to be good: It comes in two days (policy 4)." in first
    assert "The answer to check: In three days." in first
    assert "names a time" not in second
    schema = json.dumps(model.requests[0].config.response_format, default=str)
    assert '"no", "yes"' in schema


def test_where_the_judge_tells_probabilities_the_score_is_what_it_expects():
    scorer = Scorer([0.3, 0.1], [0.05, 0.05, 0.2, 0.3, 0.4])
    judge = Judge(scripted_model([]).lm, scorer)
    assert scored(Rubric("reply", [TIME]), judge).value == pytest.approx(0.25, abs=1e-4)
    assert scorer.asked[0][1] == ["no", "yes"]
    expected = (1 * 0.05 + 2 * 0.2 + 3 * 0.3 + 4 * 0.4) / 4
    assert scored(Rubric("reply", [TIME], scale=(1, 5)), judge).value == pytest.approx(expected, abs=1e-4)
    assert scorer.asked[1][1] == ["1", "2", "3", "4", "5"]


def test_an_expected_grade_lies_between_the_worst_and_the_best():
    judge = Judge(scripted_model([]).lm, Scorer())
    judge.scorer.score = lambda messages, grades: [-1000.0, -2000.0]
    assert expected_grade(grade_probabilities(judge, [], ["no", "yes"])) == 0.0
    judge.scorer.score = lambda messages, grades: [-50.0, -0.1]
    assert expected_grade(grade_probabilities(judge, [], ["no", "yes"])) == pytest.approx(1.0)
    assert expected_grade([0.25, 0.25, 0.5]) == 0.625


@pytest.mark.parametrize(("reply", "value"), [("4", 0.75), ("5", 1.0), ("1", 0.0)])
def test_a_grade_is_read_off_a_reply(reply, value):
    judge, _ = judge_says(reply)
    assert scored(Rubric("reply", [TIME], scale=(1, 5)), judge).value == value


@pytest.mark.parametrize("reply", ["?", '{"grade": "perhaps"}'])
def test_a_reply_that_cannot_be_read_is_the_worst_grade(reply):
    model = scripted_model(lambda messages: reply)
    assert scored(Rubric("reply", [TIME]), Judge(model.lm)).value == 0.0


@pytest.mark.parametrize(
    ("check", "reply", "why"),
    [
        ({"contains": "policy"}, "In 3 days.", 'it doesn\'t contain "policy"'),
        ({"regex": r"\d"}, "Soon.", "nothing in it matches"),
        ({"max_words": 2}, "In three days.", "it has 3 words, and 2 are allowed"),
        ({"min_words": 4}, "In three days.", "it has 3 words, and 4 are asked for"),
        ({"json_fields": ("days",)}, '{"day": 3}', "its JSON has no days"),
        ({}, " ", "the answer is empty"),
    ],
)
def test_an_answer_that_fails_a_check_is_not_put_to_the_judge(check, reply, why):
    judge, model = judge_says()
    score = scored(Rubric("reply", [Criterion(text="helps", **check)]), judge, reply)
    assert score.value == 0.0
    assert why in score.feedback
    assert model.requests == []


def test_weights():
    judge, _ = judge_says("yes", "no")
    heavy = Criterion(text="names a time", weight=3.0)
    assert scored(Rubric("reply", [heavy, POLICY]), judge).value == 0.75


def test_criteria_are_the_items_of_a_list():
    text = "# Good answers\n\n- name a time\n* cite a policy\n1. are short\n\nThat is all."
    assert [c.text for c in criteria_of(text)] == ["name a time", "cite a policy", "are short"]
    assert [c.text for c in criteria_of("is kind")] == ["is kind"]


def test_without_a_model_the_judge_is_missing():
    with pytest.raises(MetricError, match="asks a judge, and no model is open"):
        as_metric(Rubric("reply", [TIME]))(EXAMPLE, dspy.Prediction(reply="x"))


def session(metric, script, store, judge_script=None):
    events: list[Any] = []
    replay = Replay(store, "run")
    task = scripted_model(script)
    judge = scripted_model(judge_script) if judge_script else task
    examples = [{"question": f"q{number}", "reply": "r"} for number in range(4)]
    bound = as_metric(metric).judged_by(Judge(replay.lm(judge))) if judge_script else metric
    made = OptimizationSession(
        PromptGradOptimizer(bound, PromptGradConfig(seed=1, verbose=False)),
        dspy.Predict("question -> reply"),
        SessionExamples(examples[:2], examples[2:]),
        SessionModels(replay.lm(task)),
        SessionFollowers(events.append),
    )
    return made, replay, events, task, judge


def own_metric(example, prediction):
    return dspy.Predict("reply -> is_good: bool")(reply=prediction.reply).is_good


def test_a_metric_of_the_user_asks_the_judge_and_its_calls_are_recorded_and_counted():
    def script(messages):
        return json.dumps({"reply": "fine"})

    def judge(messages):
        return json.dumps({"is_good": "fine" in messages[-1]["content"]})

    store = MemoryCompletions()
    from engine.programs.state import LearnedState

    made, replay, events, _, judging = session(own_metric, script, store, judge)
    assert made.validate(LearnedState()).score == 1.0
    rollouts = [event for event in events if isinstance(event, RolloutFinished)]
    assert len(judging.requests) == 1, "equal answers are judged once"
    assert replay.usage().calls == 3
    assert {len(event.completions) for event in rollouts} == {2}
    made.close()
    again, replay, _, task, judging = session(own_metric, script, store, judge)
    assert again.validate(LearnedState()).score == 1.0
    assert (task.requests, judging.requests) == ([], [])
    again.close()


async def asynchronous_metric(example, prediction):
    found = await dspy.Predict("reply -> is_good: bool").acall(reply=prediction.reply)
    return {"score": float(found.is_good), "feedback": "" if found.is_good else "Not good."}


def test_an_asynchronous_metric_asks_the_judge_too():
    model = scripted_model(['{"is_good": true}', '{"is_good": false}'])
    metric = as_metric(asynchronous_metric).judged_by(Judge(model.lm))
    scores = [metric(EXAMPLE, dspy.Prediction(reply=reply)) for reply in ("In two days.", "Who knows?")]
    assert [(score.value, score.feedback) for score in scores] == [(1.0, ""), (0.0, "Not good.")]
    assert ["In two days." in request.messages[-1].text for request in model.requests] == [True, False]


def test_one_of_several_metrics_may_ask_the_judge():
    judge, model = judge_says("yes")
    parts = [
        WeightedMetric("rubric", as_metric(Rubric("reply", [TIME]))),
        WeightedMetric("exact", as_metric(built_in_metric("exact_match", "reply"))),
    ]
    score = CombinedMetric(parts, "both").judged_by(judge)(EXAMPLE, dspy.Prediction(reply="In three days."))
    assert {name: part.value for name, part in score.metrics.items()} == {"rubric": 1.0, "exact": 0.0}
    assert score.value == 0.5
    assert len(model.requests) == 1


def test_a_judge_that_stops_answering_is_not_the_metrics_fault():
    from dspy.lm15 import LM15Error

    from engine.programs.state import LearnedState

    def judge(messages):
        raise LM15Error("out of memory")

    made, *_ = session(own_metric, lambda messages: '{"reply": "fine"}', MemoryCompletions(), judge)
    with pytest.raises(ModelUnavailableError, match="out of memory"):
        made.validate(LearnedState())
    made.close()
