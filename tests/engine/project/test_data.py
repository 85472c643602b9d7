from __future__ import annotations

import builtins
import datetime
import decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ground.errors import DataError
from engine.ground.examples import example_key, public_fields
from engine.project.data import dataset_digest, load_examples


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(path: Path, id_field: str | None = None) -> list[tuple[int, dict[str, Any]]]:
    return [(example.line, example.values) for example in load_examples(path, id_field)]


def refused(path: Path, id_field: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load_examples(path, id_field)
    assert path.name in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_json_lines_keep_nested_values_and_tell_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"a": 1}\n\n  \n{"a": {"b": [1, null, "x"]}, "c": true}\n')
    assert rows(path) == [(1, {"a": 1}), (4, {"a": {"b": [1, None, "x"]}, "c": True})]


def test_a_byte_order_mark_and_other_line_ends_change_nothing(tmp_path: Path) -> None:
    plain = write(tmp_path, "a.jsonl", '{"a": "é"}\n{"a": "b"}\n')
    windows = write(tmp_path, "b.jsonl", b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\r\n"))
    mac = write(tmp_path, "c.jsonl", plain.read_bytes().replace(b"\n", b"\r"))
    assert rows(plain) == rows(windows) == rows(mac)
    assert dataset_digest(load_examples(plain)) == dataset_digest(load_examples(windows))


def test_a_line_separator_inside_text_is_no_new_line(tmp_path: Path) -> None:
    assert rows(write(tmp_path, "a.jsonl", '{"a": "x\u2028y\x85z"}\n')) == [(1, {"a": "x\u2028y\x85z"})]


@pytest.mark.parametrize(
    "text",
    ['[\n {"a": 1},\n\n {"a": [2, {}]}\n]', '{"data": [\n {"a": 1},\n\n {"a": [2, {}]}\n]}'],
)
def test_a_json_document_tells_the_line_of_each_example(tmp_path: Path, text: str) -> None:
    assert rows(write(tmp_path, "a.json", text)) == [(2, {"a": 1}), (4, {"a": [2, {}]})]


def test_data_inside_another_field_is_not_taken_for_the_examples(tmp_path: Path) -> None:
    text = '{"about": {"data": [{"wrong": 1}]}, "list": [[], "]"],\n"data" : [ {"a": "},{"} ]}'
    assert rows(write(tmp_path, "a.json", text)) == [(2, {"a": "},{"})]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_is_read_with_its_separator(tmp_path: Path, separator: str) -> None:
    text = 'ticket,queue\r\n"a, b;\tc",x\r\n\r\n"two\r\nlines ""quoted""",\r\nlast,z'
    if separator != ",":
        text = text.replace("ticket,queue", f"ticket{separator}queue").replace('",', f'"{separator}')
        text = text.replace("last,", f"last{separator}")
    assert rows(write(tmp_path, "a.csv", text)) == [
        (2, {"ticket": "a, b;\tc", "queue": "x"}),
        (4, {"ticket": 'two\r\nlines "quoted"', "queue": ""}),
        (6, {"ticket": "last", "queue": "z"}),
    ]


def test_csv_of_a_single_column(tmp_path: Path) -> None:
    assert rows(write(tmp_path, "a.csv", "\ufeffticket\nhello\n")) == [(2, {"ticket": "hello"})]


def test_parquet_values_are_those_of_json(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    values = {
        "text": "é",
        "nested": {"list": [1, 2.5, None]},
        "day": datetime.date(2026, 1, 2),
        "price": decimal.Decimal("1.50"),
        "empty": None,
    }
    parquet.write_table(pyarrow.Table.from_pylist([values, values | {"text": "b"}]), tmp_path / "a.parquet")
    (line, first), (second, _) = rows(tmp_path / "a.parquet")
    assert (line, second) == (1, 2)
    assert first == {
        "text": "é",
        "nested": {"list": [1, 2.5, None]},
        "day": "2026-01-02",
        "price": 1.5,
        "empty": None,
    }


def test_parquet_with_bytes_is_read_and_says_what_the_column_holds(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist([{"a": "x", "scan": b"\x00"}]), tmp_path / "a.parquet")
    [example] = load_examples(tmp_path / "a.parquet")
    assert (example.values, example.unusable) == ({"a": "x"}, {"scan": "bytes"})


def test_a_damaged_parquet_file_is_told(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    told = refused(write(tmp_path, "a.parquet", b"this is no Parquet"))
    assert "can't be read as Parquet" in told
    assert ".." not in told


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_import = builtins.__import__

    def without_pyarrow(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return python_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    assert "pip install 'promptgrad-tui[parquet]'" in refused(write(tmp_path, "a.parquet", "x"))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.jsonl",
            '{"a": 1}\n{"a" 2}\n',
            "line 2: not JSON: Expecting ':' delimiter at column 6: {\"a\" 2}",
        ),
        ("a.jsonl", '{"a": "x\n', "not JSON: Unterminated string starting at column 7: "),
        ("a.jsonl", "{'a': 1}\n", "names and text in double quotes"),
        ("a.jsonl", '{"a": 1}\n[1]\n', "line 2: [1] isn't an object"),
        ("a.jsonl", '{"a": 1}\n{}\n', "line 2: the example has no fields"),
        ("a.jsonl", '{"a": 1}\n{"b": [1, NaN]}\n', "line 2: the field 'b' holds nan"),
        ("a.jsonl", '{"a": {"b": 1e999}}\n', "line 1: the field 'a' holds inf"),
        ("a.jsonl", '{"a": "\\ud83d"}\n', "line 1: the field 'a' holds half a character"),
        ("a.jsonl", '{"a": {"b\\ud83d": 1}}\n', "line 1: the field 'a.b\\ud83d' holds half a character"),
        ("a.jsonl", '{"a": 1}\n{"a": ' + "9" * 5000 + "}\n", "line 2: a number has too many digits"),
        (
            "a.jsonl",
            '{"id": 1, "a": 1}\n{"id": "1", "a": 2}\n',
            "line 2: the id '1' is already",
        ),
        ("a.jsonl", '{"id": 1, "a": 1}\n\n{"id": 1, "a": 2}\n', "line 3: the id 1 is already used on line 1"),
        ("a.jsonl", "", "holds no examples"),
        ("a.jsonl", "\n \n", "holds no examples"),
        ("a.jsonl", b'{"a": 1}\n{"a": "caf\xe9"}\n', "line 2: byte 0xe9 at position 19 is not UTF-8"),
        ("a.jsonl", b'\xff{"a": 1}', "line 1: byte 0xff at position 0 is not UTF-8"),
        ("a.jsonl", '{"a": 1}'.encode("utf-16")[:-1], "is not UTF-16, as its first two bytes say"),
        ("a.jsonl", "[" * 100_000, "line 1: nested too deeply"),
        ("a.json", '[{"a": 1},\n {"a": }]', "line 2: not JSON: Expecting value at column 8"),
        ("a.json", '{"a": 1}\n{"a": 2}\n', "must end in .jsonl"),
        ("a.json", '{"examples": []}', "isn't a list of examples"),
        ("a.json", '"text"', "isn't a list of examples"),
        ("a.json", '[{"a": 1},\n2]', "line 2: 2 isn't an object"),
        ("a.json", "[]", "holds no examples"),
        ("a.json", " ", "holds no examples"),
        ("a.csv", "a,b\n1,2\n1,2,3\n", "line 3: 3 columns where the header has 2 (a, b)"),
        ("a.csv", "a,b,a\n1,2,3\n", "line 1: the header names the column 'a' more than once"),
        ("a.csv", "a,,c\n1,2,3\n", "line 1: the header names the column '' without a name"),
        ("a.csv", 'a,b\n1,2\n"1,2\n', "line 3: not CSV: unexpected end of data"),
        ("a.csv", "a,b\n", "holds no examples"),
        ("a.txt", "a", "unknown suffix"),
    ],
)
def test_whatever_is_wrong_is_told_with_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, told: str
) -> None:
    assert told in refused(write(tmp_path, name, content))


def test_a_long_line_is_shown_around_the_mistake_only(tmp_path: Path) -> None:
    line = '{"a": "' + "x" * 500 + '", "b" 1, "c": "' + "y" * 500 + '"}'
    message = refused(write(tmp_path, "a.jsonl", line))
    assert '", "b" 1, "c"' in message
    assert len(message) < 400


def test_a_missing_file_names_those_that_are_there(tmp_path: Path) -> None:
    write(tmp_path, "training.jsonl", '{"a": 1}')
    assert "There is training.jsonl." in refused(tmp_path / "train.jsonl")
    assert "no folder" in refused(tmp_path / "data" / "train.jsonl")


def test_a_file_is_named_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a.jsonl", "[1]")
    monkeypatch.chdir(tmp_path)
    assert refused(path).startswith("a.jsonl, line 1: ")


def test_an_id_field_of_another_name_becomes_the_id(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"number": 7, "a": 1}\n{"number": 8, "a": 1}\n')
    assert rows(path, "number") == [(1, {"id": 7, "a": 1}), (2, {"id": 8, "a": 1})]
    first, second = load_examples(path, "number")
    assert first.key == second.key
    path = write(tmp_path, "b.jsonl", '{"number": 7, "a": 1}\n{"a": 1}\n')
    assert "line 2: the field 'number' is missing" in refused(path, "number")
    path = write(tmp_path, "c.jsonl", '{"number": 7, "a": 1}\n{"number": 7, "a": 2}\n')
    assert "line 2: the id 7 is already used on line 1" in refused(path, "number")


def test_a_key_is_made_of_content_alone() -> None:
    values = {"b": {"y": 2, "x": 1}, "a": "é", "id": 1, "_note": "n"}
    assert public_fields(values) == ["a", "b"]
    key = example_key(values, ["a", "b"])
    assert len(key) == 16
    assert key == example_key({"a": "é", "b": {"x": 1, "y": 2}, "id": 2}, ["b", "a"])
    assert key != example_key(values | {"a": "e"}, ["a", "b"])
    assert key != example_key(values, ["a"])
    assert example_key({"a": 1}, ["a"]) != example_key({"a": "1"}, ["a"])


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=5))
def test_a_key_exists_for_everything_that_json_can_say(values: dict[str, Any]) -> None:
    assert len(example_key(values, list(values))) == 16


def test_a_dataset_digest_depends_on_content_and_order(tmp_path: Path) -> None:
    one = load_examples(write(tmp_path, "a.jsonl", '{"a": 1}\n{"a": 2}\n'))
    assert dataset_digest(one).startswith("sha256:")
    assert dataset_digest(one) != dataset_digest(one[::-1])
    assert dataset_digest(one) != dataset_digest(one[:1])


def test_an_example_is_called_by_its_id_or_else_by_its_key(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"id": 0, "a": 1}\n{"id": null, "a": 2}\n{"a": 3}\n')
    zero, null, none = load_examples(path)
    assert (zero.name, null.name, none.name) == ("0", null.key, none.key)
