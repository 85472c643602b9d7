import dspy
import pytest

from engine import PromptGradConfig, PromptGradOptimizer
from engine.ground.errors import UnreadableAnswersError
from engine.learning.rollouts import RolloutRunner
from engine.programs.program import FrozenProgram
from engine.programs.state import LearnedState
from engine.testing import scripted_model
from tests.engine.desk import desk_program, exact, tickets


def test_answers_none_of_which_can_be_read_are_counted_over_small_batches():
    poet = scripted_model(lambda messages: "a poem").lm
    runner = RolloutRunner(FrozenProgram(desk_program()), exact, poet, emit=lambda _event: None)
    items = runner.items(tickets(8, 1), "train")
    runner.run(LearnedState(), items[:4])
    with pytest.raises(UnreadableAnswersError, match="Not one of 8 answers could be read"):
        runner.run(LearnedState(), items[4:])


def test_a_small_validation_split_shows_that_no_answer_can_be_read():
    optimizer = PromptGradOptimizer(exact, PromptGradConfig(epochs=1, seed=1, verbose=False))
    with (
        dspy.context(lm=scripted_model(lambda messages: "a poem").lm, adapter=dspy.JSONAdapter()),
        pytest.raises(UnreadableAnswersError, match="asked for JSON with the field queue") as refused,
    ):
        optimizer.optimize(desk_program(), tickets(20, 1), tickets(4, 2))
    assert refused.value.message.startswith("Not one of 4 answers could be read.")
    assert refused.value.message.endswith("The first answer: a poem")
