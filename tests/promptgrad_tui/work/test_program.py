from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import dspy
import pytest

from engine.ground.errors import MetricError, ProjectError
from engine.programs.formatting import ExampleFormatter
from engine.programs.rules import ParsedRule
from engine.project.settings import Project, load_project
from promptgrad_tui.work.code.program import (
    ProgramFields,
    build_acceptor,
    build_formatter,
    build_metric,
    build_program,
    check_metric_field,
    program_fields,
)
from tests.engine.project_folders import TOML, write_project

SIGNATURE = 'signature = "ticket -> queue"\ninstructions = "Route the ticket."'


@pytest.fixture(autouse=True)
def _forget_what_was_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def project(root: Path, program: str = SIGNATURE, top: str = "", toml: str = TOML, **files: str) -> Project:
    return load_project(write_project(root, top + toml.replace(SIGNATURE, program), **files))


def refused(made: Project) -> str:
    with pytest.raises(ProjectError) as caught:
        build_program(made)
    assert caught.value.hint
    return str(caught.value)


def test_a_signature_becomes_a_module(tmp_path: Path) -> None:
    program = build_program(project(tmp_path))
    assert isinstance(program, dspy.Predict)
    assert program.signature.instructions == "Route the ticket."
    assert program_fields(program) == ProgramFields(("ticket",), ("queue",))


def test_types_descriptions_and_reasoning(tmp_path: Path) -> None:
    program = build_program(
        project(
            tmp_path,
            "signature = \"ticket, before: dspy.History -> queue: Literal['a', 'b'], urgent: bool\"\n"
            'module = "chain_of_thought"\n[program.fields]\nticket = "what was written"\n',
        )
    )
    assert isinstance(program, dspy.ChainOfThought)
    assert program_fields(program) == ProgramFields(("ticket", "before"), ("queue", "urgent"))
    signature = program.predict.signature
    assert signature.input_fields["ticket"].json_schema_extra["desc"] == "what was written"
    assert signature.output_fields["urgent"].annotation is bool
    assert signature.instructions.startswith("Given the fields")


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        ("ticket", "must contain exactly one '->'"),
        ("ticket: strr -> queue", "Unknown name: strr"),
        ("ticket: Project -> queue", "Unknown name: Project"),
        ("-> queue", "at least one input and one output"),
        ("ticket ->", "at least one input and one output"),
        ("ticket -> ticket", "distinct names"),
        ("1a -> queue", "'1a' can't be the name of a field"),
        ("ticket: __import__('os').system('true') -> queue", "can't be read"),
    ],
)
def test_a_bad_signature_is_shown_with_what_is_wrong(tmp_path: Path, signature: str, told: str) -> None:
    message = refused(project(tmp_path, f'signature = "{signature}"'))
    assert message.startswith(f"[program] signature = {signature!r} can't be read: ")
    assert told in message


def test_a_description_of_no_field_is_refused(tmp_path: Path) -> None:
    message = refused(project(tmp_path, SIGNATURE + '\n[program.fields]\nqueu = "x"'))
    assert "'queu', which isn't a field" in message
    assert "Did you mean queue?" in message


MODULE = """
import dspy

class Desk(dspy.Module):
    def __init__(self):
        super().__init__()
        self.summary = dspy.Predict("ticket, tone -> summary")
        self.route = dspy.ChainOfThought("summary -> queue")

    def forward(self, ticket, tone="calm"):
        return self.route(summary=self.summary(ticket=ticket, tone=tone).summary)

def build():
    return Desk()

READY = Desk()
NOT_ONE = 3

def wrong():
    return "text"

def greedy(what):
    return Desk()

class Empty(dspy.Module):
    def forward(self, ticket):
        return ticket

class Idle(dspy.Module):
    pass

class Slow(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict("ticket -> queue")

    async def aforward(self, ticket):
        return await self.route.acall(ticket=ticket)

def agent():
    return dspy.ReAct("ticket -> queue", tools=[wrong])
"""


@pytest.mark.parametrize("name", ["Desk", "build", "READY"])
def test_python_gives_a_module_a_class_or_a_function(tmp_path: Path, name: str) -> None:
    program = build_program(project(tmp_path, f'python = "desk.py:{name}"', desk_py=MODULE))
    assert [step for step, _ in program.named_predictors()] == ["summary", "route.predict"]
    assert program_fields(program) == ProgramFields(("ticket",), ("queue",))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("NOT_ONE", "desk.py:NOT_ONE gives int, which isn't a dspy.Module"),
        ("wrong", "desk.py:wrong gives str, which isn't a dspy.Module"),
        ("greedy", "desk.py:greedy: TypeError: greedy() missing 1 required positional argument: 'what'"),
        ("Idle", "desk.py:Idle has no forward()"),
        ("Desc", "Did you mean Desk?"),
    ],
)
def test_python_that_builds_no_module_is_refused(tmp_path: Path, name: str, told: str) -> None:
    assert told in refused(project(tmp_path, f'python = "desk.py:{name}"', desk_py=MODULE))


@pytest.mark.parametrize("name", ["Slow", "agent"])
def test_agents_and_programs_that_are_awaited_say_what_they_take(tmp_path: Path, name: str) -> None:
    program = build_program(project(tmp_path, f'python = "desk.py:{name}"', desk_py=MODULE))
    assert program_fields(program) == ProgramFields(("ticket",), ("queue",))


def test_a_builder_that_raises_is_told_with_its_line(tmp_path: Path) -> None:
    made = project(tmp_path, 'python = "desk.py:build"', desk_py="def build():\n    return {}['x']\n")
    assert "desk.py, line 2: KeyError: 'x'" in refused(made)


def test_a_program_without_predictors_has_nothing_to_improve(tmp_path: Path) -> None:
    program = build_program(project(tmp_path, 'python = "desk.py:Empty"', desk_py=MODULE))
    with pytest.raises(ProjectError, match="no predictor"):
        program_fields(program)


def test_the_built_in_metric_has_its_settings(tmp_path: Path) -> None:
    toml = TOML.replace('kind = "exact_match"', 'kind = "number"\ntolerance = 0.5')
    metric = build_metric(project(tmp_path, toml=toml))
    assert metric({"queue": 3}, {"queue": "3.5"}).is_success
    assert not metric({"queue": 3}, {"queue": "3.6"}).is_success


OWN_METRIC = TOML.replace('kind = "exact_match"\nfield = "queue"', 'python = "desk.py:score"')


def test_a_metric_of_the_project_counts_success_as_its_threshold_says(tmp_path: Path) -> None:
    toml = OWN_METRIC + "[optimizer]\nfailure_threshold = 0.8\n"
    metric = build_metric(
        project(tmp_path, toml=toml, desk_py="def score(e, p, trace=None):\n    return p\n")
    )
    assert not metric({}, 0.7).is_success
    assert metric({}, 0.8).is_success


def test_a_metric_that_takes_too_little_is_found_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"score\(example\) can't be called"):
        build_metric(project(tmp_path, toml=OWN_METRIC, desk_py="def score(example):\n    return 1.0\n"))


def test_a_metric_on_a_field_that_is_no_output_is_refused(tmp_path: Path) -> None:
    made = project(tmp_path, toml=TOML.replace('field = "queue"', 'field = "queu"'))
    with pytest.raises(ProjectError) as caught:
        check_metric_field(made, program_fields(build_program(made)))
    assert "promptgrad.toml: [metric] field = 'queu' isn't an output of 'ticket -> queue'" in str(
        caught.value
    )
    assert "Did you mean queue?" in str(caught.value)


HOOKS = """
class Formatter:
    def format_for_gradient(self, example, score):
        return f"{example['ticket']} ({score.value})"

    def format_context(self, example):
        return example["ticket"]

class Half:
    def format_context(self, example):
        return ""

def accept(rule):
    return rule.confidence > 0.5

def accept_nothing():
    return False
"""


def test_hooks_are_loaded_where_the_project_names_them(tmp_path: Path) -> None:
    top = 'example_formatter = "hooks.py:Formatter"\nrule_acceptor = "hooks.py:accept"\n'
    made = project(tmp_path, top=top, hooks_py=HOOKS)
    formatter, acceptor = build_formatter(made), build_acceptor(made)
    assert isinstance(formatter, ExampleFormatter)
    assert formatter.format_context({"ticket": "x"}) == "x"
    assert acceptor is not None
    assert acceptor(ParsedRule(action="add", text="x", confidence=0.6))
    assert not acceptor(ParsedRule(action="add", text="x", confidence=0.4))


def test_without_names_there_are_no_hooks(tmp_path: Path) -> None:
    made = project(tmp_path)
    assert build_formatter(made) is None
    assert build_acceptor(made) is None


def test_hooks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="isn't an example formatter"):
        build_formatter(project(tmp_path, top='example_formatter = "hooks.py:Half"\n', hooks_py=HOOKS))
    with pytest.raises(ProjectError, match="can't be called with one rule"):
        build_acceptor(project(tmp_path, top='rule_acceptor = "hooks.py:accept_nothing"\n'))


def test_a_program_with_an_lm_of_its_own_is_refused(tmp_path: Path) -> None:
    code = """
import dspy

def build():
    program = dspy.Predict("ticket -> queue")
    program.set_lm(dspy.LM("openai/gpt-5"))
    return program
"""
    made = project(tmp_path, 'python = "desk.py:build"', desk_py=code)
    assert "'self' has an LM of its own" in refused(made)
