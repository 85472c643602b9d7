import asyncio

import dspy
import pytest

from engine.ground.errors import DataError
from engine.programs.conditional import ConditionalProgram
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from tests.engine.desk import BASE, desk_model, desk_program, learned

RULES = RuleSet(
    [
        Rule(text="Tickets that mention drone go to aviation.", trigger="drone"),
        Rule(text="Tickets that mention visa go to legal.", trigger="visa"),
        Rule(text="Be brief.", trigger=""),
    ]
)

SHOWN = DemonstrationSet(
    Demonstration(inputs={"ticket": ticket}, outputs={"queue": queue}, example=ticket)
    for ticket, queue in (
        ("the visa is late", "legal"),
        ("a drone fell", "aviation"),
        ("my drone", "aviation"),
    )
)


def request(program, ticket):
    model = desk_model()
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        program(ticket=ticket)
    return model.requests[0]


def asked(program, ticket):
    return request(program, ticket).system


def met(program, ticket):
    """The tickets that are shown before the one that is asked about."""
    shown = [one.text for one in request(program, ticket).messages if one.role == "user"][:-1]
    return [text.split("[[ ## ticket ## ]]")[1].split("Respond")[0].strip() for text in shown]


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


def test_an_input_meets_the_nearest_demonstrations_after_those_of_the_base():
    base = desk_program()
    base.demos = [dspy.Example(ticket="a parcel", queue="general")]
    program = ConditionalProgram(base, demonstrations=SHOWN, nearest=2)
    assert met(program, "the drone fell") == ["a parcel", "my drone", "a drone fell"]
    assert met(program, "my visa") == ["a parcel", "a drone fell", "the visa is late"]
    assert len(base.demos) == 1


def test_its_demonstrations_are_saved_and_loaded_beside_the_base_program(tmp_path):
    made = ConditionalProgram(desk_program(), RULES, 1, 0.5, demonstrations=SHOWN, nearest=1)
    made.save(tmp_path / "state.json")
    loaded = ConditionalProgram(dspy.Predict("ticket -> queue"))
    loaded.load(tmp_path / "state.json")
    assert met(loaded, "my visa") == ["the visa is late"]
    assert learned(asked(loaded, "my visa")) == {"visa"}
    assert loaded.learned == made.learned
    assert loaded.selection == made.selection


def test_saved_demonstrations_that_cannot_be_read_change_nothing():
    program = ConditionalProgram(desk_program(), demonstrations=SHOWN, nearest=1)
    state = program.dump_state() | {"conditional_demonstrations": {"demonstrations": [{"in": 1}]}}
    with pytest.raises(DataError, match="conditional_demonstrations of the saved program can't be read"):
        program.load_state(state)
    assert met(program, "my visa") == ["the visa is late"]
