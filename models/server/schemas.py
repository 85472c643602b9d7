"""The schema that an answer has to follow, and whether a text does."""

from __future__ import annotations

import json
from typing import Any

from dspy import lm15


def answer_schema(request: lm15.Request) -> dict[str, Any] | None:
    """Return the JSON schema that the answer must follow, None for free text.

    Any JSON is a schema too: what servers call their JSON mode isn't enforced by llama-server, nor by Ollama.
    """
    wanted = request.config.response_format
    if wanted is None:
        return None
    schema: dict[str, Any] = wanted["schema"] if wanted["type"] == "json_schema" else {"type": "object"}
    return schema


def fits(text: str, schema: dict[str, Any] | None) -> bool:
    """Whether a text is the JSON object that a schema asks for, as far as its fields go."""
    try:
        answer = json.loads(text) if schema else None
    except ValueError:
        return False
    wanted = (schema or {}).get("required") or (schema or {}).get("properties") or ()
    return isinstance(answer, dict) and bool(answer) and all(name in answer for name in wanted)
