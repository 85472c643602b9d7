"""YAML as promptfoo and people write it: a list of examples, read safely."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.ground.errors import DataError
from engine.project.formats.tables import UnusableError, plain
from engine.project.formats.text import line_error, read_text, shown

LISTS = ("data", "tests")
"""Under which keys a document keeps its examples, where it isn't a list itself; `tests` is promptfoo's."""


def yaml_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the examples of a YAML list, each with its line."""
    try:
        import yaml
    except ImportError:
        raise DataError(
            f"{shown(path)} is a YAML file, and PyYAML is not installed.",
            hint="pip install 'promptgrad-tui[yaml]'",
            file=path,
        ) from None
    try:
        loader = yaml.SafeLoader(read_text(path))
        nodes = _nodes(loader.get_single_node(), path)
        rows = [(node.start_mark.line + 1, loader.construct_object(node, deep=True)) for node in nodes]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it can't be read"
        raise line_error(
            (path, mark.line + 1 if mark else 1), f"not YAML: {problem}.", hint="Correct the line."
        ) from None
    for number, value in rows:
        try:
            yield number, plain(value)
        except UnusableError as error:
            raise line_error((path, number), f"it holds {error}.", hint="Write text, or a number.") from None


def _nodes(document: Any, path: Path) -> list[Any]:
    """Return the nodes of a document's examples."""
    if document is None:
        return []
    if document.id == "mapping":
        members = {key.value: value for key, value in document.value}
        document = next((members[name] for name in LISTS if name in members), document)
    if document.id != "sequence":
        raise DataError(
            f"{shown(path)} isn't a list of examples.",
            hint="Write a list: each example begins with a dash.",
            file=path,
        )
    return list(document.value)
