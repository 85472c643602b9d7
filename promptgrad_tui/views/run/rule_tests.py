"""A run's rule sets and the paired tests of its rules, from the proposal in the queue to the verdict."""

from __future__ import annotations

from typing import TypeAlias

from engine.journal.events import ConsensusReached, RulesChanged, ValidationFinished, ValidationStarted
from engine.journal.learning_events import LayerTested, LayerTestStarted
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.rules import ParsedRule, Rule, RuleSet
from engine.programs.state import LearnedState
from promptgrad_tui.views.run.rollouts import Rollouts
from promptgrad_tui.views.run.rows import RolloutRow, TestRow

TestKey: TypeAlias = tuple[int, int, str, str]


class RuleSets:
    """Every rule set that the program has had, by its digest, and the one it has now.

    `known` holds the rules of these sets and those that were tested, by their ids.
    """

    def __init__(self) -> None:
        self.by_digest: dict[str, tuple[Rule, ...]] = {RuleSet().digest: ()}
        self.current, self.shown = RuleSet(), DemonstrationSet()
        self.changes = 0
        self.known: dict[str, Rule] = {}

    def take(self, event: RulesChanged) -> None:
        """Take in a change of the rules."""
        self.current, self.shown = RuleSet(event.rules), DemonstrationSet(event.demonstrations)
        self.by_digest[event.digest] = event.rules
        self.known |= {rule.id: rule for rule in event.rules}
        self.changes += 1

    def digest(self, rules: RuleSet) -> str:
        """Return what rollouts call a program with these rules, beside the demonstrations that it shows."""
        return LearnedState(rules, self.shown).digest

    def by_id(self) -> dict[str, Rule]:
        """Return every rule that the program has had, by its id."""
        return {rule.id: rule for rules in self.by_digest.values() for rule in rules}


class RuleTests:
    """The tests of a run's rules, in order of proposal."""

    def __init__(self, sets: RuleSets) -> None:
        self.rows: dict[TestKey, TestRow] = {}
        self._sets = sets
        self._running: TestRow | None = None

    def queue(self, event: ConsensusReached) -> None:
        """Queue the proposals that will be tested."""
        for proposal in event.kept:
            key = (event.epoch, event.batch, proposal.action, proposal.text)
            self.rows.setdefault(
                key, TestRow(event.epoch, event.batch, proposal.action, _rule(proposal, event))
            )

    def start(self, seq: int, event: ValidationStarted, *, is_trial: bool = False) -> None:
        """Begin a test; one that `is_trial` is of an edit that a person hasn't decided on."""
        row = self._row(event)
        row.is_trial = is_trial
        row.rule, row.state, row.n, row.started_seq, row.seen = event.rule, "running", event.n, seq, {}
        before = self._before(event)
        row.before, row.after = self._sets.digest(before), self._sets.digest(_after(event, before))
        self._sets.by_digest.setdefault(row.before, before.rules)
        self._sets.known[event.rule.id] = event.rule
        self._running = row

    def compare(self, row: RolloutRow, rollouts: Rollouts) -> None:
        """Pair a rollout with that of the same example under the other rule set of the running test."""
        test = self._running
        if test is None or row.rules not in (test.before, test.after):
            return
        is_after = row.rules == test.after
        other = rollouts.find(row.example, test.before if is_after else test.after)
        if other is not None:
            difference = row.score - other.score
            test.seen[row.example] = difference if is_after else -difference

    def finish(self, seq: int, event: ValidationFinished) -> None:
        """End a test with its verdict."""
        row = self._row(event)
        row.finished, row.finished_seq, row.state = event, seq, event.verdict
        if event.evidence is not None:
            row.n = event.evidence.n
        self._running = None

    def start_set(self, seq: int, event: LayerTestStarted) -> None:
        """Begin the test of a set."""
        row = self._set_row(event)
        row.state, row.n, row.started_seq, row.seen = "running", event.n, seq, {}
        self._sets.known |= {rule.id: rule for rule in event.rules}
        self._running = row

    def finish_set(self, seq: int, event: LayerTested) -> None:
        """End the test of a set with its verdict."""
        row = self._set_row(event)
        row.finished, row.finished_seq, row.state, row.n = event, seq, event.verdict, event.evidence.n
        self._running = None

    def close_queue(self) -> None:
        """Mark the proposals that will no longer be tested."""
        for row in reversed(self.rows.values()):
            if row.state != "queued":
                break
            row.state = "not_tested"

    def _row(self, event: ValidationStarted | ValidationFinished) -> TestRow:
        key = (event.epoch, event.batch, event.action, event.rule.text)
        return self.rows.setdefault(key, TestRow(event.epoch, event.batch, event.action, event.rule))

    def _set_row(self, event: LayerTestStarted | LayerTested) -> TestRow:
        key = (event.epoch, event.batch, f"{event.action} {event.layer}", f"{event.before} {event.after}")
        row = self.rows.get(key)
        if row is None:
            title = Rule(text=event.title, epoch=event.epoch, batch=event.batch)
            row = self.rows[key] = TestRow(event.epoch, event.batch, event.action, title, layer=event.layer)
        row.before, row.after, row.source = event.before, event.after, event.source
        row.members, row.demonstrations = event.rules, event.demonstrations
        return row

    def _before(self, event: ValidationStarted) -> RuleSet:
        # In a review a rule is tested beside those that a person has kept, which the program never had.
        known = self._sets.known
        if event.before is None or any(rule not in known for rule in event.before):
            return self._sets.current
        return RuleSet(known[rule] for rule in event.before)


def _rule(proposal: ParsedRule, event: ConsensusReached) -> Rule:
    return Rule(
        text=proposal.text,
        trigger=proposal.trigger,
        predictor=proposal.predictor or "",
        rationale=proposal.rationale,
        confidence=proposal.confidence,
        support=proposal.support,
        epoch=event.epoch,
        batch=event.batch,
    )


def _after(event: ValidationStarted, before: RuleSet) -> RuleSet:
    if event.action == "remove":
        return before.removing(event.rule)
    if event.action == "add":
        return before.adding(event.rule)
    merged = [rule for rule in before if rule.id in event.rule.merged_from]
    return before.replacing(merged, event.rule)
