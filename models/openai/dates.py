"""The date in llama-server's prompts: today's, unless its template takes another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.openai.api import ServerAnswers, client, read_object, root_of
from models.today import chosen_date, formatter

_FORM = "%d %b %Y"
"""How llama-server writes `date_string`, as in 01 Jan 2026."""


def pinning_switches(answers: ServerAnswers, switches: Mapping[str, Any]) -> dict[str, Any]:
    """Return template switches that give prompts the same date every day, or nothing if none do.

    The server is asked: older versions set `date_string` to today's date whatever a request says.
    """
    if "date_string" not in str(answers.props.get("chat_template")):
        return {}
    pinning = {"date_string": formatter(chosen_date(switches))(_FORM), **switches}
    body = {
        "model": answers.model["id"],
        "messages": [{"role": "user", "content": "Hello"}],
        "chat_template_kwargs": pinning,
    }
    with client(answers.endpoint) as http:
        rendered = read_object(http, "POST", f"{root_of(answers.endpoint)}/apply-template", json=body) or {}
    return pinning if pinning["date_string"] in str(rendered.get("prompt")) else {}
