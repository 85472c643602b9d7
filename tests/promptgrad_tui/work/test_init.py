from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.ground.errors import ProjectError
from engine.project.settings import load_project
from engine.project.splits import load_splits
from models.settings import ModelSettings
from promptgrad_tui.work.code.program import build_metric, build_program, check_metric_field, program_fields
from promptgrad_tui.work.run.init_project import init_project


def test_a_new_project_is_complete_and_right(tmp_path: Path) -> None:
    files = init_project(tmp_path / "new" / "desk")
    assert [str(path.relative_to(tmp_path / "new" / "desk")) for path in files] == [
        "data/test.jsonl",
        "data/train.jsonl",
        "data/validation.jsonl",
        "promptgrad.toml",
    ]
    project = load_project(tmp_path / "new" / "desk", model_options=ModelSettings)
    assert project.name == "desk"
    program = build_program(project)
    fields = program_fields(program)
    check_metric_field(project, fields)
    splits = load_splits(project, fields.inputs, fields.outputs)
    assert splits.validation is not None
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [30, 15, 15]
    metric = build_metric(project)
    assert all(metric(example.values, example.values).is_success for example in splits.test)


def test_the_base_instructions_do_not_know_the_queues_that_rules_are_for(tmp_path: Path) -> None:
    files = init_project(tmp_path)
    examples = [json.loads(line) for path in files[:3] for line in path.read_text().splitlines()]
    instructions = load_project(tmp_path).program.instructions
    hidden = {example["queue"] for example in examples} - set(
        instructions.replace(",", "").replace(".", "").split()
    )
    assert len(hidden) == 4
    share = sum(example["queue"] in hidden for example in examples) / len(examples)
    assert 0.4 <= share <= 0.6


ALTERNATIVES = (
    "python",
    "tolerance",
    "threshold",
    "pattern",
    "choices",
    "match",
    "day_first",
    "scale",
    "criteria",
)
"""Settings of other metrics than the one that the template has."""


def test_every_commented_setting_is_one(tmp_path: Path) -> None:
    init_project(tmp_path)
    file = tmp_path / "promptgrad.toml"
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        commented = line.removeprefix("# ")
        is_setting = line != commented and (" = " in commented.partition("#")[0] or commented.startswith("["))
        is_alternative = commented.startswith(ALTERNATIVES)
        lines.append(commented if is_setting and not is_alternative else line)
    file.write_text("\n".join(lines), encoding="utf-8")
    project = load_project(tmp_path, model_options=ModelSettings)
    assert project.name == "tickets"
    assert project.example_formatter == "formatter.py:Formatter"
    assert project.rule_acceptor == "rules.py:accept"
    assert project.program.fields == {"ticket": "what the customer wrote"}
    assert project.data.id == "number"
    assert project.model.options["max_tokens"] == 1024
    assert project.optimizer.conditional_rules
    assert project.gates.slices == {"phone": 0.8}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("mine")
    with pytest.raises(ProjectError, match=r"data/train\.jsonl exists already"):
        init_project(tmp_path)
    assert (tmp_path / "data" / "train.jsonl").read_text() == "mine"
    assert not (tmp_path / "promptgrad.toml").exists()


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    init_project(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "desk").write_text("")
    with pytest.raises(ProjectError, match="can't be written"):
        init_project(tmp_path / "desk")
