"""Chat messages with placeholders, for any client of a chat API."""

from __future__ import annotations

import json
from typing import Any

from engine.release.exports.prompt_template import PromptTemplate, braced
from engine.release.exports.source import ExportSource, difference_line

_USE = (
    "Replace each input's name in braces by its text, in the last message only; "
    "anything other than text goes in as JSON."
)


def chat_messages(source: ExportSource) -> str:
    """Return JSON: each predictor's messages, its inputs, and the schema that its answers were held to."""
    content: dict[str, Any] = {}
    if differs := difference_line(source.differences):
        content["differs"] = differs
    content["use"] = _USE
    content["model"] = {"uri": source.manifest.model.uri, "revision": source.manifest.model.digest}
    content["parameters"] = dict(source.serving.parameters)
    content["prompts"] = {name: _prompt(template) for name, template in source.templates.items()}
    lines = [
        f"{json.dumps(key)}: {json.dumps(content[key], ensure_ascii=False, indent=2)}" for key in content
    ]
    return "{" + ",\n".join(lines) + "\n}\n"


def message_dicts(template: PromptTemplate, places: dict[str, str]) -> list[dict[str, str]]:
    """Return a prompt as chat APIs take it, with `places` where the inputs go."""
    head = [{"role": message.role, "content": message.text} for message in template.head]
    return [*head, {"role": "user", "content": template.request_text(places)}]


def response_format(template: PromptTemplate) -> dict[str, Any] | None:
    """Return the response format that OpenAI-compatible servers accept for a schema."""
    if template.schema is None:
        return None
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": template.schema},
    }


def _prompt(template: PromptTemplate) -> dict[str, Any]:
    return {
        "inputs": template.inputs,
        "messages": message_dicts(template, braced(template.inputs)),
        "response_format": response_format(template),
    }
