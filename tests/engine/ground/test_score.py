from __future__ import annotations

import pytest
from pydantic import ValidationError

from engine.ground.score import Score


def test_a_score_is_made_by_position_or_by_name() -> None:
    by_position = Score(0.5, False, "too short", "length", {"words": 3})
    by_name = Score(
        value=0.5, is_success=False, feedback="too short", error_type="length", metadata={"words": 3}
    )
    assert by_position == by_name
    assert (by_name.value, by_name.is_success, by_name.feedback) == (0.5, False, "too short")


def test_feedback_error_type_and_metadata_are_empty_by_default() -> None:
    score = Score(1.0, True)
    assert (score.feedback, score.error_type, score.metadata) == ("", "", {})


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf"), "much", None])
def test_a_value_outside_0_to_1_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        Score(value, True)  # type: ignore[arg-type]


def test_a_score_is_never_changed_and_survives_json() -> None:
    score = Score(0.25, False, "why", "kind", {"a": [1]})
    with pytest.raises(ValidationError):
        score.value = 1.0  # type: ignore[misc]
    assert Score.model_validate_json(score.model_dump_json()) == score


def test_scores_do_not_share_their_metadata() -> None:
    first, second = Score(1, True), Score(1, True)
    first.metadata["seen"] = True
    assert second.metadata == {}
