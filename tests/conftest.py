"""What holds for every test."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Tests share the cores with other tests: threads that wait for each other must leave them to the rest.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# What a developer has set for other work changes what the tests would see.
for _name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PROMPTGRAD_API_KEY", "HF_HUB_OFFLINE"):
    os.environ.pop(_name, None)

# A machine that is busy is no failure of ours: nothing here is timed.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _folders_apart_from_the_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither read nor fill the caches, settings and recent projects of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("CACHE", "CONFIG", "STATE", "DATA"):
            patch.setenv(f"XDG_{kind}_HOME", str(tmp_path_factory.mktemp("home") / kind.lower()))
        yield


@pytest.fixture(autouse=True)
def _environment_as_it_was() -> Iterator[None]:
    """Undo what a command in this process sets: a later test's own processes would inherit it."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the stills of the screens be written anew."""
    parser.addoption(
        "--renew-stills", action="store_true", help="write the stills of the screens instead of comparing"
    )
