from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from promptgrad_tui.screens.app import PromptGradApp
from promptgrad_tui.screens.compare.screen import CompareScreen
from promptgrad_tui.screens.keys.actions import ACTIONS, SCOPES, of_scope
from promptgrad_tui.screens.keys.keymap import read_keymap
from promptgrad_tui.screens.keys.page import keys_page
from promptgrad_tui.screens.models.screen import ModelsScreen
from promptgrad_tui.screens.project.form import ProjectForm
from promptgrad_tui.screens.project.models import ModelPicker
from promptgrad_tui.screens.project.screen import ProjectScreen
from promptgrad_tui.screens.review.judge.screen import JudgeScreen
from promptgrad_tui.screens.review.screen import ReviewScreen
from promptgrad_tui.screens.run.batch_screen import BatchScreen
from promptgrad_tui.screens.run.labels_screen import LabelsScreen
from promptgrad_tui.screens.run.log_screen import LogScreen
from promptgrad_tui.screens.run.screen import RunScreen
from promptgrad_tui.screens.start.screen import StartScreen
from promptgrad_tui.screens.trying.screen import TryScreen
from promptgrad_tui.screens.widgets.details import DetailScreen
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import TextView

DOCS = Path(__file__).parents[3] / "docs" / "keys.md"
OWNERS = {
    "app": (PromptGradApp,),
    "start": (StartScreen,),
    "run": (RunScreen,),
    "batch": (BatchScreen,),
    "detail": (DetailScreen,),
    "review": (ReviewScreen,),
    "compare": (CompareScreen,),
    "log": (LogScreen,),
    "try": (TryScreen,),
    "models": (ModelsScreen,),
    "project": (ProjectScreen,),
    "form": (ProjectForm,),
    "picker": (ModelPicker,),
    "judge": (JudgeScreen,),
    "labels": (LabelsScreen,),
    "table": (RowTable,),
    "text": (TextView,),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_no_key_means_two_things_in_one_place(scope: str) -> None:
    keys = Counter(key for action in ACTIONS if action.scope == scope for key in action.keys.split(","))
    assert [key for key, count in keys.items() if count > 1] == []


def test_every_action_has_its_own_name_and_a_sentence() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert all(action.help.endswith(".") and action.label for action in ACTIONS)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_can_be_carried_out(action: object) -> None:
    name = action.name.partition("(")[0]  # type: ignore[attr-defined]
    assert any(hasattr(owner, f"action_{name}") for owner in OWNERS[action.scope])  # type: ignore[attr-defined]


def test_the_page_of_keys_is_up_to_date() -> None:
    assert DOCS.read_text(encoding="utf-8") == keys_page(), (
        "python -m promptgrad_tui.screens.keys.page > docs/keys.md"
    )


def test_the_page_of_keys_has_every_action() -> None:
    page = keys_page()
    assert all(f"`{action.id}`" in page for action in ACTIONS)


def test_a_persons_own_keys_are_read_and_nonsense_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text('"run.pause" = "f5"\n"no.such" = "x"\n"run.stop" = 3\n')
    assert read_keymap(file) == {"run.pause": "f5"}
    file.write_text("not toml [")
    assert read_keymap(file) == {}
    assert read_keymap(tmp_path / "none.toml") == {}


def test_scopes_keep_their_order() -> None:
    assert [action.scope for action in of_scope("run")] == ["run"] * len(of_scope("run"))
