"""A journal and an artifact from before the packages became rooms are read as they were then."""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path
from typing import Any

import pytest

from models import open_model
from models.demo import demo_model_path
from promptgrad_tui import load_artifact
from tests.promptgrad_tui.desk_project import promptgrad, result

BEFORE = Path(__file__).parents[1] / "fixtures" / "before_rooms"
ARTIFACT = Path("artifacts/support-desk/6e9c992d649b/v1")
TICKET = "Something is wrong with the sales tax. My company relies on a camera crew."

needs_the_demo_model = pytest.mark.skipif(
    not demo_model_path().is_file(), reason="the demo model isn't built: make demo-model"
)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The project as a person would find it on their disk."""
    root = tmp_path / "desk"
    shutil.copytree(BEFORE / "data", root / "data")
    shutil.copy(BEFORE / "promptgrad.toml", root)
    shutil.copytree(BEFORE / "artifact", root / ARTIFACT)
    journal = root / ".promptgrad" / "journal.sqlite"
    journal.parent.mkdir()
    journal.write_bytes(lzma.decompress((BEFORE / "journal.sqlite.xz").read_bytes()))
    return root


def printed(name: str) -> Any:
    """What a command printed before the move."""
    return json.loads(lzma.decompress((BEFORE / "printed" / f"{name}.json.xz").read_bytes()))


def differences(then: Any, now: Any, place: str = "") -> list[str]:
    """Where something that was printed then is missing now or has another value."""
    if isinstance(then, dict) and isinstance(now, dict):
        lost = [f"{place}.{name} is gone" for name in then.keys() - now.keys()]
        return lost + [
            line
            for name in then.keys() & now.keys()
            for line in differences(then[name], now[name], f"{place}.{name}")
        ]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [
            line
            for at, (old, new) in enumerate(zip(then, now, strict=True))
            for line in differences(old, new, f"{place}[{at}]")
        ]
    return [] if then == now else [f"{place} was {then!r} and is {now!r}"]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("runs", ("runs",)),
        ("show", ("show", "last")),
        ("compare", ("compare", "baseline", "last")),
    ],
)
def test_an_old_run_is_printed_as_before(desk: Path, name: str, command: tuple[str, ...]) -> None:
    now = promptgrad("-C", desk, *command, "--json")
    below_the_project = now.stdout.replace(f"{desk}/", "")
    assert now.returncode == 0, now.stderr
    assert differences(printed(name), json.loads(below_the_project)) == []


def test_an_old_run_is_shown_on_the_terminal(desk: Path) -> None:
    shown = promptgrad("-C", desk, "show", "last")
    assert shown.returncode == 0, shown.stderr
    assert "Tickets that mention a hearing aid go to medical." in shown.stdout
    assert "0.467 [0.346, 0.591]" in shown.stdout
    assert "0.975 [0.929, 0.991]" in shown.stdout


@needs_the_demo_model
def test_an_old_artifact_answers(desk: Path) -> None:
    answer = promptgrad("predict", desk / ARTIFACT, "--input", f"ticket={TICKET}", "--json")
    assert result(answer) == {"reasoning": "It mentions a camera crew: press.", "queue": "press"}


@needs_the_demo_model
def test_an_old_artifact_loads_into_the_program(desk: Path) -> None:
    with open_model("demo") as model:
        program = load_artifact(desk / ARTIFACT, model)
        assert program(ticket=TICKET).queue == "press"
