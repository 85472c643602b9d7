"""What the tests of the screens share."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .stills import Stills


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
