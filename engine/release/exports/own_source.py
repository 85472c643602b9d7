"""Parts of this package's own source, for code that has to travel without it."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Collection, Mapping
from types import ModuleType


def definitions(module: ModuleType, names: Collection[str] | None = None) -> str:
    """Return the source of a module's top-level definitions, in their order; all of them without `names`.

    With `names`, what those use of the module comes along. Imports and docstrings of modules and constants
    are left out.
    """
    source = inspect.getsource(module)
    lines = source.splitlines()
    known = {defined: node for node in ast.parse(source).body if (defined := _defined(node)) is not None}
    wanted = set(known) if names is None else _with_what_they_use(names, known)
    return _joined(
        [
            (node, "\n".join(lines[_first_line(node) - 1 : node.end_lineno]))
            for defined, node in known.items()
            if defined in wanted
        ]
    )


def needed_imports(modules: Collection[ModuleType], code: str) -> list[str]:
    """Return the import statements of `modules`, outside of this package, for the names that `code` uses."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    plain: set[str] = set()
    named: dict[str, set[str]] = defaultdict(set)
    for node in (node for module in modules for node in ast.parse(inspect.getsource(module)).body):
        if isinstance(node, ast.Import):
            plain |= {name.name for name in node.names} & used
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("engine"):
            named[node.module] |= {name.name for name in node.names} & used
    lines = [f"import {name}" for name in sorted(plain)]
    return lines + [
        f"from {name} import {', '.join(sorted(named[name]))}" for name in sorted(named) if named[name]
    ]


def _with_what_they_use(names: Collection[str], known: Mapping[str, ast.stmt]) -> set[str]:
    """Return the names with those that their code needs to run; what only a signature's types name isn't."""
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        node = known[name]
        runs = node.body if isinstance(node, ast.FunctionDef) else [node]
        waiting += [
            used.id
            for part in runs
            for used in ast.walk(part)
            if isinstance(used, ast.Name) and used.id in known
        ]
    return wanted


def _defined(node: ast.stmt) -> str | None:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return int(decorators[0].lineno if decorators else node.lineno)


def _joined(parts: list[tuple[ast.stmt, str]]) -> str:
    """Return the parts with two blank lines around functions and classes, and none between constants."""
    text = ""
    before: ast.stmt | None = None
    for node, part in parts:
        is_tight = isinstance(node, ast.Assign) and isinstance(before, ast.Assign)
        text += part if before is None else ("\n" if is_tight else "\n\n\n") + part
        before = node
    return text
