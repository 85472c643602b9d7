"""Which rules are said in one when there are more than a prompt should hold."""

from __future__ import annotations

from engine.ground.interval import Evidence
from engine.learning.merging import similar_groups
from engine.programs.rules import Rule


def rule(text: str, trigger: str, **moved: float) -> Rule:
    evidence = Evidence(delta=0.1, low=0.0, high=0.2, n=15, deltas=moved) if moved else None
    return Rule(text=text, trigger=trigger, evidence=evidence)


def grouped(*rules: Rule) -> list[list[int]]:
    return [[rules.index(member) for member in group] for group in similar_groups(rules)]


def test_three_wordings_of_one_rule_are_a_group():
    assert grouped(
        rule("Tickets that ask about a points balance go to loyalty.", "points balance"),
        rule("If a customer wants to know their points balance, choose loyalty.", "points balance"),
        rule("Route every question on the balance of points to loyalty.", "balance of points"),
    ) == [[0, 1, 2]]


def test_rules_of_one_shape_that_differ_in_topic_or_answer_are_none():
    assert (
        grouped(
            rule("Tickets that mention a points balance go to loyalty.", "points balance"),
            rule("Tickets that mention a gift card go to loyalty.", "gift card"),
            rule("Tickets that mention a school laptop go to education.", "school laptop"),
            rule("Tickets that mention a points balance go to billing.", "points balance"),
        )
        == []
    )


def test_rules_that_moved_the_same_examples_the_same_way_are_a_group_whatever_they_say():
    same = {"a": 1.0, "b": 1.0, "c": -1.0, "d": 0.0}
    assert grouped(
        rule("Vouchers belong to loyalty.", "voucher", **same),
        rule("Whatever was bought as a present is handled by the club.", "present", **same),
        rule("Presents again.", "", **{**same, "c": 1.0}),
        rule("Kayaks go to sports.", "kayak", d=1.0, e=1.0),
    ) == [[0, 1]]


def test_one_example_that_two_rules_moved_shows_no_common_effect():
    assert grouped(rule("Vouchers.", "voucher", a=1.0), rule("Presents.", "present", a=1.0)) == []
