from __future__ import annotations

import pytest
from rich.cells import cell_len

from promptgrad_tui.views.toned_lines import (
    error_bars,
    fitted,
    interval_bar,
    joined,
    line,
    plain,
    progress_bar,
    tail,
)


@pytest.mark.parametrize("columns", [1, 2, 5, 9, 40])
@pytest.mark.parametrize(
    "text",
    [
        "short",
        "日本語のテキストです",
        "e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301",
        "a\nb\tc",
        "\u202eevil\x1b[31m",
        "",
    ],
)
def test_a_line_takes_exactly_its_columns(text: str, columns: int) -> None:
    assert cell_len(plain(fitted(line(text), columns))) == columns


def test_what_would_act_on_a_terminal_is_shown() -> None:
    shown = plain(fitted(line("\x1b[31mred\u202e"), 40))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "␛[31mred<U+202E>" in shown


def test_a_long_line_is_cut_with_an_ellipsis_across_its_runs() -> None:
    assert plain(fitted((("abc", "good"), ("defgh", "bad")), 6)) == "abcde…"


def test_numbers_stand_at_the_right() -> None:
    assert plain(fitted(line("0.5"), 6, right=True)) == "   0.5"


def test_joined_leaves_out_what_is_empty() -> None:
    assert plain(joined([line("a"), line(""), line("b")], " | ")) == "a | b"


def test_error_types_stand_with_the_most_frequent_first() -> None:
    assert plain(error_bars({"rare": 1, "often": 3}, 0)) == "often ▇▇▇ 3  rare ▇ 1"


def test_an_interval_bar_shows_zero_mean_and_both_ends() -> None:
    assert plain(interval_bar(0.5, 0.25, 0.75, 9)) == "────┊━●━─"
    assert plain(interval_bar(0.0, -0.25, 0.25, 9)) == "───━●━───"


def test_an_interval_bar_says_where_it_goes_beyond_its_scale() -> None:
    drawn = plain(interval_bar(0.4, -0.2, 0.9, 11, scale=0.5))
    assert drawn.endswith("▸")
    assert len(drawn) == 11


def test_a_progress_bar_is_full_only_at_the_end() -> None:
    def filled(share: float) -> int:
        return len(progress_bar(share, 10)[0][0])

    assert [filled(0.0), filled(0.55), filled(0.999), filled(1.0)] == [0, 5, 9, 10]


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("short", 10, "short▌"),
        ("a longer text", 8, "…r text▌"),
        ("日本語です", 7, "…です▌"),
        ("any", 1, "…▌"),
    ],
)
def test_the_end_of_a_text_that_is_written_stays_in_sight(text: str, columns: int, shown: str) -> None:
    assert tail(text, columns) == shown
