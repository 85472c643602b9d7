"""An Ollama Modelfile: the weights, the system prompt, demonstrations, and parameters as measured.

Source of the quoting: Ollama's parser/parser.go. A value in triple quotes ends with the first line that
ends in three quotes, and characters that don't print are dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from engine.ground.errors import ArtifactError
from engine.release.exports.prompt_template import Message, PromptTemplate, braced
from engine.release.exports.source import ExportSource, difference_line

_QUOTES = '"""'


def modelfile(source: ExportSource) -> str:
    """Return a Modelfile that makes a model with the system prompt and the demonstrations built in.

    Raises:
        ArtifactError: the program has several steps, nobody knows the weights, or the text can't be quoted.
    """
    template = source.only_template("A Modelfile")
    if source.serving.weights is None:
        raise ArtifactError(
            f"{source.manifest.model.uri} runs on a server that doesn't say where its weights are.",
            hint="Use --to messages or --to promptfoo.",
        )
    return "\n".join(_lines(source, template)) + "\n"


def _lines(source: ExportSource, template: PromptTemplate) -> Iterator[str]:
    differences = [
        *source.differences,
        "Ollama adds nothing around a user's message, so it has to be sent as shown below",
    ]
    if template.schema is not None:
        differences.append("a Modelfile can't hold answers to their JSON schema (--to messages has it)")
    if not source.serving.is_ollama:
        differences.append("Ollama writes the chat template around the messages in its own way")
    yield f"# {difference_line(differences)}"
    model = source.manifest.model
    yield f"# Proved on {model.uri}, {model.digest}."
    yield f'# A model that can think was asked with "think": {json.dumps(source.serving.thinks)}.'
    yield "#"
    yield "# The user's message, with each input's text in the place of its name in braces:"
    for line in template.request_text(braced(template.inputs)).split("\n"):
        yield f"#   {line}".rstrip()
    yield ""
    yield f"FROM {source.serving.weights}"
    for name, value in source.serving.parameters.items():
        yield f"PARAMETER {name} {value}"
    for message in template.head:
        yield ""
        yield _quoted(message)


def _quoted(message: Message) -> str:
    problem = _unquotable(message.text)
    if problem:
        raise ArtifactError(
            f"A Modelfile can't hold the {message.role} message: {problem}.", hint="Use --to messages."
        )
    command = "SYSTEM" if message.role == "system" else f"MESSAGE {message.role}"
    return f"{command} {_QUOTES}{message.text}{_QUOTES}"


def _unquotable(text: str) -> str:
    if any(line.rstrip().endswith(_QUOTES) for line in text.split("\n")):
        return "one of its lines ends in three quotes"
    lost = next((c for c in text if not c.isprintable() and c not in "\n\t"), None)
    return f"Ollama drops the character U+{ord(lost):04X}" if lost else ""
