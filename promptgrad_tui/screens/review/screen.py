"""The review screen: the queue of rules, the evidence for each, and one key for each decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from textual.app import ComposeResult
from textual.containers import Container
from textual.geometry import Size

from engine.ground.errors import PromptGradError
from engine.journal.decisions import Decision, decision_key, written_decisions
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.review.both_sides import changed_in_full
from promptgrad_tui.screens.review.draft import DraftFile, ReviewDraft, with_theirs
from promptgrad_tui.screens.review.evidence import evidence_lines, evidence_title
from promptgrad_tui.screens.review.items import reviewed_items
from promptgrad_tui.screens.review.lines import (
    COLUMNS,
    applied_text,
    apply_text,
    edit_test,
    is_left,
    paint,
    settled_of,
    title_line,
)
from promptgrad_tui.screens.review.moves import ReviewMoves
from promptgrad_tui.screens.review.obstacles import ANSWERED, obstacle
from promptgrad_tui.screens.review.state import (
    ReviewItem,
    ReviewState,
    merged_text,
    rule_as_text,
    rule_from_text,
)
from promptgrad_tui.screens.threads import in_thread
from promptgrad_tui.screens.widgets.details import DetailScreen
from promptgrad_tui.screens.widgets.dialogs import Choice, InputScreen, QuestionScreen
from promptgrad_tui.screens.widgets.edit_screen import EditScreen
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.links import Link, ask_where
from promptgrad_tui.screens.widgets.outside_editor import edit_text_outside
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import LinesView, TextView
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.run.rows import TestRow
from promptgrad_tui.views.toned_lines import Line, line

_EDITING = (
    "One rule, then its trigger on a separate line, with commas between alternatives. "
    "The edit is tested before it counts."
)
_NO_RULE = "Rules appear here when their tests have ended."
_REFRESH_SECONDS = 1.0


class ReviewScreen(ReviewMoves):
    """Judges the rules of a run, one by one; nothing applies until it is said."""

    BINDINGS = bindings("review")

    def __init__(
        self,
        session: RunSession,
        rule: str = "",
        related: Callable[[TestRow], list[Link]] = lambda _row: [],
    ) -> None:
        """Open the review of a run, at a rule if one is named; `related` returns what belongs to a test."""
        super().__init__()
        self._related = related
        self._session = session
        self._state = ReviewState()
        self._tests: dict[str, TestRow] = {}
        self._earlier: Mapping[int, Mapping[str, Decision]] = {}
        self._rules_now: frozenset[str] = frozenset()
        self._n_judged = 0
        self._shown: tuple[str, Decision | None, str, int, int] | None = None
        self._file = DraftFile.of_run(session.journal.path, session.run)
        self._draft = self._file.read()
        self._unkept: ReviewDraft | None = None
        self._state.decisions, self._state.notes = self._draft.decisions, self._draft.notes
        self._state.current_id = rule
        self._applied = session.live.reviews_applied

    def compose(self) -> ComposeResult:
        yield LinesView(lambda width, _: [title_line(self._session, self._state, width)], classes="title")
        with Container(id="review"):
            queue = RowTable(COLUMNS, self._paint, empty="No rule.", id="queue", classes="pane")
            queue.can_focus = False
            yield queue
            evidence = TextView(id="evidence", classes="pane")
            evidence.can_focus = False
            yield evidence
        yield KeyBar()

    def on_mount(self) -> None:
        self._look()
        self.set_interval(_REFRESH_SECONDS, self._look)

    def fit(self, size: Size) -> None:
        """Put the queue beside the evidence, or above it where the terminal is narrow."""
        self.set_class(size.width < 110, "narrow")
        self.set_class(size.height < 16, "tiny")

    def _look(self) -> None:
        """Take in tests that are over, and decisions that the journal holds."""
        story = self._session.live
        self._n_judged = sum(row.finished is not None for row in story.tests.values())
        items = reviewed_items(story, during=self._number == 0)
        kinds = {"Rules" if item.demonstration is None else "Demonstrations" for item, _ in items}
        title = "Rules and demonstrations" if len(kinds) > 1 else "".join(kinds)
        self.query_one("#queue").border_title = title or "Rules"
        self._tests |= {item.id: row for item, row in items}
        try:
            written = self._session.journal.decisions(self._session.run)
        except PromptGradError as error:
            self._session.problem = error.message
            written = {}
        demonstrations = {part.id for part in story.demonstrations_now}
        self._rules_now = frozenset({rule.id for rule in story.rules_now} | demonstrations)
        decided = [written_decisions(written, self._tests, number) for number in range(self._number + 1)]
        self._state.take_applied(decided.pop())
        self._earlier = dict(enumerate(decided))
        self._state.settled = {
            rule: settled_of(self._session, self._tests[rule].rule, number, decision)
            for number, found in self._earlier.items()
            for rule, decision in found.items()
        }
        self._state.add(item for item, _ in items)
        self._draw()
        self._tell_applied()

    def _tell_applied(self) -> None:
        review = self._session.live.review
        if review is not None and review.number > self._applied:
            self._applied = review.number
            decisions = self._earlier.get(review.number, {})
            self.notify(applied_text(self._session, review, self._tests, decisions), timeout=10)

    def on_unmount(self) -> None:
        if self._state.is_changed and self.app.is_running:
            waiting = count_text(len(self._state.ready()), "decision")
            self.app.notify(f"Not applied yet: {waiting}, saved for the next time.", timeout=4)

    def on_row_table_moved(self, event: RowTable.Moved) -> None:
        """Go to the rule on which the mouse was clicked."""
        if event.row is not None and event.row.id != self._state.current_id:
            self._state.go_to(event.row.id)
            self._draw()

    def _draw(self) -> None:
        state = self._state
        visible = state.visible()
        position, _ = state.position
        self.query_one("#queue", RowTable).show(visible, cursor=max(position - 1, 0))
        self.query_one(LinesView).repaint()
        self._keep_draft()
        rule = state.current.id if state.current else ""
        shown = (rule, state.decision(rule), state.note(rule), self._number, self._n_judged)
        if shown != self._shown:
            is_other_rule = self._shown is None or self._shown[0] != shown[0]
            self._shown = shown
            title = evidence_title(self._tests[rule], state.number_of(rule)) if rule else "Evidence"
            self.query_one("#evidence").border_title = title
            self.query_one("#evidence", TextView).show(self._evidence, keep_place=not is_other_rule)
        self.refresh_bindings()

    def _keep_draft(self) -> None:
        mine = ReviewDraft(decisions=self._state.decisions, notes=self._state.notes)
        # Another screen may review the same run: `_draft` is what the file held at the last look.
        theirs = self._file.read()
        draft = with_theirs(mine, self._draft, theirs)
        if draft != mine:
            self._state.take_drafted(draft.decisions, draft.notes)
            self.notify("Another screen is also reviewing this run: its decisions are now here.", timeout=4)
        if draft != theirs and self._file.write(draft):
            theirs = draft
        elif draft not in (theirs, self._unkept):
            self._unkept = draft
            lost = "decisions that you haven't applied are lost when you leave this screen."
            self.notify(f"{self._file.file} can't be written: {lost}", severity="warning", markup=False)
        self._draft = theirs

    def _paint(self, item: ReviewItem, widths: Sequence[int]) -> Sequence[Line]:
        is_in, start = item.id in self._rules_now, self._session.live.rule_start
        decision = self._state.decision(item.id)
        edit = edit_test(self._session, self._tests[item.id].rule, decision) if decision else None
        return paint(self._state, item, widths, is_in=is_in, start=start, edit=edit)

    def _evidence(self, columns: int) -> list[Line]:
        item = self._state.current
        if item is None:
            is_filtered = bool(self._state.items)
            text = "No rule contains the text of the filter." if is_filtered else _NO_RULE
            return [line(f"  {text}", "dim")]
        earlier = {number: found[item.id] for number, found in self._earlier.items() if item.id in found}
        return evidence_lines(self._session, self._state, item, self._tests[item.id], earlier, columns)

    @property
    def _number(self) -> int:
        """Which review this is: 0 during the run, then one for each review that was applied after it."""
        live = self._session.live
        return 1 + live.reviews_applied if live.finished else 0

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action in ANSWERED:
            return None if self.why_not(action) else True
        possible = {"undo": self._state.can_undo, "redo": self._state.can_redo}
        return possible.get(action, True)

    def why_not(self, action: str) -> str:
        """Return why a decision can't be made now, or nothing if it can."""
        row = self._tests.get(self._state.current_id)
        return obstacle(action, self._session, self._state, row) if action in ANSWERED else ""

    def action_keep(self) -> None:
        self._state.keep()
        self._draw()

    def action_drop(self) -> None:
        self._state.drop()
        self._draw()

    def action_edit(self) -> None:

        def edited(text: str | None) -> None:
            if text:
                self._state.edit(*rule_from_text(text))
                self._draw()

        text = self._editable()
        if text:
            self.app.push_screen(EditScreen("Edit the rule", text, _EDITING), edited)

    def action_edit_outside(self) -> None:
        text = self._editable()
        if not text:
            return
        try:
            edited = edit_text_outside(self.app, text)
        except PromptGradError as error:
            self.notify(f"{error.message} Press e instead.", severity="error", markup=False)
            return
        if edited is not None:
            self._state.edit(*rule_from_text(edited))
            self._draw()

    def _editable(self) -> str:
        item = self._state.current
        if item is None or item.demonstration is not None:
            return ""
        decision = self._state.decision(item.id)
        if decision is not None and decision.text:
            return rule_as_text(decision.text, decision.trigger)
        return rule_as_text(item.rule.text, item.rule.trigger)

    def action_try_edit(self) -> None:
        """Test the edit of the current rule now; it stays a draft."""
        decision = self._state.decision(self._state.current_id)
        if decision is not None:
            in_thread(self, partial(self._session.try_edit, self._state.current_id, decision))

    def action_merge(self) -> None:
        """Merge the marked rules, or the rule with the next one."""
        parts = self._state.merge_parts()
        if not parts:
            return

        def merged(text: str | None) -> None:
            if text and not self._state.merge(parts, *rule_from_text(text)):
                self.notify(
                    "Nothing was merged: one of the rules was decided on meanwhile.", severity="warning"
                )
            self._draw()

        text = rule_as_text(*merged_text(part.rule for part in parts))
        self.app.push_screen(EditScreen(f"Merge {len(parts)} rules into one", text, _EDITING), merged)

    def action_open(self) -> None:
        """Show the examples that the rule changed, with the prompts and the answers of both sides."""
        item = self._state.current
        if item is not None:
            row, title = self._tests[item.id], f"What rule {self._state.number_of(item.id)} changed"
            self.app.push_screen(
                DetailScreen(title, lambda width: changed_in_full(self._session, row, width))
            )

    def action_related(self) -> None:
        """Go to the batch, the proposal and the test of the rule."""
        if self._state.current is not None:
            ask_where(self.app, self._related(self._tests[self._state.current_id]))

    def action_note(self) -> None:

        def noted(note: str | None) -> None:
            if note is not None:
                self._state.set_note(note.strip())
                self._draw()

        title = "A note that stays with the rule once you have decided on it"
        self.app.push_screen(InputScreen(title, self._state.note(self._state.current_id)), noted)

    def action_try(self) -> None:
        """Try inputs with the rules as they would be, were the decisions applied."""
        from promptgrad_tui.screens.trying.screen import TryScreen
        from promptgrad_tui.screens.trying.source import source_of_session

        self.app.push_screen(TryScreen(source_of_session(self._session, self._state.ready())))

    def action_apply(self) -> None:
        decisions = self._state.ready()

        def answered(value: str | None) -> None:
            if value == "apply":
                self._write(decisions)

        text = apply_text(self._state, is_over=self._number > 0)
        count = len(decisions) + (len(self._state.applied) if is_left(self._session, self._state) else 0)
        choices = [Choice("A", f"Apply {count_text(count, 'decision')}", "apply")]
        self.app.push_screen(QuestionScreen("Apply the review?", text, choices), answered)

    def _write(self, decisions: Mapping[str, Decision]) -> None:
        number, session = self._number, self._session
        written = {decision_key(rule, number): decision.model_dump() for rule, decision in decisions.items()}

        def save() -> None:
            session.decide(written)
            if number:
                session.apply_review()

        # By the app: it is told also to a person who has left the review meanwhile.
        in_thread(self.app, save, lambda _: self._saved(len(decisions), is_over=number > 0))

    def _saved(self, count: int, *, is_over: bool) -> None:
        if self.is_attached:
            self._look()
        written = count_text(count, "decision")
        text = f"{written} saved; the result is being scored again." if is_over else f"{written} applied."
        self.notify(text)
