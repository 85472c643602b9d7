"""What docs/programs.md promises to programs is what the commands print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server

PAGE = (Path(__file__).parents[3] / "docs" / "programs.md").read_text()


def promised(start: str) -> set[str]:
    """The names in backticks of the row that starts so, but for those in brackets."""
    row = next(line for line in PAGE.splitlines() if line.startswith(start))
    text = re.sub(r"\([^)]*\)", "", row.removeprefix(start))
    return set(re.findall(r"`(\w+)`", text))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    with desk_server() as server:
        write_project(root, server.uri, n=40)
        yield root, result(promptgrad("run", root, "--json", "--quiet"))


def test_a_run_prints_the_fields_of_the_page(made):
    _, told = made
    rows = PAGE.partition("| Field |")[2].partition("\n\n")[0].splitlines()[2:]
    fields = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(fields) == sorted(told)
    assert promised("| `rules` |") == set(told["rules"][0])
    assert promised("| `model` |") == set(told["model"])
    assert promised("| `baseline`, `optimized` |") == set(told["baseline"])
    assert {"prompt", "completion", "reused"} == set(told["tokens"])


def test_a_score_lies_within_its_interval(made):
    root, _ = made
    test = result(promptgrad("-C", root, "show", "last", "--json"))["summary"]["optimized"]["test"]
    assert 0 <= test["low"] <= test["score"] <= test["high"] <= 1


@pytest.mark.parametrize(
    ("row", "arguments"),
    [
        ("| `runs --json` |", ("runs", "--json")),
        ("| `show RUN --json` |", ("show", "last", "--json")),
        ("| `compare A B --json` |", ("compare", "baseline", "last", "--json")),
        ("| `gate ARTIFACT --format json` |", ("gate", "ARTIFACT", "--format", "json")),
        ("| `history --json` |", ("history", "--json")),
        ("| `recheck --data FILE --json` |", ("recheck", "ARTIFACT", "--data", "data/test.jsonl", "--json")),
    ],
)
def test_a_command_prints_the_fields_of_its_row(made, row, arguments):
    root, told = made
    promptgrad("-C", root, "promote", told["artifact"])
    named = [told["artifact"] if word == "ARTIFACT" else word for word in arguments]
    printed = result(promptgrad("-C", root, *named))
    assert promised(row) == set(printed[0] if isinstance(printed, list) else printed)


def test_runs_tell_how_each_stands(made):
    root, told = made
    [run] = result(promptgrad("-C", root, "runs", "--json"))
    assert run["run"] == told["run"]
    assert run["status"] == "improved"
    assert run["optimized"] == told["optimized"]
    assert run["rules"] == len(told["rules"])
    assert run["artifact"] == told["artifact"]
    assert run["created"] < run["last_event"]


def test_a_check_and_the_doctor_print_findings(made):
    root, _ = made
    checked = result(promptgrad("check", root, "--no-model", "--json"))
    assert set(checked) == {"findings", "splits", "models", "sizes", "rate"}
    examined = result(promptgrad("-C", root, "doctor", "--json"))
    for finding in (*checked["findings"], *examined["findings"]):
        assert set(finding) == {"level", "subject", "text", "advice", "field", "exit_code"}
        assert (finding["exit_code"] > 0) == (finding["level"] == "fail")


def test_every_command_with_json_stands_on_the_page():
    from promptgrad_tui.cli import promptgrad as group

    with_json = [name for name, c in group.commands.items() if any("--json" in p.opts for p in c.params)]
    assert [name for name in with_json if f"`{name}" not in PAGE] == []
