"""From chat messages to the exact text that a model reads."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from jinja2 import TemplateError
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from models.errors import ChatTemplateError
from models.thought_tags import ThoughtTags, thought_tags
from models.today import chosen_date, formatter

_REFUSALS = (TemplateError, ValueError, TypeError)
_HOW_TO_GIVE_ONE = "Name a jinja file as `chat_template` under [model]; the model's page on its hub has one."


def thinking_switches(think: bool | str) -> dict[str, Any]:
    """Return what templates look at to let a model think or not; each family has its own word for it.

    `think` may be a level, such as "low", for models that have levels.
    """
    switches: dict[str, Any] = {"enable_thinking": bool(think), "thinking": bool(think)}
    if isinstance(think, str):
        return switches | {"reasoning_effort": think}
    return switches if think else switches | {"thinking_mode": "disabled", "thinking_budget": 0}


class ChatTemplate:
    """A model's jinja template with its switches set."""

    def __init__(self, text: str, *, bos: str, eos: str, switches: Mapping[str, Any]) -> None:
        self.text = text
        self._switches = dict(switches)
        try:
            self._formatter = Jinja2ChatFormatter(template=text, bos_token=bos, eos_token=eos)
            # Always the same date, or one revision's prompt would change from day to day.
            self._formatter.strftime_now = formatter(chosen_date(switches))  # type: ignore[assignment, method-assign]
        except TemplateError as error:
            raise ChatTemplateError(
                f"The chat template can't be read: {error}.", hint=_HOW_TO_GIVE_ONE
            ) from error

    @classmethod
    def load(
        cls, given: str | None, own: str | None, *, bos: str, eos: str, switches: Mapping[str, Any]
    ) -> ChatTemplate:
        """Return the template that is given, as text or as a file, else the model's own.

        Raises:
            ChatTemplateError: there is none, or it isn't valid jinja.
        """
        text = _text_of(given) if given is not None else own
        if not text:
            raise ChatTemplateError("The model's file has no chat template.", hint=_HOW_TO_GIVE_ONE)
        return cls(text, bos=bos, eos=eos, switches=switches)

    @functools.cached_property
    def thought_tags(self) -> ThoughtTags:
        """The tags between which the model thinks."""
        return thought_tags(self.text, self._render)

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return the prompt up to where the model's answer begins.

        Raises:
            ChatTemplateError: the template refuses these messages.
        """
        try:
            return self._render(messages)
        except _REFUSALS as error:
            refused = error
        try:
            return self._render(_without_system(messages))
        except _REFUSALS:
            roles = ", ".join(str(message.get("role")) for message in messages)
            raise ChatTemplateError(
                f"The chat template refuses messages of the roles {roles}: {refused}.", hint=_HOW_TO_GIVE_ONE
            ) from refused

    def _render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        return str(self._formatter(messages=cast(Any, list(messages)), **self._switches).prompt)


def _without_system(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Put the system message in front of the first user message, for templates that know no such role."""
    system = [str(message["content"]) for message in messages if message.get("role") == "system"]
    others = [message for message in messages if message.get("role") != "system"]
    if not system or not others:
        return list(messages)
    return [{**others[0], "content": "\n\n".join([*system, str(others[0]["content"])])}, *others[1:]]


def _text_of(given: str) -> str:
    """Return a template's text, reading it from a file if it names one."""
    if "{" in given or "\n" in given:
        return given
    try:
        return Path(given).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ChatTemplateError(
            f"The chat template {given} can't be read: {error}.", hint=_HOW_TO_GIVE_ONE
        ) from error
