"""What the tests of the screens share."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promptgrad_tui.screens.stills import Stills

_OF_A_PERSON = (
    *("PROMPTGRAD_MODELS", "OLLAMA_MODELS", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
    *("NO_COLOR", "TEXTUAL_ANIMATIONS", "TEXTUAL_THEME", "TEXTUAL", "VISUAL", "EDITOR"),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without models, caches, servers or preferences."""
    home = tmp_path_factory.mktemp("home")
    for name in _OF_A_PERSON:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    return home


@pytest.fixture
def stills(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stills]:
    """A recorded run whose screens are compared with stills (see `stills.py`)."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    # A folder of pytest's has a name of another length each time, and paths are on the screens.
    with tempfile.TemporaryDirectory(prefix="desk-", dir="/tmp") as parent:
        yield Stills(Path(parent) / "desk", renew=request.config.getoption("--renew-stills"))
    monkeypatch.undo()
    time.tzset()
