"""Data files as people have them: what each becomes, or the words of its error and what to do."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.ground.errors import DataError
from engine.project.data import load_examples, load_split
from engine.project.settings import load_project
from engine.project.splits import Splits, load_splits

TWO = [{"ticket": "late", "queue": "ship"}, {"ticket": "refund", "queue": "money"}]
LONG = "x" * 200_000

CSV_READ: dict[str, tuple[str | bytes, list[dict[str, Any]]]] = {
    "pandas' index": (",ticket,queue\n0,late,ship\n1,refund,money\n", TWO),
    "pandas' index of a sample": (",ticket,queue\n57,late,ship\n3,refund,money\n", TWO),
    "pandas' index of two exports": (",ticket,queue\n0,late,ship\n,ticket,queue\n0,refund,money\n", TWO),
    "trailing commas": ("ticket,queue,,\nlate,ship,,\nrefund,money,,\n", TWO),
    "empty cells after the last column": ("ticket,queue\nlate,ship,\nrefund,money,,\n", TWO),
    "Excel's separator line": ("sep=;\r\nticket;queue\r\nlate;ship\r\nrefund;money\r\n", TWO),
    "a separator that the header hardly has": ("sep=|\nticket|queue\nlate|ship\nrefund|money\n", TWO),
    "a column whose name begins as a Parquet file does": (
        "PAR1,ticket,queue\n1,late,ship\n2,refund,money\n",
        [{"PAR1": "1", **TWO[0]}, {"PAR1": "2", **TWO[1]}],
    ),
    "bars": ("ticket|queue\nlate|ship\nrefund|money\n", TWO),
    "UTF-16": ("ticket,queue\nlate,ship\nrefund,money\n".encode("utf-16"), TWO),
    "UTF-16, big end first": (
        b"\xfe\xff" + "ticket\tqueue\nlate\tship\nrefund\tmoney\n".encode("utf-16-be"),
        TWO,
    ),
    "a header in the middle": ("ticket,queue\nlate,ship\nticket,queue\nrefund,money\n", TWO),
    "text that looks like no number": ("ticket,queue\nNaN,null\n", [{"ticket": "NaN", "queue": "null"}]),
    "a long text": (f"ticket,queue\n{LONG},ship\n", [{"ticket": LONG, "queue": "ship"}]),
    "separators in quotes": (
        '"ticket; of a customer",queue\nlate,ship\n',
        [{"ticket; of a customer": "late", "queue": "ship"}],
    ),
    "an index that is one's own": (
        "n,ticket\n0,late\n1,refund\n",
        [{"n": "0", "ticket": "late"}, {"n": "1", "ticket": "refund"}],
    ),
}


@pytest.mark.parametrize("name", CSV_READ)
def test_csv_is_read_as_it_was_meant(tmp_path: Path, name: str) -> None:
    content, expected = CSV_READ[name]
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert [example.values for example in load_examples(path)] == expected


@pytest.mark.parametrize(
    ("content", "line"), [("sep=;\nticket;queue\nlate;ship\n", 3), ("ticket,queue\n\n\nlate,ship\n", 4)]
)
def test_lines_are_those_of_the_file(tmp_path: Path, content: str, line: int) -> None:
    (tmp_path / "a.csv").write_text(content)
    assert [example.line for example in load_examples(tmp_path / "a.csv")] == [line]


REFUSED: dict[str, tuple[str, str | bytes | None, str, str]] = {
    "a column without a name": (
        "a.csv",
        ",ticket\nx,late\n",
        "line 1: the header names the column '' without a name",
        "Give each column its own name",
    ),
    "too many columns": (
        "a.csv",
        "a,b\n1,2,3\n",
        "line 2: 3 columns where the header has 2",
        "double quotes",
    ),
    "a broken YAML": ("a.yaml", "- a: 1\n- b: [\n", "line 3: not YAML", "Correct the line"),
    "a YAML that is no list": (
        "a.yaml",
        "a: 1\n",
        "isn't a list of examples",
        "each example begins with a dash",
    ),
    "an unknown ending": ("a.docx", "x", "has an unknown suffix", ".xlsx"),
    "no file for a pattern": ("b/*.csv", None, "No file fits", "pattern"),
    "a pattern that is none": (
        "a**b/*.csv",
        None,
        "The pattern 'a**b/*.csv' can't be used",
        "** for folders",
    ),
    "nothing after a comma": ("a.jsonl,", None, "names no file before or after a comma", "Remove the comma"),
    "a name with a NUL": ("a\0.jsonl", None, "can't be the name of a file", "Correct the path"),
    "a name that is too long": ("a" * 300 + ".csv", None, "can't be the name of a file", "Correct the path"),
    "UTF-16 without its mark": (
        "a.jsonl",
        json.dumps(TWO[0]).encode("utf-16-le"),
        "is not UTF-8: it is UTF-16 or UTF-32",
        "Save the file as UTF-8",
    ),
    "UTF-32": ("a.jsonl", json.dumps(TWO[0]).encode("utf-32"), "it is UTF-32", "Save the file as UTF-8"),
    "a packed file": ("a.jsonl", b"\x1f\x8b\x08", "it is compressed with gzip", "Unpack it"),
    "a workbook that is called CSV": (
        "a.csv",
        b"PK\x03\x04\x14",
        "a ZIP archive or an Excel workbook",
        "must end in .xlsx",
    ),
    "Parquet that is called CSV": (
        "a.csv",
        b"PAR1\x15\x04PAR1",
        "it is a Parquet file",
        "ends in .parquet",
    ),
    "a field that is there twice": (
        "a.jsonl",
        f'{json.dumps(TWO[0])}\n{{"ticket": "x", "queue": "a", "queue": "b"}}',
        "line 2: the field 'queue' is there twice",
        "Keep the one that is meant",
    ),
    "a field that is there twice, in a list": (
        "a.json",
        f'[{json.dumps(TWO[0])},\n{{"ticket": "x", "queue": "a", "queue": "b"}}]',
        "line 2: the field 'queue' is there twice",
        "Keep the one that is meant",
    ),
    "a list that is called JSONL": ("a.jsonl", json.dumps(TWO), "line 1: [{", "must end in .json"),
    "objects of several lines": ("a.jsonl", json.dumps(TWO[0], indent=1), "line 1: not JSON", "end in .json"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_the_fix(tmp_path: Path, name: str) -> None:
    file, content, said, fix = REFUSED[name]
    if content is not None:
        (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as error:
        write_project(tmp_path, file)
    assert said in error.value.message
    assert fix in error.value.hint


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "a.jsonl is a folder."),
        (
            lambda path: path.symlink_to("gone.jsonl"),
            "a.jsonl is a link to gone.jsonl, which leads to no file.",
        ),
        (lambda path: path.symlink_to(path.name), "a.jsonl is a link to a.jsonl, which leads to no file."),
        (lambda path: os.mkfifo(path), "a.jsonl is a device or a pipe, and not a file."),
    ],
)
def test_what_is_no_file_is_said_to_be_what_it_is(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path / "a.jsonl")
    with pytest.raises(DataError) as error:
        write_project(tmp_path, "a.jsonl")
    assert error.value.message.endswith(said)
    assert error.value.hint == "There is test.jsonl, validation.jsonl."


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_that_cannot_be_entered_is_named_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0)
    with pytest.raises(DataError, match=r"d/a\.jsonl can't be read: Permission denied") as error:
        write_project(tmp_path, "d/a.jsonl")
    assert "permissions" in error.value.hint


def test_yaml_is_read_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "# mine\n- ticket: late\n  when: 2026-01-02\n\n- ticket: [1, 2.5, null]\n"
    )
    found = [(example.line, example.values) for example in load_examples(tmp_path / "a.yaml")]
    assert found == [(2, {"ticket": "late", "when": "2026-01-02"}), (5, {"ticket": [1, 2.5, None]})]


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- ticket: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(DataError, match="line 1: not YAML: could not determine a constructor"):
        load_examples(tmp_path / "a.yaml")


def test_a_workbook_is_read_from_its_first_sheet(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (
        ["ticket", "queue", None, "when"],
        ["late", 7, "note", datetime.date(2026, 1, 2)],
        [None] * 4,
    ):
        book.active.append(row)
    book.create_sheet("other").append(["nothing"])
    book.save(tmp_path / "a.xlsx")
    [example] = load_examples(tmp_path / "a.xlsx")
    assert (example.line, example.values) == (
        2,
        {"ticket": "late", "queue": 7, "when": "2026-01-02T00:00:00"},
    )


def write_project(root: Path, train: str, fields: str = "", slice_field: str = "") -> Splits:
    """Load the splits of a project whose other splits are fine."""
    for split in ("validation", "test"):
        lines = (json.dumps({"ticket": f"{split} {n}", "queue": "ship"}) for n in range(2))
        (root / f"{split}.jsonl").write_text("\n".join(lines))
    sliced = f'slice = "{slice_field}"\n' if slice_field else ""
    (root / "promptgrad.toml").write_text(
        '[program]\nsignature = "ticket -> queue"\n[metric]\nkind = "exact_match"\nfield = "queue"\n'
        f'[model]\ntask = "demo"\n[data]\ntrain = {json.dumps(train)}\nvalidation = "validation.jsonl"\n'
        f'test = "test.jsonl"\n{sliced}[data.fields]\n{fields}\n'
    )
    project = load_project(root)
    if fields:  # the other splits are written under the program's names, which hold too
        assert load_split(project, "test.jsonl")[0].values["queue"] == "ship"
    return load_splits(project, ["ticket"], ["queue"])


SOURCES = {
    "another name": (
        {"Customer message": "late", "Team": "ship"},
        'ticket = "Customer message"\nqueue = "Team"',
    ),
    "a path": (
        {"inputs": {"text": "late"}, "outputs": {"label": "ship"}},
        'ticket = "inputs.text"\nqueue = "outputs.label"',
    ),
    "a place in a list": (
        {"vars": {"t": "late"}, "assert": [{"value": "ship"}]},
        'ticket = "vars.t"\nqueue = "assert.0.value"',
    ),
    "a name with dots": ({"a.b": "late", "queue": "ship"}, 'ticket = "a.b"'),
    "a constant": ({"ticket": "late"}, 'queue = "=ship"'),
}


@pytest.mark.parametrize("name", SOURCES)
def test_fields_are_read_from_where_they_are(tmp_path: Path, name: str) -> None:
    values, fields = SOURCES[name]
    (tmp_path / "train.jsonl").write_text(json.dumps(values))
    [example] = write_project(tmp_path, "train.jsonl", fields).train
    assert (example.values["ticket"], example.values["queue"]) == ("late", "ship")


NEIGHBOURS = {
    "promptfoo": (
        {"vars": {"ticket": "late"}, "assert": [{"type": "equals", "value": "ship"}]},
        'promptfoo test: under [data.fields] write ticket = "vars.ticket" and queue = "assert.0.value"',
    ),
    "promptfoo, the first that is an answer": (
        {
            "vars": {"ticket": "late"},
            "assert": [{"type": "javascript", "value": "x"}, {"type": "equals", "value": "ship"}],
        },
        'promptfoo test: under [data.fields] write ticket = "vars.ticket" and queue = "assert.1.value"',
    ),
    "promptfoo, the answer among the variables": (
        {"vars": {"ticket": "late", "queue": "ship"}, "assert": [{"type": "contains", "value": "sh"}]},
        'promptfoo test: under [data.fields] write ticket = "vars.ticket" and queue = "vars.queue"',
    ),
    "promptfoo's CSV, the second that is an answer": (
        {"ticket": "late", "__expected1": "contains: sh", "__expected2": "ship"},
        'promptfoo test: under [data.fields] write queue = "__expected2"',
    ),
    "promptfoo's CSV": (
        {"ticket": "late", "__expected": "ship"},
        'promptfoo test: under [data.fields] write queue = "__expected"',
    ),
    "LangSmith": (
        {"inputs": {"question": "late"}, "outputs": {"answer": "ship"}},
        'a LangSmith dataset: under [data.fields] write ticket = "inputs.question" and '
        'queue = "outputs.answer"',
    ),
    "Langfuse": (
        {"input": "late", "expectedOutput": "ship", "metadata": {}},
        'Langfuse dataset: under [data.fields] write ticket = "input" and queue = "expectedOutput"',
    ),
    "Opik": (
        {"id": "1", "data": {"input": "late", "expected_output": "ship"}},
        'Opik dataset: under [data.fields] write ticket = "data.input" and queue = "data.expected_output"',
    ),
    "another case": (
        {"Ticket": "late", "'queue'": "ship"},
        """under [data.fields] write ticket = "Ticket" and queue = "'queue'\"""",
    ),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_datasets_of_other_tools_are_recognised_and_never_guessed(tmp_path: Path, name: str) -> None:
    values, advice = NEIGHBOURS[name]
    (tmp_path / "train.jsonl").write_text(json.dumps(values))
    with pytest.raises(DataError, match="is missing") as error:
        write_project(tmp_path, "train.jsonl")
    assert advice.casefold() in error.value.hint.casefold()
    told = error.value.hint.partition("write ")[2].rstrip(".").replace(" and ", "\n")
    [example] = write_project(tmp_path, "train.jsonl", told).train  # what it says works
    assert (example.values["ticket"], example.values["queue"]) == ("late", "ship")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"vars": {"ticket": "late"}, "assert": [{"type": "contains", "value": "ship"}]}, "contains"),
        ({"vars": {"ticket": "late"}, "assert": [{"type": "javascript", "value": "1"}]}, "javascript"),
        ({"vars": {"ticket": "late"}, "assert": [{"type": "llm-rubric", "value": "kind"}]}, "llm-rubric"),
        ({"ticket": "late", "__expected": "contains: ship"}, "contains:"),
        ({"ticket": "late", "__expected": "not-contains: ship"}, "not-contains:"),
        ({"ticket": "late", "__expected": "similar(0.8): ship"}, "similar:"),
    ],
)
def test_an_assertion_of_promptfoo_is_not_taken_for_an_answer(
    tmp_path: Path, values: dict[str, Any], kind: str
) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps(values))
    with pytest.raises(DataError, match="is missing") as error:
        write_project(tmp_path, "train.jsonl")
    assert f"Its assertion is `{kind}`, not an answer: write each expected answer" in error.value.hint


@pytest.mark.parametrize("train", ["a.jsonl, b.csv", "[ab].*", "sub/../a.jsonl,b.csv"])
def test_a_split_may_be_several_files(tmp_path: Path, train: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.jsonl").write_text(json.dumps({"ticket": "late", "queue": "ship"}))
    (tmp_path / "b.csv").write_text("ticket,queue\nrefund,money\n")
    found = write_project(tmp_path, train).train
    assert [example.values for example in found] == TWO
    assert [example.file.name for example in found] == ["a.jsonl", "b.csv"]


def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "a,[1].jsonl").write_text(json.dumps(TWO[0]))
    assert len(write_project(tmp_path, "a,[1].jsonl").train) == 1


def test_a_column_of_bytes_is_refused_only_where_it_is_needed(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [
        {
            "ticket": "late",
            "queue": "ship",
            "scan": b"\x00",
            "score": float("nan"),
            "took": datetime.timedelta(1),
        }
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    [example] = write_project(tmp_path, "a.parquet").train
    assert example.values == {"ticket": "late", "queue": "ship"}
    for field, kind in (("scan", "bytes"), ("score", "nan"), ("took", "timedelta")):
        with pytest.raises(DataError, match=f"the field 'queue' holds {kind}"):
            write_project(tmp_path, "a.parquet", f'queue = "{field}"')


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"ticket": "late", "queue": "ship", "score": NaN, "all": {"low": [-Infinity]}}'),
        ("a.json", '[{"ticket": "late", "queue": "ship", "score": NaN, "all": {"low": [-Infinity]}}]'),
        ("a.yaml", "- {ticket: late, queue: ship, score: .nan, all: {low: [-.inf]}}"),
    ],
)
def test_a_number_that_is_none_is_refused_only_where_it_is_needed(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    [example] = write_project(tmp_path, name).train
    assert example.values == {"ticket": "late", "queue": "ship"}
    for field, number in (("score", "nan"), ("all.low", "-inf"), ("all", "-inf")):
        with pytest.raises(DataError, match=f"the field 'queue' holds {number}"):
            write_project(tmp_path, name, f'queue = "{field}"')


def test_a_structure_of_bytes_is_said_to_hold_them(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"ticket": "late", "outputs": {"label": "ship", "scan": b"\x00"}}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="the field 'queue' holds bytes"):
        write_project(tmp_path, "a.parquet", 'queue = "outputs.label"')
