"""A label corrected in place: what each format's file is afterwards, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ground.errors import DataError
from engine.project.data import load_split
from engine.project.settings import load_project
from promptgrad_tui.work.labels.correcting import correction, exclusion

PROJECT = """# ours
[program]
signature = "text -> label"
[data]
train = "data{suffix}"  # the file
{fields}
[metric]
kind = "exact_match"
field = "label"
[model]
task = "demo"
"""

CASES = {
    "jsonl keeps spaces and order": (
        ".jsonl",
        "",
        '{"text": "a",  "label" : "old"}\n\n{"label":"old", "text":"b \\u00e9"}\n',
        '{"text": "a",  "label" : "old"}\n\n{"label":"new \\u00e9", "text":"b \\u00e9"}\n',
    ),
    "jsonl whose lines end in CR alone": (
        ".jsonl",
        "",
        '{"text": "a", "label": "old"}\r\r{"text": "b", "label": "old"}\r',
        '{"text": "a", "label": "old"}\r\r{"text": "b", "label": "new é"}\r',
    ),
    "jsonl with a number that is none": (
        ".jsonl",
        "",
        '{"text": "a", "label": "old", "score": NaN}\n{"text": "b", "label": "old", "score": NaN}\n',
        '{"text": "a", "label": "old", "score": NaN}\n{"text": "b", "label": "new é", "score": NaN}\n',
    ),
    "csv whose lines end in CR alone": (
        ".csv",
        "",
        'text,label\r"a\ra",old\r"b",old\r',
        'text,label\r"a\ra",old\r"b",new é\r',
    ),
    "jsonl with a nested field": (
        ".jsonl",
        '[data.fields]\nlabel = "outputs.label"\ntext = "t"\n',
        '{"t": "a", "outputs": {"label": "old"}}\n{"t": "b", "outputs": {"x": 1, "label": "old"}}',
        '{"t": "a", "outputs": {"label": "old"}}\n{"t": "b", "outputs": {"x": 1, "label": "new é"}}',
    ),
    "json in a list": (
        ".json",
        "",
        '{"data": [\n  {"text": "a", "label": "old"},\n  {"text": "b",\n   "label": "old"}\n]}\n',
        '{"data": [\n  {"text": "a", "label": "old"},\n  {"text": "b",\n   "label": "new é"}\n]}\n',
    ),
    "csv with quotes, breaks and CRLF": (
        ".csv",
        "",
        '\ufefftext;label\r\n"a; ""x""\r\nsecond";old\r\n"b";"old"\r\n',
        '\ufefftext;label\r\n"a; ""x""\r\nsecond";old\r\n"b";"new é"\r\n',
    ),
    "csv whose header has commas in quotes": (
        ".csv",
        '[data.fields]\ntext = "a, b, or c"\n',
        '"a, b, or c";label\na;old\nb;old\n',
        '"a, b, or c";label\na;old\nb;new é\n',
    ),
    "tsv": (".tsv", "", "label\ttext\nold\ta\nold\tb\n", "label\ttext\nold\ta\nnew é\tb\n"),
    "yaml with comments": (
        ".yaml",
        "",
        "# all\n- text: a   # first\n  label: old\n- text: b\n  label: 'old'  # why\n",
        '# all\n- text: a   # first\n  label: old\n- text: b\n  label: "new é"  # why\n',
    ),
    "yaml, plain": (
        ".yaml",
        "",
        "- text: a\n  label: old\n- text: b\n  label: old # why\n",
        "- text: a\n  label: old\n- text: b\n  label: new é # why\n",
    ),
}


def project(root: Path, suffix: str, fields: str, text: str):
    (root / f"data{suffix}").write_bytes(text.encode())
    (root / "promptgrad.toml").write_text(PROJECT.format(suffix=suffix, fields=fields))
    return load_project(root)


@pytest.mark.parametrize("name", CASES)
def test_only_the_label_changes(tmp_path, name):
    suffix, fields, before, after = CASES[name]
    found = project(tmp_path, suffix, fields, before)
    correction(found, load_split(found, found.data.train)[1], "label", "new é").make()
    assert (tmp_path / f"data{suffix}").read_bytes() == after.encode()
    assert [example.values["label"] for example in load_split(found, found.data.train)] == ["old", "new é"]


@pytest.mark.parametrize(
    ("suffix", "fields", "text", "said"),
    [
        (".jsonl", '[data.fields]\nlabel = "=old"\n', '{"text": "a"}\n{"text": "b"}\n', "the same for all"),
        (
            ".json",
            "",
            '[{"text": "a", "label": "old"}, {"text": "b", "label": "old"}]',
            "can't be changed in place",
        ),
    ],
)
def test_what_cannot_be_changed_in_place_is_left_alone(tmp_path, suffix, fields, text, said):
    found = project(tmp_path, suffix, fields, text)
    with pytest.raises(DataError) as caught:
        correction(found, load_split(found, found.data.train)[1], "label", "new").make()
    assert said in caught.value.message
    assert (tmp_path / f"data{suffix}").read_text() == text


def test_excluded_examples_are_left_out_and_the_project_file_keeps_its_comments(tmp_path):
    found = project(tmp_path, ".jsonl", "", CASES["jsonl keeps spaces and order"][2])
    first, second = load_split(found, found.data.train)
    exclusion(found, second).make()
    text = (tmp_path / "promptgrad.toml").read_text()
    assert text.startswith("# ours\n")
    assert 'train = "data.jsonl"  # the file' in text
    assert f'"{second.key}", # data.jsonl, line 3' in text
    now = load_project(tmp_path)
    assert load_split(now, now.data.train) == [first]
    exclusion(now, first).make()
    with pytest.raises(DataError, match="All examples"):
        load_split(load_project(tmp_path), "data.jsonl")
