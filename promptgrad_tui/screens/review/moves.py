"""Moving through the queue of a review: to a rule, in another order, with marks, back and forth in time."""

from __future__ import annotations

from promptgrad_tui.screens.keys.refused import TellsWhy
from promptgrad_tui.screens.review.state import ReviewState
from promptgrad_tui.screens.widgets.dialogs import InputScreen
from promptgrad_tui.screens.widgets.fitted_screen import FittedScreen
from promptgrad_tui.screens.widgets.toned import TextView


class ReviewMoves(TellsWhy, FittedScreen):
    """A screen with a review in progress, and the keys that decide nothing."""

    _state: ReviewState

    def _draw(self) -> None:
        """Draw the queue and the evidence."""
        raise NotImplementedError

    def action_mark(self) -> None:
        self._state.toggle_mark()
        self._draw()

    def action_mark_open(self) -> None:
        self._state.toggle_open()
        self._draw()

    def action_undo(self) -> None:
        self._state.undo()
        self._draw()

    def action_redo(self) -> None:
        self._state.redo()
        self._draw()

    def action_next_undecided(self) -> None:
        self._state.next(only_undecided=True)
        self._draw()

    def action_previous_undecided(self) -> None:
        self._state.previous(only_undecided=True)
        self._draw()

    def action_next_rule(self) -> None:
        self._state.next()
        self._draw()

    def action_previous_rule(self) -> None:
        self._state.previous()
        self._draw()

    def action_first_rule(self) -> None:
        self._state.go_to_end(0)
        self._draw()

    def action_last_rule(self) -> None:
        self._state.go_to_end(-1)
        self._draw()

    def action_sort(self) -> None:
        self._state.sort()
        self._draw()

    def action_evidence_down(self) -> None:
        self.query_one("#evidence", TextView).action_page_down()

    def action_evidence_up(self) -> None:
        self.query_one("#evidence", TextView).action_page_up()

    def action_filter(self) -> None:
        """Ask for a text and show only the rules that hold it."""
        before, rule = self._state.filter, self._state.current_id

        def show(text: str) -> None:
            self._state.set_filter(text.strip())
            self._draw()

        def filtered(text: str | None) -> None:
            if text is None:
                self._state.go_to(rule)
            show(before if text is None else text)

        title = "Show rules that contain (empty: all)"
        self.app.push_screen(InputScreen(title, before, on_change=show), filtered)
