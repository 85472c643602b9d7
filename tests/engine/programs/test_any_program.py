"""Programs of many shapes, as users of DSPy write them, through the optimizer."""

import json
import logging

import dspy
import pytest

from engine import PromptGradConfig, PromptGradOptimizer
from engine.ground.errors import ProjectError, UnreadableAnswersError
from engine.learning.optimizer import OptimizationSession
from engine.learning.session_inputs import SessionExamples, SessionModels
from engine.programs.metrics import built_in_metric
from engine.programs.state import LearnedState
from engine.testing import scripted_model
from tests.engine.desk import desk_model, desk_program, exact, learned, tickets

JSON = dspy.JSONAdapter()


def optimized(program, *, metric=exact, model=None, adapter=JSON, **settings):
    optimizer = PromptGradOptimizer(metric, PromptGradConfig(epochs=1, seed=1, verbose=False))
    with dspy.context(lm=(model or desk_model()).lm, adapter=adapter, **settings):
        return optimizer.optimize(program, tickets(30, 1), tickets(30, 2))


class Routed(dspy.Module):
    """A program around the desk's step."""

    def __init__(self):
        super().__init__()
        self.step = desk_program()


def rules_of(program):
    return learned(program.step.signature.instructions)


class TakesAnything(Routed):
    def __init__(self):
        super().__init__()
        self.check = dspy.Predict("ticket, queue -> verdict")
        self.seen = set()

    def __deepcopy__(self, memo):
        copy = type(self)()
        copy.seen = self.seen
        return copy

    def forward(self, **inputs):
        self.seen.update(inputs)
        return self.step(**inputs)


def test_a_program_that_takes_anything_never_gets_the_answer():
    program = TakesAnything()
    optimized(program)
    assert program.seen == {"ticket"}


def test_an_agent_of_dspy_gets_what_its_signature_says(caplog):
    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    optimizer = PromptGradOptimizer(
        lambda example, prediction: 0.0, PromptGradConfig(epochs=1, verbose=False)
    )
    agent = dspy.ReAct("ticket -> queue", tools=[look_up])
    # The desk knows queues alone, so none of the agent's thoughts can be read.
    unreadable = pytest.raises(UnreadableAnswersError, match="next_thought")
    with dspy.context(lm=desk_model().lm, adapter=JSON), caplog.at_level(logging.WARNING), unreadable:
        optimizer.optimize(agent, tickets(4, 1), tickets(4, 2))
    assert "not in signature" not in caplog.text


def test_examples_that_name_their_inputs_are_taken_at_their_word():
    seen = set()

    class Peeks(Routed):
        def forward(self, ticket, queue=None):
            seen.add(queue)
            return self.step(ticket=ticket)

    examples = [dspy.Example(**values).with_inputs("ticket") for values in tickets(12, 1)]
    optimizer = PromptGradOptimizer(exact, PromptGradConfig(epochs=1, seed=1, verbose=False))
    with dspy.context(lm=desk_model().lm, adapter=JSON):
        optimizer.compile(Peeks(), trainset=examples)
    assert seen == {None}


def test_a_program_that_can_only_be_awaited_is_optimized():
    class Awaited(Routed):
        async def aforward(self, ticket):
            return await self.step.acall(ticket=ticket)

    assert rules_of(optimized(Awaited()))


def test_a_program_without_forward_is_told_so():
    with pytest.raises(ProjectError, match=r"The program Routed has no forward\(\)"):
        optimized(Routed())


def raising_at(word, error=None):
    class Strict(Routed):
        def forward(self, ticket):
            answer = self.step(ticket=ticket)
            if word in ticket:
                raise error or ValueError("no such queue")
            return answer

    return Strict()


def test_a_program_that_raises_at_some_answers_gets_them_wrong(caplog):
    caplog.set_level(logging.INFO, "promptgrad")
    optimizer = PromptGradOptimizer(exact, PromptGradConfig(epochs=1, seed=1))
    with dspy.context(lm=desk_model().lm, adapter=JSON):
        learnt = rules_of(optimizer.optimize(raising_at("yacht"), tickets(30, 1), tickets(30, 2)))
    assert learnt
    assert "yacht" not in learnt
    told = [message for message in caplog.messages if "raised ValueError" in message]
    notice, batch = told
    assert notice.startswith("The program raised ValueError on the example ")
    assert "no such queue (test_any_program.py, line" in notice
    assert batch.endswith("Wrong: raised ValueError (1)")


def test_a_program_that_raises_at_every_answer_is_wrong_itself():
    with pytest.raises(ProjectError, match="raised ValueError on the example 2-0: no such queue"):
        optimized(raising_at("Case"))


@pytest.mark.parametrize("error", [ConnectionError("the index is down"), NameError("name 'qeue'")])
def test_what_no_answer_can_cause_ends_the_run(error):
    with pytest.raises(ProjectError, match=rf"raised {type(error).__name__} on the example [12]-\d+"):
        optimized(raising_at("yacht", error))


def test_settings_of_the_context_reach_the_program_and_the_metric():
    class Looks(Routed):
        def forward(self, ticket):
            assert dspy.settings.rm == "an index"
            return self.step(ticket=ticket)

    def judged(example, prediction):
        assert dspy.settings.lm is not None
        return exact(example, prediction)

    assert rules_of(optimized(Looks(), metric=judged, rm="an index"))


def test_a_program_is_measured_in_the_prompts_that_it_is_served_in():
    model = desk_model()
    program = optimized(desk_program(), model=model, adapter=None)
    measured = {request.system for request in model.requests}
    with dspy.context(lm=model.lm, adapter=None):
        program(ticket="my drone is late")
    # The desk answers in JSON, so ChatAdapter asks once more with JSONAdapter.
    assert [request.system in measured for request in model.requests[-2:]] == [True, True]


@pytest.mark.parametrize(("adapter", "told"), [(None, True), (JSON, False)])
def test_whoever_configures_no_adapter_is_told_which_one_is_measured(adapter, told, caplog):
    caplog.set_level(logging.INFO, "promptgrad")
    optimizer = PromptGradOptimizer(exact, PromptGradConfig(epochs=1, seed=1))
    with dspy.context(lm=desk_model().lm, adapter=adapter):
        optimizer.optimize(desk_program(), tickets(4, 1), tickets(4, 2))
    assert ("No adapter is configured" in caplog.text) is told


AWKWARD = ["labels", "items", "keys", "values", "get", "copy", "inputs", "completions"]


@pytest.mark.parametrize("name", AWKWARD)
def test_an_output_may_have_a_name_that_a_prediction_uses_itself(name):
    metric = built_in_metric("exact_match", name)
    examples = [{"text": f"text {number}", name: "yes"} for number in range(4)]
    optimizer = PromptGradOptimizer(metric, PromptGradConfig(epochs=1, seed=1, verbose=False))
    model = scripted_model(lambda messages: json.dumps({name: "yes"}))
    session = OptimizationSession(
        optimizer,
        dspy.Predict(f"text -> {name}"),
        SessionExamples(examples[:2], examples[2:]),
        SessionModels(model.lm),
    )
    assert session.validate(LearnedState()).score == 1.0
    session.close()


@pytest.mark.parametrize("name", ["id", "demos", "config", "lm", "new_signature", "self"])
def test_an_input_with_a_reserved_name_is_refused_with_what_to_do(name):
    with pytest.raises(ProjectError, match=f"'{name}'") as raised:
        optimized(dspy.Predict(f"{name} -> queue"))
    assert "Rename it" in raised.value.hint
