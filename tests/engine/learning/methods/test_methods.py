"""The field's other optimizers on a scripted support desk: what they learn, cost and resume."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import dspy
import pytest

from engine.ground.errors import BudgetExhaustedError, ConfigError, RunStoppedError
from engine.journal.completions import MemoryCompletions
from engine.journal.events import Event
from engine.journal.method_events import MethodFinished
from engine.journal.replay import Replay
from engine.learning.methods.method import MethodTask
from engine.learning.methods.registry import METHODS, MethodName, run_method
from engine.programs.conditional import ConditionalProgram
from engine.testing import ScriptedModel, scripted_model
from tests.engine.desk import POLICY, desk_program, exact, tickets

ASKING = [name for name in METHODS if name not in ("labeled_few_shot", "knn_few_shot")]
ADVICE = "Route the ticket. " + " ".join(f"{phrase} goes to {queue};" for phrase, queue in POLICY.items())


class Clerk:
    """Routes by what the prompt tells: instructions that name a phrase and its queue, or a demonstration."""

    def __init__(self) -> None:
        self.written = 0
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, messages: list[dict[str, str]]) -> str:
        system, user = messages[0]["content"], messages[-1]["content"]
        with self._lock:
            self.asked.append(system)
        if "[[ ## ticket ## ]]" not in user or "`queue`" not in system:
            return self._advice(system, messages)
        ticket = user.split("[[ ## ticket ## ]]")[-1]
        told = "\n".join(message["content"] for message in messages[:-1])
        for phrase, queue in POLICY.items():
            shown = re.search(rf"my {phrase} is late[^§]*?\"queue\": \"{queue}\"", told)
            if phrase in ticket and (f"{phrase} goes to {queue}" in told or shown):
                return json.dumps({"queue": queue})
        return json.dumps({"queue": "general"})

    def _advice(self, system: str, messages: list[dict[str, str]]) -> str:
        with self._lock:
            self.written += 1
        fields = re.findall(r'^\s*"(\w+)": "\{', system, re.M)
        if fields:
            advice = {"module_advice": {"self": ADVICE}}
            return json.dumps({field: advice.get(field, ADVICE) for field in fields})
        return f"```\n{ADVICE}\n```" if len(messages) == 1 else ADVICE


def task_for(
    model: ScriptedModel,
    calls: int,
    *,
    store: MemoryCompletions | None = None,
    checkpoint: Callable[[], None] = lambda: None,
    validation: int = 20,
    emit: Callable[[Event], None] = lambda event: None,
) -> MethodTask:
    lm = Replay(store or MemoryCompletions(), "run", checkpoint=checkpoint).lm(model)
    return MethodTask(
        program=desk_program(),
        train=tickets(30, seed=1),
        validation=tickets(validation, seed=2),
        inputs=frozenset({"ticket"}),
        metric=exact,
        lm=lm,
        reflection_lm=lm,
        adapter=dspy.JSONAdapter(),
        calls=calls,
        seed=3,
        threads=4,
        emit=emit,
    )


def accuracy(program: dspy.Module) -> float:
    lm = scripted_model(Clerk()).lm
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        scores = [exact(one, program(ticket=one["ticket"])).value for one in tickets(40, seed=9)]
    return sum(scores) / len(scores)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "simba"])
def test_a_method_learns_what_its_material_tells_within_its_budget(
    name: MethodName, capfd: pytest.CaptureFixture[str]
) -> None:
    model = scripted_model(Clerk())
    events: list[Event] = []
    base = accuracy(desk_program())
    program = run_method(name, task_for(model, 220, emit=events.append))
    assert capfd.readouterr() == ("", ""), "the terminal belongs to the screen"
    assert base < 0.6
    assert accuracy(program) > base + 0.1, name
    assert len(model.requests) <= 220
    finished = events[-1]
    assert isinstance(finished, MethodFinished)
    assert finished.calls <= 220
    plain = program.base if isinstance(program, ConditionalProgram) else program
    assert finished.instructions == {
        step: one.signature.instructions for step, one in plain.named_predictors()
    }


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("calls", [3, 120])
def test_no_method_asks_more_than_it_may(name: MethodName, calls: int) -> None:
    model = scripted_model(Clerk())
    with suppress(BudgetExhaustedError, ConfigError):
        run_method(name, task_for(model, calls))
    assert len(model.requests) <= calls


@pytest.mark.parametrize("name", ASKING)
def test_a_method_that_was_stopped_pays_for_nothing_twice(name: MethodName) -> None:
    store, model, left = MemoryCompletions(), scripted_model(Clerk()), [5]

    def stop_after_some() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise RunStoppedError("A person stopped the run.")

    with pytest.raises(RunStoppedError):
        run_method(name, task_for(model, 220, store=store, checkpoint=stop_after_some))
    whole = run_method(name, task_for(model, 220, store=store))
    assert len({_content(request) for request in model.requests}) == len(model.requests)
    alone = run_method(name, task_for(scripted_model(Clerk()), 220))
    assert whole.dump_state() == alone.dump_state()


def _content(request: Any) -> str:
    return repr((request.system, request.messages, request.config))


def test_ape_varies_the_best_after_it_has_induced() -> None:
    clerk = Clerk()
    run_method("ape", task_for(scripted_model(clerk), 220))
    induced = [number for number, system in enumerate(clerk.asked) if "inputs and outputs" in system]
    varied = [number for number, system in enumerate(clerk.asked) if "other words" in system]
    assert induced
    assert varied
    assert max(induced) < min(varied)


def test_opro_shows_the_scores_so_far() -> None:
    model = scripted_model(Clerk())
    run_method("opro", task_for(model, 150))
    asked = [request for request in model.requests if "share of examples" in str(request.system)]
    assert "Score: 0." in asked[0].messages[-1].text
    assert ADVICE in asked[-1].messages[-1].text


def test_textgrad_rewrites_by_its_own_feedback() -> None:
    model = scripted_model(Clerk())
    run_method("textgrad", task_for(model, 150))
    rewrites = [request for request in model.requests if "follows the feedback" in str(request.system)]
    assert f"- {ADVICE}" in rewrites[0].messages[-1].text


def test_simba_samples_each_example_by_several_seeds_of_the_run() -> None:
    model = scripted_model(Clerk())
    run_method("simba", task_for(model, 300))
    seeds = {request.config.seed for request in model.requests if request.config.temperature == 1.0}
    assert len(seeds) >= 3
    assert None not in seeds


def test_mipro_refuses_a_validation_split_that_tells_nothing() -> None:
    with pytest.raises(ConfigError, match="6 validation examples"):
        run_method("mipro_v2", task_for(scripted_model(Clerk()), 220, validation=6))


def test_knn_shows_each_input_the_labelled_examples_most_like_it() -> None:
    model, events = scripted_model(Clerk()), list[Event]()
    task = task_for(model, 1, emit=events.append)
    program = run_method("knn_few_shot", task)
    assert model.requests == []
    finished = events[-1]
    assert isinstance(finished, MethodFinished)
    assert finished.demonstrations == {"self": 30}
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        program(ticket="Case 777: my kayak is late.")
    shown = [message.text for message in model.requests[0].messages if message.role == "user"][:-1]
    assert len(shown) == 12
    kayaks = sum("kayak" in one["ticket"] for one in task.train)
    assert ["kayak" in text for text in shown] == [False] * (12 - kayaks) + [True] * kayaks


def test_knn_needs_labels_of_an_output() -> None:
    task = replace(task_for(scripted_model(Clerk()), 1), train=[{"ticket": "a parcel"}])
    with pytest.raises(ConfigError, match="label no output"):
        run_method("knn_few_shot", task)
