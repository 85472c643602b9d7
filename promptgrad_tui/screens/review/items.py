"""What a review is about: the rules and demonstrations of a run, each with the test that speaks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engine.programs.rules import Rule
from promptgrad_tui.screens.review.state import ReviewItem
from promptgrad_tui.views.demonstrations import demonstration_text
from promptgrad_tui.views.run.rows import TestRow
from promptgrad_tui.views.run.story import RunStory


def reviewed_items(story: RunStory, *, during: bool) -> list[tuple[ReviewItem, TestRow]]:
    """Return each rule and demonstration that is put to a person, once, with its latest test.

    `during` says that the run is in progress: only then are removals reviewed, and of demonstrations only
    those that passed their test.
    """
    found: dict[str, tuple[ReviewItem, TestRow]] = {}
    applied = {rule.id for review in story.reviews for rule in review.rules}
    for row in story.tests.values():
        judged = row.finished is not None and row.finished.verdict != "rejected"
        if row.is_trial and row.rule.id not in applied:
            continue
        if row.action == "remove" and row.state == "accepted":
            for shown in row.demonstrations:
                found.pop(shown.id, None)
        if not judged or (row.action == "remove" and (row.is_set or not during)):
            continue
        for test in _of_rules(row):
            found[test.rule.id] = (_item(test), test)
        if not during or row.state == "accepted":
            for item in _of_demonstrations(row):
                found[item.id] = (item, row)
    for rule in story.rules_had().values():
        # A run may keep rules without testing them.
        test = TestRow(rule.epoch, rule.batch, "add", rule, "not_tested")
        found.setdefault(rule.id, (_item(test), test))
    return list(found.values())


def _of_rules(row: TestRow) -> Iterator[TestRow]:
    """Yield the test of each rule that a row is about: the rules of a set were tested together."""
    if not row.is_set:
        yield row
    for rule in row.members:
        yield replace(row, rule=rule)


def _of_demonstrations(row: TestRow) -> Iterator[ReviewItem]:
    evidence = row.finished.evidence if row.finished else None
    for shown in row.demonstrations:
        rule = Rule(text=demonstration_text(shown), epoch=row.epoch, batch=row.batch, evidence=evidence)
        gain = evidence.delta if evidence else 0.0
        yield ReviewItem(rule, "add", row.state, (row.epoch, row.batch), gain, shown)


def _item(row: TestRow) -> ReviewItem:
    finished = row.finished
    evidence = finished.evidence if finished else None
    rule = row.rule.model_copy(update={"evidence": evidence})
    verdict = finished.verdict if finished else "queued"
    return ReviewItem(rule, row.action, verdict, (row.epoch, row.batch), evidence.delta if evidence else 0.0)
