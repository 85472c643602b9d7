from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from engine.ground.errors import ProjectError
from engine.project.config import PromptGradConfig
from engine.project.settings import Project, load_project
from engine.project.toml_lines import TomlLines
from tests.engine.project_folders import TOML, write_project


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    temperature: float = 0.0
    threads: int | None = None


def refused(root: Path, **overrides: str) -> str:
    with pytest.raises(ProjectError) as caught:
        load_project(root, overrides, model_options=Options)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_project_says_what_its_file_says(tmp_path: Path) -> None:
    toml = (
        'name = "desk"\nreview = "after"\n'
        + TOML
        + "temperature = 0.5\n[optimizer]\nepochs = 2\nconditional_rules = true\n"
        + "[gates]\nmin_test_gain = 0.05\nslices = { refund = 0.88 }\n"
    )
    project = load_project(write_project(tmp_path / "folder", toml))
    assert (project.name, project.review) == ("desk", "after")
    assert project.program.signature == "ticket -> queue"
    assert project.program.module == "predict"
    assert project.metric.kind == "exact_match"
    assert (project.model.task, project.model.reflection) == ("demo", "same")
    assert project.model.options == {"temperature": 0.5}
    assert project.optimizer == PromptGradConfig(epochs=2, conditional_rules=True)
    assert project.gates.slices == {"refund": 0.88}
    assert project.path(project.data.train) == (tmp_path / "folder" / "train.jsonl").resolve()


def test_a_project_is_found_by_its_file_too_and_called_after_its_folder(tmp_path: Path) -> None:
    root = write_project(tmp_path / "routing")
    project = load_project(root / "promptgrad.toml")
    assert (project.name, project.root) == ("routing", root.resolve())
    assert project.file == root.resolve() / "promptgrad.toml"


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    (root / "promptgrad.toml").write_bytes(b"\xef\xbb\xbf" + TOML.replace("\n", "\r\n").encode())
    assert load_project(root).metric.field == "queue"


def test_overrides_are_toml_values_and_text_where_they_are_none(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    overrides = {
        "optimizer.epochs": "1",
        "optimizer.rule_validation_mode": '"auto"',
        "optimizer.verbose": "false",
        "model.task": "ollama:qwen3:4b",
        "gates.slices.refund": "0.5",
    }
    project = load_project(root, overrides)
    assert (project.optimizer.epochs, project.optimizer.rule_validation_mode) == (1, "auto")
    assert project.optimizer.verbose is False
    assert project.model.task == "ollama:qwen3:4b"
    assert project.gates.slices == {"refund": 0.5}


def test_a_wrong_override_is_called_one(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    message = refused(root, **{"optimizer.epochs": "0"})
    assert "--set: optimizer.epochs = 0" in message
    assert "line" not in message.partition("\n")[0]
    assert "field isn't a section" in refused(root, **{"metric.field.x": "1"})


def test_a_base_that_differs_by_input_is_refused_and_the_setting_for_it_named(tmp_path: Path) -> None:
    message = refused(write_project(tmp_path), **{"base.optimizer": "knn_few_shot"})
    assert "knn_few_shot shows each input other demonstrations" in message
    assert "[optimizer] conditional_demonstrations = 12" in message


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    toml = TOML.replace("field =", "feild =") + "temprature = 0.5\n[optimizer]\nepoch = 3\nbatch_size = 0\n"
    message = refused(write_project(tmp_path, toml))
    assert "promptgrad.toml has 4 problems" in message
    assert "line 12: metric.feild is unknown; did you mean field?" in message
    assert "line 16: model.temprature is unknown; did you mean temperature?" in message
    assert "line 18: optimizer.epoch is unknown; did you mean epochs?" in message
    assert "line 19: optimizer.batch_size = 0 should be greater than or equal to 1" in message
    assert message.index("line 12") < message.index("line 16") < message.index("line 19")


def test_a_section_that_has_no_near_name_lists_what_there_is(tmp_path: Path) -> None:
    message = refused(write_project(tmp_path, TOML + "[zebra]\n"))
    assert "promptgrad.toml, line 16: zebra is unknown; there are base, data, " in message


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('signature = "ticket -> queue"', "", "line 1: [program] needs either signature"),
        (
            'signature = "ticket -> queue"',
            'python = "p.py:build"',
            "instructions can't be combined with python",
        ),
        ('train = "train.jsonl"', "", "line 5: data.train is missing"),
        ('train = "train.jsonl"', "train = 3", "line 6: data.train = 3 should be text"),
        ('field = "queue"', "", "line 10: [metric] needs field"),
        ('kind = "exact_match"', 'kind = "accuracy"', "line 11: metric.kind = 'accuracy' should be"),
        ('kind = "exact_match"', 'python = "metric.py"', 'write it as "file.py:name"'),
        ('kind = "exact_match"', 'python = "m.py:f"', "field has no effect with m.py:f"),
        ('field = "queue"', 'field = "queue"\ntolerance = 1', "tolerance has no effect with exact_match"),
        ('kind = "exact_match"\nfield = "queue"', "", "line 10: [metric] needs either kind"),
        ('task = "demo"', "", "line 14: model.task is missing"),
        ('[model]\ntask = "demo"', "", "[model] is missing"),
        ("[program]", "optimizer = 3\n[program]", "line 1: optimizer must be a section: [optimizer]"),
        (
            'task = "demo"',
            'task = "demo"\n[gates]\nslices = { a = 2 }',
            "line 17: gates.slices.a = 2 should be",
        ),
        (
            "[program]",
            'review = "during"\noptimizer = { validate_rules = false }\n[program]',
            "line 2: [optimizer] validate_rules = false can't be combined with review",
        ),
    ],
)
def test_one_problem_is_one_sentence_with_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    message = refused(write_project(tmp_path, TOML.replace(old, new)))
    assert message.startswith("promptgrad.toml, ")
    assert told in message


def test_a_syntax_error_names_line_and_column(tmp_path: Path) -> None:
    message = refused(write_project(tmp_path, TOML.replace('"demo"', "demo")))
    assert "line 15, column 8" in message


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    (root / "promptgrad.toml").write_bytes(b'name = "caf\xe9"')
    assert "byte 0xe9 at position 11" in refused(root)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "promptgrad.toml").mkdir()
    assert "can't be read: Is a directory" in refused(tmp_path)


def test_a_folder_without_a_project_says_how_to_begin_one(tmp_path: Path) -> None:
    assert f"`promptgrad init {tmp_path / 'none'}`" in refused(tmp_path / "none")
    assert "There is no promptgrad.toml" in refused(tmp_path)


def test_without_a_class_for_them_model_options_are_kept_as_they_are(tmp_path: Path) -> None:
    assert load_project(write_project(tmp_path, TOML + "anything = [1]\n")).model.options == {"anything": [1]}


SECTIONS = ("program", "data", "metric", "model", "optimizer", "gates", "base", "objectives")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_a_section_that_a_form_shows_is_described(section: str) -> None:
    fields = Project.model_fields[section].annotation.__pydantic_fields__  # type: ignore[union-attr]
    assert [name for name, field in fields.items() if not field.description] == []


def test_every_field_beside_the_sections_is_described() -> None:
    fields = Project.model_fields.items()
    assert [name for name, field in fields if not field.description and name not in SECTIONS] == []


def test_lines_are_found_through_multi_line_text_and_dotted_and_quoted_keys() -> None:
    lines = TomlLines(
        'a = """\nb = 1\n"""\nb = 2\n[ one . two ] # x\n"a key" = 1\nx.y = 2\n'
        "'lit'=3\n[[list]]\nz=[\n[1, 2]\n]\n"
    )
    assert lines.find(("b",)) == 4
    assert lines.find(("one", "two")) == 5
    assert lines.find(("one", "two", "a key")) == 6
    assert lines.find(("one", "two", "x", "y")) == 7
    assert lines.find(("one", "two", "lit")) == 8
    assert lines.find(("one", "two", "nowhere")) == 5
    assert lines.find(("list", "z")) == 10
    assert lines.find(("nowhere",)) is None


def test_reading_a_project_needs_neither_dspy_nor_a_model() -> None:
    heavy = "{'dspy', 'llama_cpp', 'textual', 'models'} & set(sys.modules)"
    modules = "engine.project.settings, engine.project.data, engine.project.splits, engine.programs.coercion"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print({heavy})"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
