"""`promptgrad route`: the demo model answers where it is sure, the desk everywhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models import open_model
from models.demo import demo_model_path
from promptgrad_tui import load_artifact
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import DeskServer, desk_server

pytestmark = pytest.mark.skipif(
    not demo_model_path().exists(), reason="the demo model was not made: make demo-model"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, dict[str, Any], DeskServer]:
    root = tmp_path_factory.mktemp("route")
    with desk_server() as server:
        large = result(promptgrad("run", write_project(root, server.uri, n=40), "--json"))["artifact"]
        write_project(root, "demo", n=40)
        shown = ("--with", "labeled_few_shot", "--seeds", "1", "--json")
        standings = result(promptgrad("contest", root, *shown))["contest"]["standings"]
        small = standings[0]["artifact"]
        done = promptgrad("-C", root, "route", small, large, "--margin", "0.2", "--json")
        assert done.returncode == 0, done.stderr
        yield root, small, large, result(done), server


def test_the_table_and_the_router_say_what_each_model_does(
    made: tuple[Path, str, str, dict[str, Any], Any],
) -> None:
    root, small, large, told, server = made
    assert told["saved"], "with this margin some threshold holds"
    assert told["small"]["uri"] == "demo"
    assert told["large"]["uri"] == server.uri
    row = next(row for row in told["table"] if row["margin"] == told["margin"])
    assert row["gain"]["low"] >= -0.2
    assert row["share"] == max(one["share"] for one in told["table"] if one["gain"]["low"] >= -0.2)
    assert told["validation"]["routed"] == row["score"]
    assert told["test"]["large"]["n"] == 40
    shares = [one["share"] for one in told["table"]]
    assert shares == sorted(shares, reverse=True)
    text = promptgrad("-C", root, "route", small, large, "--margin", "0.2").stdout
    assert "Thresholds, on validation" in text
    assert Path(told["saved"]).name in text, "the same router, and not another version"


def test_predict_and_load_artifact_serve_it_on_both_revisions(
    made: tuple[Path, str, str, dict[str, Any], Any],
) -> None:
    root, _, _, told, server = made
    calls = server.calls
    tickets = [json.loads(line) for line in (root / "data" / "test.jsonl").read_text().splitlines()]
    with open_model("demo") as demo, open_model(server.uri) as desk:
        program = load_artifact(told["saved"], demo, large=desk)
        scores = [program(ticket=one["ticket"]).queue == one["queue"] for one in tickets]
    assert sum(scores) / len(scores) == pytest.approx(told["test"]["routed"]["score"])
    assert server.calls - calls == round((1 - told["test_share"]) * len(tickets))
    answer = promptgrad("-C", root, "predict", told["saved"], "--input", "ticket=my piano is late", "--json")
    assert set(result(answer)) == {"queue"}


def test_another_model_is_refused(made: tuple[Path, str, str, dict[str, Any], Any]) -> None:
    root, small, large, told, _ = made
    with desk_server(name="other") as other, open_model(other.uri) as desk, open_model("demo") as demo:
        with pytest.raises(Exception, match="was proved on"):
            load_artifact(told["saved"], demo, large=desk)
        with pytest.raises(Exception, match="needs two models"):
            load_artifact(told["saved"], demo)
    turned = promptgrad("-C", root, "route", large, small)
    assert turned.returncode == 2
    assert "no log-probabilities" in turned.stderr
