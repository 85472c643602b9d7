"""`promptgrad route`: the demo model answers where it is sure, the desk everywhere else."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from engine.journal.events import SplitScores
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule
from engine.release.artifacts import ArtifactContent, save_artifact
from models import open_model
from models.demo import demo_model_path
from models.demo.project import hidden_policy, write_demo_project
from promptgrad_tui import load_artifact
from promptgrad_tui.work.code.program import build_program
from promptgrad_tui.work.derive.routing import route
from promptgrad_tui.work.opening import open_project
from tests.engine.desk import Desk
from tests.promptgrad_tui.desk_project import promptgrad, result
from tests.promptgrad_tui.model_server import DeskServer, desk_server

pytestmark = pytest.mark.skipif(
    not demo_model_path().exists(), reason="the demo model was not made: make demo-model"
)


class Informed(Desk):
    """A desk that knows the right queue of every ticket of the project."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        lines = [line for file in root.glob("data/*.jsonl") for line in file.read_text().splitlines()]
        self.known = {one["ticket"]: one["queue"] for one in map(json.loads, lines)}

    def answer(self, messages: list[dict[str, str]]) -> str:
        ticket = messages[-1]["content"].split("[[ ## ticket ## ]]")[1].split("Respond")[0].strip()
        return json.dumps({"reasoning": "known", "queue": self.known[ticket]})


def write_few(root: Path) -> None:
    """The demo's project with two dozen examples to choose and to test on."""
    write_demo_project(root, 5)
    for split in ("validation", "test"):
        file = root / "data" / f"{split}.jsonl"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:24]))


def saved(root: Path, uri: str) -> str:
    """An artifact of the demo's project for the model at a URI, with the hidden policy as its rules."""
    project = open_project(root, {"model.task": json.dumps(uri)})
    program = build_program(project)
    frozen = FrozenProgram(program)
    rules = [Rule(text=text, predictor=frozen.predictors[0]) for text in hidden_policy(5).rules()]
    with open_model(uri) as model:
        revision = model.revision
    content = ArtifactContent(
        name="desk",
        module=frozen.with_rules(rules),
        base=program,
        base_instructions=frozen.base,
        instructions=frozen.instructions(rules),
        rules=rules,
        config=asdict(project.optimizer),
        seed=5,
        metric="exact_match(queue)",
        revision=revision,
        model_uri=uri,
        data={},
        baseline=SplitScores(),
        optimized=SplitScores(),
        run="made",
        versions={},
        details={"project": project.model_dump(mode="json", exclude_unset=True)},
    )
    return str(save_artifact(root / "artifacts", content))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, dict[str, Any], DeskServer]:
    root = tmp_path_factory.mktemp("route")
    write_few(root)
    with desk_server(Informed(root)) as server:
        small, large = saved(root, "demo"), saved(root, server.uri)
        done = promptgrad("-C", root, "route", small, large, "--margin", "0.3", "--json")
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
    by_share = sorted(told["table"], key=lambda one: one["share"])
    until = by_share.index(row) + 1
    assert all(one["gain"]["low"] >= -0.3 for one in by_share[:until])
    assert all(one["gain"]["low"] < -0.3 for one in by_share[until : until + 1])
    assert told["validation"]["routed"] == row["score"]
    assert told["validation"]["large"]["score"] == 1.0
    assert told["test"]["large"]["n"] == 24
    shares = [one["share"] for one in told["table"]]
    assert shares == sorted(shares, reverse=True)
    times = [one["seconds"] for one in told["table"]]
    assert 0 < times[0] < times[-1], "who asks the large model more often takes longer"
    text = promptgrad("-C", root, "route", small, large, "--margin", "0.3").stdout
    assert "Thresholds, on validation" in text
    assert Path(told["saved"]).name in text, "the same router, and not another version"


def test_each_answer_is_seen_in_the_progress(made: tuple[Path, str, str, dict[str, Any], Any]) -> None:
    root, small, large, told, server = made
    calls, seen = server.calls, list[str]()
    again = route(Path(small), Path(large), root, 0.3, lambda text, done: seen.append(text))
    for work in ("The small model: 24 of 24 answers", "The large model: 24 of 24 answers"):
        assert seen.count(work) == 2, "on validation and on the test split"
    assert "How sure the small model is: 1 of 24" in seen
    assert (str(again.saved), server.calls) == (told["saved"], calls)


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
    answer = promptgrad(
        "-C", root, "predict", told["saved"], "--input", f"ticket={tickets[0]['ticket']}", "--json"
    )
    assert result(answer)["queue"] in {one["queue"] for one in tickets}


def test_another_model_is_refused(made: tuple[Path, str, str, dict[str, Any], Any]) -> None:
    root, small, large, told, _ = made
    with desk_server(name="other") as other, open_model(other.uri) as desk, open_model("demo") as demo:
        with pytest.raises(Exception, match="was proved on"):
            load_artifact(told["saved"], demo, large=desk)
        with pytest.raises(Exception, match="needs two models"):
            load_artifact(told["saved"], demo)
    alone = promptgrad("-C", root, "route", small, small)
    assert alone.returncode == 2
    assert "were proved on the same model, demo" in " ".join(alone.stderr.split())
    turned = promptgrad("-C", root, "route", large, small)
    assert turned.returncode == 2
    assert "no log-probabilities" in turned.stderr


def test_the_matrix_lists_it_after_the_artifacts(made: tuple[Path, str, str, dict[str, Any], Any]) -> None:
    root, _, _, told, server = made
    *artifacts, router = json.loads(promptgrad("-C", root, "matrix", "--json").stdout)
    assert [row["kind"] for row in artifacts] == ["artifact", "artifact"]
    assert (router["kind"], router["router"], router["problem"]) == ("router", told["saved"], "")
    assert {name: router[name] for name in told if name != "saved"} == {
        name: value for name, value in told.items() if name != "saved"
    }
    text = " ".join(promptgrad("-C", root, "matrix").stdout.split())
    listed = text[text.index("Routers") :]
    assert f"demo answers where its margin is {told['margin']:.2f} or more, {server.uri} every" in listed
    row = next(row for row in told["table"] if row["margin"] == told["margin"])
    assert f"(n = 24), {row['share']:.0%} by the small model" in listed[listed.index("validation") :]
    assert f"(n = 24), {told['test_share']:.0%} by the small model" in listed[listed.index("test ") :]


def test_a_damaged_router_is_listed_with_its_problem(
    made: tuple[Path, str, str, dict[str, Any], Any], tmp_path: Path
) -> None:
    root, _, _, told, _ = made
    copy = shutil.copytree(root, tmp_path / "copy")
    folder = copy / Path(told["saved"]).relative_to(root)
    file = folder / "router.json"
    file.write_text(file.read_text().replace('"loss": 0.3', '"loss": 0.9'))
    router = json.loads(promptgrad("-C", copy, "matrix", "--json").stdout)[-1]
    assert router == {
        "kind": "router",
        "router": str(folder),
        "problem": f"{file} was changed after it was saved.",
    }
    listed = "".join(promptgrad("-C", copy, "matrix").stdout.split())
    assert f"damaged{folder}:{file}waschangedafteritwassaved." in listed


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "ROUTER", "SMALL"),
        ("gate", "ROUTER"),
        ("promote", "ROUTER"),
        ("export", "ROUTER", "--to", "text"),
        ("export", "ROUTER", "--to", "program", "--out", "whole"),
        ("compress", "ROUTER"),
        ("route", "ROUTER", "SMALL"),
    ],
    ids=lambda words: " ".join(words),
)
def test_what_takes_an_artifact_says_that_it_is_a_router(
    made: tuple[Path, str, str, dict[str, Any], Any], words: tuple[str, ...]
) -> None:
    root, small, _, told, _ = made
    names = {"ROUTER": told["saved"], "SMALL": small, "whole": str(root / "whole")}
    done = promptgrad("-C", root, *(names.get(word, word) for word in words))
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, said
    assert "is a router, not an artifact." in said
    assert "matrix` lists them." in said


@pytest.mark.parametrize("table", ["csv", "parquet", "mlflow"])
def test_a_table_is_of_a_run_and_not_of_a_router(
    made: tuple[Path, str, str, dict[str, Any], Any], table: str
) -> None:
    root, _, _, told, _ = made
    done = promptgrad("-C", root, "export", told["saved"], "--to", table, "--out", root / "table")
    said = "".join(done.stderr.split())
    assert done.returncode == 2, said
    assert f"--to{table}takesarun,and{told['saved']}isarouter." in said
    assert "runs`liststheruns" in said
