"""The glossary: one source for the page and for the help."""

from __future__ import annotations

from pathlib import Path

from promptgrad_tui.screens.keys.actions import SCOPES, of_scope
from promptgrad_tui.screens.keys.palette import help_lines
from promptgrad_tui.views.glossary import TERMS, glossary_page
from promptgrad_tui.views.toned_lines import plain

PAGE = Path(__file__).parents[3] / "docs" / "glossary.md"


def test_the_page_is_the_glossary() -> None:
    assert PAGE.read_text(encoding="utf-8") == glossary_page(), (
        "python -m promptgrad_tui.views.glossary > docs/glossary.md"
    )


def test_every_screen_that_a_term_names_is_one() -> None:
    assert {screen for term in TERMS for screen in term.screens} <= set(SCOPES)


def test_help_explains_the_words_of_its_screen_and_no_others() -> None:
    shown = "\n".join(map(plain, help_lines(of_scope("review", "app"), 100)))
    assert "Whether the rule is part of the result as it stands now." in shown
    assert "had evaluated already" not in shown
    assert "The number of passes that made a proposal." in shown
    assert "Words" not in "\n".join(map(plain, help_lines(of_scope("log"), 100)))


def test_help_fits_its_width() -> None:
    for columns in (40, 80):
        assert all(len(plain(line)) <= columns for line in help_lines(of_scope("run"), columns))
