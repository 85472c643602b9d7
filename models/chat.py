"""DSPy's requests as chat messages, the same for every model."""

from __future__ import annotations

from collections.abc import Iterable

from dspy import lm15

ChatMessage = dict[str, str]

_ROLES = {"user": "user", "assistant": "assistant", "developer": "system"}


def chat_messages(request: lm15.Request) -> list[ChatMessage]:
    """Return a request's messages as chat templates and servers take them.

    The texts of a message are separate lines, as in DSPy's own rendering for OpenAI; thoughts are left out.

    Raises:
        lm15.UnsupportedFeatureError: it holds tools, images or other things that aren't text.
    """
    if request.tools:
        raise lm15.UnsupportedFeatureError("Tools can't be sent to this model.", feature="tools")
    messages: list[ChatMessage] = []
    if request.system:
        system = request.system if isinstance(request.system, str) else _text(request.system)
        messages.append({"role": "system", "content": system})
    for message in request.messages:
        if message.role not in _ROLES:
            raise lm15.UnsupportedFeatureError(
                f"Messages of the role {message.role} can't be sent to this model."
            )
        messages.append({"role": _ROLES[message.role], "content": _text(message.parts)})
    return messages


def _text(parts: Iterable[lm15.Part]) -> str:
    texts = []
    for part in parts:
        if isinstance(part, lm15.ThinkingPart):
            continue
        if not isinstance(part, lm15.TextPart):
            raise lm15.UnsupportedFeatureError(f"A part of type {part.type} can't be sent to this model.")
        texts.append(part.text)
    return "\n".join(texts)
