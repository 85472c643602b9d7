"""Guesses what an answer's JSON goes on with, so that it is evaluated in one step.

`{"team": "` is five or six tokens, and a model that answers in JSON writes nothing else there. Where a prompt
shows answers, the whole of the likeliest is guessed along with the prompt, whose wide step has idle rows for
it; later, what all shown answers that begin like this one have in common. A guess is evaluated along with the
token before it, and each of its tokens counts only if the model then chooses it, so a wrong one costs some
rows of a step and changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from models.gguf.scheduling.shown_answers import shown_answers

_MOST_TOKENS = 12
_MOST_SHOWN = 24
"""Tokens of a shown answer that are guessed before the answer begins: idle rows of a step cost little."""
_STRING = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_OTHER = re.compile(r"[^,}\]\s]*")


class Jump:
    """Guesses for one answer. Until its own layout shows, it is expected to look like the prompt's JSON."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        prompt: str,
        tokenize: Callable[[str], Sequence[int]],
        shown: Sequence[str] = (),
    ) -> None:
        """Guess answers of `schema` to `prompt`, in which those of `shown` stand, likeliest first."""
        self._tokenize = tokenize
        self._shown = shown
        self._fields = [(name, _is_text(part, schema)) for name, part in schema["properties"].items()]
        before, _, _ = prompt.rpartition(json.dumps(self._fields[0][0], ensure_ascii=False) + ":")
        self._is_indented = before.rstrip(" ").endswith("\n")

    def __call__(self, text: str) -> Sequence[int]:
        """Return the tokens that are likely to follow an answer's text so far; nothing follows its last."""
        if self._shown and not text:
            return self._tokenize(self._shown[0])[:-1][:_MOST_SHOWN]
        ahead = self._shown_rest(text) or self._rest(text)
        tokens = self._tokenize(ahead) if ahead else ()
        return tokens[:-1][:_MOST_TOKENS] if text + ahead in self._shown else tokens[:_MOST_TOKENS]

    def _shown_rest(self, text: str) -> str:
        """Return what all shown answers that begin like this one have in common."""
        alike = sorted(answer for answer in self._shown if answer.startswith(text))
        pairs = zip(alike[0], alike[-1], strict=False) if alike else ()
        common = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return common[len(text) :]

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
    response_format: Mapping[str, Any] | None,
    messages: Sequence[Mapping[str, Any]],
    tokenize: Callable[[str], Sequence[int]],
) -> Jump | None:
    """Return what guesses the answer to a chat in its `response_format`, or None where its form is open."""
    schema = (response_format or {}).get("schema") or {}
    properties = schema.get("properties")
    if not properties or not set(schema.get("required", properties)) >= set(properties):
        return None
    prompt = "\n".join(str(message["content"]) for message in messages)
    return Jump(schema, prompt, tokenize, shown_answers(messages))


def _is_text(part: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether a value begins with a quote."""
    for _ in range(8):
        if "$ref" not in part:
            break
        part = schema.get("$defs", {}).get(part["$ref"].rsplit("/", 1)[-1], {})
    if "enum" in part:
        return all(isinstance(value, str) for value in part["enum"])
    return part.get("type") == "string" or isinstance(part.get("const"), str)
