"""From a batch, a proposal, a test or a rule to the others that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.review.items import reviewed_items
from promptgrad_tui.screens.review.screen import ReviewScreen
from promptgrad_tui.screens.run.batch_screen import BatchScreen
from promptgrad_tui.screens.widgets.details import DetailScreen
from promptgrad_tui.screens.widgets.links import Link
from promptgrad_tui.views.run.details import gradient_lines, rule_test_lines
from promptgrad_tui.views.run.rows import BatchStory, GradientRow, TestRow
from promptgrad_tui.views.run.verdicts import VERDICTS
from promptgrad_tui.views.sanitize import fit, one_line
from promptgrad_tui.views.toned_lines import Line

Row: TypeAlias = BatchStory | GradientRow | TestRow

_MOST = 9
"""One key for each."""
_TEXT = 56


def links_of(session: RunSession, row: Row, *, with_test: bool = False) -> list[Link]:
    """Return what belongs to a row: its batch, what was proposed there, the tests, the rule in the review.

    For the review of a rule, `with_test` leads to its test and not to the review.
    """
    found = [] if isinstance(row, BatchStory) else list(_batch(session, row))
    if not isinstance(row, GradientRow):
        found += [_proposal(session, gradient) for gradient in _proposals(session, row)]
    if isinstance(row, TestRow) and with_test:
        return [*found, _test(session, row)][:_MOST]
    if not isinstance(row, TestRow):
        found += [_test(session, test) for test in _tests(session, row)]
    tests = [row] if isinstance(row, TestRow) else list(_tests(session, row))
    found += [link for test in tests for link in _rules(session, test)]
    return found[:_MOST]


def review_of(session: RunSession, rule: str = "") -> ReviewScreen:
    """Return the review of a run, at a rule if one is named."""
    return ReviewScreen(session, rule, lambda row: links_of(session, row, with_test=True))


def _batch(session: RunSession, row: GradientRow | TestRow) -> Iterator[Link]:
    batch = session.live.batches.get((row.epoch, row.batch))
    if batch is not None and batch.scored is not None:
        label = f"Batch {row.epoch}.{row.batch}: {len(batch.scored.failures)} failed"
        yield Link(
            label, lambda app: app.push_screen(BatchScreen(session, batch, partial(links_of, session)))
        )


def _proposals(session: RunSession, row: BatchStory | TestRow) -> Iterator[GradientRow]:
    """Yield the proposals of a batch, or the one that was tested."""
    for gradient in session.live.gradients:
        if (gradient.epoch, gradient.batch) != (row.epoch, row.batch):
            continue
        if isinstance(row, BatchStory):
            if gradient.kind in ("kept", "candidate"):
                yield gradient
        elif _is_about(gradient, row):
            yield gradient


def _tests(session: RunSession, row: BatchStory | GradientRow) -> Iterator[TestRow]:
    """Yield the tests of a batch, or those of a proposal; a pass of an analysis leads to all of its batch."""
    for test in session.live.tests.values():
        if (test.epoch, test.batch) != (row.epoch, row.batch):
            continue
        is_whole = isinstance(row, BatchStory) or row.kind in ("batch", "analysis", "writing")
        if is_whole or (isinstance(row, GradientRow) and _is_about(row, test)):
            yield test


def _is_about(gradient: GradientRow, test: TestRow) -> bool:
    """Whether a proposal is what was tested, alone or in a set."""
    tested = {rule.text for rule in (test.rule, *test.members)}
    if gradient.proposal is not None:
        return gradient.proposal.text in tested
    if gradient.candidate is None:
        return False
    shown = {part.id for part in test.demonstrations}
    return any(rule.text in tested for rule in gradient.candidate.rules) or any(
        part.id in shown for part in gradient.candidate.demonstrations
    )


def _proposal(session: RunSession, row: GradientRow) -> Link:
    proposal, candidate = row.proposal, row.candidate
    text = proposal.text if proposal is not None else candidate.title if candidate is not None else row.source
    title = f"Batch {row.epoch}.{row.batch}, proposal"
    return _detail(session, row, f"Proposal: {one_line(text)}", title, partial(gradient_lines, session, row))


def _test(session: RunSession, row: TestRow) -> Link:
    sign = VERDICTS[row.state][0]
    title = f"Test of a rule from batch {row.epoch}.{row.batch}"
    return _detail(
        session,
        row,
        f"Test, {sign}: {one_line(row.title)}",
        title,
        partial(rule_test_lines, session, row),
    )


def _detail(
    session: RunSession,
    row: GradientRow | TestRow,
    label: str,
    title: str,
    lines: Callable[[int], list[Line]],
) -> Link:
    """Return a link to a row's details, which lead on to what belongs to it."""
    links = partial(links_of, session, row)
    return Link(fit(label, _TEXT), lambda app: app.push_screen(DetailScreen(title, lines, links=links)))


def _rules(session: RunSession, row: TestRow) -> Iterator[Link]:
    """Yield the way to a tested rule in the review, where it is put to a person."""
    reviewed = {item.id for item, _ in reviewed_items(session.live, during=session.live.finished is None)}
    for rule in (row.rule, *row.members):
        if rule.id in reviewed:
            yield Link(
                fit(f"Review: {one_line(rule.text)}", _TEXT),
                lambda app, name=rule.id: app.push_screen(review_of(session, name)),  # type: ignore[misc]
            )
