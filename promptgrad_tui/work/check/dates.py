"""Whether a model's prompts show the date of the day, so that the same request differs from day to day."""

from __future__ import annotations

from collections.abc import Iterator

from engine.ground.model import Model
from promptgrad_tui.views.findings import Finding


def changing_dates(subject: str, model: Model) -> Iterator[Finding]:
    """Warn of a server whose prompts show today's date and that takes no other."""
    date = getattr(model, "printed_date", None)
    if date is None or date.is_pinned:
        return
    yield Finding(
        "warn",
        subject,
        f"the chat template of {model.uri} prints today's date ({date.text}), and the server takes no other",
        "Answers of another day aren't reused: a run that is resumed tomorrow asks again. In process, the "
        "date stays the same.",
        field="model.task",
    )
