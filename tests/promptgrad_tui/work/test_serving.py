"""Saved programs through their one door: from Python, for one input, and for a file of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import dspy
import pytest

import promptgrad_tui
from engine.ground.errors import ArtifactError, RevisionMismatchError
from engine.journal.events import SplitScores
from engine.programs.program import FrozenProgram
from engine.release.artifacts import ArtifactContent, save_artifact
from engine.testing import scripted_model, scripted_revision
from models import open_model
from promptgrad_tui.work.code.program import build_program
from promptgrad_tui.work.opening import open_project
from tests.engine.desk import Desk, desk_program, tickets
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    with desk_server() as server:
        project = write_project(root, server.uri, n=40) / "promptgrad.toml"
        project.write_text(f'{project.read_text()}[data.fields]\nticket = "Customer message"\n')
        artifact = result(promptgrad("run", root, "--json", "--quiet"))["artifact"]
        yield root, Path(artifact), server


def test_an_artifact_answers_in_the_prompts_that_were_measured_whatever_dspy_is_set_to(served):
    _, artifact, server = served
    with open_model(server.uri) as model:
        program = promptgrad_tui.load_artifact(artifact, model)
        server.desk.prompts.clear()
        with dspy.context(lm=scripted_model(["no"]).lm, adapter=dspy.ChatAdapter()):
            answer = program(ticket="Case 9: my drone is late.")
    assert answer.queue == "aviation"
    system = server.desk.prompts[0][0]["content"]
    assert system in (artifact / "prompt.txt").read_text()


def test_an_artifact_is_refused_for_another_revision(served):
    _, artifact, _ = served
    other = scripted_model(Desk().answer, name="another")
    with pytest.raises(RevisionMismatchError, match="compile the program for this model"):
        promptgrad_tui.load_artifact(artifact, other)


def test_the_answer_without_the_rules_is_shown_beside_it(served):
    root, artifact, _ = served
    asked = ("-C", root, "predict", artifact, "--input", "ticket=Case 9: my drone is late.", "--base")
    assert result(promptgrad(*asked, "--json")) == {
        "optimized": {"queue": "aviation"},
        "base": {"queue": "general"},
    }
    assert promptgrad(*asked).stdout.splitlines() == [
        *("With the rules", "queue: aviation", "", "Base instructions", "queue: general"),
    ]
    assert promptgrad(*asked[:4], "--file", __file__, "--out", "x", "--base").returncode == 2


def test_a_damaged_artifact_is_refused(served, tmp_path):
    _, artifact, server = served
    copy = shutil.copytree(artifact, tmp_path / "v1")
    (copy / "program.json").write_text((copy / "program.json").read_text().replace("aviation", "harbour"))
    with (
        open_model(server.uri) as model,
        pytest.raises(ArtifactError, match="was changed after it was saved"),
    ):
        promptgrad_tui.load_artifact(copy, model)


def test_a_whole_program_runs_code_and_needs_trust(tmp_path):
    desk_program().save(str(tmp_path / "whole"), save_program=True)
    model = scripted_model(Desk().answer)
    assert model.revision == scripted_revision()
    with pytest.raises(ArtifactError, match="to load it is to run whatever code is in it"):
        promptgrad_tui.load_artifact(tmp_path / "whole", model)
    program = promptgrad_tui.load_artifact(tmp_path / "whole", model, trust=True)
    assert program(ticket="my parcel is late").queue == "general"


def said(done):
    return " ".join(done.stderr.split())


def questions(root, n=25):
    rows = [{"ticket": ticket["ticket"], "id": ticket["id"]} for ticket in tickets(n, 7)]
    (root / "new.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return rows, root / "new.jsonl", root / "out.jsonl"


def test_a_file_is_answered_in_order_and_gone_on_with_where_it_was_left(served, tmp_path):
    root, artifact, server = served
    rows, source, target = questions(tmp_path)
    done = promptgrad("-C", root, "predict", artifact, "--file", source, "--out", target)
    assert done.returncode == 0, done.stderr
    whole = target.read_text()
    told = [json.loads(line) for line in whole.splitlines()]
    assert [line["inputs"]["ticket"] for line in told] == [row["ticket"] for row in rows]
    assert [line["line"] for line in told] == list(range(1, 26))
    assert {line["answer"]["queue"] for line in told} > {"general"}
    target.write_text(whole[: len(whole) // 2])
    kept = target.read_text().count("\n")
    before = server.calls
    promptgrad("-C", root, "predict", artifact, "--file", source, "--out", target)
    assert target.read_text() == whole
    assert server.calls - before == 25 - kept
    promptgrad("-C", root, "predict", artifact, "--file", source, "--out", target)
    assert server.calls - before == 25 - kept, "nothing is left to answer"


def test_a_file_with_the_projects_other_names_is_read_as_its_data_is(served, tmp_path):
    root, artifact, _ = served
    (tmp_path / "new.csv").write_text("Customer message,from\nCase 9: my drone is late.,Ada\n")
    arguments = ("--file", tmp_path / "new.csv", "--out", tmp_path / "out.jsonl")
    assert promptgrad("-C", root, "predict", artifact, *arguments).returncode == 0
    told = json.loads((tmp_path / "out.jsonl").read_text())
    assert (told["line"], told["inputs"]) == (2, {"ticket": "Case 9: my drone is late."})
    assert told["answer"]["queue"] == "aviation"


def test_answers_to_other_rows_are_not_mixed(served, tmp_path):
    root, artifact, _ = served
    _, source, target = questions(tmp_path)
    promptgrad("-C", root, "predict", artifact, "--file", source, "--out", target)
    lines = source.read_text().splitlines()
    source.write_text("\n".join([lines[1], lines[0], *lines[2:]]))
    mixed = promptgrad("-C", root, "predict", artifact, "--file", source, "--out", target)
    assert mixed.returncode == 2
    assert "line 1 is not an answer to the corresponding row" in mixed.stderr


@pytest.mark.parametrize("held", ["notes without a line's end", '{"ticket": "my parcel is late"}'])
def test_a_file_that_holds_something_else_is_never_cut(served, tmp_path, held):
    root, artifact, server = served
    before = server.calls
    _, source, target = questions(tmp_path)
    target.write_text(held)
    done = promptgrad("-C", root, "predict", artifact, "--file", source, "--out", target)
    assert done.returncode == 2
    assert "line 1 is not an answer to the corresponding row" in done.stderr
    assert target.read_text() == held
    source.write_text(held if held.startswith("{") else '{"ticket": "a"}')
    asked = source.read_text()
    assert promptgrad("-C", root, "predict", artifact, "--file", source, "--out", source).returncode == 2
    assert source.read_text() == asked
    assert server.calls == before


def test_answers_go_into_a_file_and_not_into_a_pipe(served, tmp_path):
    root, artifact, server = served
    before = server.calls
    _, source, target = questions(tmp_path)
    os.mkfifo(target)
    done = promptgrad("-C", root, "predict", artifact, "--file", source, "--out", target)
    assert done.returncode == 2
    assert "is a device or a pipe" in said(done)
    dash = promptgrad("-C", root, "predict", artifact, "--file", source, "--out", "-")
    assert dash.returncode == 2
    assert "Name a file" in said(dash)
    assert server.calls == before


def test_rows_without_an_input_and_odd_options_are_refused_before_any_call(served, tmp_path):
    root, artifact, server = served
    before = server.calls
    (tmp_path / "new.jsonl").write_text('{"ticket": "a"}\n{"tikcet": "b"}\n')
    arguments = ("--file", tmp_path / "new.jsonl", "--out", tmp_path / "out.jsonl")
    done = promptgrad("-C", root, "predict", artifact, *arguments)
    assert done.returncode == 2
    missing = "line 2: the field 'ticket', which [data.fields] reads from 'Customer message', is missing"
    assert missing in said(done)
    for row, problem in [
        ('{"ticket": null}', "line 2: the input 'ticket' is null."),
        ('{"ticket": "\\ud83d"}', "line 2: the field 'ticket' holds half a character"),
        ('{"ticket": NaN}', "line 2: the field 'ticket' holds nan."),
        ('{"ticket": NaN, "n": 1}', "line 2: the field 'ticket' holds nan; it is an input of the program."),
        ('["a"]', 'line 2: ["a"] isn\'t an object.'),
    ]:
        (tmp_path / "new.jsonl").write_text(f'{{"ticket": "a"}}\n{row}\n')
        done = promptgrad("-C", root, "predict", artifact, *arguments)
        assert (done.returncode, problem in said(done)) == (2, True), said(done)
    (tmp_path / "new.jsonl").write_text("")
    empty = promptgrad("-C", root, "predict", artifact, *arguments)
    # The path may be broken where a line ends.
    assert "new.jsonlholdsnoexamples." in "".join(empty.stderr.split())
    assert promptgrad("-C", root, "predict", artifact).returncode == 2
    assert promptgrad("-C", root, "predict", artifact, "--file", tmp_path / "new.jsonl").returncode == 2
    assert server.calls == before


RAISING = """import dspy


class Route(dspy.Module):
    def __init__(self):
        super().__init__()
        self.step = dspy.Predict("ticket -> queue")

    def forward(self, ticket):
        answer = self.step(ticket=ticket)
        if "number" in ticket:
            int(answer.queue)
        if "slip" in ticket:
            undefined_name
        return answer
"""


@pytest.fixture
def raising(served, tmp_path):
    """An artifact of a program in Python that raises on some inputs."""
    _, _, server = served
    root = write_project(tmp_path, server.uri)
    (root / "program.py").write_text(RAISING)
    file = root / "promptgrad.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("instructions")]
    file.write_text("\n".join(lines).replace('signature = "ticket -> queue"', 'python = "program.py:Route"'))
    project = open_project(root, {})
    program = build_program(project)
    frozen = FrozenProgram(program)
    with open_model(server.uri) as model:
        revision = model.revision
    content = ArtifactContent(
        name="desk",
        module=program,
        base=program,
        base_instructions=frozen.base,
        instructions=frozen.base,
        rules=(),
        config={},
        seed=1,
        metric="exact_match(queue)",
        revision=revision,
        model_uri=server.uri,
        data={},
        baseline=SplitScores(),
        optimized=SplitScores(),
        run="made",
        versions={},
        details={"project": project.model_dump(mode="json", exclude_unset=True)},
    )
    return root, save_artifact(root / "artifacts", content)


def test_a_program_that_raises_is_not_called_an_answer_that_cannot_be_read(raising):
    root, artifact = raising
    done = promptgrad("-C", root, "predict", artifact, "--input", "ticket=a slip")
    assert done.returncode == 2
    assert "The program raised NameError: name 'undefined_name' is not defined (program.py, line 14)" in said(
        done
    )
    source, target = root / "new.jsonl", root / "out.jsonl"
    rows = [{"ticket": "my parcel is late"}, {"ticket": "a number"}, {"ticket": "my parcel is here"}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ("-C", root, "predict", artifact, "--file", source, "--out", target)
    assert promptgrad(*asked).returncode == 0
    first, second, third = map(json.loads, target.read_text().splitlines())
    assert "answer" in first
    assert "answer" in third
    assert second["problem"].startswith("The program raised ValueError: invalid literal for int()")
    source.write_text(source.read_text() + json.dumps({"ticket": "a slip"}) + "\n")
    done = promptgrad(*asked)
    assert done.returncode == 2
    assert "The program raised NameError" in said(done)
    assert target.read_text().count("\n") == 3
