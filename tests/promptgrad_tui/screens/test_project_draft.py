from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from engine.project.config import PromptGradConfig
from engine.project.settings import ModelSection, Project, load_project
from models.settings import ModelSettings
from promptgrad_tui.screens.project.draft import ProjectDraft, next_choice, shown_value, text_of, typed_value
from promptgrad_tui.screens.project.fields import FormField, FormSection, form_rows
from promptgrad_tui.screens.project.file import UNSET
from tests.engine.project_folders import TOML

SECTIONS = ("program", "data", "metric", "base", "gates", "objectives")


def expected_places() -> list[tuple[str, ...]]:
    """Every field of every model, from the models themselves."""
    places: list[tuple[str, ...]] = []
    for name, field in Project.model_fields.items():
        if name in SECTIONS:
            places += [(name, key) for key in field.annotation.model_fields]  # type: ignore[union-attr]
        elif name == "optimizer":
            places += [(name, field.name) for field in fields(PromptGradConfig)]
        elif name == "model":
            places += [(name, key) for key in (*ModelSection.model_fields, *ModelSettings.model_fields)]
        else:
            places.append((name,))
    return places


@pytest.mark.parametrize("place", expected_places(), ids=".".join)
def test_every_field_of_every_model_is_in_the_form_with_its_help(place: tuple[str, ...]) -> None:
    found = [row for row in form_rows() if isinstance(row, FormField) and row.place == place]
    assert len(found) == 1
    assert found[0].description.endswith((".", "}"))


def test_the_form_has_nothing_else() -> None:
    assert {row.place for row in form_rows() if isinstance(row, FormField)} == set(expected_places())


def field(place: str) -> FormField:
    return next(row for row in form_rows() if isinstance(row, FormField) and row.id == place)


@pytest.mark.parametrize(
    ("place", "kind", "default", "range_"),
    [
        ("optimizer.epochs", "integer", 3, "1 or more"),
        ("optimizer.seed", "integer", None, ""),
        ("optimizer.val_holdout_fraction", "number", 0.2, "above 0, below 1"),
        ("optimizer.validate_rules", "switch", True, ""),
        ("metric.kind", "choice", None, ""),
        ("program.instructions", "prose", "", ""),
        ("program.fields", "table", {}, ""),
        ("model.template_switches", "table", {}, ""),
        ("gates.must_pass", "list", [], ""),
        ("gates.min_test_gain_low", "number", None, "-1 to 1"),
        ("model.threads", "integer", None, "1 to 1,024"),
        ("model.seed", "integer", 0, "0 or more, below 2,147,483,648"),
    ],
)
def test_a_fields_kind_default_and_range_are_those_of_its_model(
    place: str, kind: str, default: object, range_: str
) -> None:
    found = field(place)
    assert (found.kind, found.default, found.range) == (kind, default, range_)


def test_choices_are_those_of_the_model() -> None:
    assert field("review").choices == ("none", "after", "during")
    assert {"json_fields", "rubric"} <= set(field("metric.kind").choices)


@pytest.fixture
def draft(tmp_path: Path) -> ProjectDraft:
    path = tmp_path / "promptgrad.toml"
    path.write_text(f"# mine\n{TOML}[optimizer]\nepochs = 2\n")
    return ProjectDraft(path)


def test_a_change_is_known_and_can_be_taken_back(draft: ProjectDraft) -> None:
    epochs = field("optimizer.epochs")
    draft.set(epochs, 5)
    assert draft.is_field_changed(epochs)
    assert (draft.value(epochs), draft.file_value(epochs)) == (5, 2)
    draft.undo(epochs)
    assert not draft.is_changed
    draft.set(epochs, 2)
    assert not draft.is_changed, "that is what the file says"
    draft.set(field("optimizer.batch_size"), 10)
    assert not draft.is_changed, "that is the default"


def test_every_change_can_be_taken_back_at_once(draft: ProjectDraft) -> None:
    draft.set(field("optimizer.epochs"), 5)
    draft.set(field("model.temperature"), 0.5)
    draft.undo_all()
    assert draft.value(field("optimizer.epochs")) == 2
    assert not draft.is_changed


def test_a_default_holds_where_a_field_is_taken_out(draft: ProjectDraft) -> None:
    epochs = field("optimizer.epochs")
    draft.unset(epochs)
    assert draft.value(epochs) == 3
    assert not draft.is_set(epochs)
    draft.save()
    assert "epochs" not in draft.file.text


@pytest.mark.parametrize(
    ("place", "typed", "sentence"),
    [
        ("optimizer.epochs", "0", "optimizer.epochs = 0 should be greater than or equal to 1"),
        ("optimizer.epochs", "many", "should be a whole number"),
        ("optimizer.epochs", "2.5", "should be a whole number"),
        ("gates.slices", "phone = 3", "gates.slices.phone = 3 should be less than or equal to 1"),
        ("gates.slices", "phone", "should be a valid dictionary"),
        ("model.keep_alive", "for ever", "model.keep_alive = 'for ever' should match pattern"),
        ("metric.python", "score", 'write it as "file.py:name"'),
        ("program.signature", "", '[program] needs either signature = "input -> output"'),
        ("data.train", "", "data.train is missing"),
    ],
)
def test_what_is_typed_is_judged_by_the_models(
    draft: ProjectDraft, place: str, typed: str, sentence: str
) -> None:
    assert sentence in draft.problem_of(field(place), typed_value(field(place), typed))


def test_a_problem_stands_at_its_field_or_its_section(draft: ProjectDraft) -> None:
    draft.set(field("optimizer.epochs"), 0)
    draft.set(field("metric.tolerance"), 0.5)
    assert draft.problem(field("optimizer.epochs"))
    metric = next(row for row in draft.rows if isinstance(row, FormSection) and row.name == "metric")
    assert draft.problem(metric) == "[metric] tolerance has no effect with exact_match"
    assert draft.project is None
    draft.undo_all()
    assert draft.project is not None


def test_keys_that_no_model_knows_are_rows_that_can_be_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "promptgrad.toml"
    path.write_text(f"{TOML}tempature = 1\n[optimizer]\nepoch = 3\n[extra]\na = 1\n")
    draft = ProjectDraft(path)
    unknown = [row for row in draft.rows if isinstance(row, FormField) and not row.is_known]
    assert [row.id for row in unknown] == ["extra", "model.tempature", "optimizer.epoch"]
    assert draft.problem(unknown[2]) == "optimizer.epoch is unknown; did you mean epochs?"
    for row in unknown:
        draft.unset(row)
    draft.save()
    assert load_project(path, model_options=ModelSettings).optimizer.epochs == 3


def test_a_file_read_again_keeps_the_changes_that_it_lacks(draft: ProjectDraft) -> None:
    draft.set(field("optimizer.epochs"), 5)
    draft.set(field("model.temperature"), 0.5)
    path = draft.file.path
    path.write_text(path.read_text().replace("epochs = 2", "epochs = 5\nseed = 9"))
    draft.read_again()
    assert set(draft.edits) == {("model", "temperature")}
    assert draft.value(field("optimizer.seed")) == 9


@pytest.mark.parametrize(
    ("place", "typed", "value"),
    [
        ("optimizer.epochs", " 4 ", 4),
        ("model.temperature", "0.25", 0.25),
        ("model.temperature", "1", 1),
        ("gates.must_pass", "t-1\n\n t-2 \n", ["t-1", "t-2"]),
        ("gates.slices", 'phone = 0.8\n"a b" = 1', {"phone": 0.8, "a b": 1}),
        ("program.instructions", "Route it.\n Then stop.\n", "Route it.\n Then stop.\n"),
        ("data.slice", "  ", UNSET),
    ],
)
def test_typed_text_becomes_a_value_and_back(place: str, typed: str, value: object) -> None:
    assert typed_value(field(place), typed) == value
    if value is not UNSET:
        assert typed_value(field(place), text_of(value)) == value


def test_choices_go_round() -> None:
    review, validate, kind = field("review"), field("optimizer.validate_rules"), field("metric.kind")
    assert [next_choice(review, value, 1) for value in review.choices] == ["after", "during", "none"]
    assert next_choice(review, "none", -1) == "during"
    assert next_choice(validate, True, 1) is False
    assert next_choice(kind, None, 1) == "exact_match"
    think = field("model.think")
    assert think.choices == (False, True, "minimal", "low", "medium", "high", "max")
    assert [next_choice(think, value, 1) for value in (False, True, "max")] == [True, "minimal", False]


def test_numbers_are_shown_in_full() -> None:
    assert [shown_value(value) for value in (0.1234567891, 600.0, 1e-9, True, None, {}, ["a", "b"])] == [
        "0.1234567891",
        "600",
        "1e-09",
        "yes",
        "-",
        "-",
        "a, b",
    ]


def test_a_section_that_is_no_section_is_told_and_nothing_breaks(tmp_path: Path) -> None:
    path = tmp_path / "promptgrad.toml"
    path.write_text(TOML.replace('[metric]\nkind = "exact_match"\nfield = "queue"\n', "") + "")
    path.write_text("metric = 3\n" + path.read_text())
    draft = ProjectDraft(path)
    assert "metric must be a section" in next(iter(draft.problems.values()))
    assert draft.value(field("metric.threshold")) == 0.5
