"""From a JSON schema to a grammar that llama.cpp can hold an answer to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from models.gguf.schema.numbers import bounded
from models.gguf.schema.patterns import FORMATS, pattern_text
from models.thought_tags import USUAL, ThoughtTags

Schema = Mapping[str, Any]

_SHARED = {
    # One space, or one line break and its indentation: json.dumps writes nothing else, and a weak model
    # can't lose itself in blanks.
    "ws": r'(" " | "\n" [ ]{0,16})?',
    "char": r'[^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})',
    "string": r'"\"" char* "\""',
    "integer": r'"-"? ("0" | [1-9] [0-9]{0,15})',
    "number": r'integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "value": "object | array | string | number | boolean | null",
    "object": '"{" ws (string ":" ws value ("," ws string ":" ws value)*)? ws "}"',
    "array": '"[" ws (value ("," ws value)*)? ws "]"',
}

_ANY_JSON: Schema = {"type": "object"}


Thinking = Literal["never", "maybe", "begun"]
"""Whether a model thinks before it answers; `begun` if the prompt ends within its thoughts."""

_CLEAR = 8
"""So much of the tag behind a thought must not stand within it."""


def grammar_for(
    response_format: Mapping[str, Any] | None, thinking: Thinking = "never", tags: ThoughtTags = USUAL
) -> str | None:
    """Return the GBNF for a request's `response_format`, or None where the answer is free text.

    Raises:
        ValueError: the schema uses something that can't be written as a grammar.
    """
    if response_format is None:
        return None
    return schema_to_gbnf(response_format.get("schema", _ANY_JSON), thinking, tags)


def schema_to_gbnf(schema: Schema, thinking: Thinking = "never", tags: ThoughtTags = USUAL) -> str:
    """Return a grammar whose every text is JSON that fits the schema, properties in the schema's order.

    A thought between `tags` may come before it, or has to, where the prompt has begun it.
    """
    return _Converter(schema).grammar(thinking, tags)


def _root(thinking: Thinking, tags: ThoughtTags) -> dict[str, str]:
    """Return the first rules: the answer, and the thought before it."""
    if thinking == "never":
        return {"root": "answer"}
    opened, closed = json.dumps(tags.open), json.dumps(tags.close)
    thought = rf"thought {closed} [\n ]{{0,4}}"
    root = f"{thought} answer" if thinking == "begun" else f"({opened} {thought})? answer"
    return {"root": root, "thought": _until(tags.close)}


def _until(tag: str) -> str:
    """Return the rule of a text that a tag ends; what only looks like the tag's beginning may stand in it."""
    first, rest = tag[0], tag[1:_CLEAR]
    ways = [f"[^{_in_class(first)}]"]
    for n, letter in enumerate(rest, 1):
        begun = f"{json.dumps(first)}+" if n == 1 else json.dumps(tag[:n])
        ways.append(f"{begun} [^{_in_class(letter)}{_in_class(first)}]")
    return f"({' | '.join(ways)})*"


def _in_class(letter: str) -> str:
    return f"\\{letter}" if letter in "]\\-^[" else letter


class _Converter:
    """Writes one schema's rules; `$ref` becomes a rule of its own, so that recursion works."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._rules = dict(_SHARED)
        self._references: dict[str, str] = {}

    def grammar(self, thinking: Thinking, tags: ThoughtTags) -> str:
        answer = self._expression(self._schema, "answer")
        rules = {**_root(thinking, tags), **self._rules, "answer": answer}
        return "\n".join(f"{name} ::= {body}" for name, body in rules.items())

    def _expression(self, schema: Schema | bool, name: str) -> str:  # noqa: C901 - one branch per keyword
        if isinstance(schema, bool) or not schema:
            return "value"
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        if "const" in schema:
            return _literal(schema["const"])
        if "enum" in schema:
            return _alternatives([_literal(value) for value in schema["enum"]])
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._any_of(schema[keyword], name)
        if "allOf" in schema:
            return self._expression(self._merged(schema), name)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._any_of([{**schema, "type": one} for one in kind], name)
        if kind is None:
            kind = _implied_type(schema)
        if kind == "object":
            return self._object(schema, name)
        if kind == "array":
            return self._array(schema, name)
        if kind == "string":
            return _string(schema)
        if kind in ("integer", "number"):
            return bounded(schema, str(kind))
        if kind in ("boolean", "null"):
            return str(kind)
        if kind is None:
            return "value"
        raise ValueError(f"A JSON schema has the unknown type {kind!r}.")

    def _rule(self, name: str, body: str) -> str:
        """Give an expression a rule of its own and return the rule's name."""
        base = re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-") or "rule"
        unique, number = base, 1
        while unique in self._rules or unique in ("root", "answer"):
            number += 1
            unique = f"{base}-{number}"
        self._rules[unique] = body
        return unique

    def _reference(self, pointer: str) -> str:
        if pointer not in self._references:
            self._references[pointer] = self._rule(f"ref-{pointer.rsplit('/', 1)[-1]}", "")
            name = self._references[pointer]
            self._rules[name] = self._expression(self._resolve(pointer), name)
        return self._references[pointer]

    def _resolve(self, pointer: str) -> Schema:
        node: Any = self._schema
        if not pointer.startswith("#"):
            raise ValueError(f"A JSON schema refers to {pointer!r}, which is outside of it.")
        try:
            for part in pointer.lstrip("#/").split("/") if pointer not in ("#", "#/") else []:
                key = part.replace("~1", "/").replace("~0", "~")
                node = node[int(key)] if isinstance(node, list) else node[key]
        except (KeyError, IndexError, TypeError, ValueError):
            node = None
        if not isinstance(node, Mapping):
            raise ValueError(f"A JSON schema refers to {pointer!r}, which it doesn't have.")
        return node

    def _merged(self, schema: Schema) -> Schema:
        """Return the schema with its `allOf` parts put together, as pydantic means them."""
        whole: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            part = self._resolve(part["$ref"]) if "$ref" in part else part
            for key, value in part.items():
                if key == "properties":
                    whole["properties"] = {**whole.get("properties", {}), **value}
                elif key == "required":
                    whole["required"] = [*whole.get("required", []), *value]
                else:
                    whole[key] = value
        return whole

    def _any_of(self, options: Sequence[Schema], name: str) -> str:
        return _alternatives([self._expression(option, name) for option in options])

    def _object(self, schema: Schema, name: str) -> str:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        if not properties:
            return self._dictionary(schema.get("additionalProperties", True), name)
        required = set(schema.get("required", properties))
        members = {
            key: self._rule(
                f"{name}-{key}", f'{_literal(key)} ":" ws {self._expression(value, f"{name}-{key}")}'
            )
            for key, value in properties.items()
        }
        return self._rule(name, f'"{{" ws {_members(members, required)} ws "}}"')

    def _dictionary(self, values: Schema | bool, name: str) -> str:
        if values is False:
            return '"{" ws "}"'
        if values is True or not values:
            return "object"
        member = self._rule(f"{name}-member", f'string ":" ws {self._expression(values, f"{name}-value")}')
        return self._rule(name, f'"{{" ws ({member} ("," ws {member})*)? ws "}}"')

    def _array(self, schema: Schema, name: str) -> str:
        if "prefixItems" in schema:
            items = [self._expression(item, f"{name}-item") for item in schema["prefixItems"]]
            return self._rule(name, '"[" ws ' + ' "," ws '.join(items) + ' ws "]"')
        item = self._rule(f"{name}-item", self._expression(schema.get("items", {}), f"{name}-item"))
        least, most = _bounds(schema, "Items")
        if most == 0:
            return '"[" ws "]"'
        repeat = f"{{{max(0, least - 1)},{'' if most is None else most - 1}}}"
        items_rule = f'{item} ("," ws {item}){repeat}'
        return self._rule(name, f'"[" ws {items_rule if least else f"({items_rule})?"} ws "]"')


def _members(members: Mapping[str, str], required: set[str]) -> str:
    """Return the members in order; those that may be left out take their comma with them."""
    names = list(members)
    if required >= set(names):
        return ' "," ws '.join(members.values())
    if not required & set(names):
        tails = [_optional_tail(names[i + 1 :], members) for i in range(len(names))]
        firsts = [f"{members[name]}{tail}" for name, tail in zip(names, tails, strict=True)]
        return f"({' | '.join(firsts)})?"
    first = next(i for i, name in enumerate(names) if name in required)
    before = "".join(f'({members[name]} "," ws)? ' for name in names[:first])
    after = "".join(
        f' "," ws {members[name]}' if name in required else f' ("," ws {members[name]})?'
        for name in names[first + 1 :]
    )
    return f"{before}{members[names[first]]}{after}"


def _optional_tail(names: Sequence[str], members: Mapping[str, str]) -> str:
    return "".join(f' ("," ws {members[name]})?' for name in names)


def _string(schema: Schema) -> str:
    least, most = _bounds(schema, "Length")
    inside = FORMATS.get(str(schema.get("format")))
    if inside is None and "pattern" in schema:
        inside = pattern_text(str(schema["pattern"]), most)
    if inside is not None:
        return rf'"\"" ({inside}) "\""'
    if not least and most is None:
        return "string"
    return rf'"\"" char{{{least},{"" if most is None else most}}} "\""'


def _bounds(schema: Schema, what: Literal["Items", "Length"]) -> tuple[int, int | None]:
    """Return how few and how many items or characters there may be; None is as many as one likes.

    Raises:
        ValueError: no number is both: llama.cpp would fill the memory with a rule for it.
    """
    least, most = int(schema.get(f"min{what}", 0)), schema.get(f"max{what}")
    if most is not None and int(most) < least:
        raise ValueError(f"A JSON schema has min{what} {least} and max{what} {most}: nothing fits both.")
    return least, None if most is None else int(most)


def _implied_type(schema: Schema) -> str | None:
    """Return the type that a schema without one means by its keywords."""
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else None


def _literal(value: Any) -> str:
    """Return a JSON value as a quoted GBNF string."""
    text = json.dumps(value, ensure_ascii=False)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _alternatives(options: Sequence[str]) -> str:
    if not options:
        raise ValueError("A JSON schema has an `enum` or an `anyOf` with nothing in it.")
    return f"({' | '.join(options)})"
