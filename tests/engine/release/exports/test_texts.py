"""Every export that is text renders to the messages that were measured, or says where it doesn't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import jinja2
import pytest
import yaml

from engine.ground.errors import ArtifactError
from engine.programs.rules import Rule
from engine.release.exports import FORMATS, Serving, export
from tests.engine.release.exports.artifacts import (
    INPUTS,
    RULES,
    SERVING,
    SHOWN,
    base_program,
    measured,
    source,
)
from tests.engine.release.exports.modelfile_parser import parse_modelfile


class Vision(dspy.Signature):
    """Say what is there."""

    picture: dspy.Image = dspy.InputField()
    label: str = dspy.OutputField()


class TwoSteps(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = dspy.Predict("ticket -> summary")
        self.second = dspy.Predict("summary -> queue")

    def forward(self, ticket: str) -> Any:
        return self.second(summary=self.first(ticket=ticket).summary)


def placed(text: str, inputs: dict[str, Any]) -> str:
    """The text with each `{input}` replaced, in one pass."""
    places = {"{ticket}": inputs["ticket"], "{orders}": json.dumps(inputs["orders"])}
    head, rest = text.split("{ticket}", 1)
    middle, tail = rest.split("{orders}", 1)
    return head + places["{ticket}"] + middle + places["{orders}"] + tail


@pytest.mark.parametrize("inputs", INPUTS)
def test_messages_render_to_what_was_measured(tmp_path: Path, inputs: dict[str, Any]) -> None:
    made = source(tmp_path)
    prompt = json.loads(export(made, "messages"))["prompts"]["predict"]
    messages = prompt["messages"]
    messages[-1]["content"] = placed(messages[-1]["content"], inputs)
    assert messages == measured(made.loaded, inputs)
    assert prompt["inputs"] == ["ticket", "orders"]


def test_messages_carry_the_schema_that_answers_were_held_to(tmp_path: Path) -> None:
    prompt = json.loads(export(source(tmp_path), "messages"))["prompts"]["predict"]
    schema = prompt["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["queue"]["enum"] == ["refund", "tech"]
    assert schema["required"] == ["reasoning", "queue", "urgent"]


@pytest.mark.parametrize("inputs", INPUTS)
def test_the_text_is_what_was_measured(tmp_path: Path, inputs: dict[str, Any]) -> None:
    made = source(tmp_path)
    text = export(made, "text")
    expected = measured(made.loaded, inputs)
    parts = [f"--- {message['role']} ---\n{message['content']}" for message in expected]
    head, _, last = text.rpartition("\n\n--- user ---\n")
    assert head == "\n\n".join(["=== predict ===", *parts[:-1]])
    assert placed(last, inputs) == expected[-1]["content"] + "\n"


@pytest.mark.parametrize("inputs", INPUTS)
def test_the_state_gives_plain_dspy_the_measured_prompts(tmp_path: Path, inputs: dict[str, Any]) -> None:
    made = source(tmp_path)
    (tmp_path / "state.json").write_text(export(made, "dspy"), encoding="utf-8")
    program = base_program()
    program.predict.demos = []
    program.load(tmp_path / "state.json")
    assert measured(program, inputs) == measured(made.loaded, inputs)


@pytest.mark.parametrize("inputs", INPUTS)
def test_a_modelfile_holds_all_but_the_last_message_which_it_shows(
    tmp_path: Path, inputs: dict[str, Any]
) -> None:
    made = source(tmp_path)
    text = export(made, "modelfile")
    first, *lines = text.splitlines()
    assert first.startswith("# Differs from what was measured: ")
    assert "user's message" in first
    assert "chat template" in first, "it was measured in process"
    found = parse_modelfile(text)
    assert found.weights == "/models/a b.gguf"
    assert found.parameters == {name: f"{value}" for name, value in SERVING.parameters.items()}
    shown = [line[4:] for line in lines if line.startswith("#")]
    request = placed("\n".join(shown[shown.index("") + 2 :]), inputs)
    assert [*found.messages, {"role": "user", "content": request}] == measured(made.loaded, inputs)


@pytest.mark.parametrize("text", ['end with """', "a\u200bb", "a\u00a0b"])
def test_a_modelfile_that_would_lose_text_is_not_written(tmp_path: Path, text: str) -> None:
    made = source(tmp_path, rules=(Rule(text=f"{text}\n"), *RULES))
    with pytest.raises(ArtifactError, match=r"three quotes|drops the character"):
        export(made, "modelfile")


def test_a_modelfile_needs_the_weights(tmp_path: Path) -> None:
    remote = Serving(None, "openai:chat:x", "http://127.0.0.1:1/v1", "", {})
    with pytest.raises(ArtifactError, match="doesn't say where its weights are"):
        export(source(tmp_path, serving=remote), "modelfile")


def nunjucks(template: str, values: dict[str, str]) -> str:
    """Nunjucks renders this subset as Jinja does."""
    return jinja2.Environment(keep_trailing_newline=True).from_string(template).render(values)


def test_promptfoo_renders_each_test_example_to_what_was_measured(tmp_path: Path) -> None:
    tests = [{"id": f"T-{n}", **inputs, "queue": " tech"} for n, inputs in enumerate(INPUTS)]
    made = source(tmp_path, tests=tests)
    config = yaml.safe_load(export(made, "promptfoo"))
    (prompt,) = config["prompts"]
    assert "\n" in prompt  # else promptfoo might take it for a file's name
    assert [test["description"] for test in config["tests"]] == [test["id"] for test in tests]
    for inputs, test in zip(INPUTS, config["tests"], strict=True):
        values = {name: text.removesuffix("\n") for name, text in test["vars"].items()}
        messages = json.loads(prompt)
        for message in messages:
            message["content"] = nunjucks(message["content"], values)
        assert messages == measured(made.loaded, inputs)
        assert test["assert"] == [{"type": "equals", "value": "tech"}]


def test_promptfoo_is_pointed_at_the_local_model(tmp_path: Path) -> None:
    config = yaml.safe_load(export(source(tmp_path), "promptfoo"))
    (provider,) = config["providers"]
    assert provider["id"] == "openai:chat:a"
    assert provider["config"]["apiBaseUrl"] == "http://127.0.0.1:8080/v1"
    assert provider["config"]["temperature"] == 0.25
    assert provider["config"]["max_tokens"] == 200
    assert provider["config"]["passthrough"] == {"top_k": 40}
    assert provider["config"]["response_format"]["json_schema"]["strict"] is True
    ollama = Serving("a:latest", "ollama:chat:a:latest", None, "", {"num_ctx": 512, "top_k": 5})
    config = yaml.safe_load(export(source(tmp_path, serving=ollama), "promptfoo"))
    assert config["providers"][0]["id"] == "ollama:chat:a:latest"
    assert config["providers"][0]["config"]["num_ctx"] == 512
    assert config["providers"][0]["config"]["format"]["type"] == "object"


@pytest.mark.parametrize(
    "text", ["file:///etc/passwd", "package:x:y", "a {{ ticket }} b", "{% raw %}", "{# x"]
)
def test_cases_that_promptfoo_would_alter_are_left_out_and_counted(tmp_path: Path, text: str) -> None:
    tests = [{"ticket": text, "orders": [], "queue": "tech"}, {**INPUTS[0], "queue": "refund"}]
    written = export(source(tmp_path, tests=tests), "promptfoo")
    assert "1 of 2 test examples are left out" in written.splitlines()[0]
    assert len(yaml.safe_load(written)["tests"]) == 1


def test_promptfoo_says_where_it_cannot_check(tmp_path: Path) -> None:
    metric = {"kind": "token_f1", "field": "queue"}
    written = export(source(tmp_path, metric=metric, tests=[{**INPUTS[0], "queue": "a b"}]), "promptfoo")
    assert "token_f1" in written.splitlines()[0]
    assert "assert" not in yaml.safe_load(written)["tests"][0]


@pytest.mark.parametrize("to", ["text", "dspy", "messages", "modelfile", "promptfoo"])
def test_one_text_for_conditional_rules_says_so_on_its_first_line(tmp_path: Path, to: str) -> None:
    written = export(source(tmp_path, conditional=True), to)
    first = written.splitlines()[0]
    assert "all 4 rules are in the prompt" in first
    assert "--to python" in first


def test_one_text_for_picked_demonstrations_holds_all_of_them_and_says_so(tmp_path: Path) -> None:
    made = source(tmp_path, nearest=2)
    differs = made.differences
    assert differs == (
        "all 5 demonstrations are in the prompt; when measured, each input met the 2 most similar (--to "
        "python keeps that)",
    )
    written = export(made, "text")
    assert differs[0] in written.splitlines()[0]
    assert all(one.inputs["ticket"].splitlines()[0] in written for one in SHOWN)
    plain = base_program()
    (tmp_path / "state.json").write_text(export(made, "dspy"), encoding="utf-8")
    plain.load(tmp_path / "state.json")
    assert len(plain.predict.demos) == 1 + len(SHOWN)


def test_conditional_exports_hold_all_rules(tmp_path: Path) -> None:
    conditional, plain = source(tmp_path / "a", conditional=True), source(tmp_path / "b")
    (tmp_path / "state.json").write_text(export(conditional, "dspy"), encoding="utf-8")
    program = base_program()
    program.load(tmp_path / "state.json")
    assert measured(program, INPUTS[0]) == measured(plain.loaded, INPUTS[0])
    prompts = json.loads(export(conditional, "messages"))["prompts"]
    assert prompts == json.loads(export(plain, "messages"))["prompts"]
    assert export(conditional, "text").split("\n\n", 1)[1] == export(plain, "text")


def test_nothing_says_that_it_differs_where_it_does_not(tmp_path: Path) -> None:
    made = source(tmp_path, tests=[{**INPUTS[0], "queue": "tech"}])
    for to in ("text", "dspy", "messages", "promptfoo", "python"):
        assert "iffers" not in export(made, to).splitlines()[0], to


@pytest.mark.parametrize("to", ["modelfile", "promptfoo"])
def test_one_prompt_cannot_hold_several_steps(tmp_path: Path, to: str) -> None:
    rules = (Rule(text="Say more.", predictor="first"),)
    with pytest.raises(ArtifactError, match="2 steps: first, second"):
        export(source(tmp_path, base=TwoSteps(), rules=rules), to)


def test_messages_of_several_steps_stand_apart(tmp_path: Path) -> None:
    rules = (Rule(text="Say more.", predictor="first"),)
    prompts = json.loads(export(source(tmp_path, base=TwoSteps(), rules=rules), "messages"))["prompts"]
    assert list(prompts) == ["first", "second"]
    assert "Say more." in prompts["first"]["messages"][0]["content"]
    assert "Say more." not in prompts["second"]["messages"][0]["content"]


def test_an_input_that_is_no_text_has_no_place(tmp_path: Path) -> None:
    made = source(tmp_path, base=dspy.Predict(Vision), rules=(Rule(text="Look twice."),))
    with pytest.raises(ArtifactError, match="'picture' of self isn't text"):
        export(made, "messages")
    assert "Look twice." in export(made, "dspy")


def test_the_names_of_the_formats() -> None:
    from promptgrad_tui.commands.artifacts.export import FORMATS as OFFERED

    assert tuple(FORMATS) == OFFERED
