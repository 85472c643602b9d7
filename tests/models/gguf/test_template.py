from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import ChatTemplateError
from models.gguf.template import ChatTemplate

SYSTEM = {"role": "system", "content": "Route it."}
USER = {"role": "user", "content": "Late parcel"}
ANSWER = {"role": "assistant", "content": "delivery"}

# The ways of the great families, cut down to what makes them differ.
LLAMA_3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
QWEN_3 = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}"
)


def template(text: str, **switches: bool) -> ChatTemplate:
    return ChatTemplate(text, bos="<s>", eos="</s>", switches=switches)


def test_a_template_that_begins_the_text_itself() -> None:
    assert template(LLAMA_3).render([SYSTEM, USER]) == (
        "<s><|start_header_id|>system<|end_header_id|>\n\nRoute it.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nLate parcel<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_a_template_without_a_system_role_gets_it_with_the_first_question() -> None:
    assert template(GEMMA).render([SYSTEM, USER, ANSWER, USER]) == (
        "<s><start_of_turn>user\nRoute it.\n\nLate parcel<end_of_turn>\n"
        "<start_of_turn>model\ndelivery<end_of_turn>\n"
        "<start_of_turn>user\nLate parcel<end_of_turn>\n<start_of_turn>model\n"
    )


def test_switches_reach_the_template() -> None:
    assert template(QWEN_3, enable_thinking=False).render([USER]).endswith("<think>\n\n</think>\n\n")
    assert template(QWEN_3, enable_thinking=True).render([USER]).endswith("<|im_start|>assistant\n")


def test_messages_that_a_template_refuses() -> None:
    with pytest.raises(ChatTemplateError, match="assistant, user: Roles must alternate"):
        template(GEMMA).render([ANSWER, USER])


@pytest.mark.parametrize("broken", ["{% for m in messages %}", "{{ }"])
def test_a_template_that_is_no_jinja(broken: str) -> None:
    with pytest.raises(ChatTemplateError, match="can't be read") as caught:
        template(broken)
    assert "chat_template" in caught.value.hint


def test_a_template_cannot_reach_out_of_its_sandbox(tmp_path: Path) -> None:
    with pytest.raises(ChatTemplateError):
        template("{{ messages.__class__.__mro__[1].__subclasses__() }}").render([USER])


def test_data_is_never_a_template() -> None:
    message = {"role": "user", "content": "{{ bos_token }}{% raw %}"}

    assert "{{ bos_token }}{% raw %}" in template(QWEN_3).render([message])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ChatTemplateError, match="missing"):
        ChatTemplate.load(str(tmp_path / "missing.jinja"), None, bos="", eos="", switches={})


@pytest.mark.parametrize(
    ("switches", "printed"),
    [({}, "01 Jan 2026"), ({"today": "2026-11-30"}, "30 Nov 2026"), ({"today": "Monday"}, "Monday")],
)
def test_a_template_that_prints_the_date_prints_the_same_every_day(
    switches: dict[str, str], printed: str
) -> None:
    text = "{{ strftime_now('%d %b %Y') }}{% for m in messages %} {{ m.content }}{% endfor %}"
    template = ChatTemplate.load(text, None, bos="", eos="", switches=switches)
    assert template.render([{"role": "user", "content": "Hello"}]) == f"{printed} Hello"
