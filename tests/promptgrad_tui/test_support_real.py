"""The forty graded resolutions put to a real model: what comes out is a measurement, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.promptgrad_tui.desk_project import promptgrad, result
from tests.promptgrad_tui.support_project import write_support

MODEL = os.environ.get("PROMPTGRAD_REAL_MODEL", "")
"""A chat model's GGUF file; of SmolLM2-135M on, it is asked 80 short questions."""


@pytest.mark.skipif(not MODEL, reason="set PROMPTGRAD_REAL_MODEL to a chat model's GGUF file")
def test_a_real_judge_is_measured_and_asked_once(tmp_path: Path) -> None:
    project = write_support(tmp_path, f"gguf:{MODEL}")
    told = result(promptgrad("-C", project, "judge", "check", "--json"))
    kappa, spearman = told["agreement"]["kappa"], told["agreement"]["spearman"]
    assert kappa["n"] == 40
    for interval in (kappa, spearman):
        assert -1.0 <= interval["low"] <= interval["score"] <= interval["high"] <= 1.0
    scores = {answer["score"] for answer in told["worst"]}
    assert scores - {0.0, 0.5, 1.0}, "the score is what the model expects, and not a grade that it writes"
    again = result(promptgrad("-C", project, "judge", "check", "--json"))
    assert again == told
