"""What a method does with its calls: it keeps its best when they end, and no failure counts as an answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import dspy
import pytest
from dspy.lm15 import LM15Error, RateLimitError

from engine.ground.errors import BudgetExhaustedError, ConfigError, MetricError, ModelUnavailableError
from engine.journal.completions import MemoryCompletions
from engine.journal.replay import Replay
from engine.learning.methods.candidates import InstructionSearch
from engine.learning.methods.metering import Meter, MeteredLM
from engine.learning.methods.registry import MethodName, run_method
from engine.testing import scripted_model
from tests.engine.desk import POLICY, desk_program, tickets
from tests.engine.learning.methods.test_methods import Clerk, accuracy, task_for


class Learner(Clerk):
    """Its advice names one phrase of the policy more each time it is asked."""

    def _advice(self, system: str, messages: list[dict[str, str]]) -> str:
        del system, messages
        with self._lock:
            self.written += 1
            known = list(POLICY.items())[: self.written]
        return "Route the ticket. " + " ".join(f"{phrase} goes to {queue};" for phrase, queue in known)


class Asking(dspy.Module):
    """A program of one step that asks several times: it takes more calls than a method reckons with."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.route, self._times = desk_program(), times

    def forward(self, ticket: str) -> dspy.Prediction:
        return [self.route(ticket=ticket) for _ in range(self._times)][-1]


class TwoSteps(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = dspy.Predict("ticket -> topic"), desk_program()

    def forward(self, ticket: str) -> dspy.Prediction:
        self.first(ticket=ticket)
        return self.second(ticket=ticket)


@pytest.mark.parametrize("name", ["ape", "opro", "textgrad", "self_refine", "bootstrap_random_search"])
def test_calls_that_end_within_a_candidate_cost_none_of_those_before(name: MethodName) -> None:
    meter = Meter(130)
    task = replace(task_for(scripted_model(Learner()), 130), program=Asking(2))
    program = run_method(name, task, meter)
    assert meter.is_used_up
    assert accuracy(program) > accuracy(desk_program()) + 0.1


@pytest.mark.parametrize("proposals", [1, 2])
def test_a_search_reckons_with_every_proposal(proposals: int) -> None:
    search = InstructionSearch(task_for(scripted_model(Clerk()), 500, validation=40), proposals)
    used = search.scoring + search.rounds * search.cost
    assert search.cost == 40 + proposals
    assert 500 - search.cost < used <= 500


def test_the_next_step_starts_from_answers_that_are_known() -> None:
    model = scripted_model(Clerk())
    search = InstructionSearch(replace(task_for(model, 300), program=TwoSteps()))
    first, asked = search.start("first"), len(model.requests)
    second = search.start("second")
    assert (len(model.requests), second.mean) == (asked, first.mean)
    assert second.text == desk_program().signature.instructions


def test_candidates_are_scored_on_all_answers_in_proportion_and_not_on_the_files_first_lines() -> None:
    sorted_by_queue = sorted(tickets(100, seed=2), key=lambda one: one["queue"])
    task = replace(task_for(scripted_model(Clerk()), 300), validation=sorted_by_queue)
    drawn = InstructionSearch(task).examples
    whole, part = (Counter(one["queue"] for one in some) for some in (sorted_by_queue, drawn))
    assert len(drawn) == 40
    assert all(abs(part[queue] - 0.4 * n) < 1 for queue, n in whole.items())
    assert InstructionSearch(replace(task, seed=4)).examples != drawn


def test_an_example_shows_its_outputs_and_nothing_else() -> None:
    search = InstructionSearch(task_for(scripted_model(Clerk()), 300))
    example = {"id": "7", "ticket": "a parcel", "queue": "general", "region": "north"}
    assert search.expected(example) == "general"
    assert search.expected({"ticket": "a parcel", "region": "north"}) == ""


def test_ape_needs_labels_of_an_output() -> None:
    task = replace(task_for(scripted_model(Clerk()), 220), train=[{"ticket": "a parcel", "region": "north"}])
    with pytest.raises(ConfigError, match="label no output"):
        run_method("ape", task)


def test_copro_gets_as_many_different_proposals_as_it_asks_for() -> None:
    def seeds(seed: int) -> list[int | None]:
        model = scripted_model(Clerk())
        run_method("copro", replace(task_for(model, 90), seed=seed))
        return [request.config.seed for request in model.requests if request.config.temperature == 1.4]

    one, other = seeds(3), seeds(4)
    assert len({*one, *other}) == len(one) + len(other) == 6
    assert None not in one


@pytest.mark.parametrize("name", ["bootstrap_random_search", "mipro_v2", "ape"])
def test_a_model_that_fails_is_no_wrong_answer(name: MethodName) -> None:
    clerk = Clerk()

    def answer(messages: list[dict[str, str]]) -> str:
        if len(clerk.asked) >= 30:
            raise LM15Error("connection refused")
        return clerk(messages)

    model = scripted_model(answer)
    with pytest.raises(ModelUnavailableError, match="connection refused"):
        run_method(name, task_for(model, 220))
    assert len(model.requests) <= 30 + 4, "each thread fails once"


def test_a_judge_that_fails_is_no_wrong_answer() -> None:
    def judged(example: Any, prediction: Any) -> Any:
        raise MetricError("the metric asked a judge") from LM15Error("connection refused")

    with pytest.raises(ModelUnavailableError, match="connection refused"):
        run_method("bootstrap_few_shot", replace(task_for(scripted_model(Clerk()), 220), metric=judged))


def test_a_failure_that_passes_ends_nothing() -> None:
    model = scripted_model(_busy_at_first())
    model.lm = model.lm.copy(num_retries=1)
    meter = Meter(10)
    lm = MeteredLM.of(Replay(MemoryCompletions(), "run").lm(model), meter, seed=1)
    assert lm("Where does it go?") == ["sports"]
    assert (meter.used, meter.ended) == (2, None)


def _busy_at_first() -> Any:
    asked: list[Any] = []

    def answer(messages: list[dict[str, str]]) -> str:
        asked.append(messages)
        if len(asked) == 1:
            raise RateLimitError("busy", retry_after=0)
        return "sports"

    return answer


def test_a_prompt_that_is_too_long_is_a_wrong_answer() -> None:
    task = task_for(scripted_model(Clerk(), context_length=300), 220)
    meter = Meter(220)
    long = {"ticket": "my kayak " + "is late " * 200, "queue": "sports"}
    run_method("bootstrap_few_shot", replace(task, train=[long, *task.train]), meter)
    assert meter.ended is None


@pytest.mark.parametrize(
    ("name", "calls"), [("bootstrap_few_shot", 10), ("infer_rules", 100), ("simba", 200)]
)
def test_a_large_training_set_is_no_reason_to_refuse(name: MethodName, calls: int) -> None:
    model = scripted_model(Clerk())
    run_method(name, replace(task_for(model, calls), train=tickets(400, seed=1)))
    assert 0 < len(model.requests) <= calls


def test_rules_are_induced_from_examples_that_fit_the_context() -> None:
    def induced_from(**options: Any) -> int:
        model = scripted_model(Clerk())
        run_method("infer_rules", replace(task_for(model, 90), **options))
        texts = [request.messages[-1].text or "" for request in model.requests]
        return max(text.count("Input Fields:") for text in texts)

    def is_short(messages: Any) -> bool:
        return sum(len(message["content"]) for message in messages) < 1500

    assert induced_from() == 22
    assert 5 < induced_from(fits=is_short) < 22


@pytest.mark.parametrize(
    ("name", "examples"),
    [("simba", "a batch of 16 training examples"), ("copro", "20 training"), ("ape", "20 validation")],
)
def test_a_refusal_says_what_the_minimum_depends_on(name: MethodName, examples: str) -> None:
    with pytest.raises(ConfigError, match=examples):
        run_method(name, task_for(scripted_model(Clerk()), 30))


def test_calls_that_end_before_there_is_a_result_are_an_error() -> None:
    task = replace(task_for(scripted_model(Clerk()), 50), program=Asking(3))
    with pytest.raises(BudgetExhaustedError):
        run_method("ape", task)
