"""llama.cpp compiled with AMX by a compiler that breaks it: found by a trial, and done without."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from models import open_model
from models.gguf import amx


@pytest.fixture
def trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build with AMX that dies on trial; the file tells how often it was tried."""
    count = tmp_path / "trials"
    count.write_text("")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho tried >> {count}\nkill -SEGV $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr("llama_cpp.llama_cpp.llama_print_system_info", lambda: b"CPU : AMX_INT8 = 1 | ")
    return count


def test_a_build_that_dies_is_tried_once(trials: Path, own_cache: Path) -> None:
    assert [amx.usable() for _ in range(3)] == [False] * 3
    assert trials.read_text().split() == ["tried"]


def test_a_model_answers_without_amx(trials: Path, own_cache: Path) -> None:
    with open_model("demo") as model:
        assert model.lm("Where does an invoice go?", max_tokens=4)
    assert trials.read_text() == "tried\n"


def test_a_build_without_amx_needs_no_trial(trials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llama_cpp.llama_cpp.llama_print_system_info", lambda: b"CPU : AVX2 = 1 | ")
    assert amx.usable()
    assert trials.read_text() == ""


def test_this_builds_trial_ends(own_cache: Path) -> None:
    assert amx.usable() in (True, False)
    with open_model("demo") as model:
        assert model.lm("Where does an invoice go?", max_tokens=4)
