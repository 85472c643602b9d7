"""`engine` and `models` are common names: a project that has its own gets them, and we keep ours.

Once everything of ours is imported, both names leave `sys.modules`, so that the project's code finds its own.
Imports inside our functions still mean ours: they are told apart by the module that asks.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.util
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

SHARED_NAMES = ("engine", "models")

_HOME = Path(__file__).resolve().parents[3]
_NOT_AT_RUN_TIME = "models.demo.training"


def leave_shared_names_to(root: Path) -> tuple[str, ...]:
    """Give the project in `root` the names that it has modules for, and return them; once per process."""
    taken = tuple(name for name in SHARED_NAMES if _has_own(root, name))
    for name in taken:
        _import_all(name)
    if taken:
        ours = {name: module for name, module in sys.modules.items() if _top(name) in taken}
        for name in ours:
            del sys.modules[name]
        _keep_for_us(ours)
    for name in taken:
        _make_importable(root, name)
    return taken


def _has_own(root: Path, name: str) -> bool:
    """Whether `root` holds Python called `name` that isn't ours; a folder of model files is none."""
    package = root / name
    if package == _HOME / name:
        return False
    return package.with_suffix(".py").is_file() or any(package.glob("*.py"))


def _import_all(name: str) -> None:
    """Import a package of ours with all that lies in it, and bind the names that it exports lazily."""
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not found.name.startswith(_NOT_AT_RUN_TIME):
            importlib.import_module(found.name)
    for exported in getattr(package, "__all__", ()):
        setattr(package, exported, getattr(package, exported))


def _keep_for_us(ours: Mapping[str, ModuleType]) -> None:
    """Make imports inside our own modules find `ours`, which are no longer in `sys.modules`."""
    python_import = builtins.__import__
    namespaces = {id(vars(module)) for module in ours.values()}

    def find(
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names are those of __import__
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0 and name in ours and globals is not None:
            is_on_screen_side = _top(globals.get("__package__") or "") == "promptgrad_tui"
            if id(globals) in namespaces or is_on_screen_side:
                return ours[name] if fromlist else ours[_top(name)]
        return python_import(name, globals, locals, fromlist or (), level)

    builtins.__import__ = find


def _make_importable(root: Path, name: str) -> None:
    """Bind a folder without `__init__.py`, which Python would look for only after our installed package."""
    package = root / name
    if package.with_suffix(".py").is_file() or (package / "__init__.py").is_file():
        return
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(package)]
    sys.modules[name] = importlib.util.module_from_spec(spec)


def _top(name: str) -> str:
    return name.partition(".")[0]
