"""What a judge's agreement with labels says, and what it advises."""

from __future__ import annotations

from engine.project.judge_labels import Label, caution_text, measured_agreement

GRADES = [1, 0] * 10
LABELS = [
    Label(example=f"e{place}", answer=f"answer {place}", grade=grade) for place, grade in enumerate(GRADES)
]


def test_a_judge_that_ranks_well_but_is_too_strict_is_told_its_threshold():
    strict = [0.4 + place / 1000 if grade else 0.2 + place / 1000 for place, grade in enumerate(GRADES)]
    found = measured_agreement(LABELS, strict, "judge", "rubric", right_from=0.75)
    assert found.kappa.score == 0.0
    assert found.needs_threshold
    assert 0.22 < found.threshold < 0.4
    assert found.fitted_kappa.score > 0.8
    assert f"with threshold = {found.threshold:g} in [metric]" in caution_text(found)

    again = measured_agreement(LABELS, strict, "judge", "rubric", right_from=found.threshold)
    assert again.kappa.score == 1.0
    assert not again.needs_threshold
    assert caution_text(again) == ""


def test_no_threshold_helps_a_judge_that_ranks_at_random():
    scores = [((place * 7) % 20) / 20 for place in range(len(GRADES))]
    found = measured_agreement(LABELS, scores, "judge", "rubric", right_from=0.5)
    assert not found.needs_threshold
    assert "Take a larger judge" in caution_text(found)


def test_grades_on_a_scale_have_no_threshold():
    labels = [Label(example=str(grade), answer="", grade=grade, grades=5) for grade in range(5)]
    found = measured_agreement(labels, [grade / 4 for grade in range(5)], "judge", "rubric")
    assert (found.threshold, found.fitted_kappa, found.needs_threshold) == (None, None, False)
