"""A Python file that is the program as it was measured and needs nothing but `dspy`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from engine.ground import words
from engine.ground.errors import ArtifactError
from engine.programs import formatting, modules, nearest, rules, triggers
from engine.programs.conditional import ConditionalProgram
from engine.programs.program import FrozenProgram
from engine.release.exports.own_source import definitions, needed_imports
from engine.release.exports.python_text import to_python
from engine.release.exports.source import ExportSource

_TRIGGERS = (
    "_RANK_WITHOUT_TRIGGER",
    "_LIKE",
    "_SHORTEST_LIKE",
    "_ALTERNATIVES",
    "_ABOUT_TEXTS",
    "_ABOUT_TEXT",
    "trigger_overlap",
    "example_text",
    "select_rules",
    "_alternatives",
    "_every_word",
    "_word_set",
    "_is_in",
    "_is_form_of",
)
_NEAREST = ("nearest_demonstrations", "text_similarity", "_groups", "_by_example", "_text_of")
_MODULES = {
    "predict": "dspy.Predict",
    "chain_of_thought": "dspy.ChainOfThought",
    "refine": "Refine",
    "meta_prompting": "MetaPrompting",
}
_OF_OURS = ("Refine", "MetaPrompting")

_USE = '''\
"""{name}: {n_rules} learned rules, proved on {uri}
({digest}).

Use it on that very model; scores on another one are unknown:

    import dspy
    from FILE import ADAPTER, load_program

    with dspy.context(lm=dspy.LM(...), adapter=ADAPTER):
        print(load_program()({inputs}))
"""'''

_LOAD = '''\
def load_program() -> dspy.Module:
    """Return the program with its learned rules."""
    program = build_program()
    program.load_state(STATE)
    return program'''

_LOAD_CONDITIONAL = '''\
def load_program() -> dspy.Module:
    """Return the program, which picks its rules and demonstrations for each input."""
    program = build_program()
    program.load_state(STATE)
    return ConditionalProgram(program)


class ConditionalProgram(dspy.Module):
    """A program whose inputs meet only the rules whose trigger fits, or the most similar demonstrations."""

    def __init__(self, module: dspy.Module) -> None:
        super().__init__()
        self.base = module

    def forward(self, **inputs: Any) -> Any:
        """Run the program with what concerns `inputs`."""
        return self.program_for(inputs)(**inputs)

    async def aforward(self, **inputs: Any) -> Any:
        """Run the program with what concerns `inputs`, without blocking."""
        return await self.program_for(inputs).acall(**inputs)

    def program_for(self, inputs: Mapping[str, Any]) -> dspy.Module:
        """Return the program with what concerns `inputs`."""
        known = inputs if INPUTS is None else {key: inputs[key] for key in inputs if key in INPUTS}
        rules = select_rules(RULES, known, TOP_K, MIN_OVERLAP)
        return self.with_parts(rules, nearest_demonstrations(DEMONSTRATIONS, known, NEAREST))

    def with_parts(self, rules: Sequence[Rule], shown: Sequence[Demonstration]) -> dspy.Module:
        """Return the program with these rules and demonstrations after its own."""
        module = self.base.deepcopy()
        steps = module.named_predictors()
        for name, step in steps:
            own = [rule for rule in rules if len(steps) == 1 or rule.predictor == name]
            instructions = render_instructions(step.signature.instructions, own)
            step.signature = step.signature.with_instructions(instructions)
            mine = [one.values for one in shown if len(steps) == 1 or one.predictor == name]
            step.demos = [*step.demos, *(dspy.Example(**values) for values in mine)]
        return module


class Rule(NamedTuple):
    """A learned rule, the words by which an input shows that it concerns it, and whom it corrects."""

    text: str
    trigger: str
    predictor: str


RuleSet = list


class Demonstration(NamedTuple):
    """A training example as one step shows it: what it was given, and all its fields."""

    inputs: dict[str, Any]
    values: dict[str, Any]
    predictor: str
    example: str'''


def python_file(source: ExportSource) -> str:
    """Return Python whose `load_program()` is the program, what is conditional included.

    A program that is written in Python is imported from its own file; the first line says so.

    Raises:
        ArtifactError: nobody knows how the program is built.
    """
    return "\n\n".join(_sections(source)).rstrip() + "\n"


def _sections(source: ExportSource) -> Iterator[str]:
    code = "\n\n\n".join(_code(source))
    yield "\n".join(_head(source))
    yield "\n".join(_imports(source, code))
    yield code


def _code(source: ExportSource) -> Iterator[str]:
    yield f"ADAPTER = dspy.{type(source.adapter).__name__}()\nSTATE = {to_python(_state(source))}"
    yield _builder(source)
    made = _module(source)
    if made in _OF_OURS:
        yield definitions(modules, (made,))
    if not isinstance(source.loaded, ConditionalProgram):
        yield _LOAD
        return
    yield _LOAD_CONDITIONAL
    yield _conditional_constants(source)
    yield definitions(rules, ("RULES_HEADING", "render_instructions"))
    yield definitions(formatting, ("as_text",))
    yield definitions(triggers, _TRIGGERS)
    yield definitions(nearest, _NEAREST)
    yield definitions(words)


def _module(source: ExportSource) -> str:
    return _MODULES[source.program.get("module", "predict")]


def _head(source: ExportSource) -> Iterator[str]:
    reference = source.program.get("python")
    if reference:
        file = reference.rpartition(":")[0]
        yield f"# Besides dspy, this needs {file} of the project next to it: the program is written there."
    model = source.manifest.model
    yield _USE.format(
        name=_inert(source.manifest.name),
        n_rules=len(source.manifest.rules),
        uri=_inert(model.uri),
        digest=_inert(model.digest),
        inputs=", ".join(f"{name}=..." for name in _inputs(source)),
    )


def _inert(text: str) -> str:
    """Return text that stays inside a docstring whatever it holds."""
    return json.dumps(text, ensure_ascii=True)[1:-1].replace("'", "\\u0027")


def _inputs(source: ExportSource) -> list[str]:
    frozen = FrozenProgram(source.module)
    fields = [name for _, step in source.module.named_predictors() for name in step.signature.input_fields]
    return [name for name in dict.fromkeys(fields) if frozen.inputs is None or name in frozen.inputs]


def _imports(source: ExportSource, code: str) -> Iterator[str]:
    yield "from __future__ import annotations\n"
    if isinstance(source.loaded, ConditionalProgram):
        needed = needed_imports((formatting, nearest, rules, triggers, words), code)
        typing = "from typing import Any, NamedTuple"
        others = [line for line in needed if not line.startswith("from typing")]
        yield from sorted((*others, typing), key=lambda line: (line.startswith("from"), line))
        yield ""
    elif _module(source) in _OF_OURS:
        yield "from typing import Any\n"
    yield "import dspy"
    if reference := source.program.get("python"):
        file, _, name = reference.rpartition(":")
        module = file.removesuffix(".py").replace("/", ".")
        yield f"\nfrom {module} import {name} as build"


def _builder(source: ExportSource) -> str:
    program = source.program
    if program.get("python"):
        return "\n".join(
            (
                "def build_program() -> dspy.Module:",
                '    """Return the program as it is written in the project."""',
                "    return build if isinstance(build, dspy.Module) else build()",
            )
        )
    if not program.get("signature"):
        raise ArtifactError(
            "The artifact doesn't say how its program is built.",
            hint="Use --to dspy, and load that state into the program in Python.",
        )
    lines = [
        "def build_program() -> dspy.Module:",
        '    """Return the program without its learned rules."""',
        "    signature = dspy.Signature(",
        f"        {to_python(program['signature'])},",
        '        custom_types={"dspy": dspy},',
        "    )",
    ]
    for name, description in program.get("fields", {}).items():
        lines.append(
            f"    signature = signature.with_updated_fields({to_python(name)}, desc={to_python(description)})"
        )
    return "\n".join((*lines, f"    return {_module(source)}(signature)"))


def _state(source: ExportSource) -> dict[str, Any]:
    if isinstance(source.loaded, ConditionalProgram):
        state: dict[str, Any] = json.loads(json.dumps(source.loaded.base.dump_state()))
    else:
        state = json.loads(source.state)
    return {name: step for name, step in state.items() if name != "metadata"}


def _conditional_constants(source: ExportSource) -> str:
    assert isinstance(source.loaded, ConditionalProgram)
    learned, selection = source.loaded.learned, source.loaded.selection
    frozen = FrozenProgram(source.module)
    known = None if frozen.inputs is None else sorted(frozen.inputs)
    own_rules = [
        f"    Rule({to_python(rule.text)}, {to_python(rule.trigger)}, {to_python(rule.predictor)}),"
        for rule in learned.rules
    ]
    shown = [
        f"    Demonstration({to_python(one.inputs)}, {to_python(one.values)}, {to_python(one.predictor)}, "
        f"{to_python(one.example or one.id)}),"
        for one in learned.demonstrations
    ]
    return "\n".join(
        (
            f"INPUTS = {to_python(known)}",
            f"TOP_K = {selection.rules.top_k if selection.rules else 0}",
            f"MIN_OVERLAP = {selection.rules.min_overlap if selection.rules else 0.0!r}",
            "RULES: list[Rule] = [",
            *own_rules,
            "]",
            f"NEAREST = {selection.nearest}",
            "DEMONSTRATIONS: list[Demonstration] = [",
            *shown,
            "]",
        )
    )
