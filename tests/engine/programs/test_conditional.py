import asyncio

import dspy
import pytest

from engine.ground.errors import DataError
from engine.programs.conditional import ConditionalProgram
from engine.programs.rules import Rule, RuleSet
from tests.engine.desk import BASE, desk_model, desk_program, learned

RULES = RuleSet(
    [
        Rule(text="Tickets that mention drone go to aviation.", trigger="drone"),
        Rule(text="Tickets that mention visa go to legal.", trigger="visa"),
        Rule(text="Be brief.", trigger=""),
    ]
)


def asked(program, ticket):
    model = desk_model()
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        program(ticket=ticket)
    return model.requests[0].system


def test_an_input_meets_only_the_rules_that_concern_it():
    program = ConditionalProgram(desk_program(), RULES, top_k=5, min_overlap=0.5)
    assert learned(asked(program, "a drone")) == {"drone"}
    assert learned(asked(program, "a visa and a drone")) == {"drone", "visa"}


def test_a_rule_without_a_trigger_concerns_every_input():
    program = ConditionalProgram(desk_program(), RULES, top_k=5, min_overlap=0.5)
    assert "Be brief." in asked(program, "a parcel")


def test_its_rules_are_saved_and_loaded_beside_the_base_program(tmp_path):
    ConditionalProgram(desk_program(), RULES, top_k=1, min_overlap=0.5).save(tmp_path / "state.json")
    loaded = ConditionalProgram(dspy.Predict("ticket -> queue"))
    loaded.load(tmp_path / "state.json")
    assert loaded.base.signature.instructions == BASE
    assert learned(asked(loaded, "a visa and a drone")) == {"drone"}
    assert learned(asked(loaded, "a parcel")) == set()


def test_saved_rules_that_cannot_be_read_change_nothing():
    program = ConditionalProgram(desk_program(), RULES, top_k=5, min_overlap=0.5)
    state = program.dump_state() | {"conditional_rules": {"rules": [{"txt": "?"}]}}
    with pytest.raises(DataError, match="conditional_rules of the saved program can't be read"):
        program.load_state(state)
    assert learned(asked(program, "a drone")) == {"drone"}


def test_a_copy_keeps_its_rules():
    copy = ConditionalProgram(desk_program(), RULES, top_k=1, min_overlap=0.5).deepcopy()
    assert learned(asked(copy, "a visa and a drone")) == {"drone"}


def test_it_asks_the_lm_that_it_was_given():
    program = ConditionalProgram(desk_program(), RULES, top_k=5, min_overlap=0.5)
    own = desk_model()
    program.set_lm(own.lm)
    with dspy.context(lm=desk_model().lm, adapter=dspy.JSONAdapter()):
        program(ticket="a drone")
    assert len(own.requests) == 1


def test_a_state_that_is_loaded_counts():
    program = ConditionalProgram(desk_program(), RULES, top_k=5, min_overlap=0.5)
    base = dspy.Predict(dspy.Signature("ticket -> queue", "Be quick."))
    program.load_state({"base": base.dump_state()})
    assert "Be quick." in asked(program, "a drone")
    assert learned(asked(program, "a drone")) == {"drone"}


def test_it_can_be_awaited():
    model = desk_model()
    program = ConditionalProgram(desk_program(), RULES, top_k=5, min_overlap=0.5)

    async def answer():
        with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
            return await program.acall(ticket="a drone")

    assert asyncio.run(answer()).queue == "aviation"
    assert learned(model.requests[0].system) == {"drone"}
