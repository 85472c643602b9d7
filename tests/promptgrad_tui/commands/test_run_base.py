"""`promptgrad run --base`: another optimizer makes the base, and the result says what each layer brought."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("based")
    with desk_server() as server:
        done = promptgrad("run", write_project(root, server.uri), "--base", "labeled_few_shot", "--json")
        assert done.returncode == 0, done.stderr
        assert "labeled_few_shot ended after 0 calls, 12 demonstrations" in done.stderr
        assert result(done)["calls"] == server.calls
    return root, result(done)


def test_the_result_says_what_the_base_and_each_layer_brought(made: tuple[Path, dict[str, Any]]) -> None:
    _, told = made
    base = told["base"]
    assert (base["method"], base["demonstrations"], base["calls"]) == ("labeled_few_shot", 12, 0)
    assert base["made"] == told["baseline"]["validation"]
    # The desk reads rules and no demonstrations: that base brings nothing, and the rules bring all.
    assert base["own"] == base["made"]
    assert told["optimized"]["validation"]["score"] > base["made"]["score"] + 0.2


def test_show_and_the_report_have_the_same_table(made: tuple[Path, dict[str, Any]]) -> None:
    root, told = made
    shown = json.loads(promptgrad("-C", root, "show", "last", "--json").stdout)
    assert (shown["base"], shown["layers"]) == (told["base"], told["layers"])
    text = " ".join(promptgrad("-C", root, "show", "last").stdout.split())
    learned = f"{told['optimized']['validation']['score']:.3f}"
    own = f"{told['base']['own']['score']:.3f}"
    assert f"the project's own program {own}" in text
    assert f"base by labeled_few_shot {own}" in text
    assert f"with what was learned on it {learned}" in text
    promptgrad("-C", root, "report", "last", "--markdown", root / "report.md")
    assert "base by labeled_few_shot" in (root / "report.md").read_text().replace("\\", "")


def test_what_cannot_be_is_said_before_anything_is_spent(tmp_path: Path) -> None:
    with desk_server() as server:
        root = write_project(tmp_path, server.uri)
        unknown = promptgrad("run", root, "--base", "magic")
        alone = promptgrad("run", root, "--base-calls", "100")
        few = promptgrad("run", root, "--base", "opro", "--base-calls", "20", "--quiet", "--json")
    assert (unknown.returncode, alone.returncode, few.returncode) == (2, 2, 2)
    assert "mipro_v2" in unknown.stderr
    assert "--base-calls needs --base" in alone.stderr
    assert "at least" in few.stderr
    assert server.calls == 0
