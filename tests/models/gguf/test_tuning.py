"""Threads and sequences are tried once for a model on a machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psutil
import pytest

from models.demo import demo_model_path
from models.gguf.library import NativeModel
from models.gguf.tuning import Tuning, tuned


@pytest.fixture(autouse=True)
def _idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.getloadavg", lambda: (0.0, 0.0, 0.0))


def _tuned(path: Path) -> Tuning:
    model = NativeModel(path, gpu_layers=0)
    try:
        return tuned(model, path)
    finally:
        model.close()


def test_a_trial_is_remembered_until_the_file_changes(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "model.gguf"
    shutil.copy(demo_model_path(), path)
    found = _tuned(path)
    assert 1 <= found.threads <= (psutil.cpu_count(logical=False) or 1)
    assert found.sequences in (1, 2, 4, 8, 16)

    (memory,) = (own_cache / "tuning").iterdir()
    memory.write_text(json.dumps({"threads": 1, "sequences": 3}))
    assert _tuned(path) == Tuning(threads=1, sequences=3)

    path.touch()
    assert _tuned(path).sequences != 3


def test_a_damaged_memory_is_no_obstacle(own_cache: Path) -> None:
    _tuned(demo_model_path())
    (memory,) = (own_cache / "tuning").iterdir()
    memory.write_text('{"threads": 1}')
    found = _tuned(demo_model_path())
    assert json.loads(memory.read_text()) == {"threads": found.threads, "sequences": found.sequences}


def test_nothing_is_tried_on_a_busy_machine(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.getloadavg", lambda: (64.0 * (psutil.cpu_count() or 1), 0.0, 0.0))
    assert _tuned(demo_model_path()) == Tuning(psutil.cpu_count(logical=False) or 1, 16)
    assert not (own_cache / "tuning").exists()
