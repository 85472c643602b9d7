"""A predictor's prompt with places for its inputs, taken from the very request that DSPy makes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
from dspy import lm15
from dspy.adapters.utils import format_field_value

from engine.ground.errors import ArtifactError

_OPEN, _CLOSE = "\ue000", "\ue001"  # private-use characters: no one's text holds them
_PLACE = re.compile(f"{_OPEN}(\\w+){_CLOSE}")


@dataclass(frozen=True)
class Message:
    """A chat message."""

    role: str
    text: str


@dataclass(frozen=True)
class Place:
    """Where an input goes."""

    field: str


@dataclass(frozen=True)
class PromptTemplate:
    """A predictor's prompt: `head` are the messages that never change, `request` is the last one.

    `schema` is the JSON schema that the answer was held to, or None.
    """

    predictor: str
    signature: type[dspy.Signature]
    head: tuple[Message, ...]
    request: tuple[str | Place, ...]
    schema: dict[str, Any] | None

    @property
    def inputs(self) -> list[str]:
        """The inputs in the order of their places."""
        return [part.field for part in self.request if isinstance(part, Place)]

    def request_text(self, places: Mapping[str, str]) -> str:
        """Return the last message with `places`, by field, where the inputs go."""
        return "".join(part if isinstance(part, str) else places[part.field] for part in self.request)

    def input_text(self, field: str, value: Any) -> str:
        """Return an input's value as DSPy writes it into a prompt."""
        return str(format_field_value(self.signature.input_fields[field], value))


def braced(fields: Sequence[str]) -> dict[str, str]:
    """Return for each field its name in braces."""
    return {field: f"{{{field}}}" for field in fields}


def prompt_template(
    predictor: str, signature: type[dspy.Signature], demos: Sequence[Any], adapter: dspy.Adapter
) -> PromptTemplate:
    """Return the prompt that `adapter` makes for a predictor.

    Raises:
        ArtifactError: an input isn't text (an image, a history).
    """
    for name, info in signature.input_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, dspy.Type | dspy.History):
            raise _no_place(predictor, name)
    inputs = {name: f"{_OPEN}{name}{_CLOSE}" for name in signature.input_fields}
    request = _request(adapter, signature, demos, inputs)
    *head, last = _messages(request)
    parts = tuple(_parts(last.text))
    fields = [part.field for part in parts if isinstance(part, Place)]
    for name in inputs:
        if fields.count(name) != 1 or any(inputs[name] in message.text for message in head):
            raise _no_place(predictor, name)
    wanted = request.config.response_format
    schema = dict(wanted["schema"]) if wanted and wanted["type"] == "json_schema" else None
    return PromptTemplate(predictor, signature, tuple(head), parts, schema)


class _Recorder:
    """An engine that records the request and never answers."""

    supports_response_schema = True
    supported_params = frozenset({"response_format"})
    request: lm15.Request | None = None

    def complete(self, request: lm15.Request) -> lm15.Response:
        self.request = request
        raise lm15.InvalidRequestError("only the request was wanted")

    def stream(self, request: lm15.Request) -> Iterator[Any]:
        self.complete(request)
        yield

    def close(self) -> None:
        pass


def _request(
    adapter: dspy.Adapter, signature: type[dspy.Signature], demos: Sequence[Any], inputs: Mapping[str, str]
) -> lm15.Request:
    recorder = _Recorder()
    lm = dspy.LM("export/recorder", engine=recorder, cache=False, num_retries=0)
    try:
        adapter(lm, {}, signature, list(demos), dict(inputs))
    except Exception:
        if recorder.request is None:
            raise
    assert recorder.request is not None
    return recorder.request


def _messages(request: lm15.Request) -> Iterator[Message]:
    system = request.system
    if system is not None:
        yield Message("system", system if isinstance(system, str) else "".join(part.text for part in system))
    for message in request.messages:
        yield Message(message.role, message.text or "")


def _parts(text: str) -> Iterator[str | Place]:
    for index, part in enumerate(_PLACE.split(text)):
        if index % 2:
            yield Place(part)
        elif part:
            yield part


def _no_place(predictor: str, field: str) -> ArtifactError:
    return ArtifactError(
        f"The input {field!r} of {predictor} isn't text, so a prompt as text can't hold it.",
        hint="Export the program with --to python or --to dspy.",
    )
