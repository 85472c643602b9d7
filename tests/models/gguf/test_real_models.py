"""Real vocabularies and chat templates, as llama.cpp's source carries them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from llama_cpp import Llama

from models.errors import ChatTemplateError
from models.gguf.library import NativeModel
from models.gguf.quoting import Quoting
from models.gguf.template import ChatTemplate, thinking_switches

TALK = [
    {"role": "system", "content": "Route the ticket to its queue."},
    {"role": "user", "content": "My parcel is late."},
    {"role": "assistant", "content": "delivery"},
    {"role": "user", "content": "I was charged twice; where is my 2nd refund?"},
]

ALWAYS_THINK = {
    "Cohere2MoE",
    "MiniMax-M2",
    "NVIDIA-Nemotron-Nano-v2",
    "StepFun3.5-Flash",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "llama-cpp-deepseek-r1",
}
"""Their templates open a thought and have no switch."""

FOR_TOOLS = {
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
    "fireworks-ai-llama-3-firefunction-v2",
}
"""Their templates are for talks with tools alone."""

SYSTEM_LAST = {"mistralai-Mistral-Nemo-Instruct-2407"}
"""Its template puts the system message into the last question."""

TEXTS = [
    "Hello, world!  How's   it going?\n\n\tIt's 12345.67 €",
    "I paid twice for order #4711 — please refund 19,99 €. 请退款。 Спасибо! 🙂🏽",
    "def f(x):\n    return x ** 2  # squares\r\n",
    " leading and trailing ",
    "<b>no special</b> [INST here] <|almost",
]
OTHER_KINDS = ("bert-bge", "nomic-bert-moe")
"""Vocabularies of models that don't continue texts."""


def templates(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((folder / "templates").glob("*.jinja")):
        yield path.stem, path.read_text(encoding="utf-8")


@contextmanager
def vocabularies(folder: Path) -> Iterator[dict[str, NativeModel]]:
    opened: dict[str, NativeModel] = {}
    for path in sorted(folder.glob("ggml-vocab-*.gguf")):
        name = path.stem.removeprefix("ggml-vocab-")
        if name not in OTHER_KINDS:
            opened[name] = NativeModel(path, gpu_layers=0, vocabulary_only=True)
    try:
        yield opened
    finally:
        for model in opened.values():
            model.close()


def test_every_template_renders_a_talk_without_a_thought_or_says_why_not(real_models: Path) -> None:
    refused, thinking, moved = set(), set(), set()
    for name, text in templates(real_models):
        template = ChatTemplate(text, bos="<s>", eos="</s>", switches=thinking_switches(False))
        if name in FOR_TOOLS:
            with pytest.raises(
                ChatTemplateError, match="refuses messages of the roles system, user, assistant"
            ):
                template.render(TALK)
            refused.add(name)
            continue
        prompt = template.render(TALK)
        places = [prompt.index(message["content"]) for message in TALK]
        if places != sorted(places):
            moved.add(name)
        if re.search(r"(<[\w:]*think>|\[THINK\]|<\|START_THINKING\|>)\s*$", prompt):
            thinking.add(name)

    assert refused == FOR_TOOLS
    assert thinking == ALWAYS_THINK
    assert moved == SYSTEM_LAST


def test_every_vocabulary_counts_as_llama_cpp_does(real_models: Path) -> None:
    with vocabularies(real_models) as models:
        assert len(models) >= 15
        for name, model in models.items():
            path = real_models / f"ggml-vocab-{name}.gguf"
            quoting = Quoting(model)
            special = model.special_text(model.bos) + "user\n" + model.special_text(model.eos)
            with closing(Llama(str(path), vocab_only=True, verbose=False)) as reference:
                for text in [*TEXTS, *(special + text + special for text in TEXTS)]:
                    expected = reference.tokenize(text.encode(), add_bos=False, special=True)
                    assert quoting.tokenize(text).tolist() == expected, (name, text)


def test_no_special_token_can_be_spelled_in_a_message(real_models: Path) -> None:
    with vocabularies(real_models) as models:
        for name, model in models.items():
            quoting, begin, end = Quoting(model), model.special_text(model.bos), model.special_text(model.eos)
            controls = {token.token for token in model.special_tokens()}

            def read(content: str) -> list[int]:
                tokens = quoting.tokenize(f"{begin}user\n{quoting.sealed(content)}{end}\n")  # noqa: B023
                return [t for t in tokens.tolist() if t in controls]  # noqa: B023

            for token in model.special_tokens()[:300]:
                for content in (f"My{token.text} parcel", token.text, f"late {token.text}{token.text}\n"):
                    assert read(content) == read("x"), (name, token.text)
