"""A promptfoo configuration: the prompt, a local provider, and the test split as its test cases.

Its templates are Nunjucks; of a variable promptfoo drops one line break at the end, and reads a value that
begins with `file://` or `package:` from a file (src/evaluatorHelpers.ts).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from engine.programs.formatting import as_text
from engine.release.exports.messages import message_dicts, response_format
from engine.release.exports.prompt_template import Message, Place, PromptTemplate
from engine.release.exports.source import ExportSource, difference_line
from engine.release.exports.yaml_text import to_yaml

_OPENAI = {"num_predict": "max_tokens", "temperature": "temperature", "top_p": "top_p", "seed": "seed"}
_LLAMA_CPP = ("top_k", "min_p", "repeat_penalty", "repeat_last_n")
_OPENS = re.compile(r"\{(?=[{%#]|$)")
_ALTERED = re.compile(r"\A(?:file://|package:)|\{[{%#]")


def promptfoo_config(source: ExportSource) -> str:
    """Return the YAML of a promptfoo configuration.

    Raises:
        ArtifactError: the program has several steps.
    """
    template = source.only_template("A promptfoo configuration")
    tests = [_vars(template, example) for example in source.tests]
    kept = [index for index, values in enumerate(tests) if not _is_altered(values)]
    differences = [*source.differences, *_left_out(source, len(tests) - len(kept)), *_uncheckable(source)]
    differs = difference_line(differences)
    config: dict[str, Any] = {
        "description": f"{source.manifest.name}: proved on {source.manifest.model.digest}",
        "prompts": [_prompt(template)],
        "providers": [_provider(source, template)],
        "defaultTest": {"options": {"transform": _transform(source)}},
        "tests": [_test(source, source.tests[index], tests[index]) for index in kept],
    }
    hint = f"# {source.serving.hint}\n" if source.serving.hint else ""
    return (f"# {differs}\n" if differs else "") + hint + to_yaml(config)


def _prompt(template: PromptTemplate) -> str:
    """Return the messages as JSON, whose texts are Nunjucks templates."""
    places = {field: f"{{{{ {field} }}}}" for field in template.inputs}
    parts = tuple(part if isinstance(part, Place) else _literal(part) for part in template.request)
    head = tuple(Message(message.role, _literal(message.text)) for message in template.head)
    escaped = PromptTemplate(template.predictor, template.signature, head, parts, template.schema)
    return json.dumps(message_dicts(escaped, places), ensure_ascii=False, indent=2)


def _literal(text: str) -> str:
    """Return text that a Nunjucks template renders as it is."""
    return _OPENS.sub('{{ "{" }}', text)


def _provider(source: ExportSource, template: PromptTemplate) -> dict[str, Any]:
    serving, parameters = source.serving, source.serving.parameters
    if serving.is_ollama:
        config: dict[str, Any] = {**parameters}
        if template.schema is not None:
            config["format"] = template.schema
        return {"id": serving.provider, "config": config}
    config = {"apiBaseUrl": serving.address, "apiKey": "none"}
    config |= {_OPENAI[name]: value for name, value in parameters.items() if name in _OPENAI}
    config["passthrough"] = {name: parameters[name] for name in _LLAMA_CPP if name in parameters}
    if (wanted := response_format(template)) is not None:
        config["response_format"] = wanted
    return {"id": serving.provider, "config": config}


def _vars(template: PromptTemplate, example: Mapping[str, Any]) -> dict[str, str]:
    return {field: template.input_text(field, example.get(field)) for field in template.inputs}


def _is_altered(values: Mapping[str, str]) -> bool:
    return any(_ALTERED.search(value) for value in values.values())


def _left_out(source: ExportSource, count: int) -> list[str]:
    if not count:
        return []
    return [f"{count} of {len(source.tests)} test examples are left out: promptfoo would alter their text"]


def _uncheckable(source: ExportSource) -> list[str]:
    if source.metric.get("kind") == "exact_match":
        return []
    kind = source.metric.get("kind") or source.metric.get("python")
    return [f"cases check nothing, as the metric {kind} isn't one of promptfoo's; add your own assertions"]


def _transform(source: ExportSource) -> str:
    field = source.metric.get("field")
    answer = "(typeof output === 'string' ? JSON.parse(output) : output)"
    if field is None:
        return answer
    value = f"{answer}[{json.dumps(field)}]"
    return f"(v => typeof v === 'string' ? v.trim() : JSON.stringify(v))({value})"


def _test(source: ExportSource, example: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    texts = {field: f"{text}\n" if text.endswith("\n") else text for field, text in values.items()}
    test: dict[str, Any] = {"vars": texts}
    if "id" in example:
        test = {"description": as_text(example["id"]), **test}
    if source.metric.get("kind") == "exact_match":
        test["assert"] = [{"type": "equals", "value": _expected(example[source.metric["field"]])}]
    return test


def _expected(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
