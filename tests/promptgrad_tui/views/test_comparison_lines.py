"""A comparison of two programs as lines to read."""

from promptgrad_tui.views.answers import Answer
from promptgrad_tui.views.comparison.changes import ExampleChange
from promptgrad_tui.views.comparison.lines import example_lines
from promptgrad_tui.views.run.details import diff_lines, instructions_title
from promptgrad_tui.views.toned_lines import plain


def test_a_long_name_stays_apart_from_what_happened_to_the_example() -> None:
    wrong, right = Answer(score=0.0, is_success=False), Answer(score=1.0, is_success=True)
    change = ExampleChange("694c4fd1753026a2", "694c4fd1753026a2", "", {}, wrong, right)
    assert plain(example_lines(change, 78)[0]) == "  694c4fd1753026a2  \u2713 fixed: wrong before, right now"


def test_a_long_line_of_a_diff_continues_below_its_text() -> None:
    lines = [plain(line).rstrip() for line in diff_lines("Route it.", "Route the message to a team.", 22)]
    assert lines == ["  - Route it.", "  + Route the message", "    to a team."]


def test_the_only_predictor_needs_no_name() -> None:
    assert instructions_title("self") == "Instructions"
    assert instructions_title("steps.judge") == "Instructions of steps.judge"
