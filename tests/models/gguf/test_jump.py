"""Guessed tokens change no answer: each counts only where the model chose it."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest
from asking import ask
from demo_work import demo_prompts

from models import ModelSettings, open_model
from models.gguf.model import GGUFModel
from models.gguf.scheduling.jump import Jump, jump_for
from models.gguf.scheduling.shown_answers import shown_answers

TWO = {
    "type": "object",
    "properties": {
        "reasoning": {"type": "string", "maxLength": 60},
        "queue": {"type": "string", "maxLength": 20},
    },
    "required": ["reasoning", "queue"],
}
MIXED = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "team": {"$ref": "#/$defs/Team"}, "sure": {"type": "boolean"}},
    "$defs": {"Team": {"enum": ["fraud", "cards"], "type": "string"}},
}


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def guess(schema: dict[str, Any], text: str, *, most: int = 12) -> str:
    tokens = Jump(schema, "", letters)(text)
    assert len(tokens) <= most
    return "".join(map(chr, tokens))


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("", '{"reasoning": '),
        ('{"reas', 'oning": "'),
        ('{"reasoning": "It is late', ""),
        ('{"reasoning": "It is \\"late', ""),
        ('{"reasoning": "It is late"', ', "queue": "'),
        ('{"reasoning": "It is late",', ' "queue": "'),
        ('{\n  "reasoning": "It is late",', '\n  "queue": "'),
        ('{"reasoning": "a", "queue": "b', ""),
        ('{"reasoning": "a", "queue": "b"', "}"),
        ('{"reasoning": "a", "queue": "b"}', ""),
        ("Sure! Here", ""),
    ],
)
def test_what_stands_between_values_is_guessed(text: str, ahead: str) -> None:
    assert ahead.startswith(guess(TWO, text))
    assert bool(guess(TWO, text)) is bool(ahead)


@pytest.mark.parametrize(
    ("prompt", "ahead"),
    [
        ('Answer {"reasoning": ..., "queue": ...}', '{"reasoning": "'),
        ('Answer\n{\n  "reasoning": ...\n}', '{\n  "reasoning": "'),
        ('{"reasoning": "a"}\n{\n  "reasoning": "b"\n}', '{\n  "reasoning": "'),
        ("Answer in JSON.", '{"reasoning": "'),
    ],
)
def test_an_answer_begins_like_the_json_in_its_prompt(prompt: str, ahead: str) -> None:
    assert ahead.startswith("".join(map(chr, Jump(TWO, prompt, letters)(""))))


def test_numbers_and_choices_end_where_json_ends_them() -> None:
    assert guess(MIXED, '{"n": 12') == ""
    assert guess(MIXED, '{"n": 12,') == ' "team": "'
    assert guess(MIXED, '{"n": 12, "team": "fraud"') == ', "sure": '
    assert guess(MIXED, '{"n": 12, "team": "fraud", "sure": true') == ""


def test_open_forms_are_not_guessed() -> None:
    assert jump_for(None, [], letters) is None
    assert jump_for({"type": "json_object"}, [], letters) is None
    optional = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"]}
    assert jump_for({"schema": optional}, [], letters) is None


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("", '{"team": "cash"'),
        ('{"team": "', "ca"),
        ('{"team": "car', 'ds"'),
        ('{"team": "cash', '"'),
        ('{"team": "cash"', ""),
        ('{"team": "cats', ""),
        ('{"team": "cats"', "}"),
    ],
)
def test_what_shown_answers_have_in_common_is_guessed(text: str, ahead: str) -> None:
    """At first the whole of the likeliest; the last token is never needed, for nothing follows it."""
    schema = {"properties": {"team": {"type": "string"}}}
    tokens = Jump(schema, "", letters, ['{"team": "cash"}', '{"team": "cards"}'])(text)
    assert "".join(map(chr, tokens)) == ahead


def chat(*turns: str) -> list[dict[str, str]]:
    roles = cycle(("user", "assistant"))
    return [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]


def test_answers_to_questions_like_the_one_asked_come_first() -> None:
    shown = [
        "Where is my parcel?",
        "logistics",
        "I lost my card.",
        "cards",
        "The parcel is late.",
        "logistics",
    ]
    assert shown_answers(chat(*shown, "My card was stolen, I lost it.")) == ["cards", "logistics"]
    assert shown_answers(chat(*shown, "Is the parcel lost?")) == ["logistics", "cards"]
    assert shown_answers([{"role": "system", "content": "Hi"}, *chat("Where is my parcel?")]) == []
    assert shown_answers(chat(*shown)) == []


@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
def test_answers_are_those_without_guesses(sampled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(model: GGUFModel) -> list[Any]:
        form = {"type": "json_schema", "schema": TWO}
        found = []
        for number, (system, text) in enumerate(demo_prompts(24, seed=2)):
            chance = {"temperature": 0.8, "seed": number} if sampled else {}
            given = ask(model, text, system=system, response_format=form, logprobs=1, max_tokens=60, **chance)
            found.append((given.text, given.finish_reason, given.usage.output_tokens, given.logprobs))
        return found

    with open_model("demo", settings=ModelSettings(context_length=1024)) as model:
        assert isinstance(model, GGUFModel)
        guessing = answers(model)
        counts = model.statistics()
    monkeypatch.setattr("models.gguf.engine.jump_for", lambda *_: None)
    with open_model("demo", settings=ModelSettings(context_length=1024)) as model:
        assert isinstance(model, GGUFModel)
        assert answers(model) == guessing
        others = model.statistics()

    assert others.tokens_guessed == 0
    assert counts.tokens_decoded == others.tokens_decoded
    assert counts.steps == others.steps - counts.tokens_guessed
    assert counts.tokens_guessed > 24
