"""Python that a project names as `file.py:name`; it is loaded in the worker only."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.ground.errors import ProjectError, PromptGradError
from engine.ground.spelling import did_you_mean
from promptgrad_tui.work.code.shared_names import leave_shared_names_to, module_name, spec_of


def load_object(root: Path, reference: str) -> Any:
    """Return what `file.py:name` names in the project folder `root`.

    The folder comes first on `sys.path`, so that the file can import its neighbours, also those
    called `engine` or `models`.

    Raises:
        ProjectError: there is no such file or name, or the file raised while it was imported.
    """
    root = root.resolve()
    file_name, _, name = reference.rpartition(":")
    file = (root / file_name).resolve()
    if not file.is_file():
        raise ProjectError(f"There is no file {file_name} in {root}.", hint=_python_files(root), file=file)
    _enter(root)
    with user_errors(root, file_name):
        module = _import(root, file)
    if not hasattr(module, name):
        raise ProjectError(f"{file_name} defines no {name!r}.", hint=_definitions(module, name), file=file)
    return getattr(module, name)


@contextmanager
def user_errors(root: Path, reference: str) -> Iterator[None]:
    """Turn whatever a project's code raises into a `ProjectError` that names its file and line."""
    try:
        yield
    except PromptGradError:
        raise
    except (Exception, SystemExit) as error:
        root = root.resolve()
        place = _place(error, root)
        where = f"{place[0].relative_to(root)}, line {place[1]}" if place else reference
        file, line = place or (root / reference.partition(":")[0], 0)
        said = str(error.msg if isinstance(error, SyntaxError) else error).strip().rstrip(".")
        raise ProjectError(
            f"{where}: {type(error).__name__}: {said}.", hint=_advice(error), file=file, line=line
        ) from error


def _enter(root: Path) -> None:
    """Put the project first on `sys.path`, and leave it the names of ours that it uses itself."""
    if sys.path[0] == str(root):
        return
    leave_shared_names_to(root)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()


def _import(root: Path, file: Path) -> ModuleType:
    """Import a file under the name by which its neighbours know it, unless something else has that name."""
    name = module_name(root, file)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    if known is None and "." in name:
        return importlib.import_module(name)
    return _import_file(name if known is None else f"project_{name}", file)


def _import_file(name: str, file: Path) -> ModuleType:
    spec = spec_of(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _place(error: BaseException, root: Path) -> tuple[Path, int] | None:
    """Return file and line in the project where `error` was raised, or None if it was elsewhere."""
    places = [
        (Path(frame.filename), frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((Path(error.filename), error.lineno or 0))
    return next(((path, line) for path, line in reversed(places) if path.is_relative_to(root)), None)


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"Install {error.name.partition('.')[0]} into this environment, or correct the import."
    if isinstance(error, SystemExit):
        return "A project's file must not end the process when it is imported."
    return "Correct the project's code; --debug shows the whole traceback."


def _python_files(root: Path) -> str:
    files = sorted(path.name for path in root.glob("*.py"))
    return f"There is {', '.join(files)}." if files else "Correct the name in promptgrad.toml."


def _definitions(module: ModuleType, name: str) -> str:
    """Return what a module defines itself, the closest name first said."""
    own = [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return f"{did_you_mean(name, own)}It defines {', '.join(own)}." if own else "It defines nothing."
