"""The forty graded resolutions put to a real model: what comes out is a measurement, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.promptgrad_tui.desk_project import promptgrad, result
from tests.promptgrad_tui.support_project import write_support
from tests.real_model import ModelUnavailableHereError, smollm2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def model(pytestconfig: pytest.Config) -> Path:
    """The model that PROMPTGRAD_REAL_MODEL names, or the smallest one that there is."""
    if named := os.environ.get("PROMPTGRAD_REAL_MODEL"):
        return Path(named)
    assert pytestconfig.cache
    try:
        return smollm2(pytestconfig.cache.mkdir("smollm2"))
    except ModelUnavailableHereError as error:
        pytest.skip(str(error))


def test_a_real_judge_is_measured_and_asked_once(model: Path, tmp_path: Path) -> None:
    project = write_support(tmp_path, f"gguf:{model}")
    told = result(promptgrad("-C", project, "judge", "check", "--json"))
    kappa, spearman = told["agreement"]["kappa"], told["agreement"]["spearman"]
    assert (kappa["n"], spearman["n"], told["lost"]) == (40, 40, 0)
    for interval in (kappa, spearman):
        assert -1.0 <= interval["low"] <= interval["score"] <= interval["high"] <= 1.0
    scores = {answer["score"] for answer in told["worst"]}
    assert not scores or scores - {0.0, 0.5, 1.0}, (
        "a score is what the model expects, not a grade that it writes"
    )
    assert result(promptgrad("-C", project, "judge", "check", "--json")) == told
