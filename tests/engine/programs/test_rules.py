from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.ground.interval import Evidence
from engine.programs.rules import (
    RULES_HEADING,
    ParsedRule,
    Rule,
    RuleSet,
    instructions_with,
    render_instructions,
    render_numbered,
)

A, B, C = Rule(text="Say A."), Rule(text="Say B.", trigger="bee"), Rule(text="Say C.", predictor="second")


def test_a_proposal_is_checked_where_it_comes_in() -> None:
    rule = ParsedRule(action="add", text="Say A.")
    assert (rule.trigger, rule.confidence, rule.rationale, rule.predictor, rule.support) == (
        "",
        0.5,
        "",
        None,
        1,
    )
    for wrong in ({"action": "change"}, {"confidence": 1.1}, {"support": 0}, {"priority": 1}):
        with pytest.raises(ValidationError):
            ParsedRule.model_validate({"action": "add", "text": "x", **wrong})


def test_a_rule_is_known_by_what_it_says_and_to_whom() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", A.id)
    evidence = Evidence(delta=0.1, low=0.0, high=0.2, n=15)
    same = A.model_copy(update={"evidence": evidence, "epoch": 3, "confidence": 0.9})
    assert same.id == A.id
    others = [Rule(text="Say A"), Rule(text="Say A.", trigger="a"), Rule(text="Say A.", predictor="p")]
    assert len({A.id, *(rule.id for rule in others)}) == 4


def test_where_one_field_ends_and_the_next_begins_matters() -> None:
    assert Rule(text="a", trigger="bc").id != Rule(text="ab", trigger="c").id


def test_a_set_keeps_its_order_and_each_rule_once() -> None:
    rules = RuleSet([B, A, B])
    assert list(rules) == [B, A]
    assert len(rules) == 2
    assert A in rules
    assert C not in rules
    assert "Say A." not in rules


def test_sets_are_equal_if_they_say_the_same_in_the_same_order() -> None:
    assert RuleSet([A, B]) == RuleSet([A.model_copy(update={"epoch": 2}), B])
    assert RuleSet([A, B]) != RuleSet([B, A])
    assert RuleSet([A]) != [A]
    assert len({RuleSet([A, B]), RuleSet([A, B]), RuleSet()}) == 2
    assert "Say A." in repr(RuleSet([A]))


def test_sets_are_changed_by_making_others() -> None:
    rules = RuleSet([A])
    assert list(rules.adding(B, A, C)) == [A, B, C]
    assert list(rules.adding(B).removing(A)) == [B]
    assert list(rules.removing(C)) == [A]
    assert list(rules) == [A]


def test_a_merged_rule_takes_the_place_of_the_first() -> None:
    merged = Rule(text="Say A and C.")
    assert list(RuleSet([B, A, C]).replacing([A, C], merged)) == [B, merged]
    assert list(RuleSet([A, B]).replacing([], merged)) == [A, B]


def test_each_predictor_gets_its_own_rules() -> None:
    base = dict.fromkeys(("", "second", "third"), "Base.")
    assert instructions_with([A, C, B], base) == {
        "": render_instructions("Base.", [A, B]),
        "second": render_instructions("Base.", [C]),
        "third": "Base.",
    }
    assert list(RuleSet([A, C]).for_predictor("second")) == [C]


def test_a_single_predictor_gets_all_rules() -> None:
    assert instructions_with([A, C], {"self": "Base."}) == {"self": render_instructions("Base.", [A, C])}


def test_the_base_stands_unchanged_before_the_rules() -> None:
    assert render_instructions("Route it.\n", []) == "Route it.\n"
    assert render_instructions("Route it.\n", [A, B]) == f"Route it.\n\n{RULES_HEADING}\n- Say A.\n- Say B."


def test_an_analysis_sees_rules_by_their_numbers() -> None:
    assert render_numbered([A, B]) == "1. Say A.\n2. Say B."
    assert render_numbered([]) == "none"


texts = st.lists(st.text(max_size=5), max_size=6)


@given(texts, texts)
def test_adding_and_removing_are_inverse(base: list[str], added: list[str]) -> None:
    rules = RuleSet(Rule(text=text) for text in base)
    new = [Rule(text=text) for text in added if Rule(text=text) not in rules]
    assert rules.adding(*new).removing(*new) == rules


@given(texts)
def test_the_base_is_always_a_prefix(rules: list[str]) -> None:
    assert render_instructions("Base", [Rule(text=text) for text in rules]).startswith("Base")
