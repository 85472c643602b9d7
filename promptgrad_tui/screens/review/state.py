"""A review in progress: a queue of rules, a decision for each, undo and redo; nothing here applies any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from engine.journal.decisions import Decision, DecisionKind
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import Rule

Order: TypeAlias = Literal["arrival", "gain", "state"]
ORDERS: tuple[Order, ...] = ("arrival", "gain", "state")
_STATES: tuple[DecisionKind | None, ...] = (None, "keep", "edit", "merge", "drop")
_TRIGGER = "trigger:"

Value = TypeVar("Value")


@dataclass(frozen=True)
class ReviewItem:
    """A rule or a demonstration to judge: what was done with it, and what its test said.

    `rule` of a demonstration says on one line what it shows.
    """

    rule: Rule
    action: str
    verdict: str
    place: tuple[int, int]
    gain: float = 0.0
    demonstration: Demonstration | None = None

    @property
    def id(self) -> str:
        """The id of the rule, or of the demonstration."""
        return self.demonstration.id if self.demonstration is not None else self.rule.id


Decisions: TypeAlias = Mapping[str, Decision]


@dataclass(frozen=True)
class Settled:
    """What an earlier review decided on a rule; `number` is 0 for the review during the run.

    `replacement` is the id of the rule that an edit or a merge made of it, which `has_failed` its test or
    counts since then.
    """

    number: int
    decision: Decision
    replacement: str = ""
    has_failed: bool = False


@dataclass
class ReviewState:
    """The queue with its decisions; every change can be undone until it is applied.

    `applied` are decisions that the journal holds already: they stand. `settled` are those of earlier
    reviews: they stand until another is made. `marked` are the rules that the next decision is for.
    `notes` are kept with the decisions and come back with undo.
    """

    items: tuple[ReviewItem, ...] = ()
    applied: Decisions = field(default_factory=dict)
    settled: Mapping[str, Settled] = field(default_factory=dict)
    decisions: Decisions = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    order: Order = "arrival"
    filter: str = ""
    current_id: str = ""
    marked: frozenset[str] = frozenset()
    _past: list[tuple[Decisions, Mapping[str, str], str]] = field(default_factory=list)
    _future: list[tuple[Decisions, Mapping[str, str], str]] = field(default_factory=list)

    def add(self, items: Iterable[ReviewItem]) -> None:
        """Put new rules at the end of the queue, and take in newer tests of known ones."""
        known = {item.id: item for item in self.items}
        for item in items:
            known[item.id] = item
        self.items = tuple(known.values())
        if not self.current_id and self.items:
            self.current_id = next(iter(self._undecided(self.visible()) or self.visible() or self.items)).id

    def visible(self) -> list[ReviewItem]:
        """Return the rules that the filter leaves, in the chosen order."""
        wanted = self.filter.casefold()
        found = [item for item in self.items if wanted in f"{item.rule.text} {item.rule.trigger}".casefold()]
        if self.order == "gain":
            found.sort(key=lambda item: -item.gain)
        elif self.order == "state":
            found.sort(key=lambda item: _STATES.index(self.choice(item.id)))
        return found

    @property
    def current(self) -> ReviewItem | None:
        """The rule that is being judged; none where the filter leaves none."""
        return next((item for item in self.visible() if item.id == self.current_id), None)

    def decision(self, rule: str) -> Decision | None:
        """Return what was decided about a rule, applied or not."""
        return self.applied.get(rule) or self.decisions.get(rule)

    def choice(self, rule: str) -> DecisionKind | None:
        """Return the choice for a rule, or None while it is undecided."""
        decision = self.decision(rule)
        return decision.kind if decision else None

    def note(self, rule: str) -> str:
        """Return the note on a rule."""
        decision = self.applied.get(rule)
        return decision.note if decision else self.notes.get(rule, "")

    def is_undecided(self, rule: str) -> bool:
        """Whether nobody has decided on a rule, now or in an earlier review."""
        return self.choice(rule) is None and rule not in self.settled

    def counts(self) -> Counter[DecisionKind | None]:
        """Return how many rules have which choice; None counts the undecided, without what is settled."""
        choices = (self.choice(item.id) for item in self.items if not self._is_settled(item.id))
        return Counter(choices)

    @property
    def n_settled(self) -> int:
        """How many rules an earlier review decided on, and nothing since."""
        return sum(self._is_settled(item.id) for item in self.items)

    def number_of(self, rule: str) -> int:
        """Return a rule's place in the order of arrival, from 1; 0 for one that isn't in the queue."""
        return next((number for number, item in enumerate(self.items, 1) if item.id == rule), 0)

    @property
    def position(self) -> tuple[int, int]:
        """The number of the current rule, from 1, and how many there are."""
        ids = [item.id for item in self.visible()]
        return (ids.index(self.current_id) + 1 if self.current_id in ids else 0), len(ids)

    @property
    def is_changed(self) -> bool:
        """Whether there are decisions that are not applied yet."""
        return bool(self.ready())

    def keep(self) -> None:
        """Keep the current rule."""
        self._decide("keep")

    def drop(self) -> None:
        """Drop the current rule."""
        self._decide("drop")

    def edit(self, text: str, trigger: str) -> None:
        """Replace the current rule by another text; the same text means to keep it."""
        item = self.current
        if item is None or item.demonstration is not None or not text.strip():
            return
        if (text, trigger) == (item.rule.text, item.rule.trigger):
            self.keep()
        else:
            self._decide("edit", text=text, trigger=trigger)

    def toggle_mark(self) -> None:
        """Mark the current rule, or take its mark away, and go to the next one."""
        if self.current is not None:
            self.marked ^= {self.current_id}
            self.next()

    def toggle_open(self) -> None:
        """Mark all open rules that are visible, or none where any is marked."""
        is_none = not self.marked
        self.marked = (
            frozenset(item.id for item in self._undecided(self.visible())) if is_none else frozenset()
        )

    @property
    def chosen(self) -> list[ReviewItem]:
        """The rules that a decision is for: the marked ones, else the current one; none that is applied."""
        wanted = self.marked or {self.current_id}
        return [item for item in self.visible() if item.id in wanted and self._is_open(item)]

    def merge_parts(self) -> list[ReviewItem]:
        """Return the rules that would become one: the marked ones, or the current and the next one.

        All are of the same predictor; fewer than two can't be merged.
        """
        mine, items = self.current, [item for item in self.visible() if item.demonstration is None]
        if mine is None or mine not in items or not self._is_open(mine):
            return []
        if len(self.marked) > 1:
            chosen = [item for item in self.chosen if item.demonstration is None]
            is_one = len({item.rule.predictor for item in chosen}) == 1
            return chosen if is_one and len(chosen) > 1 else []
        others = [item for item in items if item.id in self.marked] or items[items.index(mine) + 1 :]
        for item in others:
            if item.id != mine.id and item.rule.predictor == mine.rule.predictor and self._is_open(item):
                return [mine, item]
        return []

    def merge(self, parts: Sequence[ReviewItem], text: str, trigger: str) -> bool:
        """Replace rules that `merge_parts` returned by a single rule; False if one was applied meanwhile."""
        merged = tuple(item.id for item in parts)
        if not all(self._is_open(item) for item in parts):
            return False
        if not text.strip():
            return True
        decisions = dict(self.decisions)
        for rule in merged:
            decisions = _without_merge(decisions, rule)
        self._change(decisions | Decision.merging(text, trigger, merged))
        self.next(only_undecided=True)
        return True

    def set_note(self, note: str) -> None:
        """Write a note on the current rule; an empty one takes it away."""
        if self.current is not None and self._is_open(self.current) and note != self.note(self.current_id):
            self._remember()
            self.notes = {
                **_without(self.notes, self.current_id),
                **({self.current_id: note} if note else {}),
            }

    def undo(self) -> None:
        """Take the last change back."""
        self._travel(self._past, self._future)

    def redo(self) -> None:
        """Make the last change that was undone again."""
        self._travel(self._future, self._past)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to make again."""
        return bool(self._future)

    def next(self, *, only_undecided: bool = False) -> None:
        """Go to the next rule; of the undecided ones, also to those at the beginning."""
        self._step(1, only_undecided=only_undecided)

    def previous(self, *, only_undecided: bool = False) -> None:
        """Go to the rule before; of the undecided ones, also to those at the end."""
        self._step(-1, only_undecided=only_undecided)

    def go_to(self, rule: str) -> None:
        """Go to a rule."""
        self.current_id = rule

    def go_to_end(self, place: int) -> None:
        """Go to the first rule (0) or the last one (-1)."""
        if visible := self.visible():
            self.current_id = visible[place].id

    def sort(self) -> None:
        """Go on to the next order."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]

    def set_filter(self, text: str) -> None:
        """Show only the rules that hold a text."""
        self.filter = text
        visible = self.visible()
        if visible and self.current_id not in {item.id for item in visible}:
            self.current_id = visible[0].id

    def ready(self) -> dict[str, Decision]:
        """Return the decisions to apply, by rule, with their notes, in the order of arrival."""
        return {
            item.id: self.decisions[item.id].model_copy(update={"note": self.notes.get(item.id, "")})
            for item in self.items
            if item.id in self.decisions
        }

    def take_applied(self, applied: Decisions) -> None:
        """Take in what the journal holds, also of another screen; undecided ones stay as they are."""
        self.applied = dict(applied)
        if not applied.keys().isdisjoint({**self.decisions, **self.notes}):
            self.decisions = _without(self.decisions, *applied)
            self.notes = _without(self.notes, *applied)
            self._past.clear()
            self._future.clear()

    def take_drafted(self, decisions: Decisions, notes: Mapping[str, str]) -> None:
        """Take in what another screen has drafted; what was decided here before can't be undone past it."""
        self.decisions, self.notes = dict(decisions), dict(notes)
        self._past.clear()
        self._future.clear()

    def _decide(self, choice: Literal["keep", "drop", "edit"], text: str = "", trigger: str = "") -> None:
        # An edit is of one rule.
        chosen = self.chosen if choice != "edit" else [item for item in (self.current,) if item is not None]
        chosen = [item for item in chosen if self._is_open(item)]
        if not chosen:
            return
        decisions = dict(self.decisions)
        for item in chosen:
            decisions = _without_merge(decisions, item.id)
            decisions[item.id] = Decision(choice=choice, text=text, trigger=trigger)
        self._change(decisions)
        self.next(only_undecided=True)

    def _change(self, decisions: Decisions) -> None:
        self._remember()
        self.decisions, self.marked = decisions, frozenset()

    def _remember(self) -> None:
        self._past.append((self.decisions, self.notes, self.current_id))
        self._future.clear()

    def _travel(
        self,
        source: list[tuple[Decisions, Mapping[str, str], str]],
        target: list[tuple[Decisions, Mapping[str, str], str]],
    ) -> None:
        if source:
            target.append((self.decisions, self.notes, self.current_id))
            self.decisions, self.notes, self.current_id = source.pop()

    def _is_settled(self, rule: str) -> bool:
        return rule in self.settled and self.choice(rule) is None

    def _is_open(self, item: ReviewItem) -> bool:
        return item.id not in self.applied

    def _undecided(self, items: list[ReviewItem]) -> list[ReviewItem]:
        return [item for item in items if self.is_undecided(item.id)]

    def _step(self, step: int, *, only_undecided: bool) -> None:
        items = self.visible()
        ids = [item.id for item in items]
        if self.current_id not in ids:
            return
        here = ids.index(self.current_id)
        if only_undecided:
            around = [items[(here + step * distance) % len(items)] for distance in range(1, len(items))]
            self.current_id = next((item.id for item in self._undecided(around)), self.current_id)
        else:
            self.current_id = ids[max(0, min(here + step, len(ids) - 1))]


def _without(values: Mapping[str, Value], *rules: str) -> dict[str, Value]:
    return {rule: value for rule, value in values.items() if rule not in rules}


def _without_merge(decisions: Decisions, rule: str) -> dict[str, Decision]:
    """Return decisions in which no other rule is still merged with this one."""
    before = decisions.get(rule)
    gone = set(before.merged) if before else set()
    return {other: decision for other, decision in decisions.items() if other not in gone}


def rule_as_text(text: str, trigger: str) -> str:
    """Return a rule as a text to edit: what it says, then its trigger on a line of its own."""
    return f"{text}\n\n{_TRIGGER} {trigger}"


def rule_from_text(edited: str) -> tuple[str, str]:
    """Return what an edited text says: the rule on one line, and its trigger."""
    said, trigger = [], ""
    for row in edited.splitlines():
        if row.strip().lower().startswith(_TRIGGER):
            trigger = row.strip()[len(_TRIGGER) :].strip()
        elif row.strip():
            said.append(row.strip())
    return " ".join(said), trigger


def merged_text(rules: Iterable[Rule]) -> tuple[str, str]:
    """Return a first draft of one rule made of several: all texts, and all triggers as alternatives."""
    rules = list(rules)
    triggers = dict.fromkeys(rule.trigger for rule in rules)
    trigger = ", ".join(triggers) if all(triggers) else ""
    return " ".join(rule.text.strip() for rule in rules), trigger
