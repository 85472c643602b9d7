import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from promptgrad_tui.views.sanitize import fit, one_line, pad, visible, wrap


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2Jgone", "\u241b[2Jgone"),
        ("a\rb", "a\u240db"),
        ("bell\x07", "bell\u2407"),
        ("delete\x7f", "delete\u2421"),
        ("\x9b31m", "<U+009B>31m"),
        ("abc\u202edcba", "abc<U+202E>dcba"),
        ("\u2066isolate\u2069", "<U+2066>isolate<U+2069>"),
        ("no\u200bspace\ufeff", "no<U+200B>space<U+FEFF>"),
        ("\ud800", "<U+D800>"),
        ("tag\U000e0041", "tag<U+E0041>"),
    ],
)
def test_what_would_act_on_a_terminal_is_shown(hostile, shown):
    assert visible(hostile) == shown


def test_what_people_write_stays_as_it_is():
    text = "Grüße, 你好, नमस्ते, می‌خواهم\nsecond line"
    assert visible(text) == text


def test_one_line_is_one_line():
    assert one_line("a\n b\t\u2028c\r\nd") == "a b c d"


@given(st.text(), st.integers(1, 100))
def test_a_fitted_text_never_needs_more_cells(text, columns):
    assert cell_len(fit(text, columns)) <= columns
    assert cell_len(pad(text, columns)) == columns


@given(st.text(), st.integers(8, 100))
def test_wrapped_lines_fit_and_lose_no_word(text, columns):
    lines = wrap(text, columns, "  ", "- ")
    assert all(cell_len(line) <= columns for line in lines)
    assert "".join("".join(lines).split()).removeprefix("-") == "".join(visible(text).split())


def test_wrapping_keeps_line_breaks_and_indents():
    assert wrap("one two three\nfour", 9, "  ", "- ") == ["- one two", "  three", "  four"]


def test_joined_emoji_are_shown_one_by_one_and_letters_keep_their_joiners() -> None:
    assert visible("\U0001f468\u200d\U0001f469\u200d\U0001f467!") == "\U0001f468\U0001f469\U0001f467!"
    assert visible("\u2764\ufe0f \U0001f44b\U0001f3fd") == "\u2764 \U0001f44b"
    persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    assert visible(persian) == persian
    hindi = "\u0915\u094d\u200d\u0937"
    assert visible(hindi) == hindi
