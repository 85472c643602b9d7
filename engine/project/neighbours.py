"""Datasets of other tools, recognised by their fields: what to write so that this one reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_KNOWN = (
    ("a LangSmith dataset", ("inputs",), ("outputs", "reference_outputs")),
    ("a Langfuse dataset", ("input",), ("expectedOutput",)),
    ("an Opik dataset", ("data.input", "input"), ("data.expected_output", "expected_output")),
)
"""Each tool, where its datasets keep inputs (or beside the rest), and where they keep what is expected."""
_EQUALS = "equals"
_ASSERTION = re.compile(
    r"((?:not-)?(?:equals|i?contains|i?contains-\w+|starts-with|regex|is-\w+|similar|levenshtein|javascript|fn|eval"
    r"|python|llm-rubric|grade|g-eval|factuality|classifier|rouge-n|bleu|cost|latency))(?:\([^)]*\))?:"
)
"""How the text of an assertion in promptfoo's CSV begins, such as `not-contains:` and `similar(0.8):`."""


def mapping_hint(values: Mapping[str, Any], needed: Sequence[str]) -> str:
    """Return what to write under [data.fields] so that an example has the fields that are needed.

    It is only ever advice: what a column means, a person decides.
    """
    if asserted := list(_assertions(values)):
        return _promptfoo_hint(values, needed, asserted)
    for tool, inputs, outputs in _KNOWN:
        given = next((place for place in inputs if _at(values, place) is not None), None)
        expected = next((place for place in outputs if _at(values, place) is not None), None)
        if given is not None and expected is not None:
            found = _sources(values, needed, given, expected)
            return f"It looks like {tool}: under [data.fields] write {_lines(found)}."
    alike = {
        name: other for name in needed for other in values if name != other and _bare(name) == _bare(other)
    }
    if alike:
        return f"Under [data.fields] write {_lines(alike)}."
    places = _lines(dict.fromkeys(needed, "..."))
    return (
        "Correct the example or the name in promptgrad.toml, or write under [data.fields] which column to "
        f"read: {places}."
    )


def _assertions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield where promptfoo's assertions have their values, each with its type."""
    found = values.get("assert")
    for number, one in enumerate(found if isinstance(found, list) else []):
        if isinstance(one, Mapping) and one.get("value") is not None:
            yield f"assert.{number}.value", str(one.get("type", _EQUALS))
    for name, text in values.items():
        if re.fullmatch(r"__expected\d*", name) and text is not None:
            begun = _ASSERTION.match(str(text))
            yield name, f"{begun[1]}:" if begun else _EQUALS


def _promptfoo_hint(
    values: Mapping[str, Any], needed: Sequence[str], asserted: Sequence[tuple[str, str]]
) -> str:
    place, kind = next((one for one in asserted if one[1] == _EQUALS), asserted[0])
    found = _sources(values, needed, "vars" if "vars" in values else "", place)
    if kind != _EQUALS and {place, "..."} & set(found.values()):
        return (
            f"It looks like a promptfoo test. Its assertion is `{kind}`, not an answer: write each expected "
            "answer into a field of its own, and name that under [data.fields]."
        )
    return f"It looks like a promptfoo test: under [data.fields] write {_lines(found)}."


def _sources(values: Mapping[str, Any], needed: Sequence[str], given: str, expected: str) -> dict[str, str]:
    """Return where each field is: under its own name, else where a single thing stands, in their order."""
    found: dict[str, str] = {}
    for name in needed:
        for place in (given, expected):
            inside = _at(values, place)
            if isinstance(inside, Mapping) and name in inside:
                found[name] = f"{place}.{name}".removeprefix(".")
                break
    singles = [single for place in (given, expected) if (single := _single(values, place))]
    rest = [name for name in needed if name not in found]
    free = [single for single in singles if single not in found.values()]
    for name, single in zip(rest, free if len(free) == len(rest) else ["..."] * len(rest), strict=True):
        found[name] = single
    return found


def _single(values: Mapping[str, Any], place: str) -> str | None:
    inside = _at(values, place)
    if not isinstance(inside, Mapping):
        return place
    return f"{place}.{next(iter(inside))}" if len(inside) == 1 and place else None


def _at(values: Mapping[str, Any], path: str) -> Any:
    if not path:
        return values
    found: Any = values
    for part in [path] if path in values else path.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found


def _lines(sources: Mapping[str, str]) -> str:
    return " and ".join(f'{name} = "{source}"' for name, source in sources.items())


def _bare(name: str) -> str:
    """Return a name without case, quotes, spaces and underscores."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
