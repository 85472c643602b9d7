from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.learning.analysis.consensus import agree, means_same
from engine.programs.rules import ParsedRule, Rule, RuleSet

NONE = RuleSet()


def add(text: str, trigger: str = "", predictor: str | None = None) -> ParsedRule:
    return ParsedRule(action="add", text=text, trigger=trigger, predictor=predictor)


def remove(text: str) -> ParsedRule:
    return ParsedRule(action="remove", text=text)


LOYALTY = add("Tickets that mention a gift card go to loyalty.", "gift card")
BILLING = add("Tickets that mention a gift card go to billing.", "gift card")


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("Any ticket with a gift card belongs to loyalty.", "gift card"),
        ("Any ticket with a gift card belongs to loyalty.", ""),
        ("Route gift-card messages to the loyalty queue, not billing.", "gift cards"),
        ("If a customer asks about gift cards, answer loyalty because billing can't see them.", "gift card"),
        ("Choose loyalty whenever the text contains gift card or voucher.", "gift card or voucher"),
    ],
)
def test_paraphrases_mean_the_same(text, trigger):
    assert means_same(LOYALTY, add(text, trigger))
    assert means_same(add(text, trigger), LOYALTY)


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("Tickets that mention a gift card go to billing.", "gift card"),
        ("Tickets that mention a gift card go to billing.", ""),
        ("Tickets that mention a gift box go to loyalty.", "gift box"),
        ("Tickets that mention a gift box go to loyalty.", ""),
        ("Tickets that mention a gift card don't go to loyalty.", "gift card"),
        ("Gift card tickets go to billing, not loyalty.", "gift card"),
        ("Tickets that don't mention a gift card go to loyalty.", ""),
        ("Tickets that mention a voucher go to loyalty.", "voucher"),
    ],
)
def test_another_answer_or_another_trigger_means_something_else(text, trigger):
    assert not means_same(LOYALTY, add(text, trigger))
    assert not means_same(add(text, trigger), LOYALTY)


def test_one_word_in_another_ones_place_parts_long_rules_without_triggers():
    text = "Tickets about a double charge on a gift card bought online in a foreign currency go to {}."
    assert not means_same(add(text.format("loyalty")), add(text.format("billing")))


def test_numbers_part_rules():
    text = "Refunds older than {} days go to escalation."
    assert not means_same(add(text.format(30), "refund older"), add(text.format(300), "refund older"))


def test_another_answer_parts_long_rules_with_the_same_trigger():
    text = "Gift card tickets older than a day and bought online go to {}."
    assert not means_same(add(text.format("loyalty"), "gift card"), add(text.format("billing"), "gift card"))


def test_labels_that_are_common_words_still_part_rules():
    one, other = "Messages that ask how are a question.", "Messages that ask how are a request."
    assert not means_same(add(one, "how"), add(other, "how"))


def test_a_majority_keeps_one_wording_with_its_support():
    paraphrase = add("Any ticket with a gift card belongs to loyalty.", "gift card")
    result = agree([[LOYALTY], [paraphrase], [add("Angry tickets go to care.", "angry")]], NONE)
    (kept,) = result.kept
    assert kept.text == LOYALTY.text
    assert (kept.support, kept.confidence) == (2, pytest.approx(3 / 5))
    (dropped,) = result.dropped
    assert (dropped.proposal.trigger, dropped.reason) == ("angry", "1 of 3 analyses proposed it")


def test_half_of_the_passes_is_no_majority():
    assert agree([[LOYALTY], []], NONE).kept == ()
    assert len(agree([[LOYALTY], [LOYALTY], []], NONE).kept) == 1


def test_passes_that_contradict_each_other_do_not_support_each_other():
    result = agree([[LOYALTY], [BILLING]], NONE)
    assert result.kept == ()
    assert [drop.proposal.text for drop in result.dropped] == [LOYALTY.text, BILLING.text]


def test_both_sides_of_a_contradiction_are_kept_if_both_have_a_majority():
    result = agree([[LOYALTY, BILLING], [BILLING, LOYALTY], [LOYALTY, BILLING]], NONE)
    assert [kept.text for kept in result.kept] == [LOYALTY.text, BILLING.text]


def test_one_pass_that_says_it_twice_counts_once():
    again = add("Any ticket with a gift card belongs to loyalty.", "gift card")
    assert agree([[LOYALTY, again], [], []], NONE).kept == ()


def test_a_single_pass_keeps_everything_and_is_not_certain():
    result = agree([[LOYALTY, BILLING]], NONE)
    assert [kept.confidence for kept in result.kept] == [pytest.approx(2 / 3)] * 2


def test_the_wording_closest_to_the_others_speaks_for_them():
    wordily = add("Gift card tickets, as loyal shoppers hold those, always go to loyalty.", "gift card")
    plain = add("Gift card tickets go to loyalty.", "gift card")
    result = agree([[wordily], [plain], [LOYALTY]], NONE)
    assert result.kept[0].text == plain.text
    assert result.kept[0].support == 3


def test_order_is_by_support_then_by_first_appearance():
    angry, late = (
        add("Angry tickets go to care.", "angry"),
        add("Late parcels go to shipping.", "late parcel"),
    )
    result = agree([[late, angry, LOYALTY], [angry, late], [LOYALTY, angry]], NONE)
    assert [kept.trigger for kept in result.kept] == ["angry", "late parcel", "gift card"]


def test_what_a_rule_says_already_is_dropped():
    existing = RuleSet([Rule(text="Any ticket with a gift card belongs to loyalty.", trigger="gift card")])
    result = agree([[LOYALTY, BILLING]], existing)
    assert [kept.text for kept in result.kept] == [BILLING.text]
    assert result.dropped[0].reason.startswith("a rule says this already: Any ticket")


def test_a_removal_refers_to_a_rule_by_its_text():
    existing = RuleSet([Rule(text=LOYALTY.text, trigger="gift card")])
    result = agree(
        [[remove(LOYALTY.text), remove("Something else.")], [remove(LOYALTY.text.lower())]], existing
    )
    (kept,) = result.kept
    assert (kept.action, kept.support) == ("remove", 2)
    assert [drop.reason for drop in result.dropped] == ["no rule says this"]


def test_a_removal_tells_rules_apart_that_differ_by_their_trigger_alone():
    existing = RuleSet([Rule(text="Answer 5.", trigger=trigger) for trigger in ("gift", "visa")])
    gift, visa = (ParsedRule(action="remove", text="Answer 5.", trigger=name) for name in ("gift", "visa"))
    (kept,) = agree([[gift], [visa], [visa]], existing).kept
    assert (kept.trigger, kept.support) == ("visa", 2)


def test_rules_for_different_predictors_differ():
    one, other = add(LOYALTY.text, "gift card", "route"), add(LOYALTY.text, "gift card", "reply")
    assert agree([[one], [other]], NONE).kept == ()
    assert len(agree([[one], [one]], NONE).kept) == 1
    existing = RuleSet([Rule(text=LOYALTY.text, trigger="gift card", predictor="reply")])
    assert len(agree([[one]], existing).kept) == 1
    assert agree([[other]], existing).kept == ()


def test_nothing_agrees_on_nothing():
    assert agree([], NONE).kept == agree([[], []], NONE).dropped == ()


vocabulary = ("gift", "card", "box", "go", "to", "loyalty", "billing", "not", "ticket")
proposals = st.builds(
    add,
    st.lists(st.sampled_from(vocabulary), min_size=1).map(" ".join),
    st.sampled_from(["", "gift card", "gift box"]),
)


@given(st.lists(st.lists(proposals, max_size=4), max_size=4))
def test_every_support_is_a_majority_and_nothing_is_invented(passes):
    result = agree(passes, NONE)
    texts = {proposal.text for proposals in passes for proposal in proposals}
    for kept in result.kept:
        assert kept.text in texts
        assert len(passes) / 2 < kept.support <= len(passes)
    assert {drop.proposal.text for drop in result.dropped} <= texts
    assert result == agree(passes, NONE)


@given(proposals, proposals)
def test_meaning_the_same_is_mutual(one, other):
    assert means_same(one, one)
    assert means_same(one, other) == means_same(other, one)
