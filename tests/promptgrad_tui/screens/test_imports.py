from __future__ import annotations

import subprocess
import sys

HEAVY = ("dspy", "llama_cpp", "litellm", "ollama", "numpy", "torch")


def imported_after(statement: str, names: tuple[str, ...]) -> list[str]:
    program = f"{statement}; import sys; print(*(name for name in {names!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_app_imports_neither_dspy_nor_a_model() -> None:
    assert imported_after("import promptgrad_tui.screens.app", HEAVY) == []


def test_what_the_screens_are_made_of_needs_no_screen() -> None:
    for module in ("views.run.story", "views.run.status", "screens.review.state", "screens.live.feed"):
        assert imported_after(f"import promptgrad_tui.{module}", ("textual", *HEAVY)) == []
