"""Ollama's parser of Modelfiles, as far as exports go, after parser/parser.go."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Modelfile:
    """What a Modelfile says; `messages` begin with the system prompt."""

    weights: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    messages: list[dict[str, str]] = field(default_factory=list)


def parse_modelfile(text: str) -> Modelfile:
    found = Modelfile()
    lines = iter(text.splitlines(keepends=True))
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        command, _, value = line.partition(" ")
        name = ""
        if command in ("PARAMETER", "MESSAGE"):
            name, _, value = value.partition(" ")
        while (read := _unquoted(value.strip())) is None:
            value += next(lines)
        read = "".join(c for c in read if c.isprintable() or c in "\n\t")
        if command == "FROM":
            found.weights = read
        elif command == "PARAMETER":
            found.parameters[name] = read
        else:
            found.messages.append({"role": name or "system", "content": read})
    return found


def _unquoted(value: str) -> str | None:
    for quote in ('"""', '"'):
        if value.startswith(quote):
            closed = len(value) >= 2 * len(quote) and value.endswith(quote)
            return value[len(quote) : -len(quote)] if closed else None
    return value
