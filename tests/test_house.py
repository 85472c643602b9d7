"""The house: how far imports reach, how long files are and how full folders."""

from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "models", "promptgrad_tui")


def chains():
    """Return a function from a module to the longest chain of imports that begins with it."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)

    @cache
    def chain(module):
        imported = graph.find_modules_directly_imported_by(module)
        return (module, *max(map(chain, sorted(imported)), key=len, default=()))

    return {module: chain(module) for module in sorted(graph.modules)}


def test_no_chain_of_imports_is_longer_than_need_be():
    """What a run is made of bounds it: texts, rules, programs, rollouts, tests, searches, sessions, lanes."""
    found = chains()
    engine = max((found[module] for module in found if module.startswith("engine")), key=len)
    whole = max(found.values(), key=len)
    assert len(engine) <= 14, "\n".join(engine)
    assert len(whole) <= 24, "\n".join(whole)


def test_no_file_is_longer_than_400_lines():
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    assert [str(file) for file in files if len(file.read_text("utf-8").splitlines()) > 400] == []


def test_no_folder_holds_more_than_25_files():
    folders = [file.parent for package in PACKAGES for file in (ROOT / package).rglob("__init__.py")]
    assert [str(folder) for folder in folders if len(list(folder.glob("*.py"))) > 25] == []
