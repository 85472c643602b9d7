"""Which files of the project a Python file imports, found by parsing and without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def with_local_imports(root: Path, file: Path) -> list[Path]:
    """Return `file` and every Python file below `root` that it imports, directly or through others.

    Imports inside functions count too; imports by a computed name aren't seen. Files that are missing or
    aren't Python are returned without being parsed.
    """
    root = root.resolve()
    files: dict[Path, None] = {}
    waiting = [file.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in files:
            files[path] = None
            waiting += _imported(root, path)
    first, *others = files
    return [first, *sorted(others)]


def _imported(root: Path, path: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    packages = [folder for folder in path.parents if folder.is_relative_to(root)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(root, alias.name)
        elif isinstance(node, ast.ImportFrom) and node.level <= len(packages):
            folder = packages[node.level - 1] if node.level else root
            yield from _files(folder, node.module or "")
            for alias in node.names:
                yield from _files(folder, f"{node.module}.{alias.name}" if node.module else alias.name)


def _files(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files that Python runs to import the module `name` from a folder, packages first."""
    place = folder
    for part in name.split(".") if name else ():
        place = place / part
        for candidate in (place / "__init__.py", place.with_suffix(".py")):
            if candidate.is_file():
                yield candidate.resolve()
