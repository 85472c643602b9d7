"""Which demonstrations an input meets: the nearest ones, the most similar last."""

from __future__ import annotations

import pytest

from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.nearest import longest_demonstrations, nearest_demonstrations, text_similarity
from engine.programs.rules import Rule, RuleSet
from engine.programs.selection import RuleSelection, Selection
from engine.programs.state import LearnedState


def shown(ticket: str, queue: str = "general", *, example: str = "", predictor: str = "") -> Demonstration:
    return Demonstration(
        inputs={"ticket": ticket}, outputs={"queue": queue}, example=example or ticket, predictor=predictor
    )


POOL = (
    shown("My parcel is late"),
    shown("The invoice was paid twice"),
    shown("Refund the invoice, it was paid already"),
    shown("Where is my parcel, it is late"),
    shown("Login fails"),
)


def tickets(demonstrations: list[Demonstration]) -> list[str]:
    return [one.inputs["ticket"] for one in demonstrations]


def test_the_most_similar_stands_last() -> None:
    near = nearest_demonstrations(POOL, {"ticket": "I paid the invoice twice"}, 2)
    assert tickets(near) == ["Refund the invoice, it was paid already", "The invoice was paid twice"]


def test_of_equals_the_first_counts_as_the_more_similar() -> None:
    pool = [shown("Parcels!", example="a"), shown("parcel", example="b"), shown("PARCEL?", example="c")]
    near = nearest_demonstrations(pool, {"ticket": "a parcel"}, 2)
    assert [one.example for one in near] == ["b", "a"]


def test_fewer_than_asked_for_are_all_shown() -> None:
    assert len(nearest_demonstrations(POOL, {"ticket": "Login"}, 12)) == 5
    assert nearest_demonstrations((), {"ticket": "Login"}, 3) == []


@pytest.mark.parametrize(
    ("text", "like", "unlike"),
    [
        ("Die Rückerstattungen fehlen", "Rückerstattung?", "Anmeldung?"),
        ("返品したいです", "返品できますか", "ログインできない"),
        ("order 4711", "order 4711 again", "order 5000 again"),
    ],
)
def test_texts_are_alike_in_any_language(text: str, like: str, unlike: str) -> None:
    assert 0 <= text_similarity(text, unlike) < text_similarity(text, like) <= 1


def test_texts_without_words_are_like_nothing() -> None:
    assert text_similarity("", "") == text_similarity("?", "parcel") == 0.0


def test_all_steps_show_the_same_examples() -> None:
    steps = [
        Demonstration(inputs=inputs, outputs={"out": name}, predictor=step, example=name)
        for name, ticket in (("paid", "The invoice was paid"), ("late", "The parcel is late"))
        for step, inputs in (("first", {"ticket": ticket}), ("second", {"draft": "the invoice"}))
    ]
    near = nearest_demonstrations(steps, {"ticket": "my parcel"}, 1)
    assert [(one.example, one.predictor) for one in near] == [("late", "first"), ("late", "second")]


def test_the_longest_examples_are_no_shorter_than_any_choice() -> None:
    assert tickets(longest_demonstrations(POOL, 2)) == [
        "Refund the invoice, it was paid already",
        "Where is my parcel, it is late",
    ]


def test_two_states_of_which_an_input_meets_the_same_are_one_to_it() -> None:
    near = Selection(nearest=1)
    inputs = {"ticket": "Login"}
    few, many = (LearnedState(demonstrations=DemonstrationSet(pool)) for pool in (POOL[3:], POOL))
    assert few != many
    assert near(few, inputs) == near(many, inputs)
    assert near(few, {"ticket": "parcel late"}) != near(many, {"ticket": "paid twice"})


def test_each_layer_is_picked_by_itself() -> None:
    rules = RuleSet([Rule(text="Be kind.", trigger="login"), Rule(text="Be brief.", trigger="parcel")])
    state = LearnedState(rules, DemonstrationSet(POOL))
    of_rules = Selection(RuleSelection(5, 0.5))
    met = of_rules(state, {"ticket": "login"})
    assert [rule.text for rule in met.rules] == ["Be kind."]
    assert met.demonstrations == state.demonstrations
    assert of_rules.always(state) == LearnedState(demonstrations=state.demonstrations)
    assert Selection(nearest=2)(state, {"ticket": "login"}).rules == rules
    assert Selection(nearest=2).always(state) == LearnedState(rules)
