"""Guesses what an answer's JSON goes on with between its values, so that it is evaluated in one step.

`{"team": "` is five or six tokens, and a model that answers in JSON writes nothing else there. A guess is
evaluated along with the token before it and each of its tokens counts only if the model then chooses it, so a
wrong one costs some rows of a step and changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_MOST_TOKENS = 12
_STRING = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_OTHER = re.compile(r"[^,}\]\s]*")


class Jump:
    """Guesses for one answer. Until its own layout shows, it is expected to look like the prompt's JSON."""

    def __init__(
        self, schema: Mapping[str, Any], prompt: str, tokenize: Callable[[str], Sequence[int]]
    ) -> None:
        self._tokenize = tokenize
        self._fields = [(name, _is_text(part, schema)) for name, part in schema["properties"].items()]
        before, _, _ = prompt.rpartition(json.dumps(self._fields[0][0], ensure_ascii=False) + ":")
        self._is_indented = before.rstrip(" ").endswith("\n")

    def __call__(self, text: str) -> Sequence[int]:
        """Return the tokens that are likely to follow an answer's text so far."""
        ahead = self._rest(text)
        return self._tokenize(ahead)[:_MOST_TOKENS] if ahead else ()

    def _rest(self, text: str) -> str:
        """Return the rest of what stands between two values, if the text ends there."""
        if len(text) > 1:
            self._is_indented = text[1] == "\n"
        at = 0
        for index, between in enumerate(self._between()):
            if between.startswith(text[at:]):
                return between[len(text) - at :]
            if not text.startswith(between, at):
                return ""
            at += len(between)
            if index < len(self._fields):
                value = (_STRING if self._fields[index][1] else _OTHER).match(text, at)
                at = value.end() if value else at
                if at == len(text):
                    return ""
        return ""

    def _between(self) -> list[str]:
        blank, end = ("\n  ", "\n}") if self._is_indented else ("", "}")
        separator = ",\n  " if self._is_indented else ", "
        texts = []
        before = "{" + blank
        for name, is_text in self._fields:
            texts.append(f"{before}{json.dumps(name, ensure_ascii=False)}: " + '"' * is_text)
            before = '"' * is_text + separator
        return [*texts, '"' * self._fields[-1][1] + end]


def jump_for(
    response_format: Mapping[str, Any] | None, prompt: str, tokenize: Callable[[str], Sequence[int]]
) -> Jump | None:
    """Return what guesses for one request's `response_format`, or None where its form is open."""
    schema = (response_format or {}).get("schema") or {}
    properties = schema.get("properties")
    if not properties or not set(schema.get("required", properties)) >= set(properties):
        return None
    return Jump(schema, prompt, tokenize)


def _is_text(part: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether a value begins with a quote."""
    for _ in range(8):
        if "$ref" not in part:
            break
        part = schema.get("$defs", {}).get(part["$ref"].rsplit("/", 1)[-1], {})
    if "enum" in part:
        return all(isinstance(value, str) for value in part["enum"])
    return part.get("type") == "string" or isinstance(part.get("const"), str)
