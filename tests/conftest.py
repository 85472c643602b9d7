"""What holds for every test."""

import os

import pytest
from hypothesis import settings

# Tests share the cores with other tests: threads that wait for each other must leave them to the rest.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A machine that is busy is no failure of ours: nothing here is timed.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the stills of the screens be written anew."""
    parser.addoption(
        "--renew-stills", action="store_true", help="write the stills of the screens instead of comparing"
    )
