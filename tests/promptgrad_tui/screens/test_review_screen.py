from __future__ import annotations

import re
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.journal.decisions import Decision
from engine.journal.events import Notice, ReviewAwaited, RulesChanged
from engine.programs.rules import Rule, RuleSet
from promptgrad_tui.screens.review.draft import DraftFile, ReviewDraft
from promptgrad_tui.screens.review.screen import ReviewScreen
from promptgrad_tui.screens.widgets.fitted_screen import FittedScreen
from tests.promptgrad_tui.screens.driving import LARGE, SMALL, drive, seen, until, until_told, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    # A worker that a test starts finds no model and ends, also where it outlives the test.
    recorded = RecordedRun(tmp_path / "desk", task="gguf:gone.gguf")
    recorded.write()
    return recorded


async def to_review(pilot: Pilot[int]) -> ReviewScreen:
    await until(pilot, "improved")
    await pilot.press("v")
    await until(pilot, "Review 1/")
    screen = pilot.app.screen
    assert isinstance(screen, ReviewScreen)
    return screen


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_it_shows_the_queue_and_the_evidence(recorded: RecordedRun, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        screen = seen(pilot)
        assert "5 open" in screen
        assert "1  fixed " in screen
        assert "Broken: " in screen
        if size == LARGE:
            assert "Fixed: " in screen
            assert "verdict" in screen

    drive(recorded.folder, recorded.run, script, size)


def test_keep_drop_edit_undo_and_apply_reach_the_journal(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await to_review(pilot)
        first, second = (item.id for item in screen._state.visible()[:2])
        await pilot.press("a")
        await until(pilot, "1 keep")
        await pilot.press("d")
        await until(pilot, "1 drop")
        await pilot.press("u")
        await until_true(pilot, lambda seen: "1 drop" not in seen)
        await pilot.press("e")
        await until(pilot, "Edit the rule")
        await pilot.press("home", *"Now ", "ctrl+s")
        await until(pilot, "1 edit")
        assert recorded.journal.decisions(recorded.run) == {}
        await pilot.press("A")
        await until(pilot, "Apply the review?")
        await pilot.press("A")
        await until(pilot, "2 decisions saved")
        written = recorded.journal.decisions(recorded.run)
        assert written[f"review/1/{first}"]["choice"] == "keep"
        assert written[f"review/1/{second}"]["choice"] == "edit"
        assert written[f"review/1/{second}"]["text"].startswith("Now ")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_an_applied_decision_stands_and_a_second_screen_sees_it(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await to_review(pilot)
        rule = screen._state.current_id
        decision = {"choice": "drop", "text": "", "trigger": "", "note": "By somebody else."}
        recorded.journal.decide(recorded.run, f"review/1/{rule}", decision)
        await until(pilot, "1 drop")
        await until(pilot, "By somebody else.")
        await pilot.press("a")
        await until_told(pilot, "Your decision is saved, but was not applied")
        assert screen._state.choice(rule) == "drop"

    drive(recorded.folder, recorded.run, script, LARGE)


def test_a_key_that_cannot_do_its_work_says_why(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        assert "B Test" not in seen(pilot)
        await pilot.press("B")
        await until_told(pilot, "There is no edit to test: press e to edit the rule first.")
        await pilot.press("A")
        await until_told(pilot, "There is nothing to apply: decide on a rule first.")
        await pilot.press("slash", *"no rule says that", "enter", "a")
        await until_told(pilot, "There is no rule here.")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_during_a_run_a_key_says_what_it_waits_for(tmp_path: Path) -> None:
    running = RecordedRun(tmp_path / "other")
    running.write(count=240)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        await pilot.press("v")
        await until(pilot, "Review 1/")
        await pilot.press("a", "A")
        await until_told(pilot, "The run is in progress: your decisions are kept")
        await pilot.press("K", "e")
        await until(pilot, "Edit the rule")
        await pilot.press("home", *"Now ", "ctrl+s", "K", "B")
        await until_told(pilot, "The run has not ended: A tests the edit")

    with running.journal.lock_run(running.run):
        drive(running.folder, running.run, script, LARGE)


def test_the_places_on_the_screen_are_right_before_it_hears_of_its_size(
    recorded: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        monkeypatch.setattr(FittedScreen, "on_resize", lambda _screen, _event: None)
        await pilot.press("v")
        screen = await until(pilot, "Review 1/")
        assert not any("Rules" in row and "fixed" in row for row in screen.splitlines()), "side by side"

    drive(recorded.folder, recorded.run, script, SMALL)


def test_notes_filter_and_sort(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("i", *"why", "enter")
        await until(pilot, "your note")
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, "Review 0/0")
        await pilot.press("slash", *["backspace"] * 3, "enter")
        await until(pilot, "Review 1/")
        await pilot.press("o")
        await until(pilot, "sorted by gain")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_what_is_not_applied_is_there_when_the_screen_is_opened_again(recorded: RecordedRun) -> None:
    async def decide(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("i", *"why", "enter")
        await until(pilot, "your note")
        await pilot.press("d")
        await until(pilot, "1 drop")
        await pilot.press("e", "home", *"Now ", "ctrl+s")
        await until(pilot, "1 edit")
        await pilot.press("escape")
        await until(pilot, "Not applied yet: 2 decisions")

    async def look(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("v")
        await until(pilot, "1 drop \u00b7 1 edit \u00b7 3 open   not applied yet")
        await pilot.press("K", "K")
        await until(pilot, "your note     why")

    drive(recorded.folder, recorded.run, decide, LARGE)
    drive(recorded.folder, recorded.run, look, LARGE)
    assert recorded.journal.decisions(recorded.run) == {}


def test_a_draft_that_cannot_be_kept_is_told(recorded: RecordedRun) -> None:
    (recorded.journal.path.parent / "reviews").write_text("no folder")

    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("a")
        await until(pilot, "can't be written")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_a_note_that_is_undone_goes_and_an_escaped_question_changes_nothing(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await to_review(pilot)
        await pilot.press("i", *"why", "enter")
        await until(pilot, "your note")
        await pilot.press("u")
        await until_true(pilot, lambda seen: "your note" not in seen)
        await pilot.press("slash", *"refund", "enter")
        await until(pilot, "filter: refund")
        await pilot.press("slash", "escape")
        await until_true(pilot, lambda _: pilot.app.screen is screen)
        assert screen._state.filter == "refund"

    drive(recorded.folder, recorded.run, script, LARGE)


def test_where_the_filter_leaves_no_rule_there_is_none_to_judge(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("slash", *"zzz", "enter")
        screen = await until(pilot, "No rule contains the text of the filter.")
        assert "a Keep" not in screen
        assert "verdict" not in screen

    drive(recorded.folder, recorded.run, script, LARGE)


def test_an_edit_that_failed_its_test_is_told_with_the_reason(recorded: RecordedRun) -> None:
    rule = recorded.accepted_rules()[0]
    edit = {"choice": "edit", "text": "Nonsense.", "trigger": "", "note": "Tried."}
    refusal = (
        "doesn't count: +0.000 [-0.088, +0.088] on 40 examples, the 95 % interval of the gain includes 0"
    )
    recorded.journal.decide(recorded.run, f"review/1/{rule.id}", edit)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("v", "K")
        await until(pilot, "your text     Nonsense.")
        recorded.try_edit(rule, "Nonsense.")
        await until(pilot, f"the edit      {refusal}")
        recorded.apply_review()
        await until(pilot, "1 edit failed the test: not counted.")
        screen = await until(pilot, "review 1      edit: Nonsense.")
        assert refusal in screen
        assert "Tried." in screen

    drive(recorded.folder, recorded.run, script, LARGE)


def test_a_merge_makes_one_rule_of_two(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("m")
        await until(pilot, "Merge 2 rules into one")
        await pilot.press("ctrl+s")
        await until(pilot, "2 merge")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_during_a_run_decisions_belong_to_review_0(recorded: RecordedRun, tmp_path: Path) -> None:
    running = RecordedRun(tmp_path / "other")
    running.write(count=200)
    rules = tuple(rule.id for rule in running.accepted_rules())
    running.journal.append(running.run, ReviewAwaited(id="asked", epoch=1, batch=1, rules=rules))

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        await pilot.press("v")
        await until(pilot, "Review 1/")
        await pilot.press("a", "A")
        await until(pilot, "Apply the review?")
        await pilot.press("A")
        await until(pilot, "1 decision applied")

    with running.journal.lock_run(running.run):
        drive(running.folder, running.run, script, LARGE)
    assert [key.split("/")[1] for key in running.journal.decisions(running.run)] == ["0"]


def test_a_run_that_asks_nobody_is_reviewed_once_it_is_done(tmp_path: Path) -> None:
    running = RecordedRun(tmp_path / "desk")
    coming = running.events()
    for event in islice(coming, 200):
        running.journal.append(running.run, event)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        await pilot.press("v")
        await until(pilot, "Review 1/")
        await pilot.press("a")
        screen = await until(pilot, "to be applied after the run")
        assert "A Apply" not in screen
        for event in coming:
            running.journal.append(running.run, event)
        await until(pilot, "not applied yet")
        await until(pilot, "A Apply")

    with running.journal.lock_run(running.run):
        drive(running.folder, running.run, script, LARGE)
    assert running.journal.decisions(running.run) == {}


def test_rules_that_were_not_tested_are_reviewed_too(tmp_path: Path) -> None:
    rule = Rule(
        text="Refunds go to returns.", trigger="refund", rationale="They came back.", epoch=1, batch=1
    )
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write(count=3)
    recorded.journal.append(
        recorded.run,
        RulesChanged(
            id="rules",
            epoch=1,
            batch=1,
            reason="accepted",
            digest=RuleSet([rule]).digest,
            rules=(rule,),
        ),
    )

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "calls")
        await pilot.press("v")
        screen = await until(pilot, "Review 1/1")
        assert "not tested" in screen
        assert "They came back." in screen
        await until(pilot, "+ - Refunds go to returns.")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_the_run_waits_only_for_rules_that_nobody_has_decided_on(tmp_path: Path) -> None:
    running = RecordedRun(tmp_path / "desk")
    running.write(count=300)
    first, second = running.accepted_rules()[:2]
    asked = ReviewAwaited(id="asked", epoch=1, batch=1, rules=(first.id, second.id))
    running.journal.append(running.run, asked)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "2 rules to review: press v")
        await pilot.press("v")
        await until(pilot, "the run waits for 2")
        await pilot.press("a", "A")
        await until(pilot, "Apply the review?")
        await pilot.press("A")
        await until(pilot, "the run waits for 1")
        await pilot.press("escape")
        await until(pilot, "1 rule to review: press v")

    with running.journal.lock_run(running.run):
        drive(running.folder, running.run, script, LARGE)


def test_a_terminal_that_cannot_be_lent_to_an_editor_is_told(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("E")
        await until(pilot, "lent to an editor")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_an_editor_that_is_set_wrongly_is_told(
    recorded: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", 'vi "')

    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("E")
        await until(pilot, 'Your editor is set to vi ": No closing quotation.')

    drive(recorded.folder, recorded.run, script, LARGE)


def test_in_a_tiny_terminal_the_rule_and_its_evidence_are_both_in_sight(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        screen = await until(pilot, "▸  1  ·  in")
        assert "Tickets that mention a refund" in screen
        await pilot.press("a")
        await until(pilot, "1 keep")
        await pilot.press("question_mark")
        screen = await until(pilot, "Keys that are valid here")
        assert "Drop the rule." in screen
        await pilot.press("escape", "A")
        screen = await until(pilot, "A  Apply 1 decision")
        assert "esc  Cancel" in screen
        await pilot.press("escape", "e")
        screen = await until(pilot, "ctrl+s  Save")
        assert "Tickets about a parcel" in screen

    drive(recorded.folder, recorded.run, script, (40, 10))


def test_a_click_goes_to_a_rule(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await to_review(pilot)
        second = screen._state.visible()[1]
        await pilot.click("#queue", offset=(20, 3))
        await until(pilot, "Review 2/")
        await until(pilot, "2  fixed ")
        assert f"  {second.rule.text}" in seen(pilot)

    drive(recorded.folder, recorded.run, script, LARGE)


def test_the_next_review_knows_the_one_before(recorded: RecordedRun) -> None:
    first, second = recorded.accepted_rules()[:2]
    decisions = {"keep": first, "drop": second}
    for choice, rule in decisions.items():
        decision = {"choice": choice, "text": "", "trigger": "", "note": "Too broad."}
        recorded.journal.decide(recorded.run, f"review/1/{rule.id}", decision)
    recorded.apply_review()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("v")
        # What was settled isn't asked again: the first open rule is the third.
        screen = await until(pilot, "Review 3/5   3 open \u00b7 2 settled")
        assert "\u2713 kept r1" in screen
        assert "\u2717 dropped r1" in screen
        await pilot.press("j", "j", "j")
        assert "Review 3/5" in seen(pilot)
        await pilot.press("g")
        await until(pilot, "review 1      keep; Too broad.")
        await pilot.press("J")
        await until(pilot, "review 1      drop; Too broad.")
        await pilot.press("a")
        await until(pilot, "1 keep")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_an_edited_rule_is_linked_to_the_one_that_replaced_it(recorded: RecordedRun) -> None:
    first = recorded.accepted_rules()[0]
    edit = {"choice": "edit", "text": f"{first.text} Always.", "trigger": "", "note": ""}
    recorded.journal.decide(recorded.run, f"review/1/{first.id}", edit)
    recorded.apply_review()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("v")
        screen = await until(pilot, "\u21b3 #6 r1")
        assert "Review 2/6" in screen
        await pilot.press("e", "home", *"Now ", "ctrl+s", "K")
        screen = await until(pilot, "untested: B tests it now; A tests it before it counts")
        row = next(line for line in screen.splitlines() if "\u270e edit" in line)
        assert "untested" in row
        assert "\u25cf" not in row

    drive(recorded.folder, recorded.run, script, LARGE)


def test_what_was_decided_during_the_run_is_settled_after_it(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    for rule in recorded.accepted_rules():
        recorded.journal.decide(recorded.run, f"review/0/{rule.id}", {"choice": "keep"})

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("v")
        screen = await until(pilot, "settled")
        assert screen.count("\u2713 kept run") == len(recorded.accepted_rules())

    drive(recorded.folder, recorded.run, script, LARGE)


def test_marked_rules_are_dropped_at_once_and_come_back_with_one_undo(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("space", "J", "space")
        await until(pilot, "2 marked")
        await pilot.press("d")
        await until(pilot, "2 drop \u00b7 3 open")
        await pilot.press("u")
        await until(pilot, "5 open")
        await pilot.press("asterisk", "a")
        await until(pilot, "5 keep")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_any_rules_are_merged_once_they_are_marked(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await to_review(pilot)
        wanted = [screen._state.visible()[place].id for place in (0, 2, 4)]
        await pilot.press("space", "J", "space", "J", "space", "m")
        await until(pilot, "Merge 3 rules into one")
        await pilot.press("ctrl+s")
        await until(pilot, "3 merge \u00b7 2 open")
        assert [rule for rule, found in screen._state.ready().items() if found.kind == "merge"] == wanted

    drive(recorded.folder, recorded.run, script, LARGE)


def test_why_a_rule_changed_an_answer_is_shown_with_both_prompts(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("enter")
        await until(pilot, "What rule 1 changed")
        screen = await until(pilot, "Without it")
        rows = screen.splitlines()
        heads = next(row for row in rows if "Without it" in row)
        middle = heads.index("\u2502")
        assert heads.index("With it") > middle
        prompts = [row for row in rows if row.count("Prompt, ") == 2]
        assert prompts, "both prompts, side by side"
        assert all(row[middle] == "\u2502" for row in prompts)
        answers = [row for row in rows if row.count("Raw answer") == 2]
        assert answers
        judged = rows[rows.index(heads) + 1]
        assert {judged[:middle].strip()[0], judged[middle + 1 :].strip()[0]} == {"\u2713", "\u2717"}

    drive(recorded.folder, recorded.run, script, LARGE)


def test_while_a_review_is_applied_it_is_told_and_nothing_else_is(recorded: RecordedRun) -> None:
    # What comes after the end of a run belongs to a review.
    recorded.journal.append(recorded.run, Notice(id="review/1/notice", text="Scored anew."))

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "applying review 1")
        await pilot.press("v")
        assert re.search(r"applying review 1 +0 calls so far +\d+:\d\d", await until(pilot, "Review 1/"))
        await pilot.press("a")
        screen = await until(pilot, "1 keep")
        assert "A Apply" not in screen
        lock.close()
        await until(pilot, "not applied yet")
        await until(pilot, "A Apply")

    with ExitStack() as lock:
        lock.enter_context(recorded.journal.lock_run(recorded.run))
        drive(recorded.folder, recorded.run, script, LARGE)


def test_a_review_that_cannot_be_applied_is_told_and_may_be_tried_again(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("a", "A")
        await until(pilot, "Apply the review?")
        await pilot.press("A")
        screen = await until(pilot, "The review could not be applied")
        assert "Traceback" not in screen
        await pilot.press("escape")
        screen = await until(pilot, "not applied yet")
        assert "A Apply" in screen
        await pilot.press("A")
        await until(pilot, "Apply 1 decision")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_two_screens_on_one_run_keep_each_others_drafts(recorded: RecordedRun) -> None:
    file = DraftFile.of_run(recorded.journal.path, recorded.run)

    async def script(pilot: Pilot[int]) -> None:
        screen = await to_review(pilot)
        first, second = (item.id for item in screen._state.visible()[:2])
        await pilot.press("a")
        await until(pilot, "1 keep")
        mine = file.read()
        assert list(mine.decisions) == [first]
        theirs = {**mine.decisions, second: Decision(choice="drop")}
        assert file.write(ReviewDraft(decisions=theirs))
        await until(pilot, "1 keep \u00b7 1 drop")
        assert file.read().decisions.keys() == {first, second}

    drive(recorded.folder, recorded.run, script, LARGE)


def test_an_edit_that_cannot_be_tested_is_told(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("e")
        await until(pilot, "Edit the rule")
        await pilot.press("home", *"Now ", "ctrl+s", "K", "B")
        box = await until_told(pilot, "The edit could not be tested")
        assert "gone.gguf" in box.replace(" ", "")
        await pilot.press("escape")
        await until(pilot, "1 edit")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_a_typed_text_is_discarded_by_the_second_escape_alone(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_review(pilot)
        await pilot.press("e", "escape")
        await until_true(pilot, lambda screen: "Edit the rule" not in screen, "the end of the box")
        await pilot.press("e", *"Now", "escape")
        await until(pilot, "esc again discards it")
        await pilot.press("!")
        await until(pilot, "esc  Cancel")
        await pilot.press("ctrl+c")
        assert "Now!" in await until(pilot, "esc again discards it")
        await pilot.press("escape")
        await until_true(pilot, lambda screen: "Edit the rule" not in screen, "the end of the box")
        assert "1 edit" not in seen(pilot)

    drive(recorded.folder, recorded.run, script, LARGE)


def test_an_escaped_filter_leaves_the_rule_that_was_looked_at(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await to_review(pilot)
        rule = screen._state.current_id
        await pilot.press("slash", *"password")
        assert screen._state.current_id != rule
        await pilot.press("escape")
        await until(pilot, "Review 1/")
        assert screen._state.current_id == rule

    drive(recorded.folder, recorded.run, script, LARGE)
