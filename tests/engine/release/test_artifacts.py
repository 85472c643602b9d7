from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import dspy
import pytest

from engine.ground.errors import ArtifactError, RevisionMismatchError
from engine.ground.interval import Evidence, Interval
from engine.journal.events import DataUsed, SplitScores
from engine.programs.conditional import ConditionalProgram
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule, RuleSet
from engine.release.artifacts import (
    ArtifactContent,
    base_of,
    load_artifact,
    load_manifest,
    program_digest,
    save_artifact,
)
from engine.release.manifest import file_digest
from engine.testing import scripted_model, scripted_revision

REVISION = scripted_revision("model-a")
RULES = (
    Rule(
        text='When a ticket says "Rückgabe", answer refund.',
        trigger="Rückgabe",
        predictor="predict",
        evidence=Evidence(delta=0.2, low=0.05, high=0.35, n=15, deltas={"e1": 1.0}),
    ),
    Rule(text="Answer tech for\nlogin problems.", trigger="login password", predictor="predict"),
)
SHOWN = tuple(
    Demonstration(
        inputs={"ticket": ticket},
        outputs={"queue": queue},
        predictor="predict",
        example=queue,
        source="hardest",
    )
    for ticket, queue in (("Wo bleibt die Rückgabe", "refund"), ("no login", "tech"), ("the bill", "billing"))
)

PLAIN_DSPY = """
import json, sys
import dspy

class Route(dspy.Signature):
    "Route the ticket."
    ticket: str = dspy.InputField(desc="what the customer wrote")
    queue: str = dspy.OutputField()

program = dspy.ChainOfThought(Route)
program.load(sys.argv[1])
predictor = program.predict
print(json.dumps(dspy.JSONAdapter().format(predictor.signature, predictor.demos, {"ticket": "Grüße {x}"})))
assert not [name for name in sys.modules if name.split(".")[0] in ("engine", "models", "promptgrad_tui")]
"""


class Route(dspy.Signature):
    """Route the ticket."""

    ticket: str = dspy.InputField(desc="what the customer wrote")
    queue: str = dspy.OutputField()


def routing(instructions: str = "Route the ticket.") -> dspy.Module:
    program = dspy.ChainOfThought(Route.with_instructions(instructions))
    program.predict.demos = [dspy.Example(ticket="no money left", reasoning="...", queue="billing")]
    return program


def content(
    module: dspy.Module | None = None, *, conditional: bool = False, **changes: Any
) -> ArtifactContent:
    frozen = FrozenProgram(base := routing())
    rules = RuleSet(RULES)
    optimized = (
        ConditionalProgram(base, rules, top_k=2, min_overlap=0.5) if conditional else frozen.with_rules(rules)
    )
    made = ArtifactContent(
        name="demo",
        module=module or optimized,
        base=base,
        base_instructions=frozen.base,
        instructions=frozen.instructions(rules),
        rules=RULES,
        config={"epochs": 3, "rule_trigger_top_k": 2, "rule_trigger_min_overlap": 0.5},
        seed=7,
        metric="exact_match on queue",
        revision=REVISION,
        model_uri="scripted:model-a",
        data={"test": DataUsed(n=120, digest="sha256:00")},
        baseline=SplitScores(test=Interval(score=0.5, n=120, low=0.4, high=0.6)),
        optimized=SplitScores(test=Interval(score=0.9, n=120, low=0.84, high=0.95)),
        run="20261121-040420-d213",
        versions={"python": "3.11"},
    )
    return replace(made, **changes)


def prompts(program: dspy.Module, **inputs: str) -> list[dict[str, Any]]:
    """What a real call of the program sends to its model."""
    model = scripted_model(lambda messages: '{"reasoning": "r", "queue": "q"}')
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        program(**inputs)
    (request,) = model.requests
    return [{"system": request.system}, *({message.role: message.text} for message in request.messages)]


def test_the_folder_says_what_was_proved_on_what(tmp_path: Path) -> None:
    folder = save_artifact(tmp_path, content())
    assert folder == tmp_path / "demo" / REVISION.short / "v1"
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "program.json", "prompt.txt"]
    manifest = load_manifest(folder)
    assert manifest.model.digest == REVISION.digest
    assert manifest.rules == RULES
    assert manifest.optimized.test is not None
    assert manifest.optimized.test.score == 0.9
    assert manifest.program == program_digest(routing())
    assert manifest.adapter == "JSONAdapter"


def test_a_saved_program_gives_the_measured_prompts_byte_for_byte(tmp_path: Path) -> None:
    made = content()
    folder = save_artifact(tmp_path, made)
    loaded = load_artifact(folder, routing(), REVISION)
    assert prompts(loaded, ticket="Rückgabe {x}") == prompts(made.module, ticket="Rückgabe {x}")
    assert RULES[0].text in prompts(loaded, ticket="a")[0]["system"]


def test_plain_dspy_loads_the_program_without_this_package(tmp_path: Path) -> None:
    made = content()
    folder = save_artifact(tmp_path, made)
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_DSPY, str(folder / "program.json")],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    step = made.module.predict
    assert json.loads(done.stdout) == dspy.JSONAdapter().format(
        step.signature, step.demos, {"ticket": "Grüße {x}"}
    )


def test_prompt_txt_is_the_text_that_is_sent(tmp_path: Path) -> None:
    made = content()
    text = (save_artifact(tmp_path, made) / "prompt.txt").read_text()
    for message in prompts(made.module, ticket="{ticket}"):
        assert next(iter(message.values())) in text


def test_loading_leaves_the_given_program_as_it_is(tmp_path: Path) -> None:
    program = routing()
    load_artifact(save_artifact(tmp_path, content()), program, REVISION)
    assert program.predict.signature.instructions == "Route the ticket."


def test_a_conditional_artifact_picks_its_rules_per_input(tmp_path: Path) -> None:
    made = content(conditional=True)
    folder = save_artifact(tmp_path, made)
    loaded = load_artifact(folder, routing(), REVISION)
    assert isinstance(loaded, ConditionalProgram)
    for ticket in ("Rückgabe bitte", "the login password is gone", "hello"):
        assert prompts(loaded, ticket=ticket) == prompts(made.module, ticket=ticket)
    assert RULES[0].text in prompts(loaded, ticket="Rückgabe bitte")[0]["system"]
    assert RULES[0].text not in prompts(loaded, ticket="hello")[0]["system"]
    base = routing()
    base.load(folder / "program.json")
    assert base.predict.signature.instructions == "Route the ticket."
    assert "[predict: login password]" in (folder / "prompt.txt").read_text()


@pytest.mark.parametrize("with_rules", [False, True])
def test_an_artifact_shows_each_input_its_nearest_demonstrations(tmp_path: Path, with_rules: bool) -> None:
    rules = RuleSet(RULES if with_rules else ())
    module = ConditionalProgram(routing(), rules, 2, 0.5, demonstrations=DemonstrationSet(SHOWN), nearest=1)
    folder = save_artifact(tmp_path, content(module, rules=tuple(rules), demonstrations=SHOWN))
    manifest = load_manifest(folder)
    assert manifest.conditional_demonstrations == 1
    assert (manifest.conditional is not None) is with_rules
    loaded = load_artifact(folder, routing(), REVISION)
    for ticket, near in (("Rückgabe?", 0), ("login", 1), ("a bill", 2)):
        sent = prompts(loaded, ticket=ticket)
        assert sent == prompts(module, ticket=ticket)
        shown = str(sent[1:-1])
        assert "no money left" in shown, "the base's own is shown to all"
        assert [one.inputs["ticket"] in shown for one in SHOWN] == [number == near for number in range(3)]
    plain = routing()
    plain.load(folder / "program.json")
    assert len(plain.predict.demos) == 4, "plain DSPy can't pick: it shows all of them"
    assert "each input meets the 1 most similar" in (folder / "prompt.txt").read_text()
    assert len(base_of(folder, routing()).predict.demos) == 1


def test_versions_are_never_overwritten(tmp_path: Path) -> None:
    first = save_artifact(tmp_path, content())
    before = (first / "manifest.json").read_bytes()
    second = save_artifact(tmp_path, content(run="20261121-050000-aaaa"))
    assert second == first.with_name("v2")
    assert (first / "manifest.json").read_bytes() == before


def test_a_run_killed_after_saving_saves_nothing_twice(tmp_path: Path) -> None:
    first = save_artifact(tmp_path, content())
    leftover = first.with_name(".saving-20261121-040420-d213")
    leftover.mkdir()
    assert save_artifact(tmp_path, content()) == first
    assert save_artifact(tmp_path, content(seed=8)) == first.with_name("v2")
    assert not leftover.exists()


def test_a_name_is_never_a_path(tmp_path: Path) -> None:
    folder = save_artifact(tmp_path / "artifacts", content(name="../../etc/pass wd"))
    assert folder.parent.parent.name == "etc-pass-wd"
    assert folder.is_relative_to(tmp_path / "artifacts")


def test_another_revision_is_refused(tmp_path: Path) -> None:
    folder = save_artifact(tmp_path, content())
    with pytest.raises(RevisionMismatchError) as caught:
        load_artifact(folder, routing(), scripted_revision("model-b"))
    assert REVISION.digest in str(caught.value)
    assert scripted_revision("model-b").digest in str(caught.value)
    assert "promptgrad run" in caught.value.hint


def test_another_chat_template_is_another_revision(tmp_path: Path) -> None:
    folder = save_artifact(tmp_path, content())
    with pytest.raises(RevisionMismatchError, match="chat template sha256:77"):
        load_artifact(folder, routing(), replace(REVISION, template_digest="sha256:77"))


class Choose(dspy.Signature):
    """Route the ticket."""

    ticket: str = dspy.InputField(desc="what the customer wrote")
    queue: Literal["billing", "tech"] = dspy.OutputField()


class TwoSteps(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict(Route)
        self.check = dspy.Predict("queue -> ok")


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (
            lambda: routing("Sort the ticket."),
            'instructions was "Route the ticket." and is "Sort the ticket."',
        ),
        (lambda: dspy.ChainOfThought(Choose), "queue.type"),
        (lambda: dspy.Predict(Route), "ChainOfThought"),
        (lambda: dspy.ChainOfThought(Route, temperature=0.7), "temperature was absent and is 0.7"),
        (TwoSteps, "TwoSteps"),
    ],
)
def test_another_program_is_refused_and_the_difference_named(
    tmp_path: Path, other: Callable[[], dspy.Module], difference: str
) -> None:
    folder = save_artifact(tmp_path, content())
    with pytest.raises(ArtifactError) as caught:
        load_artifact(folder, other(), REVISION)
    assert difference in caught.value.message


def test_the_digest_of_a_program_ignores_what_is_not_its_structure() -> None:
    program = routing()
    before = program_digest(program)
    program.predict.demos = []
    program.predict.lm = scripted_model([]).lm
    assert program_digest(program) == before


def change(name: str, old: str, new: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return apply


@pytest.mark.parametrize(
    ("tamper", "names"),
    [
        (change("program.json", "Rückgabe", "Anfrage"), "program.json was changed"),
        (change("prompt.txt", "refund", "tech"), "prompt.txt was changed"),
        (change("manifest.json", "0.9", "0.99"), "manifest.json was changed"),
        (change("manifest.json", '"seed": 7', '"seed": 7, "extra": 1'), "no valid extra"),
        (change("manifest.json", '"seed": 7', '"sead": 7'), "no valid seed"),
        (change("manifest.json", "{", "["), "manifest.json isn't JSON"),
        (change("manifest.json", '"format": 1', '"format": 2'), "later version"),
        (change("manifest.json", '"program.json"', '"../program.json"'), "manifest.json"),
        (lambda folder: (folder / "program.json").unlink(), "program.json is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda folder: shutil.rmtree(folder), "manifest.json is missing"),
    ],
)
def test_a_damaged_artifact_is_refused_and_the_file_named(
    tmp_path: Path, tamper: Callable[[Path], None], names: str
) -> None:
    folder = save_artifact(tmp_path, content())
    tamper(folder)
    with pytest.raises(ArtifactError) as caught:
        load_artifact(folder, routing(), REVISION)
    assert names in caught.value.message


def test_a_folder_that_is_no_artifact_is_not_one_to_restore(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ArtifactError, match=r"data is not an artifact: manifest\.json is missing") as caught:
        load_artifact(tmp_path / "data", routing(), REVISION)
    assert "Restore" not in caught.value.hint
    saved = [save_artifact(tmp_path / "artifacts", replace(content(), name=name)) for name in "abcd"]
    for folder in (tmp_path, tmp_path / "artifacts"):
        with pytest.raises(ArtifactError) as caught:
            load_artifact(folder, routing(), REVISION)
        first = ", ".join(map(str, saved[:3]))
        assert caught.value.hint == f"Name an artifact in it: {first}, and 1 more."


def test_a_forged_state_with_an_lm_is_refused(tmp_path: Path) -> None:
    folder = save_artifact(tmp_path, content())
    manifest = load_manifest(folder)
    state = (folder / "program.json").read_text()
    forged = state.replace(
        '"lm": null', '"lm": {"model": "openai/x", "api_base": "http://elsewhere"}'
    ).encode()
    (folder / "program.json").write_bytes(forged)
    files = {**manifest.files, "program.json": file_digest(forged)}
    (folder / "manifest.json").write_text(manifest.model_copy(update={"files": files}).as_json())
    with pytest.raises(ArtifactError, match="more than a prompt"):
        load_artifact(folder, routing(), REVISION)


def test_demonstrations_may_hold_what_json_can_say(tmp_path: Path) -> None:
    module = FrozenProgram(routing()).with_rules(RULES)
    module.predict.demos = [{"ticket": date(2026, 1, 1), "reasoning": "...", "queue": ["a", {"b": None}]}]
    loaded = load_artifact(save_artifact(tmp_path, content(module)), routing(), REVISION)
    assert prompts(loaded, ticket="x") == prompts(module, ticket="x")


@pytest.mark.parametrize("value", [object(), {"b", "a"}])
def test_demonstrations_that_json_cannot_say_are_refused(tmp_path: Path, value: object) -> None:
    module = FrozenProgram(routing()).with_rules(RULES)
    module.predict.demos = [{"ticket": value, "reasoning": "...", "queue": "tech"}]
    with pytest.raises(ArtifactError, match=r"JSON|other prompts"):
        save_artifact(tmp_path, content(module))


def test_a_folder_that_cannot_be_written_leaves_no_half_artifact(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file where the folder would be")
    with pytest.raises(ArtifactError, match="can't be saved"):
        save_artifact(tmp_path, content())
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
