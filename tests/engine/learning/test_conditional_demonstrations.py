"""Demonstrations that are picked for each input: learned as a pool, shown as the nearest few."""

from __future__ import annotations

from dataclasses import replace

import dspy
import pytest

from engine import PromptGradConfig, PromptGradOptimizer
from engine.ground.errors import BudgetExhaustedError
from engine.journal.completions import MemoryCompletions
from engine.journal.learning_events import LayerTested
from engine.learning.demonstrations.draws import labelled
from engine.learning.optimizer import OptimizationSession
from engine.learning.session_inputs import (
    SessionExamples,
    SessionFollowers,
    SessionModels,
    room_by_characters,
)
from engine.programs.conditional import ConditionalProgram
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.state import LearnedState
from engine.testing import scripted_model
from tests.engine.desk import exact, replayed
from tests.engine.learning.clerk import Clerk, clerk_model, clerk_program, clerk_tickets
from tests.engine.learning.test_layers_resume import run

CONFIG = PromptGradConfig(
    seed=1,
    verbose=False,
    epochs=1,
    batches_per_epoch=1,
    sources=("failure_analysis",),
    max_demonstrations=30,
    conditional_demonstrations=2,
)


def session(model=None, *, config=CONFIG, scorer=None, emit=lambda event: None, room=room_by_characters):
    return OptimizationSession(
        PromptGradOptimizer(exact, config),
        clerk_program(),
        SessionExamples(clerk_tickets(48, 1), clerk_tickets(24, 2)),
        SessionModels(replayed(model or clerk_model(Clerk())), scorer=scorer, room=room),
        SessionFollowers(emit),
    )


def tickets_shown(request):
    texts = [message.text for message in request.messages if message.role == "user"]
    return [text.split("[[ ## ticket ## ]]")[1].split("Respond")[0].strip() for text in texts]


def asked(model):
    return [tickets_shown(one) for one in model.requests if "`analysis`" not in str(one.system)]


@pytest.fixture
def learned():
    model, events = clerk_model(Clerk()), []
    made = session(model, scorer=Clerk(), emit=events.append)
    yield made, made.run(), model, events
    made.close()


def test_a_pool_is_learned_and_each_prompt_shows_its_nearest_two(learned):
    made, found, model, events = learned
    assert len(found.state.demonstrations) == 30
    assert {event.verdict for event in events if isinstance(event, LayerTested)} == {"accepted"}
    assert found.best.score > 0.9, "the nearest demonstration has the word that decides"
    assert {len(tickets) - 1 for tickets in asked(model)} == {0, 2}
    program = made.program_with(found.state)
    assert isinstance(program, ConditionalProgram)
    shown = {one.inputs["ticket"] for one in found.state.demonstrations}
    met = {ticket for tickets in asked(model) for ticket in tickets[:-1]}
    assert met <= shown
    assert len(met) > 10


def test_the_served_program_asks_what_was_measured(learned):
    made, found, model, _ = learned
    program, served = made.program_with(found.state), scripted_model(Clerk().answer)
    with dspy.context(lm=served.lm, adapter=dspy.JSONAdapter()):
        for item in made.validation:
            program(**item.inputs)
    known = asked(model)
    assert all(tickets in known for tickets in asked(served))


def test_a_training_example_is_never_shown_to_itself():
    model = clerk_model(Clerk())
    made = session(model)
    pool = [item for item in made.train if item.values["queue"] == "music"]
    state = LearnedState(
        demonstrations=DemonstrationSet(labelled(item, "self", ["queue"], "balanced") for item in pool)
    )
    made.runner.run(state, pool)
    made.close()
    assert len(asked(model)) == len(pool)
    for *shown, last in asked(model):
        assert len(shown) == 2
        assert last not in shown


def test_states_that_show_an_input_the_same_share_its_rollout(learned):
    made, found, _, _ = learned
    state, item = found.state, made.validation[0]
    before = made.runner.performed
    made.runner.run(state, [item])
    assert made.runner.performed == before, "it was run when the pool was tested"
    shown = state.demonstrations
    near = CONFIG.selection(state, item.inputs).demonstrations.examples
    far = next(one.example for one in shown if one.example not in near)
    without_far = state.with_demonstrations(shown.without_examples([far]))
    without_near = state.with_demonstrations(shown.without_examples(near))
    assert made.runner.is_known(without_far, item)
    assert not made.runner.is_known(without_near, item)
    made.runner.run(without_far, [item])
    made.runner.run(without_near, [item])
    assert made.runner.performed == before + 1


def test_rules_are_screened_with_what_the_prompt_will_show():
    sizes = []

    class Scorer(Clerk):
        def score(self, messages, continuations):
            sizes.append(sum(message["role"] == "user" for message in messages) - 1)
            return super().score(messages, continuations)

    made = session(config=replace(CONFIG, sources=("topics",)), scorer=Scorer())
    made.run()
    made.close()
    assert set(sizes) == {2}


def test_a_pool_may_be_larger_than_a_prompt():
    longest = []

    def room(messages):
        longest.append(sum(message["role"] == "user" for message in messages) - 1)
        return longest[-1] <= 2

    made = session(room=room)
    found = made.run()
    made.close()
    assert max(longest) == 2
    assert len(found.state.demonstrations) == 30


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_run_ended_anywhere_comes_to_the_same_end(share):
    found, events, usage = run(MemoryCompletions(), Clerk(), config=CONFIG)
    assert len(found.state.demonstrations) == 30
    store, clerk = MemoryCompletions(), Clerk()
    try:
        first, _, _ = run(store, clerk, round(share * usage.calls), config=CONFIG)
        assert first.exhausted
    except BudgetExhaustedError:
        pass
    again, told, _ = run(store, clerk, config=CONFIG)
    assert (again.state, again.best) == (found.state, found.best)
    assert told == events
    assert store.completions_paid("run") == usage.calls
