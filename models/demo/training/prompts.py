"""The application's own prompts, rendered by the application's own code, as templates to fill in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import dspy

from engine.learning.analysis.signatures import AnalyzeFailures, MergeRules
from engine.programs.rules import RULES_HEADING

START, END = "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML."""

_INDENT = "\n" + " " * 8
"""DSPy indents the lines of a signature's instructions like this."""


@dataclass(frozen=True)
class Prompt:
    """A chat template with places to fill in: `{name}` marks stand as the sentinel `@name@`."""

    system: str
    user: str

    def fill_system(self, **values: str) -> str:
        """Return the system message."""
        return _fill(self.system, values)

    def fill_user(self, **values: str) -> str:
        """Return the user message."""
        return _fill(self.user, values)


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _render(signature: Any, inputs: tuple[str, ...]) -> Prompt:
    messages = dspy.JSONAdapter().format(signature, [], {name: f"@{name}@" for name in inputs})
    return Prompt(messages[0]["content"], messages[1]["content"])


@cache
def task_prompt(source: str, target: str) -> Prompt:
    """Return the prompt of a program with the signature `source -> target`, whose instructions are open."""
    signature = dspy.Signature(f"{source} -> {target}", "@instructions@")
    return _render(dspy.ChainOfThought(signature).predict.signature, (source,))


@cache
def analysis_prompt() -> Prompt:
    """Return the prompt of `AnalyzeFailures`."""
    return _render(AnalyzeFailures, ("task", "rules", "successes", "failures"))


@cache
def merge_prompt() -> Prompt:
    """Return the prompt of `MergeRules`."""
    return _render(MergeRules, ("rules",))


def indented(instructions: str) -> str:
    """Return instructions as DSPy writes them into a system message."""
    return _INDENT.join(instructions.splitlines())


def chat(*turns: tuple[str, str]) -> str:
    """Return (role, content) turns as ChatML."""
    return "".join(f"{START}{role}\n{content}{END}\n" for role, content in turns)


def boilerplate() -> list[str]:
    """Return the constant pieces of all prompts and answers: each is one token, so prompts stay short."""
    fields = ("@source@", "@target@")
    template = task_prompt("SOURCE", "TARGET")
    texts = [
        template.system.replace("SOURCE", fields[0]).replace("TARGET", fields[1]),
        template.user.replace("@SOURCE@", "@value@")
        .replace("SOURCE", fields[0])
        .replace("TARGET", fields[1]),
        *(part for prompt in (analysis_prompt(), merge_prompt()) for part in (prompt.system, prompt.user)),
        *_ANSWERS,
        f"@x@{_INDENT}{_INDENT}{RULES_HEADING}{_INDENT}- @x@{_INDENT}- @x@",
        "Failure @x@\n\nFailure @x@\nexpected @x@",
        '@x@\nfeedback: Expected "@x@" but got "@x@".\nanswer: reasoning = @x@',
        f"@x@{_INDENT}@x@",
    ]
    pieces = {piece for text in texts for piece in text.split("@")[::2] if len(piece) > 3}
    return sorted({*pieces, *_WORDS_BEFORE_A_NAME}, key=lambda piece: (-len(piece), piece))


_WORDS_BEFORE_A_NAME = (
    *(
        " a ",
        " an ",
        " about ",
        " about a ",
        " about an ",
        " about the ",
        " for ",
        " for a ",
        " for an ",
        " or ",
        " or a ",
    ),
    *(
        " or an ",
        ", ",
        ", a ",
        ", an ",
        " the ",
        " to ",
        " to the ",
        " go to ",
        " of ",
        " and ",
        " = ",
        ": ",
        "The ",
    ),
    *(", and ", ", the queue is ", ", answer ", ", choose ", "Route ", "For ", "Use "),
)
"""They take the space along, so that a name is the same tokens after a quotation mark and inside a sentence.

No two of them can overlap in the demo's language: tokenizers resolve overlaps differently.
"""

_ANSWERS = (
    '{"reasoning": "@x@", "@x@": "@x@"}',
    '{"analysis": "@x@", "add": [{"text": "@x@", "trigger": "@x@"}, {"text": "@x@"}], "remove": []}',
    '@x@"}], "remove": [@x@]}',
    '{"analysis": "@x@", "add": [], "remove": []}',
    '{"text": "@x@", "trigger": "@x@"}',
)
