"""Whether Ollama and llama.cpp in process make the same prompt of the same messages."""

from __future__ import annotations

from typing import Protocol

from engine.ground.model import Messages
from models.errors import ChatTemplateError
from models.ollama.model import OllamaModel

_SAMPLES: tuple[Messages, ...] = (
    ({"role": "system", "content": "Sort it."}, {"role": "user", "content": "[[ ## text ## ]]\nA bill."}),
    (
        {"role": "system", "content": "Sort it."},
        {"role": "user", "content": "A bill."},
        {"role": "assistant", "content": '{"label": "money"}'},
        {"role": "user", "content": "A parcel."},
    ),
)
"""As a program writes them: without and with demonstrations."""

_AROUND = 40


class Rendering(Protocol):
    """A model in process that shows what it reads."""

    def render(self, messages: Messages) -> str:
        """Return the exact text that the model reads for these messages."""
        ...


def refuse_other_prompts(served: OllamaModel, model: Rendering) -> None:
    """Refuse a model in process that reads something else than the served one does.

    An Ollama that doesn't show its prompts is trusted here: its answers are compared all the same.

    Raises:
        ChatTemplateError: the prompts differ; the message shows where.
    """
    for messages in _SAMPLES:
        there, here = served.render(messages), model.render(messages)
        if there is not None and not _are_same(there, here):
            at = next((n for n, (a, b) in enumerate(zip(there, here, strict=False)) if a != b), 0)
            raise ChatTemplateError(
                f"{served.uri} can't search in process: Ollama makes {_part(there, at)} of messages from "
                f"which llama.cpp makes {_part(here, at)}.",
                hint='Take search = "in_process" out of [model].',
            )


def _are_same(there: str, here: str) -> bool:
    """Whether two prompts are the same, but for the token that begins every text."""
    if there == here:
        return True
    longer, shorter = sorted((there, here), key=len, reverse=True)
    begins = longer.removesuffix(shorter)
    return begins != longer and len(begins) < _AROUND and begins.startswith("<") and " " not in begins


def _part(text: str, at: int) -> str:
    return repr(text[max(0, at - _AROUND // 2) : at + _AROUND])
