from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from models.gguf.grammar import Thinking, schema_to_gbnf
from models.gguf.library import NativeModel
from models.gguf.sampling import Candidates, GrammarCache


class Queue(Enum):
    BILLING = "billing"
    LOYALTY = "loyalty"


class Rule(BaseModel):
    when: str
    then: str


class Answer(BaseModel):
    reasoning: str
    queue: Queue
    rules: list[Rule]
    confidence: float
    urgent: bool
    note: str | None
    kind: Literal["a", 'with "quotes"']


ANSWER: dict[str, Any] = {
    "reasoning": 'It says "gift card" and über\n\tthat \\ there.',
    "queue": "loyalty",
    "rules": [{"when": "gift card", "then": "loyalty"}, {"when": "", "then": ""}],
    "confidence": 0.25,
    "urgent": False,
    "note": None,
    "kind": 'with "quotes"',
}


class Node(BaseModel):
    name: str
    children: list[Node] = Field(default_factory=list)


@pytest.fixture(scope="module")
def model(tiny_path: Path) -> Iterator[NativeModel]:
    model = NativeModel(tiny_path, gpu_layers=0)
    yield model
    model.close()


@pytest.fixture
def accepts(model: NativeModel) -> Iterator[Any]:
    cache = GrammarCache(model)

    def accepts(schema: dict[str, Any], text: str) -> bool:
        grammar, candidates = cache.get(schema_to_gbnf(schema)), Candidates(model.n_vocab)
        try:
            for token in model.tokenize(text).tolist():
                if not grammar.allows(token, candidates):
                    return False
                grammar.accept(token)
            return grammar.allows(model.eos, candidates)
        finally:
            grammar.close()

    yield accepts
    cache.close()


@pytest.mark.parametrize("indent", [None, 2, 4])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_in_every_layout_that_json_dumps_writes(
    accepts: Any, indent: int | None, ascii_only: bool
) -> None:
    assert accepts(Answer.model_json_schema(), json.dumps(ANSWER, indent=indent, ensure_ascii=ascii_only))
    compact = json.dumps(ANSWER, separators=(",", ":"), ensure_ascii=ascii_only)
    assert accepts(Answer.model_json_schema(), compact)


@pytest.mark.parametrize(
    "broken",
    [
        {**ANSWER, "queue": "refunds"},
        {**ANSWER, "confidence": "high"},
        {**ANSWER, "urgent": None},
        {**ANSWER, "more": 1},
        {key: value for key, value in ANSWER.items() if key != "note"},
        dict(reversed(ANSWER.items())),
        {**ANSWER, "rules": [{"when": "x"}]},
        {**ANSWER, "kind": "b"},
    ],
)
def test_json_that_does_not_fit_is_refused(accepts: Any, broken: dict[str, Any]) -> None:
    assert not accepts(Answer.model_json_schema(), json.dumps(broken))


@pytest.mark.parametrize(
    "text", ['{"name":    "x"}', '{"name":\n\n\n"x"}', ' {"name": "x"}', '{"name": "x"}\n\n']
)
def test_blanks_cannot_run_away(accepts: Any, text: str) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

    assert not accepts(schema, text)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('{"name": "a"}', True),
        ('{"name": "a", "children": []}', True),
        ('{"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]}', True),
        ('{"name": "a", "children": [{}]}', False),
    ],
)
def test_recursive_schemas(accepts: Any, text: str, fits: bool) -> None:
    assert accepts(Node.model_json_schema(), text) is fits


@pytest.mark.parametrize(
    ("required", "fitting", "unfitting"),
    [
        (
            [],
            ["{}", '{"b": 1}', '{"a": 1, "c": 1}', '{"a": 1, "b": 1, "c": 1}'],
            ['{"b": 1, "a": 1}', '{"a": 1,}'],
        ),
        (["b"], ['{"b": 1}', '{"a": 1, "b": 1}', '{"b": 1, "c": 1}'], ["{}", '{"a": 1}', '{"a": 1, "c": 1}']),
        (["c"], ['{"c": 1}', '{"a": 1, "c": 1}', '{"b": 1, "c": 1}'], ['{"b": 1}', '{, "c": 1}']),
    ],
)
def test_properties_that_may_be_left_out(
    accepts: Any, required: list[str], fitting: list[str], unfitting: list[str]
) -> None:
    schema = {
        "type": "object",
        "properties": {key: {"type": "integer"} for key in "abc"},
        "required": required,
    }

    assert all(accepts(schema, text) for text in fitting)
    assert not any(accepts(schema, text) for text in unfitting)


@pytest.mark.parametrize(
    ("schema", "fitting", "unfitting"),
    [
        (
            {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
            "[1, 2]",
            "[1, 2, 3]",
        ),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, "[1,2,3]", "[]"),
        ({"type": "array", "maxItems": 0}, "[]", "[1]"),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}]}, "[1, null]", "[null, 1]"),
        ({"type": "string", "maxLength": 3}, '"abc"', '"abcd"'),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"x": 1, "y": 2}', '{"x": "1"}'),
        ({"type": "object"}, '{"x": [1, {"y": null}]}', "[]"),
        ({"type": ["integer", "null"]}, "null", '"x"'),
        ({"type": ["object", "null"], "properties": {"a": {"type": "integer"}}}, "null", "[]"),
        ({"type": ["string", "array"], "items": {"type": "integer"}}, '"x"', '["x"]'),
        ({"items": {"type": "integer"}}, "[1]", '"x"'),
        ({"$ref": "#/anyOf/1", "anyOf": [{"type": "integer"}, {"type": "null"}]}, "null", "1"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, '"x"', "null"),
        ({"allOf": [{"$ref": "#/$defs/n"}], "$defs": {"n": {"type": "number"}}}, "-1.5e-3", "01"),
        ({}, "[1]", "[1"),
        ({"const": {"a": 1}}, '{"a": 1}', '{"a": 2}'),
    ],
)
def test_the_other_keywords(accepts: Any, schema: dict[str, Any], fitting: str, unfitting: str) -> None:
    assert accepts(schema, fitting)
    assert not accepts(schema, unfitting)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "tuple"},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/$defs/n/type", "$defs": {"n": {"type": "null"}}},
        {"enum": []},
        {"type": "array", "minItems": 3, "maxItems": 2},
        {"type": "string", "minLength": 2, "maxLength": 1},
    ],
)
def test_what_cannot_be_written_as_a_grammar_is_an_error(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="JSON schema"):
        schema_to_gbnf(schema)


def test_property_names_of_any_kind(accepts: Any) -> None:
    properties = {"a b": {"type": "integer"}, "a-b": {"type": "integer"}, 'q"uo\\te': {"type": "integer"}}
    schema = {"type": "object", "properties": properties}

    assert accepts(schema, json.dumps(dict.fromkeys(properties, 1)))


@pytest.mark.parametrize(
    ("thinking", "text", "fits"),
    [
        ("never", "<think>Hm.</think>1", False),
        ("maybe", "<think>Is 1 < 2? Yes.</think>\n\n1", True),
        ("maybe", "1", True),
        ("begun", "It is one.\n</think>\n\n1", True),
        ("begun", "1", False),
    ],
)
def test_a_model_may_think_before_its_answer_is_held(
    model: NativeModel, thinking: Thinking, text: str, fits: bool
) -> None:
    cache, candidates = GrammarCache(model), Candidates(model.n_vocab)
    grammar = cache.get(schema_to_gbnf({"type": "integer"}, thinking))
    allowed = True
    for token in model.tokenize(text).tolist():
        allowed = allowed and grammar.allows(token, candidates)
        if allowed:
            grammar.accept(token)

    assert (allowed and grammar.allows(model.eos, candidates)) is fits
    grammar.close()
    cache.close()


BOUNDS = [
    ({"minimum": 1, "maximum": 5}, ["1", "5"], ["0", "6", "10", "-1", "01"]),
    ({"minimum": 0, "maximum": 100}, ["0", "7", "99", "100"], ["101", "-1", "1000"]),
    ({"minimum": 8, "maximum": 123}, ["8", "10", "99", "119", "123"], ["7", "124", "130", "200"]),
    ({"minimum": -12, "maximum": 3}, ["-12", "-1", "0", "3"], ["-13", "4", "-20"]),
    ({"exclusiveMinimum": 0, "exclusiveMaximum": 3}, ["1", "2"], ["0", "3"]),
    ({"minimum": 40}, ["40", "41", "99", "100", "12345"], ["39", "4", "-40"]),
    ({"maximum": -3}, ["-3", "-10", "-999"], ["-2", "0", "3"]),
]


@pytest.mark.parametrize(("bounds", "fit", "unfit"), BOUNDS)
def test_integers_keep_their_bounds(
    accepts: Any, bounds: dict[str, Any], fit: list[str], unfit: list[str]
) -> None:
    schema = {"type": "integer", **bounds}
    assert [text for text in fit if not accepts(schema, text)] == []
    assert [text for text in unfit if accepts(schema, text)] == []


def test_bounds_of_integers_are_those_of_every_number(accepts: Any) -> None:
    for low, high in ((0, 37), (9, 101), (95, 305), (-20, 20)):
        schema = {"type": "integer", "minimum": low, "maximum": high}
        assert [n for n in range(-40, 400) if accepts(schema, str(n)) != (low <= n <= high)] == []


def test_numbers_keep_their_bounds(accepts: Any) -> None:
    schema = {"type": "number", "minimum": 0, "maximum": 1}
    assert all(accepts(schema, text) for text in ("0", "0.25", "0.999", "1", "1.0"))
    assert not any(accepts(schema, text) for text in ("1.01", "2", "-0.1", "10"))
    schema = {"type": "number", "minimum": -1.5, "maximum": 2}
    assert all(accepts(schema, text) for text in ("-1.5", "-0.25", "1.75", "2"))
    assert not any(accepts(schema, text) for text in ("-3", "2.5"))


DECIMALS = [
    (
        {"minimum": 0.5, "maximum": 0.9},
        ["0.5", "0.50", "0.51", "0.9", "0.900", "0.8999"],
        ["0", "1", "0.4", "0.49999", "0.91", "0.9001", "1.5"],
    ),
    ({"exclusiveMinimum": 0}, ["0.1", "0.0001", "0.00000001", "1", "17.5"], ["0", "0.0", "-0", "-1", "-0.5"]),
    (
        {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
        ["0.5", "0.01", "0.999"],
        ["0", "0.00", "1", "1.0", "1.01"],
    ),
    (
        {"minimum": -0.25, "exclusiveMaximum": 12.125},
        ["-0.25", "-0.2", "0", "9.99", "12", "12.1", "12.12499"],
        ["-0.26", "-0.2501", "-1", "12.125", "12.1250", "12.2", "13"],
    ),
    ({"exclusiveMinimum": -1, "exclusiveMaximum": 0}, ["-0.5", "-0.001"], ["-1", "-1.0", "0", "-0", "0.5"]),
    (
        {"minimum": 0.0001, "maximum": 99.9999},
        ["0.0001", "1", "10.5", "99.9999"],
        ["0", "0.00009", "100", "99.99991"],
    ),
    ({"minimum": 0.5, "exclusiveMinimum": 0.5, "maximum": 7}, ["0.6", "0.5001", "7"], ["0.5", "0.50", "7.1"]),
    ({"minimum": 0.00002, "maximum": 1}, ["0.0001", "0.00002", "1"], ["1.1"]),
]


@pytest.mark.parametrize(("bounds", "fit", "unfit"), DECIMALS)
def test_numbers_keep_bounds_with_decimals(
    accepts: Any, bounds: dict[str, Any], fit: list[str], unfit: list[str]
) -> None:
    schema = {"type": "number", **bounds}
    assert [text for text in fit if not accepts(schema, text)] == []
    assert [text for text in unfit if accepts(schema, text)] == []


def test_bounds_with_decimals_are_those_of_every_number(accepts: Any) -> None:
    for low, high in ((0.07, 1.3), (-1.25, 0.8), (9.5, 10.05)):
        schema = {"type": "number", "minimum": low, "maximum": high}
        texts = [f"{number / 100:.{places}f}" for number in range(-150, 1100, 3) for places in (1, 2, 3)]
        assert [text for text in texts if accepts(schema, text) != (low <= float(text) <= high)] == []


def test_bounds_that_nothing_keeps_are_told() -> None:
    with pytest.raises(ValueError, match="from 3 to 2: there is none"):
        schema_to_gbnf({"type": "integer", "minimum": 3, "maximum": 2})
    with pytest.raises(ValueError, match=r"from 0\.5 to 0\.5: there is none"):
        schema_to_gbnf({"type": "number", "minimum": 0.5, "exclusiveMaximum": 0.5})
    with pytest.raises(ValueError, match="maxLength 2 and the pattern"):
        schema_to_gbnf({"type": "string", "pattern": "^[a-z]{3}", "maxLength": 2})


STRINGS = [
    ({"pattern": "^[A-Z]{2}-[0-9]{3,4}$"}, ["AB-123", "AB-1234"], ["ab-123", "AB-12", "AB-12345", "xAB-123"]),
    ({"pattern": "^(yes|no|may be)$"}, ["yes", "no", "may be"], ["maybe", "yesno"]),
    ({"pattern": "[0-9]+ EUR"}, ["5 EUR", "about 12 EUR each"], ["EUR", "5 USD"]),
    ({"pattern": r"^\w+@\w+[.](com|org)$"}, ["a_b@c.org"], ["a@b.net", "@b.com"]),
    ({"pattern": "^[^,]*,[^,]*$"}, ["a,b", ","], ["ab", "a,b,c"]),
    ({"pattern": "^(?=x)y"}, ["anything at all"], []),
    ({"format": "date"}, ["2026-02-28"], ["2026-13-01", "28.2.2026", "2026-2-1"]),
    (
        {"format": "date-time"},
        ["2026-02-28T23:59:59Z", "2026-02-28T00:00:00.5+02:00"],
        ["2026-02-28", "2026-02-28T25:00:00Z"],
    ),
    ({"format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
    (
        {"format": "email"},
        ["a@b.org", "Ada.L-1+x@mail.example.co.uk"],
        ["a@b", "a.b.org", ".a@b.org", "a@-b.org", "a b@c.org"],
    ),
    ({"format": "ipv4"}, ["0.0.0.0", "192.168.1.255"], ["256.1.1.1", "1.2.3", "01.2.3.4", "1.2.3.4.5"]),
    (
        {"format": "uri"},
        ["https://example.org/a?b=c#d", "urn:isbn:0451450523"],
        ["example.org", "//example.org", "https:", "https://a b"],
    ),
    ({"pattern": "^[a-z]+$", "maxLength": 3}, ["a", "abc"], ["", "abcd"]),
    ({"pattern": "^[A-Z]{2}[0-9]*$", "maxLength": 4}, ["AB", "AB12"], ["A", "AB123"]),
    ({"pattern": "^(ab)+$", "maxLength": 5}, ["ab", "abab"], ["ababab"]),
    ({"pattern": "^x", "maxLength": 3}, ["x", "xyz"], ["xyzz", "yx"]),
    ({"pattern": "^[a-z]{2,9}$", "maxLength": 4}, ["ab", "abcd"], ["a", "abcde"]),
    ({"format": "of one's own"}, ["anything"], []),
]


@pytest.mark.parametrize(("asked", "fit", "unfit"), STRINGS)
def test_texts_keep_their_pattern_or_format(
    accepts: Any, asked: dict[str, Any], fit: list[str], unfit: list[str]
) -> None:
    schema = {"type": "string", **asked}
    assert [text for text in fit if not accepts(schema, json.dumps(text))] == []
    assert [text for text in unfit if accepts(schema, json.dumps(text))] == []
