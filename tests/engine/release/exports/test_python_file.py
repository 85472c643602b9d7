"""The Python export: alone with dspy, it makes the prompts and the choices that were measured."""

from __future__ import annotations

import ast
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import dspy
import pytest

from engine.ground.errors import ArtifactError
from engine.programs.modules import MetaPrompting, Refine
from engine.programs.rules import Rule, RuleSet
from engine.programs.selection import RuleSelection
from engine.release.exports import ExportSource, export
from tests.engine.release.exports.artifacts import INPUTS, measured, saved, source

ALONE = """
import json, sys
import dspy

class Recorder:
    supports_response_schema = True
    supported_params = frozenset({"response_format"})
    def complete(self, request):
        shown.append([request.system, *[message.text for message in request.messages]])
        return dspy.lm15.Response(
            id=None, model="m", finish_reason="stop", usage=dspy.lm15.Usage(),
            message=dspy.lm15.Message.assistant('{"reasoning": "r", "queue": "tech", "urgent": false}'),
        )
    def close(self):
        pass

import exported
shown = []
with dspy.context(lm=dspy.LM("x/y", engine=Recorder(), cache=False), adapter=exported.ADAPTER):
    program = exported.load_program()
    for inputs in json.load(sys.stdin):
        program(**inputs)
        program.deepcopy()
known = [name for name in sys.modules if name.split(".")[0] in ("engine", "models", "promptgrad_tui")]
json.dump({"shown": shown, "known": known}, sys.stdout)
"""


def run_alone(folder: Path, text: str, inputs: list[dict[str, Any]]) -> list[list[str]]:
    """The prompts of an exported file in a Python that doesn't know this package."""
    folder.mkdir(exist_ok=True)
    (folder / "exported.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        input=json.dumps(inputs),
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["known"] == []
    return list(answer["shown"])


def expected(made: ExportSource, inputs: list[dict[str, Any]]) -> list[list[str]]:
    return [[message["content"] for message in measured(made.loaded, values)] for values in inputs]


@pytest.mark.parametrize("conditional", [False, True])
def test_the_file_makes_the_measured_prompts_alone(tmp_path: Path, conditional: bool) -> None:
    made = source(tmp_path, conditional=conditional)
    text = export(made, "python")
    inputs = list(INPUTS)
    assert run_alone(tmp_path / "alone", text, inputs) == expected(made, inputs)


@pytest.mark.parametrize("conditional", [False, True])
def test_the_file_shows_each_input_its_nearest_demonstrations(tmp_path: Path, conditional: bool) -> None:
    made = source(tmp_path, conditional=conditional, nearest=2)
    inputs = list(INPUTS)
    prompts = expected(made, inputs)
    assert {len(prompt) for prompt in prompts} == {1 + 2 * 3 + 1}, "the base's own and the nearest two"
    assert len({str(prompt[3:-1]) for prompt in prompts}) >= 3
    assert run_alone(tmp_path / "alone", export(made, "python"), inputs) == prompts


def test_conditional_rules_meet_different_inputs(tmp_path: Path) -> None:
    prompts = expected(source(tmp_path, conditional=True), list(INPUTS))
    assert len({prompt[0] for prompt in prompts}) >= 4


_SAID = """
    refund refunds refunded gift cards card voucher vouchers it's customer's Rückgabe STRASSE straße login
    password passwords locked out 返品 返品したい 환불을 คืนเงิน العربية 3/4 1,000 and/or why the of a boxes
    studies running agreed caresses ; , | / or
"""
WORDS = _SAID.split()


def test_the_traveling_code_selects_as_the_engine_does(tmp_path: Path) -> None:
    rng = random.Random(5)
    made = source(tmp_path, conditional=True)
    copy: dict[str, Any] = {}
    exec(compile(export(made, "python"), "exported.py", "exec"), copy)
    for _ in range(600):
        triggers = [" ".join(rng.choices(WORDS, k=rng.randrange(5))) for _ in range(rng.randrange(1, 7))]
        rules = RuleSet(Rule(text=f"{number}", trigger=trigger) for number, trigger in enumerate(triggers))
        inputs = {"a": " ".join(rng.choices(WORDS, k=rng.randrange(12))), "b": [rng.choice(WORDS), 1]}
        top_k, least = rng.randrange(1, 5), rng.choice([0.0, 0.34, 0.5, 1.0])
        theirs = copy["select_rules"](list(rules), inputs, top_k, least)
        ours = RuleSelection(top_k, least)(rules, inputs)
        assert [rule.text for rule in theirs] == [rule.text for rule in ours], (triggers, inputs)


def test_only_dspy_and_the_standard_library_are_imported(tmp_path: Path) -> None:
    text = export(source(tmp_path, conditional=True), "python")
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"dspy"}


@pytest.mark.parametrize("name", ['"""\nimport os\n"""', "it's \\", "\u202edesk {inputs}"])
def test_a_name_never_becomes_code(tmp_path: Path, name: str) -> None:
    text = export(source(tmp_path, name=name), "python")
    tree = ast.parse(text)
    assert isinstance(tree.body[0], ast.Expr)
    assert not any(isinstance(n, ast.Import) and n.names[0].name == "os" for n in tree.body)
    assert "\u202e" not in text


def test_rules_and_instructions_never_become_code(tmp_path: Path) -> None:
    rules = (
        Rule(text="\"\"\"\n'''\\", trigger="'); raise SystemExit(1) #"),
        Rule(text="{x!r}", trigger="\\N{}"),
    )
    made = source(tmp_path, conditional=True, rules=rules)
    inputs = [{"ticket": "raise SystemExit N", "orders": [1]}]
    assert run_alone(tmp_path / "alone", export(made, "python"), inputs) == expected(made, inputs)


OWN_PROGRAM = """
import dspy

class Two(dspy.Module):
    def __init__(self):
        super().__init__()
        self.first = dspy.Predict("ticket -> queue, reasoning, urgent: bool")

    def forward(self, ticket):
        return self.first(ticket=ticket + "!")

def build():
    return Two()
"""


@pytest.mark.parametrize("conditional", [False, True])
def test_a_program_in_python_is_imported_and_the_first_line_says_so(
    tmp_path: Path, conditional: bool
) -> None:
    scope: dict[str, Any] = {}
    exec(OWN_PROGRAM, scope)
    rules = (Rule(text="Say more.", trigger="money", predictor="first"),)
    made = source(
        tmp_path,
        base=scope["build"](),
        rules=rules,
        program={"python": "program.py:build"},
        conditional=conditional,
    )
    text = export(made, "python")
    assert text.splitlines()[0].startswith("# Besides dspy, this needs program.py of the project next to it")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "program.py").write_text(OWN_PROGRAM)
    inputs = [{"ticket": "money"}, {"ticket": "other"}]
    assert run_alone(alone, text, inputs) == expected(made, inputs)


def test_an_artifact_saved_from_python_has_no_builder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="doesn't say how its program is built"):
        export(source(tmp_path, program={}), "python")


def test_the_artifacts_under_test_are_real(tmp_path: Path) -> None:
    assert (saved(tmp_path) / "manifest.json").is_file()
    assert isinstance(source(tmp_path).module, dspy.Module)


@pytest.mark.parametrize("module", ["refine", "meta_prompting"])
def test_a_program_of_several_steps_comes_along(module: str, tmp_path: Path) -> None:
    made: Any = {"refine": Refine, "meta_prompting": MetaPrompting}[module]
    base = made(dspy.Signature("ticket -> queue", "Route the ticket."))
    rules = [Rule(text="Mind the piano.", predictor=name) for name, _ in base.named_predictors()]
    program = {"signature": "ticket -> queue", "module": module, "instructions": "Route the ticket."}
    text = export(source(tmp_path, base=base, rules=rules, program=program), "python")
    told = {"critique": "nothing", "expert": "none", "question": "", "queue": "tech", "advice": ""}
    alone = ALONE.replace('{"reasoning": "r", "queue": "tech", "urgent": false}', json.dumps(told))
    (tmp_path / "exported.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", alone],
        input=json.dumps([{"ticket": "my piano is late"}]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["known"] == []
    assert len(shown["shown"]) == {"refine": 3, "meta_prompting": 2}[module]
    assert all("Mind the piano." in system for system, *_ in shown["shown"])
