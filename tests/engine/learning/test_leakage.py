from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.learning.analysis.leakage import QuotationIndex

TICKETS = [
    "Hello, my order 5512 arrived late and the box was broken. Please help me now.",
    "I paid twice for the blue lamp",
    "我的订单昨天到达时盒子已经坏了",
]


@pytest.fixture
def index() -> QuotationIndex:
    return QuotationIndex(TICKETS)


def test_eight_words_in_a_row_are_a_quotation_as_the_proposal_has_it(index):
    rule = "If a ticket says 'My order 5512 arrived late, and the\nbox was broken' then answer shipping."
    assert index.quoted_span(rule) == "My order 5512 arrived late, and the\nbox was broken"


def test_seven_words_of_a_long_rule_are_none(index):
    rule = "Where a ticket says that an order arrived late and the box was missing, the answer is shipping."
    assert index.quoted_span(rule) is None


def test_five_words_are_a_quotation_if_they_are_most_of_the_rule(index):
    assert index.quoted_span("Paid twice for the blue: billing.") == "Paid twice for the blue"
    assert index.quoted_span("Someone who has paid twice for the blue lamp goes to billing.") is None


def test_a_run_across_two_examples_is_no_quotation(index):
    assert index.quoted_span("Please help me now. I paid twice for the green lamp.") is None


def test_words_must_be_whole():
    assert QuotationIndex(["one two three four fives"]).quoted_span("one two three four five") is None


def test_two_characters_count_as_a_word_where_words_have_no_spaces(index):
    assert index.quoted_span("订单昨天到达时盒子已经坏了 就选物流") == "订单昨天到达时盒子已经坏了"
    assert index.quoted_span("订单昨天到达的时候选物流部门") is None


def test_the_limit_can_be_set():
    strict = QuotationIndex(TICKETS, longest=4)
    rule = "Whatever is called arrived late and the parcel that never came, the answer is shipping."
    assert strict.quoted_span(rule) == "arrived late and the"


@pytest.mark.parametrize("text", ["", "...", "short"])
def test_nothing_quotes_nothing(index, text):
    assert index.quoted_span(text) is None
    assert QuotationIndex([]).quoted_span(text) is None


@given(st.lists(st.sampled_from("abcdef"), min_size=10, max_size=30), st.integers(0, 2), st.integers(8, 10))
def test_every_long_run_of_an_example_is_found(words, start, length):
    quote = " ".join(words[start : start + length])
    found = QuotationIndex([" ".join(words)]).quoted_span(f"Here stands {quote} and so the answer is x y z")
    assert found is not None
    assert quote in found
