from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.programs.rules import Rule
from engine.programs.triggers import example_text, fires, select_rules, trigger_overlap

words = st.lists(
    st.sampled_from(["gift", "card", "refund", "broken", "parcel", "invoice", "late"]), min_size=1
)


@pytest.mark.parametrize(
    ("trigger", "text", "overlap"),
    [
        ("gift card", "My GIFT-CARDS don't work", 1.0),
        ("gift card", "a birthday card", 0.5),
        ("gift card", "a new login", 0.0),
        ("charged twice", "they are charging me twice", 1.0),
        ("refunds", "I was refunded", 1.0),
        ("missing boxes", "one box is missing", 1.0),
        ("no replies", "nobody replied", 0.5),
        ("mentions a gift card", "the gift card is lost", 1.0),
        ("the customer's parcel", "Customer: where is my parcel?", 1.0),
        ("gift card or voucher", "my voucher is lost", 1.0),
        ("gift card, store credit; voucher", "the store burned down", 0.5),
        ("late/lost parcel", "it came late", 1.0),
        ("24/7 support", "support 24/7 please", 1.0),
        ("over 1,000 dollars", "it costs over 1,000 dollars", 1.0),
        ("", "anything", 1.0),
        ("...", "anything", 1.0),
        ("why", "Why me", 1.0),
        ("why", "because", 0.0),
        ("Café", "zwei Cafe\u0301s", 1.0),
        ("straße", "STRASSE gesperrt", 1.0),
        ("退款", "我想申请退款", 1.0),
        ("退款、发票", "请开发票", 1.0),
        ("退款", "我的订单", 0.0),
        ("चालान", "मेरा चालान खो गया", 1.0),
        ("Rückerstattung", "Ich warte auf zwei Rückerstattungen", 1.0),
        ("Kündigungsfrist", "die Kündigungsfristen", 1.0),
        ("faktura", "pytanie o fakturze", 1.0),
        ("возврат", "жду возврата", 1.0),
        ("hyvitys", "odotan hyvityksen", 1.0),
        ("فاتورة", "أين الفاتورة", 1.0),
        ("subscribe", "my subscription", 1.0),
        ("Geschenkkarte", "mein Geschenkgutschein", 0.0),
        ("formation", "some information", 0.0),
        ("contract", "contact us", 0.0),
        ("account", "a discount", 0.0),
        ("card", "cardboard", 0.0),
    ],
)
def test_the_share_of_a_trigger_that_a_text_has(trigger, text, overlap):
    assert trigger_overlap(trigger, text) == overlap


@given(words, words)
def test_a_share_lies_between_0_and_1_and_grows_with_the_text(trigger, text):
    share = trigger_overlap(" ".join(trigger), " ".join(text))
    assert 0 <= share <= 1
    assert trigger_overlap(" ".join(trigger), " ".join(text + trigger)) == 1.0
    assert trigger_overlap(" ".join(trigger), " ".join(text) + " gift") >= share


@given(st.text(max_size=40), st.text(max_size=80))
def test_no_text_is_too_strange(trigger, text):
    assert 0 <= trigger_overlap(trigger, text) <= 1
    assert trigger_overlap(trigger, trigger) == 1.0


def test_the_text_of_an_example_is_all_its_inputs():
    assert example_text({"ticket": "Hello", "tags": ["gift", "card"], "n": 3}) == 'Hello\n["gift", "card"]\n3'


def test_a_rule_fires_where_most_of_its_trigger_is_found():
    rule = Rule(text="...", trigger="gift card balance")
    assert fires(rule, {"ticket": "my gift card is lost"})
    assert not fires(rule, {"ticket": "my card is lost"})
    assert fires(rule, {"ticket": "my card is lost"}, min_overlap=0.1)


def rules(*triggers: str) -> list[Rule]:
    return [Rule(text=f"rule {number}", trigger=trigger) for number, trigger in enumerate(triggers)]


def test_the_best_rules_are_selected_and_keep_their_order():
    known = rules("card", "gift voucher", "broken parcel", "gift card")
    chosen = select_rules(known, {"ticket": "my gift card"}, top_k=2, min_overlap=0.1)
    assert list(chosen) == [known[0], known[3]]


def test_rules_without_a_trigger_leave_room_for_the_one_that_fits():
    known = rules("", "", "", "", "", "gift card")
    assert known[5] in select_rules(known, {"ticket": "my gift card"}, top_k=5, min_overlap=0.1)


def test_rules_without_a_trigger_come_before_those_that_hardly_fit():
    known = rules("gift voucher at Christmas", "")
    assert list(select_rules(known, {"ticket": "a gift"}, top_k=1, min_overlap=0.1)) == [known[1]]


def test_of_equal_rules_the_first_are_selected():
    known = rules("card", "card", "card")
    assert list(select_rules(known, {"ticket": "card"}, top_k=2, min_overlap=0.1)) == known[:2]


def test_rules_that_overlap_too_little_are_left_out_and_those_without_trigger_stay():
    known = rules("gift voucher", "", "parcel")
    assert list(select_rules(known, {"ticket": "a gift"}, top_k=5, min_overlap=0.6)) == [known[1]]
    assert list(select_rules(known, {"ticket": "a gift"}, top_k=5, min_overlap=0.5)) == known[:2]
