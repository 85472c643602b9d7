"""`engine` and `models` are common names: a project that has its own gets them, and ours stay ours.

The project's packages are imported as `_project.engine` and `_project.models`, by Python's own machinery. Its
code asks for `engine` and `models` all the same: each of its modules has builtins of its own, whose
`__import__` translates. Nothing else in the process sees a difference. What a project asks
`importlib.import_module` for isn't translated.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

SHARED_NAMES = ("engine", "models")

_HOME = Path(__file__).resolve().parents[3]
_APART = "_project"


def leave_shared_names_to(root: Path) -> tuple[str, ...]:
    """Give the project in `root` the names that it has modules for, and return them; once per process."""
    names = tuple(name for name in SHARED_NAMES if _has_own(root, name))
    if names:
        package = ModuleType(_APART, "A project's packages that are called like ours.")
        package.__path__ = [str(root)]
        sys.modules[_APART] = package
        sys.meta_path.insert(0, _ProjectFinder(root, names))
    return names


def module_name(root: Path, file: Path) -> str:
    """Return the name under which a project's modules import a file of it, and this process knows it."""
    name = ".".join(file.relative_to(root).with_suffix("").parts) if file.is_relative_to(root) else file.stem
    return f"{_APART}.{name}" if _top(name) in SHARED_NAMES and _has_own(root, _top(name)) else name


def spec_of(name: str, file: Path) -> ModuleSpec | None:
    """Return how to import a file of a project under a name."""
    for finder in sys.meta_path:
        if isinstance(finder, _ProjectFinder) and finder.owns(file):
            return finder.spec(name, file)
    return spec_from_file_location(name, file)


def _has_own(root: Path, name: str) -> bool:
    """Whether `root` holds Python called `name` that isn't ours; a folder of model files isn't."""
    package = root / name
    if package == _HOME / name:
        return False
    return package.with_suffix(".py").is_file() or any(package.glob("*.py"))


class _ProjectFinder(MetaPathFinder):
    """Finds a project's modules where Python does, and has them loaded with builtins of their own."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self._root = root
        self._builtins = {**vars(builtins), "__import__": _translating(names)}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a module, if it is one of the project's."""
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None or not isinstance(found.loader, SourceFileLoader):
            return None
        file = Path(found.origin)
        return self.spec(fullname, file) if self.owns(file) else None

    def owns(self, file: Path) -> bool:
        """Whether a file is the project's own code, and no package that was installed below it."""
        return file.is_relative_to(self._root) and "site-packages" not in file.parts

    def spec(self, name: str, file: Path) -> ModuleSpec | None:
        """Return how to load a file of the project."""
        return spec_from_file_location(name, file, loader=_ProjectLoader(name, str(file), self._builtins))


class _ProjectLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, own_builtins: Mapping[str, Any]) -> None:
        super().__init__(name, path)
        self._builtins = own_builtins

    def exec_module(self, module: ModuleType) -> None:
        """Run the module; its functions keep the builtins that it has now, also for imports inside them."""
        vars(module)["__builtins__"] = self._builtins
        super().exec_module(module)


def _translating(names: Sequence[str]) -> Any:
    """Return an `__import__` that means the project's modules by `names`."""

    def find(
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names are those of __import__
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level or _top(name) not in names:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        try:
            module = builtins.__import__(f"{_APART}.{name}", globals, locals, fromlist or ())
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.startswith(f"{_APART}."):
                raise
            missing = error.name.removeprefix(f"{_APART}.")
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing) from None
        return module if fromlist else sys.modules[f"{_APART}.{_top(name)}"]

    return find


def _top(name: str) -> str:
    return name.partition(".")[0]
