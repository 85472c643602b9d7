"""Bad projects as a person meets them: `promptgrad check` names the file, the place and the fix."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from promptgrad_tui.cli import promptgrad
from tests.engine.project_folders import TOML, tickets, write_lines, write_project


class Bad(NamedTuple):
    """What makes a project bad, and what must be told: where it is, what is wrong, and the fix."""

    name: str
    spoil: Callable[[Path], object]
    told: tuple[str, ...]


def toml(old: str, new: str) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        assert old in TOML
        (root / "promptgrad.toml").write_text(TOML.replace(old, new), encoding="utf-8")

    return spoil


def file(name: str, content: str | bytes) -> Callable[[Path], object]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda root: (root / name).write_bytes(data)


def folder(name: str) -> Callable[[Path], object]:
    return lambda root: [(root / name).unlink(missing_ok=True), (root / name).mkdir()]


def both(*spoils: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda root: [spoil(root) for spoil in spoils]


def line(number: int, text: str, split: str = "train") -> Callable[[Path], object]:
    """Replace one line of a split."""

    def spoil(root: Path) -> None:
        lines = [json.dumps(ticket) for ticket in tickets(split)]
        lines[number - 1] = text
        (root / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")

    return spoil


def data_file(name: str, content: str | bytes) -> Callable[[Path], object]:
    return both(toml('"train.jsonl"', f'"{name}"'), file(name, content))


METRIC = 'kind = "exact_match"\nfield = "queue"'
OWN_METRIC = toml(METRIC, 'python = "metric.py:score"')
OWN_PROGRAM = toml(
    'signature = "ticket -> queue"\ninstructions = "Route the ticket."', 'python = "program.py:build"'
)

BAD = [
    Bad(
        "no project file",
        lambda root: (root / "promptgrad.toml").unlink(),
        ("There is no promptgrad.toml", "promptgrad init"),
    ),
    Bad("no TOML", toml('"demo"', "demo"), ("promptgrad.toml", "line 15, column 8", "quotes")),
    Bad(
        "a section twice",
        toml("[metric]", "[model]\n[metric]"),
        ("Cannot declare ('model',) twice", "each section and name once"),
    ),
    Bad(
        "brackets without end",
        toml('"demo"', f"{'[' * 2000}{']' * 2000}"),
        ("promptgrad.toml is nested too deeply", "fewer brackets"),
    ),
    Bad(
        "a link that leads to itself",
        lambda root: ((root / "train.jsonl").unlink(), (root / "train.jsonl").symlink_to("train.jsonl")),
        ("train.jsonl is a link to train.jsonl", "leads to no file", "There is test.jsonl"),
    ),
    Bad("a folder as project file", folder("promptgrad.toml"), ("can't be read", "Correct the path")),
    Bad("not UTF-8", file("promptgrad.toml", b'name = "caf\xe9"'), ("promptgrad.toml", "0xe9", "UTF-8")),
    Bad(
        "misspelt section",
        toml("[metric]", "[metrics]"),
        ("line 10: metrics must be a list of sections: [[metrics]]", "[metric] is missing"),
    ),
    Bad(
        "an input that is no name in Python",
        toml("ticket -> queue", "ticket: list[str], from -> queue"),
        ("'from' can't be the name of a field", "[data.fields]", 'the_from = "from"'),
    ),
    Bad(
        "an output with a hyphen",
        toml("ticket -> queue", "ticket -> the-queue: Literal['a, b', 'c']"),
        ("'the-queue' can't be the name of a field", 'the_queue = "the-queue"'),
    ),
    Bad(
        "fields of other names",
        file("train.jsonl", '{"text": "late", "label": "shipping"}\n'),
        (
            "Its fields are text, label.",
            '[data.fields] which column to read: ticket = "..." and queue = "..."',
        ),
    ),
    Bad(
        "columns of pandas",
        data_file("train.json", '{"ticket": {"0": "late", "1": "lost"}, "queue": {"0": "a", "1": "b"}}'),
        ("train.json isn't a list of examples", 'to_json(FILE, orient="records")'),
    ),
    Bad(
        "one example and no test split",
        both(file("train.jsonl", '{"ticket": "late", "queue": "a"}\n'), toml('test = "test.jsonl"\n', "")),
        ("train has only 1 different example to take it from", "Set [data] test"),
    ),
    Bad("misspelt key", toml("train =", "trian ="), ("line 6: data.trian is unknown; did you mean train?",)),
    Bad(
        "misspelt model option",
        toml('task = "demo"', 'task = "demo"\ntemprature = 1'),
        ("promptgrad.toml, line 16: model.temprature is unknown; did you mean temperature?",),
    ),
    Bad(
        "option out of range",
        toml('task = "demo"', 'task = "demo"\n[optimizer]\nbatch_size = 0'),
        ("promptgrad.toml, line 17: optimizer.batch_size = 0", "greater than or equal to 1"),
    ),
    Bad(
        "text for a number",
        toml('task = "demo"', 'task = "demo"\n[optimizer]\nepochs = "many"'),
        ("line 17: optimizer.epochs = 'many'", "should be a whole number."),
    ),
    Bad(
        "no program",
        toml('signature = "ticket -> queue"', ""),
        ("line 1: [program] needs either signature", 'python = "program.py:build"'),
    ),
    Bad(
        "unknown metric",
        toml("exact_match", "accuracy"),
        ("promptgrad.toml, line 11: metric.kind = 'accuracy'", "'exact_match'"),
    ),
    Bad(
        "bad signature",
        toml("ticket -> queue", "ticket"),
        ("[program] signature = 'ticket'", "exactly one '->'", "Write inputs -> outputs"),
    ),
    Bad(
        "unknown type",
        toml("ticket -> queue", "ticket -> queue: strng"),
        ("signature = 'ticket -> queue: strng'", "Unknown name: strng"),
    ),
    Bad(
        "metric of no output",
        toml('field = "queue"', 'field = "queu"'),
        ("promptgrad.toml: [metric] field = 'queu'", "Did you mean queue?"),
    ),
    Bad(
        "bad pattern",
        toml(METRIC, 'kind = "regex"\nfield = "queue"\npattern = "("'),
        ("'('", "[metric] pattern"),
    ),
    Bad(
        "no data file",
        lambda root: (root / "train.jsonl").unlink(),
        ("train.jsonl", "There is test.jsonl, validation.jsonl."),
    ),
    Bad("unknown suffix", data_file("train.txt", "x"), ("train.txt has an unknown suffix", ".jsonl")),
    Bad("empty file", file("train.jsonl", ""), ("train.jsonl holds no examples", "Add")),
    Bad(
        "broken JSON",
        line(3, '{"ticket": "x" "queue": "y"}'),
        ("train.jsonl, line 3: not JSON", "column 16", '"x" "queue"', "double quotes"),
    ),
    Bad("no object", line(2, '["x", "y"]'), ("train.jsonl, line 2", "isn't an object", "object of fields")),
    Bad(
        "missing input",
        line(4, '{"text": "x", "queue": "y"}'),
        ("train.jsonl, line 4: the field 'ticket' is missing", "Its fields are text, queue"),
    ),
    Bad(
        "missing label",
        line(12, '{"ticket": "x"}', "test"),
        ("test.jsonl, line 12: the field 'queue' is missing", "compared by the metric"),
    ),
    Bad(
        "missing slice",
        toml("[metric]", 'slice = "channel"\n[metric]'),
        ("train.jsonl, line 1: the field 'channel' is missing (and in 11 more)", "promptgrad.toml"),
    ),
    Bad(
        "not a number",
        line(1, '{"ticket": "x", "queue": NaN}'),
        ("train.jsonl, line 1: the field 'queue' holds nan; it is compared by the metric", "Write null"),
    ),
    Bad(
        "wrong encoding",
        file("train.jsonl", '{"ticket": "Größe"}'.encode("latin-1")),
        ("train.jsonl, line 1: byte 0xf6 at position 14", "Save the file as UTF-8"),
    ),
    Bad(
        "repeated id",
        lambda root: write_lines(root / "train.jsonl", [{"id": 1, **ticket} for ticket in tickets("train")]),
        ("train.jsonl, line 2: the id 1 is already used on line 1", "its own id"),
    ),
    Bad(
        "uneven CSV",
        data_file("train.csv", "ticket,queue\na,b\na,b,c\n"),
        ("train.csv, line 3: 3 columns", "double quotes"),
    ),
    Bad("damaged Parquet", data_file("train.parquet", b"PAR1"), ("train.parquet can't be read as Parquet",)),
    Bad(
        "leakage",
        lambda root: write_lines(root / "test.jsonl", [*tickets("test"), tickets("train")[4]]),
        ("test.jsonl, line 13", "train.jsonl, line 5", "in one file only"),
    ),
    Bad(
        "nothing to carve a test from",
        both(
            toml('test = "test.jsonl"\n', ""),
            lambda root: write_lines(root / "train.jsonl", tickets("train", 5)),
        ),
        ("no test split", "only 5 different examples", "Set [data] test"),
    ),
    Bad("no metric file", OWN_METRIC, ("There is no file metric.py",)),
    Bad(
        "metric with a syntax error",
        both(OWN_METRIC, file("metric.py", "def score(example, prediction)\n    return 1\n")),
        ("metric.py, line 1: SyntaxError", "Correct"),
    ),
    Bad(
        "metric that imports nothing",
        both(OWN_METRIC, file("metric.py", "\nimport no_such_package\n")),
        ("metric.py, line 2: ModuleNotFoundError", "Install no_such_package"),
    ),
    Bad(
        "metric of another name",
        both(OWN_METRIC, file("metric.py", "def scored(example, prediction):\n    return 1\n")),
        ("metric.py defines no 'score'", "Did you mean scored?"),
    ),
    Bad(
        "metric of one argument",
        both(OWN_METRIC, file("metric.py", "def score(example):\n    return 1\n")),
        ("score(example) can't be called", "(example, prediction)"),
    ),
    Bad(
        "metric that raises",
        both(OWN_METRIC, file("metric.py", "def score(example, prediction):\n    return example['label']\n")),
        ("The metric score raised KeyError", "metric.py, line 2", "score every prediction"),
    ),
    Bad(
        "metric out of range",
        both(OWN_METRIC, file("metric.py", "def score(example, prediction):\n    return 100\n")),
        ("The metric score returned 100.0, which is not in 0..1", "number in 0..1"),
    ),
    Bad(
        "program that raises",
        both(OWN_PROGRAM, file("program.py", "def build():\n    return nothing\n")),
        ("program.py, line 2: NameError: name 'nothing'", "Correct"),
    ),
    Bad(
        "program that is none",
        both(OWN_PROGRAM, file("program.py", "def build():\n    return 'x'\n")),
        ("program.py:build gives str", "dspy.Module"),
    ),
]


@pytest.fixture(autouse=True)
def _forget_what_was_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_a_bad_project_is_told_with_its_place_and_fix(tmp_path: Path, bad: Bad) -> None:
    bad.spoil(write_project(tmp_path / "project"))
    result = CliRunner().invoke(promptgrad, ["check", str(tmp_path / "project"), "--no-probe"])
    told = " ".join(result.output.replace("->  ", "").split())
    assert result.exit_code == 2, told
    missing = [part for part in bad.told if part not in told]
    assert not missing, told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("epochs=1", "--set: epochs is unknown; did you mean optimizer.epochs?"),
        ("foo.bar=1", "promptgrad.toml, --set: foo is unknown; there are base, data, "),
    ],
)
def test_a_setting_that_is_nowhere_is_looked_for_in_the_sections(
    tmp_path: Path, setting: str, said: str
) -> None:
    write_project(tmp_path)
    done = CliRunner().invoke(promptgrad, ["check", str(tmp_path), "--no-model", "--set", setting])
    assert said in " ".join(done.output.split())


def test_a_mistake_in_the_file_keeps_its_line_beside_a_setting_of_that_section(tmp_path: Path) -> None:
    write_project(tmp_path)
    file = tmp_path / "promptgrad.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("signature")]
    file.write_text("\n".join(lines))
    given = ["check", str(tmp_path), "--no-model", "--set", "program.module=predict"]
    done = CliRunner().invoke(promptgrad, given)
    told = " ".join(done.output.split())
    assert f"promptgrad.toml, line {lines.index('[program]') + 1}: [program] needs either signature" in told
