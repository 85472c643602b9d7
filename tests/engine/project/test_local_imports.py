from __future__ import annotations

from pathlib import Path

import pytest

from engine.project.local_imports import with_local_imports

FILES = {
    "program.py": "import dspy, json\nimport words.clean as clean\nfrom prompts import HEAD\n",
    "prompts.py": "def late():\n    from deep import things\n",
    "words/__init__.py": "from . import base\n",
    "words/clean.py": "from ..other import x\nfrom .base import lower\n",
    "words/base.py": "import program\n",
    "deep/things.py": "",
    "other.py": "",
    "unused.py": "",
    "json/notes.txt": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def imports(root: Path, name: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in with_local_imports(root, root / name)]


def test_all_that_a_file_imports_of_its_project_is_found(root: Path) -> None:
    assert imports(root, "program.py") == [
        "program.py",
        "deep/things.py",
        "other.py",
        "prompts.py",
        "words/__init__.py",
        "words/base.py",
        "words/clean.py",
    ]


def test_a_file_that_imports_nothing_stands_alone(root: Path) -> None:
    assert imports(root, "unused.py") == ["unused.py"]


@pytest.mark.parametrize("content", ["def broken(:", "\0", "from .. import far"])
def test_what_cannot_be_read_or_lies_outside_is_passed_over(root: Path, content: str) -> None:
    (root / "other.py").write_text(content)
    assert imports(root, "other.py") == ["other.py"]


def test_a_missing_file_is_named_all_the_same(root: Path) -> None:
    assert imports(root, "nowhere.py") == ["nowhere.py"]
