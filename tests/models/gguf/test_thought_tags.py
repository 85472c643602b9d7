"""Between which tags a model thinks, by its template; and a model that has to choose a channel first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from asking import ask
from conftest import Open
from dspy import lm15
from tiny_model import SPECIALS, write_tiny_model

from models.gguf.grammar import schema_to_gbnf
from models.gguf.library import NativeModel
from models.gguf.sampling import Candidates, GrammarCache
from models.gguf.template import ChatTemplate, thinking_switches
from models.thinking import TextSplitter, split_thinking
from models.thought_tags import USUAL, ThoughtTags

HARMONY = ThoughtTags(
    "<|channel|>analysis<|message|>",
    "<|end|><|start|>assistant<|channel|>final<|message|>",
    skip="<|channel|>final<|message|>",
)
REAL = {
    "Qwen-Qwen3-0.6B": USUAL,
    "Qwen-Qwen2.5-7B-Instruct": USUAL,
    "meta-llama-Llama-3.2-3B-Instruct": USUAL,
    "google-gemma-2-2b-it": USUAL,
    "google-gemma-4-31B-it": ThoughtTags("<|channel>thought", "<channel|>"),
    "mistralai-Ministral-3-14B-Reasoning-2512": ThoughtTags("[THINK]", "[/THINK]"),
    "ByteDance-Seed-OSS": ThoughtTags("<seed:think>", "</seed:think>"),
    "openai-gpt-oss-120b": HARMONY,
    "upstage-Solar-Open-100B": ThoughtTags(
        "<|think|>", "<|end|><|begin|>assistant<|content|>", skip="<|content|>"
    ),
    "Kimi-K2-Thinking": ThoughtTags("<think>", "</think>", skip="<think></think>"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_templates_say_their_tags(real_models: Path, name: str) -> None:
    text = (real_models / "templates" / f"{name}.jinja").read_text(encoding="utf-8")
    template = ChatTemplate(text, bos="<s>", eos="</s>", switches=thinking_switches(False))
    assert template.thought_tags == REAL[name]


@pytest.mark.parametrize(
    ("tags", "text", "fits"),
    [
        (
            HARMONY,
            "<|channel|>analysis<|message|>Is <|end of 1 < 2?<|end|><|start|>assistant"
            "<|channel|>final<|message|>1",
            True,
        ),
        (HARMONY, "<|channel|>analysis<|message|>Hm.<|end|>1", False),
        (ThoughtTags("[THINK]", "[/THINK]"), "[THINK]a [b] or [[c]?[/THINK]1", True),
        (ThoughtTags("[THINK]", "[/THINK]"), "[THINK]a [b]1", False),
        (ThoughtTags("<|channel>thought", "<channel|>"), "<|channel>thought\nOne <chair.<channel|>1", True),
        (USUAL, "<think>a <<b></b></think>\n\n1", True),
    ],
)
def test_a_thought_between_any_tags_passes_before_the_answer_is_held(
    tiny_path: Path, tags: ThoughtTags, text: str, fits: bool
) -> None:
    model = NativeModel(tiny_path, gpu_layers=0, vocabulary_only=True)
    cache, candidates = GrammarCache(model), Candidates(model.n_vocab)
    grammar = cache.get(schema_to_gbnf({"type": "integer"}, "maybe", tags))
    allowed = True
    for token in model.tokenize(text).tolist():
        allowed = allowed and grammar.allows(token, candidates)
        if allowed:
            grammar.accept(token)
    assert (allowed and grammar.allows(model.eos, candidates)) is fits
    grammar.close()
    cache.close()


@pytest.mark.parametrize("cuts", [1, 3, 1000])
def test_thoughts_are_kept_apart_whatever_their_tags(cuts: int) -> None:
    text = HARMONY.open + "Hm <|end" + HARMONY.close + "Billing"
    splitter, found = TextSplitter(False, HARMONY), {"thinking": "", "text": ""}
    pieces = [text[start : start + cuts] for start in range(0, len(text), cuts)]
    for number, piece in enumerate(pieces, 1):
        for event in splitter.events(piece.encode(), final=number == len(pieces)):
            assert isinstance(event, lm15.StreamDeltaEvent)
            found[event.delta.type] += event.delta.text
    assert (found["thinking"], found["text"]) == ("Hm <|end", "Billing")
    assert split_thinking(text, False, HARMONY) == ("Hm <|end", "Billing")


CHANNELS = (
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final"
    "{% endif %}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt and messages[-1].role == 'user' %}<|start|>assistant{% endif %}"
    "{# <|channel|>analysis<|message|> #}"
)


@pytest.fixture
def channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that writes in channels; their tags are control tokens, as in gpt-oss."""
    # As with gpt-oss, the last two end an answer for llama.cpp, and <|end|> therefore doesn't.
    tags = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>"]
    monkeypatch.setattr("tiny_model.SPECIALS", [*SPECIALS, *tags])
    return write_tiny_model(tmp_path / "channels.gguf", template=CHANNELS)


SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "schema": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]},
}


def test_a_model_with_channels_answers_in_the_final_one_when_it_is_not_to_think(
    channels: Path, open_tiny: Open
) -> None:
    model = open_tiny(channels)
    prompt = model.render([{"role": "user", "content": "Hi"}])
    assert prompt == "<|start|>user<|message|>Hi<|end|><|start|>assistant<|channel|>final<|message|>"
    answer = ask(model, "Hi", response_format=SCHEMA, max_tokens=60)
    assert json.loads(answer.message.text or "")["a"] in (True, False)
    assert [part.type for part in answer.message.parts] == ["text"]


def test_its_control_tokens_pass_the_grammar_as_the_tags_of_a_thought(
    channels: Path, open_tiny: Open
) -> None:
    opened = open_tiny(channels, think=True)
    assert opened.render([{"role": "user", "content": "Hi"}]).endswith("<|start|>assistant")
    model = NativeModel(channels, gpu_layers=0, vocabulary_only=True)
    tokens = model.tokenize(f"{HARMONY.open}Hm.{HARMONY.close}1").tolist()
    assert sum(token < 9 for token in tokens) == 6, "its tags are single tokens"
    cache, candidates = GrammarCache(model), Candidates(model.n_vocab)
    grammar = cache.get(schema_to_gbnf({"type": "integer"}, "maybe", HARMONY))
    for token in tokens:
        assert grammar.allows(token, candidates), model.special_text(token)
        grammar.accept(token)
    assert grammar.allows(model.eos, candidates)
    grammar.close()
    cache.close()


def test_a_thought_that_control_tokens_enclose_is_told_from_the_answer(
    channels: Path, open_tiny: Open
) -> None:
    model = open_tiny(channels, think=True)
    answer = ask(model, "Hi", response_format=SCHEMA, max_tokens=400)
    thoughts = [part.text for part in answer.message.parts if part.type == "thinking"]
    text = answer.message.text or ""
    assert thoughts or json.loads(text)["a"] in (True, False)
    assert not any(part.startswith("<|channel|>") for part in (*thoughts, text))
    assert not text or text.startswith("{")


def test_a_level_of_thinking_reaches_the_template(tmp_path: Path, open_tiny: Open) -> None:
    template = "{{ reasoning_effort }}{% for m in messages %} {{ m.content }}{% endfor %}"
    path = write_tiny_model(tmp_path / "levels.gguf", template=template)
    assert open_tiny(path, think="low").render([{"role": "user", "content": "Hi"}]) == "low Hi"
