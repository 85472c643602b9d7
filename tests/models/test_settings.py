from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from models import ModelSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("context_length", 64),
        ("max_tokens", 0),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("top_p", 0),
        ("top_k", -1),
        ("min_p", 1),
        ("seed", -1),
        ("threads", 0),
        ("gpu_layers", -2),
        ("sequences", 0),
        ("concurrency", 0),
        ("keep_alive", "soon"),
        ("timeout_seconds", 0),
        ("repeat_penalty", 0),
        ("batch_size", 1),
        ("kv_memory", 0),
        ("temprature", 1),
    ],
)
def test_a_wrong_value_names_its_field(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        ModelSettings.model_validate({field: value})


def test_every_field_says_what_it_is_for() -> None:
    assert all(field.description for field in ModelSettings.model_fields.values())


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        ModelSettings().seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("text", ["-1", "0", "30s", "5m", "1h", "500ms"])
def test_keep_alive_takes_ollamas_durations(text: str) -> None:
    assert ModelSettings(keep_alive=text).keep_alive == text
