"""Programs that read pictures or sounds, which no model here is sent."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from engine.ground.errors import ProjectError
from promptgrad_tui.work.code.program import program_fields


@pytest.mark.parametrize("annotation", [dspy.Image, list[dspy.Image], dspy.Image | None, dspy.Audio])
def test_a_picture_or_a_sound_is_refused_by_its_name(annotation: Any) -> None:
    signature = dspy.Signature({"scan": (annotation, dspy.InputField()), "team": (str, dspy.OutputField())})
    with pytest.raises(ProjectError, match=r"'scan' is a dspy\.(Image|Audio)") as refused:
        program_fields(dspy.Predict(signature))
    assert "description of it" in refused.value.hint


def test_text_is_what_programs_may_read() -> None:
    assert program_fields(dspy.Predict("ticket, labels: list[str] -> team")).inputs == ("ticket", "labels")
