"""Which rules are tried: the current ones of a run, as a review would leave them, or those of an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.journal.events import ReviewApplied, RunStarted
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.programs.rules import Rule, RuleSet
from promptgrad_tui.screens.live.project_runs import SCREEN_WAITS_SECONDS
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.work.trying.messages import TrySource

if TYPE_CHECKING:
    from engine.journal.decisions import Decision
    from promptgrad_tui.screens.live.session import RunSession


def source_of_artifact(project: Path, artifact: Path) -> TrySource:
    """Try a saved artifact, on the exact model that it was proved on."""
    return TrySource(project=project, artifact=artifact, title="/".join(artifact.parts[-3:]))


def source_of_session(session: RunSession, decisions: Mapping[str, Decision] | None = None) -> TrySource:
    """Try a run's rules as they stand; decisions that aren't applied count too."""
    live = session.live
    rules = RuleSet(live.rules_now)
    known = {row.rule.id: row.rule for row in live.tests.values()}
    titles = [f"run {session.run}"] + (["as reviewed"] if live.review else [])
    for name, decision in (decisions or {}).items():
        rule = known.get(name)
        if rule is not None:
            rules = _decided(rules, rule, decision, known)
            titles[1:] = ["with your decisions"]
    return _source(session.project, " ".join(titles), rules, session.options, live.started)


def source_of_project(folder: Path, run: RunRecord | None) -> TrySource:
    """Try a run's rules as they stand; without a run the base instructions alone.

    Raises:
        JournalError: the journal can't be read.
    """
    if run is None:
        return TrySource(project=folder)
    with Journal.open(journal_path(folder), read_only=True, busy_seconds=SCREEN_WAITS_SECONDS) as journal:
        # Only what names rules: to read a long run whole would take seconds.
        found = {
            kind: [event for name, event in journal.events_of_kind(kind) if name == run.id]
            for kind in ("run_started", "rules", "epoch", "review_applied")
        }
    reviews = [event for event in found["review_applied"] if isinstance(event, ReviewApplied)]
    story = RunStory.of([*found["run_started"], *found["rules"], *found["epoch"]])
    title = f"run {run.id}{' as reviewed' if reviews else ''}"
    is_over = run.status != "running"
    rules = RuleSet(reviews[-1].rules if reviews else story.best_rules if is_over else story.current_rules)
    return _source(folder, title, rules, run.options, story.started)


def _source(
    project: Path, title: str, rules: RuleSet, options: Mapping[str, Any], started: RunStarted | None
) -> TrySource:
    return TrySource(
        project=project,
        title=title,
        rules=rules.rules,
        overrides=options.get("overrides", {}),
        config=started.config if started else {},
        program=started.program if started else "",
    )


def _decided(rules: RuleSet, rule: Rule, decision: Decision, known: Mapping[str, Rule]) -> RuleSet:
    if decision.choice == "drop":
        return rules.removing(rule)
    if decision.choice == "edit":
        edited = decision.of(rule, known)
        return rules.replacing([rule], edited) if rule in rules else rules.adding(edited)
    return rules if rule in rules else rules.adding(rule)
