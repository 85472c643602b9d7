"""The review screen: the queue of rules, the evidence for each, and one key for each decision."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textual import events, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen

from engine.decisions import decision_key
from engine.errors import PromptGradError
from engine.rules import Rule, RuleSet, render_instructions
from promptgrad_tui.app.actions import bindings
from promptgrad_tui.app.cells import Line, Tone, interval_bar, joined, line
from promptgrad_tui.app.decisions import RuleChoice, RuleDecision, written_decisions
from promptgrad_tui.app.details import fact, heading
from promptgrad_tui.app.dialogs import Choice, InputScreen, QuestionScreen
from promptgrad_tui.app.edit_screen import EditScreen
from promptgrad_tui.app.key_bar import KeyBar
from promptgrad_tui.app.live_rows import TestRow
from promptgrad_tui.app.outside_editor import edit_outside
from promptgrad_tui.app.review_state import (
    ReviewItem,
    ReviewState,
    merged_text,
    rule_as_text,
    rule_from_text,
)
from promptgrad_tui.app.session import RunSession
from promptgrad_tui.app.stories import diff_lines, rule_test_lines
from promptgrad_tui.app.table import Column, RowTable
from promptgrad_tui.app.toned import LinesView, TextView
from promptgrad_tui.display.figures import count_text
from promptgrad_tui.sanitize import one_line

_COLUMNS = (
    Column("", width=12),
    Column("Gain", width=6, right=True),
    Column("", width=15, from_width=75),
    Column("Rule", share=1),
)
_CHOICES: dict[RuleChoice | None, tuple[str, Tone]] = {
    None: ("\u00b7 undecided", "dim"),
    "keep": ("\u2713 keep", "good"),
    "drop": ("\u2717 drop", "bad"),
    "edit": ("\u270e edit", "accent"),
    "merge": ("\u2295 merge", "accent"),
}
_EDITING = "One rule; its trigger on a line of its own. The edit is tested before it counts."
_REFRESH_SECONDS = 1.0


class ReviewScreen(Screen[None]):
    """Judges the rules of a run, one by one; nothing applies until it is said."""

    BINDINGS = bindings("review")

    def __init__(self, session: RunSession) -> None:
        super().__init__()
        self._session = session
        self._state = ReviewState()
        self._tests: dict[str, TestRow] = {}
        self._shown: tuple[str, RuleDecision | None] | None = None

    def compose(self) -> ComposeResult:
        """Make the queue and the evidence."""
        yield LinesView(lambda *_: [self._title()], classes="title")
        with Container(id="review"):
            queue = RowTable(
                _COLUMNS, self._paint, empty="No rule has passed a test yet.", id="queue", classes="pane"
            )
            queue.can_focus = False
            queue.border_title = "Rules"
            yield queue
            evidence = TextView(id="evidence", classes="pane")
            evidence.can_focus = False
            evidence.border_title = "Evidence"
            yield evidence
        yield KeyBar()

    def on_mount(self) -> None:
        """Fill the queue, and look for what arrives."""
        self._look()
        self.set_interval(_REFRESH_SECONDS, self._look)

    def on_resize(self, event: events.Resize) -> None:
        """Put the queue beside the evidence, or above it where the terminal is narrow."""
        self.set_class(event.size.width < 110, "narrow")
        self.set_class(event.size.height < 16, "tiny")

    def _look(self) -> None:
        """Take in tests that are over, and decisions that the journal holds."""
        for row in self._session.live.tests.values():
            if self._is_reviewed(row):
                self._tests[row.rule.id] = row
        try:
            written = self._session.journal.decisions(self._session.run)
        except PromptGradError as error:
            self._session.problem = error.message
            written = {}
        self._state.take_applied(written_decisions(written, self._tests, self._number))
        self._state.add(_item(row) for row in self._tests.values())
        self._draw()

    def _draw(self) -> None:
        state = self._state
        visible = state.visible()
        position, _ = state.position
        self.query_one("#queue", RowTable).show(visible, cursor=max(position - 1, 0))
        self.query_one(LinesView).repaint()
        shown = (state.current_id, state.decision(state.current_id))
        if shown != self._shown:
            is_other_rule = self._shown is None or self._shown[0] != shown[0]
            self._shown = shown
            self.query_one("#evidence", TextView).show(self._evidence, keep_place=not is_other_rule)
        self.refresh_bindings()

    def _title(self) -> Line:
        state = self._state
        position, count = state.position
        counts = state.counts()
        parts = [line(f" Review [{position}/{count}]", "strong")]
        for choice, (word, tone) in _CHOICES.items():
            if counts[choice]:
                parts.append(line(f"{counts[choice]} {word[2:]}", tone))
        if state.order != "arrival":
            parts.append(line(f"sorted by {state.order}", "dim"))
        if state.filter:
            parts.append(line(f"filter: {one_line(state.filter)}", "warn"))
        if state.is_changed:
            parts.append(line("not applied yet", "warn"))
        return joined(parts, "   ")

    def _paint(self, item: ReviewItem, widths: Sequence[int]) -> Sequence[Line]:
        state = self._state
        decision = state.decision(item.id)
        word, tone = _CHOICES[decision.choice if decision else None]
        mark = "\u25cf" if item.id in state.applied else ""
        evidence = item.rule.evidence
        bar: Line = ()
        if evidence is not None and widths[2]:
            bar = interval_bar(evidence.delta, evidence.low, evidence.high, widths[2], scale=0.5)
        text = decision.text if decision and decision.text else item.rule.text
        note = " \u270d" if state.note(item.id) else ""
        sign = "- " if item.action == "remove" else ""
        return (
            line(f"{word}{mark}", tone),
            line(f"{item.gain:+.2f}", "good" if item.gain > 0 else "warn"),
            bar,
            line(f"{sign}{one_line(text)}{note}", "dim" if decision and decision.choice == "drop" else ""),
        )

    def _evidence(self, columns: int) -> list[Line]:
        item, state = self._state.current, self._state
        if item is None:
            return [line("  Rules appear here once their tests are over.", "dim")]
        decision = state.decision(item.id)
        lines: list[Line] = []
        if decision is not None and decision.text:
            lines += fact("your text", decision.text, columns, "accent")
            lines += fact("your trigger", decision.trigger, columns, "accent") if decision.trigger else []
        if state.note(item.id):
            lines += fact("your note", state.note(item.id), columns, "accent")
        row = self._tests[item.id]
        lines += rule_test_lines(self._session, row, columns)
        return [*lines, *heading("The prompt with it"), *self._prompt(row, decision, columns)]

    def _prompt(self, row: TestRow, decision: RuleDecision | None, columns: int) -> list[Line]:
        started = self._session.live.story.started
        before = self._session.live.rules_of(row.before)
        if started is None or before is None:
            return [line("  not known", "dim")]
        name = row.rule.predictor or next(iter(started.base_instructions))
        base = started.base_instructions.get(name, "")
        rules = RuleSet(before)
        rule = _decided(row.rule, decision)
        after = rules.removing(rule) if row.action == "remove" else rules.adding(rule)
        old, new = (
            render_instructions(base, some.for_predictor(row.rule.predictor)) for some in (rules, after)
        )
        return diff_lines(old, new, columns)

    def _is_reviewed(self, row: TestRow) -> bool:
        """Whether a test's change is put to a person: removals only while the run can still undo them."""
        judged = row.finished is not None and row.finished.verdict != "rejected"
        return judged and not (self._number and row.action == "remove")

    @property
    def _number(self) -> int:
        """Which review this is: 0 during the run, then one for each review that was applied after it."""
        live = self._session.live
        return 1 + live.reviews_applied if live.finished else 0

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide the keys that don't apply now."""
        state = self._state
        current = state.current
        match action:
            case "undo":
                return state.can_undo
            case "redo":
                return state.can_redo
            case "apply":
                return state.is_changed
            case "merge":
                return state.merge_partner() is not None
            case "keep" | "drop" | "edit" | "edit_outside" | "note":
                return current is not None and current.id not in state.applied
            case _:
                return True

    def action_keep(self) -> None:
        """Keep the rule."""
        self._state.keep()
        self._draw()

    def action_drop(self) -> None:
        """Drop the rule."""
        self._state.drop()
        self._draw()

    def action_edit(self) -> None:
        """Edit the rule here."""

        def edited(text: str | None) -> None:
            if text:
                self._state.edit(*rule_from_text(text))
                self._draw()

        text = self._editable()
        if text:
            self.app.push_screen(EditScreen("Edit the rule", text, _EDITING), edited)

    def action_edit_outside(self) -> None:
        """Edit the rule in the person's own editor."""
        text = self._editable()
        if not text:
            return
        edited = self._from_editor(text)
        if edited is not None:
            self._state.edit(*rule_from_text(edited))
            self._draw()

    def _from_editor(self, text: str) -> str | None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rule.txt"
            file.write_text(text, encoding="utf-8")
            try:
                is_edited = edit_outside(self.app, file)
            except PromptGradError as error:
                self.notify(f"{error.message} Press e instead.", severity="error", markup=False)
                return None
            return file.read_text(encoding="utf-8", errors="replace") if is_edited else None

    def _editable(self) -> str:
        item = self._state.current
        if item is None:
            return ""
        decision = self._state.decision(item.id)
        if decision is not None and decision.text:
            return rule_as_text(decision.text, decision.trigger)
        return rule_as_text(item.rule.text, item.rule.trigger)

    def action_merge(self) -> None:
        """Merge the rule with the next one."""
        item, partner = self._state.current, self._state.merge_partner()
        if item is None or partner is None:
            return

        def merged(text: str | None) -> None:
            if text:
                self._state.merge(*rule_from_text(text))
                self._draw()

        text = rule_as_text(*merged_text(item.rule, partner.rule))
        self.app.push_screen(EditScreen("Merge two rules into one", text, _EDITING), merged)

    def action_note(self) -> None:
        """Write a note on the rule."""

        def noted(note: str | None) -> None:
            if note:
                self._state.set_note(note)
                self._shown = None
                self._draw()

        self.app.push_screen(
            InputScreen("Note on this rule", self._state.note(self._state.current_id)), noted
        )

    def action_undo(self) -> None:
        """Take the last decision back."""
        self._state.undo()
        self._draw()

    def action_redo(self) -> None:
        """Make again what was undone."""
        self._state.redo()
        self._draw()

    def action_next_undecided(self) -> None:
        """Go to the next undecided rule."""
        self._state.next(only_undecided=True)
        self._draw()

    def action_previous_undecided(self) -> None:
        """Go to the undecided rule before."""
        self._state.previous(only_undecided=True)
        self._draw()

    def action_next_rule(self) -> None:
        """Go to the next rule."""
        self._state.next()
        self._draw()

    def action_previous_rule(self) -> None:
        """Go to the rule before."""
        self._state.previous()
        self._draw()

    def action_sort(self) -> None:
        """Sort in another order."""
        self._state.sort()
        self._draw()

    def action_filter(self) -> None:
        """Ask for a text and show only the rules that hold it."""

        def filtered(text: str | None) -> None:
            self._state.set_filter(text or "")
            self._draw()

        self.app.push_screen(InputScreen("Show rules that hold (empty: all)", self._state.filter), filtered)

    def action_evidence_down(self) -> None:
        """Scroll the evidence down."""
        self.query_one("#evidence", TextView).action_page_down()

    def action_evidence_up(self) -> None:
        """Scroll the evidence up."""
        self.query_one("#evidence", TextView).action_page_up()

    def action_try(self) -> None:
        """Try inputs with the rules as they would be, were the decisions applied."""
        from promptgrad_tui.app.try_screen import TryScreen
        from promptgrad_tui.app.try_source import source_of_session

        self.app.push_screen(TryScreen(source_of_session(self._session, self._state.ready())))

    def action_apply(self) -> None:
        """Ask, then write all decisions to the journal."""
        decisions = self._state.ready()
        counts = self._state.counts()
        words = [
            f"{counts[choice]} {_CHOICES[choice][0][2:]}" for choice in _CHOICES if choice and counts[choice]
        ]
        text = f"{', '.join(words)}."
        if counts[None]:
            left = "they stay as the run left them" if self._number else "the run waits where it needs them"
            text += f"\n{count_text(counts[None], 'rule')} undecided: {left}."
        text += "\nA decision that is applied stands."

        def answered(value: str | None) -> None:
            if value == "apply":
                self._write(decisions)

        choices = [Choice("A", f"Apply {count_text(len(decisions), 'decision')}", "apply")]
        self.app.push_screen(QuestionScreen("Apply the review?", text, choices), answered)

    def _write(self, decisions: Sequence[RuleDecision]) -> None:
        number = self._number
        self._save(
            {
                decision_key(decision.rule, number): decision.for_engine().model_dump()
                for decision in decisions
            },
            is_to_be_applied=number > 0,
        )

    @work(thread=True, group="journal", exit_on_error=False)
    def _save(self, decisions: Mapping[str, Mapping[str, Any]], *, is_to_be_applied: bool) -> None:
        # In a thread: where another program holds the journal, this waits for it.
        try:
            self._session.decide(decisions)
            if is_to_be_applied:
                self._session.apply_review()
        except PromptGradError as error:
            self.app.call_from_thread(self.app.show_error, error)  # type: ignore[attr-defined]
        else:
            self.app.call_from_thread(self._saved, len(decisions))

    def _saved(self, count: int) -> None:
        if self.is_attached:
            self._look()
        self.notify(f"{count_text(count, 'decision')} applied.")


def _item(row: TestRow) -> ReviewItem:
    finished = row.finished
    evidence = finished.evidence if finished else None
    rule = row.rule.model_copy(update={"evidence": evidence})
    verdict = finished.verdict if finished else "queued"
    return ReviewItem(rule, row.action, verdict, (row.epoch, row.batch), evidence.delta if evidence else 0.0)


def _decided(rule: Rule, decision: RuleDecision | None) -> Rule:
    if decision is None or not decision.text:
        return rule
    return rule.model_copy(update={"text": decision.text, "trigger": decision.trigger})
