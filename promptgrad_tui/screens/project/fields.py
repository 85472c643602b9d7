"""The fields of a project's form, read off the models that check `promptgrad.toml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

from engine.project.settings import Project
from engine.project.toml_lines import Place
from models.settings import ModelSettings

Kind: TypeAlias = Literal["switch", "choice", "integer", "number", "text", "prose", "list", "table"]
"""How a field is edited; `prose` is text of several lines, a `table` has free keys."""

_KINDS: dict[str, Kind] = {
    "boolean": "switch",
    "integer": "integer",
    "number": "number",
    "string": "text",
    "array": "list",
    "object": "table",
}
_PROSE: frozenset[Place] = frozenset({("program", "instructions"), ("optimizer", "base_prompt_source")})


@dataclass(frozen=True)
class FormSection:
    """A table of the file; the keys before the first table are in the section called ""."""

    name: str
    description: str

    @property
    def place(self) -> Place:
        """Its place in the file."""
        return (self.name,) if self.name else ()

    @property
    def title(self) -> str:
        """Its name as the file has it."""
        return f"[{self.name}]" if self.name else "Project"


@dataclass(frozen=True)
class FormField:
    """One setting: what it means, which values it takes, and what holds where the file doesn't say.

    `default` is None where nothing is set by default; `is_known` is False for a key that no model has.
    """

    place: Place
    kind: Kind
    description: str
    default: Any = None
    choices: tuple[Any, ...] = ()
    range: str = ""
    is_required: bool = False
    is_known: bool = True

    @property
    def name(self) -> str:
        """The key."""
        return self.place[-1]

    @property
    def section(self) -> str:
        """The name of its section."""
        return self.place[0] if len(self.place) > 1 else ""

    @property
    def id(self) -> str:
        """The dotted key, as messages name it."""
        return ".".join(self.place)


FormRow: TypeAlias = FormSection | FormField


@cache
def form_rows() -> tuple[FormRow, ...]:
    """Return every section, each followed by all of its fields, in the order of the models."""
    schema = TypeAdapter(Project).json_schema()
    sections: dict[str, Mapping[str, Any]] = {}
    top: dict[str, Any] = {}
    for name, field in schema["properties"].items():
        if "$ref" in field:
            sections[name] = schema["$defs"][field["$ref"].rpartition("/")[2]]
        else:
            top[name] = field
    rows: list[FormRow] = [FormSection("", "Settings of the whole project.")]
    rows += _fields((), top, ())
    for name, section in sections.items():
        rows.append(FormSection(name, section.get("description", "")))
        rows += _fields((name,), section["properties"], section.get("required", ()))
        if name == "model":
            rows += _fields((name,), TypeAdapter(ModelSettings).json_schema()["properties"], ())
    return tuple(rows)


def unknown_field(place: Place, value: Any) -> FormField:
    """Return a field for a key that the file has and no model knows."""
    kind: Kind = "table" if isinstance(value, dict) else "list" if isinstance(value, list) else "text"
    return FormField(place, kind, "There is no setting with this name.", is_known=False)


def _fields(
    section: Place, properties: Mapping[str, Mapping[str, Any]], required: tuple[str, ...] | list[str]
) -> Iterator[FormField]:
    for name, schema in properties.items():
        place = (*section, name)
        arms = [arm for arm in schema.get("anyOf", [schema]) if arm.get("type") != "null"]
        arm = arms[0]
        choices = _choices(arms)
        kind = "choice" if choices else "prose" if place in _PROSE else _KINDS[arm["type"]]
        yield FormField(
            place,
            kind,
            schema.get("description", ""),
            default=schema.get("default", {} if kind == "table" else None),
            choices=choices,
            range=_range_text(arm),
            is_required=name in required,
        )


def _choices(arms: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    """Return all values that a field may have; none for a switch, and where there is no end of them."""
    values = [arm.get("enum") or ([False, True] if arm["type"] == "boolean" else None) for arm in arms]
    if len(arms) == 1 and "enum" not in arms[0]:
        return ()
    return tuple(value for some in values if some for value in some) if all(values) else ()


def _range_text(schema: Mapping[str, Any]) -> str:
    """Return the numbers that a schema allows: 0 to 1; above 0; 1 or more."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    parts = [
        f"{_number(low)} or more" if low is not None else "",
        f"above {_number(above)}" if above is not None else "",
        f"at most {_number(high)}" if high is not None else "",
        f"below {_number(below)}" if below is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"
