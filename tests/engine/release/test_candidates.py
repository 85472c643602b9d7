"""What candidates cost and which can be compared, where a judge has a part in their scores."""

from __future__ import annotations

from dataclasses import replace

import dspy
import pytest

from engine.ground.errors import DataError
from engine.ground.model import RunModels
from engine.journal.events import RolloutFinished
from engine.journal.journal import Journal, journal_path
from engine.release.objectives.candidates import candidates_of, comparable
from engine.release.run import execute
from engine.release.run_context import RunHistory
from engine.testing import scripted_model
from tests.engine.desk import Desk, desk_model, exact
from tests.engine.release.test_run import events, plan


@pytest.fixture
def journal(tmp_path):
    with Journal.open(journal_path(tmp_path)) as journal:
        yield journal


def judged(example, prediction):
    """The right queue counts, whatever the judge says, who is asked at length."""
    dspy.settings.lm(f"Is this the right queue? {example['ticket']} {prediction.queue} " + "really " * 200)
    return exact(example, prediction)


def test_a_candidate_is_not_charged_with_what_its_judge_costs(tmp_path, journal):
    model = desk_model(Desk(proposals=[]))
    judge = scripted_model(lambda messages: "It is what a good clerk would say.", name="judge")
    models = RunModels(model, model, judge)
    wanted = [
        replace(plan(tmp_path, journal, model=model, config={"epochs": 1}), metric=metric, models=models)
        for metric in (exact, judged)
    ]
    for one in wanted:
        execute(one, journal)
    (alone, *_), (beside, *_) = (candidates_of(journal, one.run) for one in wanted)
    assert (beside.prompt_tokens, beside.answer_tokens) == (alone.prompt_tokens, alone.answer_tokens)
    rollout = events(journal, wanted[1].run, RolloutFinished)[0]
    assert (len(rollout.completions), len(rollout.judged)) == (2, 1)
    assert rollout.tokens.prompt > beside.prompt_tokens + 200
    answers = [journal.completion(key) for key in rollout.completions if key not in rollout.judged]
    assert [answer.tokens.completion for answer in answers] == [2]


def test_runs_by_other_metrics_or_judges_are_not_compared(tmp_path, journal):
    def begun(judge=None, metric="exact"):
        wanted = plan(tmp_path, journal)
        wanted = replace(wanted, models=replace(wanted.models, judge=judge), metric_name=metric)
        journal.append(wanted.run, RunHistory.of(wanted, journal).began)
        return wanted.run

    first = begun()
    assert comparable(journal, [first, begun()]) == []
    with pytest.raises(DataError, match="their metrics differ"):
        comparable(journal, [first, begun(metric="another")])
    with pytest.raises(DataError, match="their judges differ"):
        comparable(journal, [first, begun(judge=scripted_model([], name="judge"))])
    # Journals of earlier versions don't say by what was scored.
    assert comparable(journal, [first, begun(metric="")]) == []
