from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.journal.decisions import Decision, decision_key, written_decisions
from engine.programs.rules import Rule
from engine.programs.triggers import fires
from promptgrad_tui.screens.review.draft import DraftFile, ReviewDraft, with_theirs
from promptgrad_tui.screens.review.state import (
    ReviewItem,
    ReviewState,
    merged_text,
    rule_as_text,
    rule_from_text,
)

GAINS = {"a": 0.1, "b": 0.3, "c": 0.2}
ITEMS = {
    name: ReviewItem(Rule(text=f"Rule {name}.", trigger=f"word-{name}"), "add", "accepted", (1, 1), gain)
    for name, gain in GAINS.items()
}
A, B, C = (item.id for item in ITEMS.values())


@pytest.fixture
def state() -> ReviewState:
    state = ReviewState()
    state.add(ITEMS.values())
    return state


def choices(state: ReviewState) -> list[str | None]:
    return [state.choice(rule) for rule in (A, B, C)]


def test_it_begins_undecided_at_the_first_rule(state: ReviewState) -> None:
    assert choices(state) == [None, None, None]
    assert (state.current_id, state.position) == (A, (1, 3))
    assert not state.is_changed


def test_a_decision_goes_on_to_the_next_undecided_rule(state: ReviewState) -> None:
    state.keep()
    state.drop()
    assert choices(state) == ["keep", "drop", None]
    assert state.current_id == C


def test_undecided_rules_are_found_around_the_end(state: ReviewState) -> None:
    state.next()
    state.keep()
    state.keep()
    assert state.current_id == A


def test_undo_and_redo_bring_back_decisions_and_the_place(state: ReviewState) -> None:
    state.keep()
    state.drop()
    state.undo()
    assert (choices(state), state.current_id) == (["keep", None, None], B)
    state.undo()
    assert (choices(state), state.current_id, state.can_undo) == ([None, None, None], A, False)
    state.redo()
    state.redo()
    assert (choices(state), state.can_redo) == (["keep", "drop", None], False)


def test_a_new_decision_ends_what_could_be_redone(state: ReviewState) -> None:
    state.keep()
    state.undo()
    state.drop()
    assert not state.can_redo


def test_an_edit_brings_its_text_to_the_engine(state: ReviewState) -> None:
    state.edit("Better.", "word")
    (decision,) = state.ready().values()
    assert decision == Decision(choice="edit", text="Better.", trigger="word")


def test_an_edit_that_changes_nothing_keeps_the_rule(state: ReviewState) -> None:
    state.edit("Rule a.", "word-a")
    assert state.ready()[A].choice == "keep"


def test_an_empty_edit_decides_nothing(state: ReviewState) -> None:
    state.edit("  ", "")
    assert not state.is_changed


def test_a_merge_edits_the_first_rule_and_drops_the_second(state: ReviewState) -> None:
    state.merge(state.merge_parts(), "Both.", "words")
    assert choices(state) == ["merge", "merge", None]
    said = list(state.ready().values())
    assert [decision.choice for decision in said] == ["edit", "drop"]
    assert said[0].text == "Both."
    written = {
        decision_key(rule, 1): decision.model_dump() for rule, decision in zip((A, B), said, strict=True)
    }
    assert [found.kind for found in written_decisions(written, (A, B), 1).values()] == ["merge", "merge"]


def test_deciding_anew_about_one_half_of_a_merge_frees_the_other(state: ReviewState) -> None:
    state.merge(state.merge_parts(), "Both.", "")
    state.current_id = A
    state.keep()
    assert choices(state) == ["keep", None, None]


def test_the_last_rule_has_no_partner_to_merge_with(state: ReviewState) -> None:
    state.current_id = C
    assert state.merge_parts() == []


def test_rules_of_different_predictors_are_not_merged() -> None:
    state = ReviewState()
    for predictor in ("first", "second"):
        state.add([ReviewItem(Rule(text="Rule.", predictor=predictor), "add", "accepted", (1, 1))])
    assert state.merge_parts() == []


def test_a_note_travels_with_its_decision(state: ReviewState) -> None:
    state.set_note("Seen on Monday.")
    state.keep()
    assert state.ready()[A].note == "Seen on Monday."
    state.undo()
    state.undo()
    assert state.note(A) == ""


def test_an_empty_note_takes_the_note_away(state: ReviewState) -> None:
    state.set_note("Wrong.")
    state.set_note("")
    assert (state.note(A), state.notes) == ("", {})


def test_a_note_that_was_applied_is_no_longer_of_the_draft(state: ReviewState) -> None:
    state.set_note("Seen on Monday.")
    state.keep()
    state.take_applied(state.ready())
    state.take_applied({})
    assert (state.note(A), state.choice(A)) == ("", None)


def test_a_draft_is_read_as_it_was_written_and_leaves_no_file_once_it_is_empty(tmp_path: Path) -> None:
    file = DraftFile.of_run(tmp_path / "journal.sqlite", "run-1")
    assert file.read() == ReviewDraft()
    draft = ReviewDraft(decisions=Decision.merging("Both.", "words", (A, B)), notes={B: "\u202eodd\n"})
    assert file.write(draft)
    assert file.read() == draft
    file.file.write_text("{")
    assert file.read() == ReviewDraft()
    assert file.write(ReviewDraft())
    assert not file.file.exists()


def test_sorting_goes_through_arrival_gain_and_state(state: ReviewState) -> None:
    state.keep()
    state.sort()
    assert [item.id for item in state.visible()] == [B, C, A]
    state.sort()
    assert [item.id for item in state.visible()] == [B, C, A]
    state.sort()
    assert [item.id for item in state.visible()] == [A, B, C]


def test_a_filter_leaves_what_holds_its_text_and_moves_the_cursor(state: ReviewState) -> None:
    state.set_filter("WORD-B")
    assert [item.id for item in state.visible()] == [B]
    assert state.current_id == B
    state.set_filter("")
    assert state.position == (2, 3)


def test_a_filter_without_matches_leaves_nothing_to_move_to(state: ReviewState) -> None:
    state.set_filter("nothing has this")
    state.next()
    state.previous(only_undecided=True)
    state.keep()
    assert (state.visible(), state.position, state.current) == ([], (0, 0), None)
    assert not state.is_changed


def test_what_the_journal_holds_stands(state: ReviewState) -> None:
    state.keep()
    state.take_applied(state.ready())
    state.current_id = A
    state.drop()
    assert state.choice(A) == "keep"
    assert not state.is_changed
    assert not state.can_undo


def test_rules_that_arrive_later_join_the_queue(state: ReviewState) -> None:
    state.keep()
    late = ReviewItem(Rule(text="Late."), "add", "needs_review", (2, 1))
    state.add([*ITEMS.values(), late])
    assert state.position == (2, 4)
    assert state.counts() == {None: 3, "keep": 1}


def test_a_rule_as_text_comes_back_as_it_was() -> None:
    assert rule_from_text(rule_as_text("Say: yes.", "a b")) == ("Say: yes.", "a b")
    assert rule_from_text("Two\nlines\n\nTrigger:  x ") == ("Two lines", "x")
    assert rule_from_text("No trigger.") == ("No trigger.", "")


def test_a_draft_of_a_merge_concerns_what_either_rule_does() -> None:
    first, second = Rule(text="One.", trigger="hearing aid"), Rule(text="Two.", trigger="camera crew")
    text, trigger = merged_text([first, second])
    assert (text, trigger) == ("One. Two.", "hearing aid, camera crew")
    merged = Rule(text=text, trigger=trigger)
    assert all(fires(merged, {"ticket": said}) for said in ("A hearing aid.", "My camera crew."))
    assert merged_text([first, first])[1] == "hearing aid"
    assert merged_text([first, Rule(text="For all.")]) == ("One. For all.", "")


def test_a_draft_takes_in_what_another_screen_decided_and_keeps_its_own() -> None:
    keep, drop = Decision(choice="keep"), Decision(choice="drop")
    known = ReviewDraft(decisions={A: keep, B: keep})
    mine = ReviewDraft(decisions={A: drop, B: keep})
    theirs = ReviewDraft(decisions={A: keep, C: drop}, notes={C: "Theirs."})
    merged = with_theirs(mine, known, theirs)
    assert merged.decisions == {A: drop, C: drop}
    assert merged.notes == {C: "Theirs."}
    assert with_theirs(mine, known, known) == mine


def test_the_rules_that_were_shown_are_merged_also_when_another_comes_between(state: ReviewState) -> None:
    state.order, state.current_id = "gain", B
    parts = state.merge_parts()
    first, second = (part.id for part in parts)
    gain = (parts[0].gain + parts[1].gain) / 2
    state.add([replace(parts[0], rule=Rule(text="Rule between."), gain=gain)])
    assert state.merge(parts, "Both.", "words")
    assert {rule for rule, decision in state.ready().items() if decision.kind == "merge"} == {first, second}


def test_nothing_is_merged_once_another_screen_has_decided_on_a_part(state: ReviewState) -> None:
    parts = state.merge_parts()
    state.take_applied({parts[1].id: Decision(choice="keep")})
    assert not state.merge(parts, "Both.", "words")
    assert not state.is_changed
