"""What is tried: what a run has learned, as a review would leave it, or an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.journal.events import ReviewApplied, RunStarted
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from promptgrad_tui.screens.live.project_runs import SCREEN_WAITS_SECONDS
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.work.trying.messages import TrySource

if TYPE_CHECKING:
    from engine.journal.decisions import Decision
    from promptgrad_tui.screens.live.session import RunSession


def source_of_artifact(project: Path, artifact: Path) -> TrySource:
    """Try a saved artifact, on the exact model that it was proved on."""
    return TrySource(project=project, artifact=artifact, title="/".join(artifact.parts[-3:]))


def _source_of_winner(project: Path, run: str, winner: tuple[str, str]) -> TrySource:
    """Try what the method in the first place of a contest made."""
    method, folder = winner
    return TrySource(project=project, artifact=Path(folder), title=f"run {run}, {method}")


def source_of_session(session: RunSession, decisions: Mapping[str, Decision] | None = None) -> TrySource:
    """Try what a run has learned as it stands; decisions that aren't applied count too."""
    live = session.live
    if session.winner is not None:
        return _source_of_winner(session.project, session.run, session.winner)
    rules, shown = RuleSet(live.rules_now), {part.id: part for part in live.demonstrations_now}
    known = {rule.id: rule for row in live.tests.values() for rule in (row.rule, *row.members)}
    drawn = {part.id: part for row in live.tests.values() for part in row.demonstrations}
    titles = [f"run {session.run}"] + (["as reviewed"] if live.review else [])
    for name, decision in (decisions or {}).items():
        rule = known.get(name)
        if rule is not None:
            rules = _decided(rules, rule, decision, known)
            titles[1:] = ["with your decisions"]
        elif name in drawn:
            titles[1:] = ["with your decisions"]
            if decision.choice == "drop":
                shown.pop(name, None)
            else:
                shown.setdefault(name, drawn[name])
    learned = LearnedState(rules, DemonstrationSet(shown.values()))
    return _source(session.project, " ".join(titles), learned, session.options, live.started)


def source_of_project(folder: Path, run: RunRecord | None) -> TrySource:
    """Try what a run has learned as it stands; without a run the base instructions alone.

    Raises:
        JournalError: the journal can't be read.
    """
    if run is None:
        return TrySource(project=folder)
    if run.summary is not None and run.summary.winner is not None:
        return _source_of_winner(folder, run.id, run.summary.winner)
    with Journal.open(journal_path(folder), read_only=True, busy_seconds=SCREEN_WAITS_SECONDS) as journal:
        # Only what names rules: to read a long run whole would take seconds.
        kinds = ("run_started", "rules", "epoch", "review_applied")
        found = [event for _, event in journal.events(run.id, kinds=kinds)]
    reviews = [event for event in found if isinstance(event, ReviewApplied)]
    story = RunStory.of(event for event in found if not isinstance(event, ReviewApplied))
    title = f"run {run.id}{' as reviewed' if reviews else ''}"
    if reviews:
        rules, shown = reviews[-1].rules, reviews[-1].demonstrations
    elif run.status != "running":
        rules, shown = story.best_rules, story.best_demonstrations
    else:
        rules, shown = story.rules_now, story.demonstrations_now
    learned = LearnedState(RuleSet(rules), DemonstrationSet(shown))
    return _source(folder, title, learned, run.options, story.started)


def _source(
    project: Path, title: str, learned: LearnedState, options: Mapping[str, Any], started: RunStarted | None
) -> TrySource:
    return TrySource(
        project=project,
        title=title,
        rules=learned.rules.rules,
        demonstrations=learned.demonstrations.demonstrations,
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
