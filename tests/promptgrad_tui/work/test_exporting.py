"""`promptgrad export` on the demo project: each format gives the token ids that were measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dspy
import jinja2
import llama_cpp
import pytest
import yaml

from engine.ground.interval import Interval
from engine.journal.events import DataUsed, SplitScores
from engine.programs.conditional import ConditionalProgram
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule, RuleSet
from engine.project.data import load_examples
from engine.project.settings import load_project
from engine.release.artifacts import ArtifactContent, load_artifact, save_artifact
from engine.testing import chat_messages, scripted_model
from models import LocalModel, open_model
from models.demo import demo_model_path
from models.demo.project import hidden_policy, write_demo_project
from promptgrad_tui.work.code.program import build_program
from tests.engine.release.exports.modelfile_parser import parse_modelfile
from tests.promptgrad_tui.desk_project import promptgrad

pytestmark = pytest.mark.skipif(
    not demo_model_path().is_file(), reason="the demo model isn't built: make demo-model"
)

Messages = list[dict[str, str]]
Tokens = Callable[[Messages], list[int]]

RENDER_ALONE = """
import json, sys
import dspy
import exported
from dspy import lm15

class Recorder:
    supports_response_schema = True
    supported_params = frozenset({"response_format"})
    def complete(self, request):
        shown.append([request.system, *[message.text for message in request.messages]])
        message = lm15.Message.assistant('{"reasoning": "r", "queue": "billing"}')
        return lm15.Response(id=None, model="m", message=message, finish_reason="stop", usage=lm15.Usage())
    def close(self):
        pass

shown = []
program = exported.load_program()
with dspy.context(lm=dspy.LM("x/y", engine=Recorder(), cache=False), adapter=exported.ADAPTER):
    for ticket in json.load(sys.stdin):
        program(ticket=ticket)
json.dump(shown, sys.stdout)
"""


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    with open_model("demo") as model:
        yield model


@pytest.fixture(scope="module")
def tokens(model: LocalModel) -> Tokens:
    """What the model reads for chat messages, as token ids."""
    vocabulary = llama_cpp.Llama(str(demo_model_path()), vocab_only=True, verbose=False)
    return lambda messages: vocabulary.tokenize(model.render(messages).encode(), add_bos=False, special=True)


@pytest.fixture(scope="module", params=["plain", "conditional"])
def artifact(
    request: pytest.FixtureRequest, model: LocalModel, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The demo project's hidden policy, saved as a run would save it."""
    root = tmp_path_factory.mktemp(request.param)
    write_demo_project(root, seed=0)
    project = load_project(root)
    base = build_program(project)
    policy = hidden_policy(0)
    rules = [
        Rule(text=text, trigger=cause, predictor="predict")
        for text, cause in zip(policy.rules(), policy.queues, strict=True)
    ]
    frozen = FrozenProgram(base)
    conditional = request.param == "conditional"
    scores = SplitScores(test=Interval(score=0.9, n=120, low=0.8, high=0.95))
    content = ArtifactContent(
        name=project.name,
        module=ConditionalProgram(base, RuleSet(rules), 2, 0.5) if conditional else frozen.with_rules(rules),
        base=base,
        base_instructions=frozen.base,
        instructions=frozen.instructions(rules),
        rules=rules,
        config={**asdict(project.optimizer), "rule_trigger_top_k": 2, "rule_trigger_min_overlap": 0.5},
        seed=0,
        metric="exact_match(queue)",
        revision=model.revision,
        model_uri="demo",
        data={"test": DataUsed(n=120, digest="sha256:1")},
        baseline=scores,
        optimized=scores,
        run="20261121-040000-abcd",
        versions={},
        details={"project": project.model_dump(mode="json", exclude_unset=True)},
    )
    return save_artifact(root / "artifacts", content)


@pytest.fixture(scope="module")
def tickets(artifact: Path) -> list[str]:
    return [
        example.values["ticket"] for example in load_examples(artifact.parents[3] / "data" / "test.jsonl")
    ]


@pytest.fixture(scope="module")
def measured(artifact: Path, model: LocalModel, tickets: list[str], tokens: Tokens) -> list[list[int]]:
    """The tokens of each test example's prompt, as DSPy makes it of the loaded artifact."""
    program = load_artifact(artifact, build_program(load_project(artifact.parents[3])), model.revision)
    return [tokens(messages) for messages in rendered(program, tickets)]


def rendered(program: dspy.Module, tickets: list[str]) -> list[Messages]:
    scripted = scripted_model(lambda _: '{"reasoning": "r", "queue": "billing"}')
    with dspy.context(lm=scripted.lm, adapter=dspy.JSONAdapter()):
        for ticket in tickets:
            program(ticket=ticket)
    return [chat_messages(request) for request in scripted.requests]


def exported(artifact: Path, to: str, out: Path) -> str:
    done = promptgrad("export", artifact, "--to", to, "--out", out)
    assert done.returncode == 0, done.stderr
    return out.read_text(encoding="utf-8")


def render_text(text: str, ticket: str, folder: Path) -> Messages:
    system, user = text.split("--- system ---\n")[1].split("\n\n--- user ---\n")
    request = user.removesuffix("\n").replace("{ticket}", ticket)
    return [{"role": "system", "content": system}, {"role": "user", "content": request}]


def render_state(text: str, ticket: str, folder: Path) -> Messages:
    program = build_program(load_project(folder))
    program.load_state({name: step for name, step in json.loads(text).items() if name != "metadata"})
    return rendered(program, [ticket])[0]


def render_messages(text: str, ticket: str, folder: Path) -> Messages:
    *head, last = json.loads(text)["prompts"]["predict"]["messages"]
    return [*head, {**last, "content": last["content"].replace("{ticket}", ticket)}]


def render_modelfile(text: str, ticket: str, folder: Path) -> Messages:
    shown = [line for line in text.splitlines() if line.startswith("#")]
    request = "\n".join(line[4:] for line in shown[shown.index("#") + 2 :])
    return [*parse_modelfile(text).messages, {"role": "user", "content": request.replace("{ticket}", ticket)}]


def render_promptfoo(text: str, ticket: str, folder: Path) -> Messages:
    config = yaml.safe_load(text)
    (values,) = [test["vars"] for test in config["tests"] if test["vars"]["ticket"] == ticket]
    environment = jinja2.Environment(keep_trailing_newline=True)
    return [
        {**message, "content": environment.from_string(message["content"]).render(values)}
        for message in json.loads(config["prompts"][0])
    ]


RENDERERS: dict[str, Callable[[str, str, Path], Messages]] = {
    "text": render_text,
    "dspy": render_state,
    "messages": render_messages,
    "modelfile": render_modelfile,
    "promptfoo": render_promptfoo,
}


@pytest.mark.parametrize("to", RENDERERS)
def test_an_export_has_the_measured_tokens_or_says_where_not(
    artifact: Path, to: str, tickets: list[str], measured: list[list[int]], tokens: Tokens, tmp_path: Path
) -> None:
    text = exported(artifact, to, tmp_path / "out")
    found = [tokens(RENDERERS[to](text, ticket, artifact.parents[3])) for ticket in tickets[:40]]
    if "conditional" in str(artifact):
        assert "all 8 rules are in the prompt" in text.splitlines()[0]
        assert found != measured[:40]
    else:
        assert found == measured[:40]
        assert ("Differs" in text.splitlines()[0]) == (to == "modelfile")


def test_the_python_file_has_the_measured_tokens(
    artifact: Path, tickets: list[str], measured: list[list[int]], tokens: Tokens, tmp_path: Path
) -> None:
    text = exported(artifact, "python", tmp_path / "exported.py")
    assert "iffers" not in text.splitlines()[0]
    done = subprocess.run(
        [sys.executable, "-c", RENDER_ALONE],
        input=json.dumps(tickets),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    roles = ("system", "user")
    found = [
        tokens([{"role": role, "content": part} for role, part in zip(roles, prompt, strict=True)])
        for prompt in json.loads(done.stdout)
    ]
    assert found == measured


def test_a_modelfile_names_the_weights_and_what_was_sampled_with(
    artifact: Path, model: LocalModel, tmp_path: Path
) -> None:
    found = parse_modelfile(exported(artifact, "modelfile", tmp_path / "Modelfile"))
    assert Path(found.weights) == demo_model_path().resolve()
    assert found.parameters["temperature"] == "0.0"
    assert found.parameters["num_predict"] == "1024"
    assert found.parameters["num_ctx"] == str(model.context_length)


def test_promptfoo_has_every_test_example(artifact: Path, tickets: list[str], tmp_path: Path) -> None:
    config: dict[str, Any] = yaml.safe_load(exported(artifact, "promptfoo", tmp_path / "config.yaml"))
    assert [test["vars"]["ticket"] for test in config["tests"]] == tickets
    assert all(test["assert"][0]["type"] == "equals" for test in config["tests"])
    assert config["providers"][0]["config"]["apiBaseUrl"] == "http://127.0.0.1:8080/v1"


def test_a_damaged_artifact_is_not_exported(artifact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a" / "b" / "c"
    copy.mkdir(parents=True)
    for file in artifact.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "program.json").write_text("{}")
    done = promptgrad("export", copy, "--to", "text")
    assert done.returncode == 2
    assert "was changed after it was saved" in done.stderr
    assert done.stdout == ""
