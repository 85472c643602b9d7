"""Right and wrong answers of every kind of metric, as a table."""

from __future__ import annotations

import datetime
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from engine import MetricError as PublicMetricError
from engine import Score, built_in_metric
from engine.ground.errors import MetricError

CAFE_APART = unicodedata.normalize("NFD", "café")
FENCED = 'Here it is:\n```json\n{"city": "Rome", "year": 3}\n```\nAnything else?'


class City(BaseModel):
    city: str
    year: int


RIGHT = [
    ("number", "12,34", "12.34"),
    ("number", "0.75", "0,75"),
    ("number", "0,75", "it is .75 m"),
    ("number", "0,750", "0.75"),
    ("number", 1234567, "1'234'567 Fr."),
    ("number", 1234567, "1\u202f234\u202f567"),
    ("number", 1234567, "1.234.567"),
    ("number", "1.234,56", "1,234.56"),
    ("number", 1234567, "12,34,567 rupees"),
    ("number", 42, "\uff14\uff12"),
    ("number", 42, "\u0664\u0662"),
    ("number", 7, "7 kg of CO2"),
    ("number", -3, "minus: \u22123"),
    ("number", 2, "H2"),
    ("number", "2024-05-01", "on 2024-5-1"),
    ("number", "12:30", "at 12:30"),
    ("number", 42, "42 (as of 2024-05-01)"),
    ("number", 2021, "2020-2021"),
    ("number", 3, "1,2,3"),
    ("number", "1e400", "1" + "0" * 400),
    ("number", 10**30, f"{10**30}"),
    ("number", 5, "$5.00"),
    ("normalized_match", "don't", "don\u2019t"),
    ("normalized_match", "yes", "\u201cYes\u201d"),
    ("normalized_match", "yes", "**Yes.**"),
    ("normalized_match", "东京", "东京。"),
    ("normalized_match", "1,234", "1234"),
    ("normalized_match", "2020-2021", "2020\u20132021"),
    ("normalized_match", "-3", "\u22123"),
    ("normalized_match", "The Billing-Team", "billingteam."),
    ("normalized_match", "a dog", "Dog"),
    ("normalized_match", "hepatitis a", "Hepatitis A"),
    ("normalized_match", "ﬁne", "fine"),
    ("normalized_match", "yes", "ye\u200bs"),
    ("contains", "male", "a male patient"),
    ("contains", "no", "No."),
    ("contains", "10", "about 10, I think"),
    ("contains", "C++", "written in C++."),
    ("contains", "东京", "我住在东京的中心"),
    ("contains", "New York", "in New\nYork City"),
    ("contains", "", ""),
    ("exact_match", "café", CAFE_APART),
    ("exact_match", CAFE_APART, " café\n"),
    ("date", "2024-05-31", "May 31, 2024"),
    ("date", "2024-05-31", "on the 31st of May 2024."),
    ("date", "2024-05-31", "31.5.2024"),
    ("date", "2024-05-31", "31/05/2024"),
    ("date", "2024-03-01", "1. März 2024"),
    ("date", "2024-02-01", "1 février 2024"),
    ("date", "2024-02-01", "1 de febrero de 2024"),
    ("date", "2024-05-31", "2024-05-31T10:00:00Z"),
    ("date", "2024-05-31", "20240531"),
    ("date", datetime.date(2024, 5, 31), "05/31/2024"),
    ("date", "2024-05-31", "first 2024-05-30, then 2024-05-31"),
    ("choice", "B", "b"),
    ("choice", "B", "(B)"),
    ("choice", "B", "B) Paris"),
    ("choice", "B", "B. Paris"),
    ("choice", "B", "The answer is B."),
    ("choice", "B", "**Answer:** B"),
    ("choice", "B) Paris", "B"),
    ("choice", "A", "I would say A is wrong at first. The answer is (A)."),
    ("any_of", ["NYC", "New York"], "new york."),
    ("any_of", "NYC", "nyc"),
    ("any_of", '["NYC", "New York"]', "NYC"),
    ("set_f1", ["red", "green"], "Green, red"),
    ("set_f1", "red; green", ["green", "red"]),
    ("set_f1", ["red", "green"], '["green", "red"]'),
    ("set_f1", ["red", "green"], "- red\n- green"),
    ("set_f1", [], ""),
    ("json_fields", {"city": "Rome", "year": 3}, FENCED),
    ("json_fields", {"city": "Rome"}, 'Sure! {"city": "Rome"} Anything else?'),
    ("json_fields", {"city": "Rome"}, 'The set {x} is empty. {"city": "Rome"}'),
    ("json_equal", {"a": 1, "b": [1, 2]}, '{"b": [1, 2.0], "a": 1}'),
    ("json_equal", '{"city": "Rome", "year": 3}', City(city="Rome", year=3)),
    ("json_equal", [1, 2], "[1, 2]"),
    ("json_equal", [1, 2], "Sure: [1, 2]."),
]

WRONG = [
    ("number", "12,34", "99,34"),
    ("number", "2024-05-01", "2023-05-01"),
    ("number", "12:30", "11:30"),
    ("number", "2020-2021", "2019-2021"),
    ("number", "1.2.3", "2.2.3"),
    ("number", "192.168.0.1", "192.168.1.1"),
    ("number", "1.5-3.5", "2.5-3.5"),
    ("number", 3, "-3"),
    ("number", 1234, "1.234"),
    ("number", 30, "12:30"),
    ("number", 2, "7 kg of CO2"),
    ("number", 5, "9" * 5000),
    ("number", "9" * 5000, "9" * 4999),
    ("normalized_match", "1.5", "15"),
    ("normalized_match", "-3", "3"),
    ("normalized_match", "C++", "C#"),
    ("normalized_match", "C", "C++"),
    ("normalized_match", "$10", "10%"),
    ("normalized_match", "10", "10%"),
    ("normalized_match", "<5", ">5"),
    ("normalized_match", "Hepatitis A", "hepatitis"),
    ("normalized_match", "12:30", "1230"),
    ("normalized_match", "1/2", "12"),
    ("normalized_match", "10-20", "1020"),
    ("normalized_match", "12,34", "1234"),
    ("normalized_match", ".5", "5"),
    ("normalized_match", "👍", "👎"),
    ("normalized_match", "a@b.com", "ab.com"),
    ("contains", "male", "female"),
    ("contains", "no", "Unknown"),
    ("contains", "1", "10"),
    ("contains", "1", "1.5"),
    ("contains", "5", "-5"),
    ("contains", "5", "1.5"),
    ("contains", "C", "written in C++"),
    ("contains", "", "anything"),
    ("exact_match", "cafe", "café"),
    ("exact_match", "1", 2),
    ("date", "2024-05-31", "2023-05-31"),
    ("date", "2024-05-31", "31 June 2024"),
    ("date", "2024-04-03", "03/04/2024"),
    ("date", "2024-05-31", "May"),
    ("choice", "B", "C"),
    ("choice", "B", "A and B"),
    ("choice", "B", "B or C"),
    ("choice", "B", "I don't know"),
    ("any_of", ["NYC", "New York"], "York"),
    ("json_fields", {"done": True}, '{"done": 1}'),
    ("json_fields", {"n": 1}, f'{{"n": {"9" * 5000}}}'),
    ("json_equal", {"a": 1}, '{"a": 1, "b": 2}'),
    ("json_equal", {"a": 1}, {"a": "1"}),
    ("json_equal", {"a": True}, {"a": 1}),
    ("json_equal", {"a": None}, {}),
    ("json_equal", [1, 2], [2, 1]),
    ("json_equal", {"a": 1}, "no JSON"),
]


def scored(kind: Any, expected: Any, got: Any, **options: Any) -> Score:
    return built_in_metric(kind, "answer", **options)({"answer": expected}, {"answer": got})


@pytest.mark.parametrize(("kind", "expected", "got"), RIGHT)
def test_right(kind: str, expected: Any, got: Any) -> None:
    assert scored(kind, expected, got) == Score(1.0, True)


@pytest.mark.parametrize(("kind", "expected", "got"), WRONG)
def test_wrong(kind: str, expected: Any, got: Any) -> None:
    score = scored(kind, expected, got)
    assert not score.is_success
    assert score.feedback
    assert score.error_type


def test_what_looks_the_same_is_told_apart_by_its_characters() -> None:
    cyrillic = scored("exact_match", "paypal", "p\u0430ypal").feedback
    assert cyrillic.endswith(
        "The characters are U+0061 LATIN SMALL LETTER A and U+0430 CYRILLIC SMALL LETTER A."
    )
    hidden = scored("exact_match", "billing", "bill\u200bing").feedback
    assert hidden.endswith("One of them holds U+200B ZERO WIDTH SPACE.")


def test_options() -> None:
    assert scored("date", "2024-04-03", "03/04/2024", day_first=True).is_success
    assert scored("any_of", [1.5, 2], "it is 1,5", match="number").is_success
    assert scored("any_of", [1, 2], "2.2", match="number", tolerance=0.25).is_success
    choices = ["refund", "no refund", "exchange"]
    assert scored("choice", "refund", "I would give a refund.", choices=choices).is_success
    assert scored("choice", "refund", "no refund", choices=choices).error_type == "expected refund"
    assert scored("choice", "refund", "refund or exchange", choices=choices).error_type == "several choices"


def test_a_search_that_would_never_end_fails_that_answer() -> None:
    """Python's own `re` would search for days."""
    assert scored("regex", "", "a" * 60 + "!", pattern=r"^(a+)+$").error_type == "no match"


def test_partial_credit_for_labels() -> None:
    score = scored("set_f1", ["red", "green", "blue"], "red, green, pink", threshold=0.9)
    assert score.value == pytest.approx(2 / 3)
    assert score.feedback == "Of the labels, it lacks blue and it should not have pink."
    assert score.error_type == "lacks blue"


def test_a_difference_in_json_is_named_by_its_path() -> None:
    score = scored("json_equal", {"a": {"b": [1, 2]}}, '{"a": {"b": [1, 3]}}')
    assert score.feedback == "a.b[1]: expected 2 but got 3."


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("exact", {}, "no metric of the kind 'exact'"),
        ("exact_match", {"tolerance": 1.0}, "tolerance has no effect with exact_match"),
        ("number", {"pattern": "a"}, "pattern has no effect with number"),
    ],
)
def test_kinds_and_options_that_do_not_exist_are_refused(kind: Any, options: Any, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        built_in_metric(kind, "answer", **options)


@pytest.mark.parametrize(("kind", "gold"), [("date", "soon"), ("json_equal", "{"), ("any_of", [])])
def test_an_expected_value_that_cannot_be_right_is_the_projects_mistake(kind: Any, gold: Any) -> None:
    with pytest.raises(PublicMetricError):
        scored(kind, gold, "x")


numbers = st.decimals(-(10**9), 10**9, places=2, allow_nan=False).map(float)


@given(numbers, st.sampled_from(["{:.2f}", "{:,.2f}", "It is {:.2f}.", "x = {:.2f} kg of CO2"]))
def test_a_number_is_read_however_it_is_written(value: float, form: str) -> None:
    assert scored("number", value, form.format(value)).is_success
    assert scored("number", f"{value:.2f}".replace(".", ","), form.format(value)).is_success
    assert not scored("number", value, form.format(value + 1)).is_success


SIGNS = ("{}", "-{}", "${}", "{}%", "<{}", ">{}", "{}.5", "{}:30", "{}/7", "+{}")


@given(st.integers(1, 10**6), st.sampled_from(SIGNS), st.sampled_from(SIGNS))
def test_a_sign_or_symbol_makes_another_value(number: int, one: str, other: str) -> None:
    is_same = one == other or {one, other} == {"{}", "+{}"}
    if not is_same:
        assert not scored("normalized_match", one.format(number), other.format(number)).is_success
    assert scored("normalized_match", one.format(number), f" {one.format(number)}. ").is_success


@given(st.integers(1000, 10**9), st.sampled_from([",", " ", "\u202f", "'", "\u2019", "\u00a0"]))
def test_thousands_may_be_set_apart_by_any_sign(number: int, sign: str) -> None:
    written = f"{number:,}".replace(",", sign)
    assert scored("number", number, f"It is {written} in all.").is_success
    assert not scored("number", number + 1, written).is_success


@given(st.text("abcxyz", min_size=1, max_size=6), st.text("abcxyz", min_size=1, max_size=6))
def test_a_part_of_a_word_is_not_contained(word: str, more: str) -> None:
    assert not scored("contains", word, f"it is {word}{more}").is_success
    assert not scored("contains", word, f"it is {more}{word}").is_success
    assert scored("contains", word, f"it is ({word})").is_success


@given(st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=12))
def test_composed_and_decomposed_letters_are_the_same(text: str) -> None:
    apart, together = unicodedata.normalize("NFD", text), unicodedata.normalize("NFC", text)
    assert scored("exact_match", together, apart).is_success
    assert scored("exact_match", apart, together).is_success


@given(st.dates(), st.dates())
def test_another_date_is_another_date(one: datetime.date, other: datetime.date) -> None:
    assert scored("date", one, f"on {other.isoformat()}").is_success is (one == other)


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12))
def test_quotes_points_and_capitals_around_a_word_change_nothing(word: str) -> None:
    assert scored("normalized_match", word, f"\u201c{word}\u201d.").is_success
    assert scored("contains", word, f"It is: \u201c{word}\u201d, I think.").is_success


@given(st.dates())
def test_a_date_is_read_however_it_is_written(date: datetime.date) -> None:
    written = [
        date.isoformat(),
        f"{date.day}.{date.month}.{date.year:04}",
        f"{date:%B} {date.day}, {date.year:04}",
    ]
    for text in written:
        assert scored("date", date, f"It was {text}.").is_success


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef"), unique=True))
def test_the_f1_of_labels_is_that_of_sets(wanted: list[str], found: list[str]) -> None:
    expected = 2 * len({*wanted} & {*found}) / (len(wanted) + len(found)) if wanted or found else 1.0
    assert scored("set_f1", wanted, ", ".join(found)).value == pytest.approx(expected)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_json_equals_itself(value: Any) -> None:
    assert scored("json_equal", [value], [value]).is_success
    assert not scored("json_equal", [value], [value, value]).is_success


@given(
    st.text(), st.sampled_from(["date", "number", "choice", "any_of", "set_f1", "json_fields", "json_equal"])
)
def test_no_answer_crashes_a_metric(got: str, kind: str) -> None:
    golds = {
        "date": "2024-01-01",
        "number": 3,
        "json_fields": {"a": 1},
        "json_equal": {"a": 1},
        "any_of": ["a"],
    }
    assert 0.0 <= scored(kind, golds.get(kind, "B"), got).value <= 1.0
