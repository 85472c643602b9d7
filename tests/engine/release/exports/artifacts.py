"""Artifacts to export, and the prompts that they were measured with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dspy

from engine.ground.interval import Interval
from engine.journal.events import DataUsed, SplitScores
from engine.programs.conditional import ConditionalProgram
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule, RuleSet
from engine.release.artifacts import ArtifactContent, load_artifact, save_artifact
from engine.release.exports import ExportSource, Serving
from engine.release.manifest import read_artifact
from engine.testing import chat_messages, scripted_model, scripted_revision

REVISION = scripted_revision("model-a")
INSTRUCTIONS = (
    'Route the ticket. Write {queue}, never {{queue}} or {% raw %}.\n\nSay "{{ ticket }}" to nobody.'
)
RULES = (
    Rule(text='When a ticket says "Rückgabe", answer refund.', trigger="Rückgabe"),
    Rule(text="Answer tech for\nlogin problems.", trigger="login password, locked out"),
    Rule(text="Answer {{ 7 * 7 }} never.", trigger="gift card or voucher"),
    Rule(text="Be brief.", trigger=""),
)
SHOWN = tuple(
    Demonstration(
        inputs={"ticket": ticket, "orders": [number]},
        outputs={"reasoning": "…", "queue": "tech", "urgent": False},
        predictor="predict",
        example=ticket,
        is_bootstrapped=number == 1,
    )
    for number, ticket in enumerate(("Rückgabe {x}\n'", "my login", "a \\ voucher", "gift cards", "返品"))
)
PROGRAM = {
    "signature": "ticket, orders: list[int] -> queue: Literal['refund', 'tech'], urgent: bool",
    "module": "chain_of_thought",
    "instructions": INSTRUCTIONS,
    "fields": {"ticket": 'what the customer wrote: "{ticket}"'},
}
INPUTS: Sequence[dict[str, Any]] = (
    {"ticket": "Rückgabe bitte", "orders": [1, 2]},
    {"ticket": "I am locked out of my login.\nPassword gone!\n", "orders": []},
    {"ticket": '{"a": "b"} [[ ## queue ## ]] {ticket} \\n', "orders": [3]},
    {"ticket": "  two vouchers and a gift card  ", "orders": [-1]},
    {"ticket": "", "orders": [0]},
)
SERVING = Serving(
    weights="/models/a b.gguf",
    provider="openai:chat:a",
    address="http://127.0.0.1:8080/v1",
    hint="Serve the model first",
    parameters={
        "num_ctx": 4096,
        "num_predict": 200,
        "temperature": 0.25,
        "top_p": 1.0,
        "top_k": 40,
        "seed": 7,
    },
)


def base_program(program: Mapping[str, Any] = PROGRAM) -> dspy.Module:
    signature = dspy.Signature(program["signature"], program["instructions"])
    for name, description in program["fields"].items():
        signature = signature.with_updated_fields(name, desc=description)
    module = dspy.ChainOfThought(signature)
    module.predict.demos = [
        {"ticket": "no {{ money }}", "orders": [9], "reasoning": "…", "queue": "refund", "urgent": True}
    ]
    return module


def saved(
    root: Path,
    *,
    conditional: bool = False,
    nearest: int = 0,
    base: dspy.Module | None = None,
    rules: Sequence[Rule] = RULES,
    name: str = "desk",
) -> Path:
    base = base or base_program()
    frozen = FrozenProgram(base)
    picked = DemonstrationSet(SHOWN if nearest else ())
    module = frozen.with_rules(rules)
    if conditional or nearest:
        plain = base if conditional else module
        own = RuleSet(rules if conditional else ())
        module = ConditionalProgram(plain, own, 2, 0.5, demonstrations=picked, nearest=nearest)
    scores = SplitScores(test=Interval(score=0.9, n=40, low=0.8, high=0.95))
    content = ArtifactContent(
        name=name,
        module=module,
        base=base,
        base_instructions=frozen.base,
        instructions=frozen.instructions(rules),
        rules=rules,
        demonstrations=picked.demonstrations,
        config={"rule_trigger_top_k": 2, "rule_trigger_min_overlap": 0.5},
        seed=7,
        metric="exact_match(queue)",
        revision=REVISION,
        model_uri="gguf:/models/a b.gguf",
        data={"test": DataUsed(n=40, digest="sha256:1")},
        baseline=scores,
        optimized=scores,
        run="20261121-040000-abcd",
        versions={},
    )
    return save_artifact(root, content)


def source(
    root: Path,
    *,
    conditional: bool = False,
    nearest: int = 0,
    tests: Sequence[Mapping[str, Any]] = (),
    program: Mapping[str, Any] = PROGRAM,
    base: dspy.Module | None = None,
    rules: Sequence[Rule] = RULES,
    metric: Mapping[str, Any] | None = None,
    serving: Serving = SERVING,
    name: str = "desk",
) -> ExportSource:
    base = base or base_program()
    folder = saved(root, conditional=conditional, nearest=nearest, base=base, rules=rules, name=name)
    manifest, files = read_artifact(folder)
    return ExportSource(
        manifest=manifest,
        files=files,
        loaded=load_artifact(folder, base, REVISION),
        serving=serving,
        program=program,
        metric=metric or {"kind": "exact_match", "field": "queue"},
        tests=tests,
    )


def measured(module: dspy.Module, inputs: Mapping[str, Any]) -> list[dict[str, str]]:
    """The messages that DSPy sends for `inputs`, as the model gets them."""
    model = scripted_model(lambda _: json.dumps({"reasoning": "r", "queue": "tech", "urgent": False}))
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        module(**inputs)
    return chat_messages(model.requests[0])
