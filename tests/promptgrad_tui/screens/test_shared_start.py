from __future__ import annotations

import pytest

from promptgrad_tui.views.run.shared_start import shared_start, telling_part

TICKETS = [f"Tickets that mention a {thing} go to loyalty." for thing in ("gift card", "points balance")]


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ([], ""),
        (TICKETS[:1], ""),
        (TICKETS, "Tickets that mention a"),
        ([*TICKETS, "Answer in lower case."], "Tickets that mention a"),
        ([*TICKETS, "Answer in lower case.", "Never guess."], "Tickets that mention a"),
        ([*TICKETS, "Answer in lower case.", "Never guess.", "Be brief."], ""),
        (["Answer", "Answer"], ""),
        (["Answer in French.", "Answer in French."], ""),
        ([*TICKETS, TICKETS[0], TICKETS[0]], "Tickets that mention a"),
    ],
)
def test_what_half_of_the_texts_begin_with_and_more_comes_after(texts: list[str], wanted: str) -> None:
    assert shared_start(texts) == wanted


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        (0, TICKETS[0]),
        (47, TICKETS[0]),
        (46, "…that mention a gift card go to loyalty."),
        (39, "…mention a gift card go to loyalty."),
        (5, "…gift card go to loyalty."),
    ],
)
def test_a_text_loses_of_its_start_only_what_it_must(columns: int, wanted: str) -> None:
    assert telling_part(TICKETS[0], "Tickets that mention a", columns) == wanted


def test_a_text_loses_only_words_that_it_has_alike() -> None:
    assert telling_part("Tickets that mentioned", "Tickets that mention", 4) == "\u2026mentioned"
    assert telling_part("Answer in French.", "Tickets that mention", 4) == "Answer in French."
    assert telling_part("Answer in French.", "", 4) == "Answer in French."
    assert telling_part(TICKETS[0], TICKETS[0], 5) == "\u2026loyalty."
