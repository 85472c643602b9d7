"""Consensus: what several analyses of the same failures agree on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.ground.words import content_words, stem, tokens
from engine.journal.event_parts import DroppedProposal
from engine.programs.rules import ParsedRule, RuleSet

_SAME_TRIGGER = 0.5
_SAME_ANSWER = 0.5
_SAME_TEXT = 0.6

# Any rule may be phrased with these; they tell two rules apart only where nothing else does.
_GENERIC_WORDS = (
    "always answer apply assign belong case category choose classified classify contain correct customer "
    "email example give go handle include input item label mark mention message output pick predict queue "
    "regard reply respond response result return route rule say select send set text ticket treat use "
    "user word"
)
_GENERIC = frozenset(stem(word) for word in _GENERIC_WORDS.split())
_GENERIC_WEIGHT = 0.25

_CLAUSE = re.compile(r"[,.;:!?()\n]|\bbut\b", re.IGNORECASE)
_REASON = re.compile(r"\b(?:because|so that|in order to)\b[^,.;]*", re.IGNORECASE)
_NEGATIONS = "not never no without don't doesn't isn't aren't can't cannot rather instead"
_NEGATION = frozenset(_NEGATIONS.split())


@dataclass(frozen=True)
class Consensus:
    """The proposals that a majority of passes makes, and those that go no further, with the reason."""

    kept: tuple[ParsedRule, ...]
    dropped: tuple[DroppedProposal, ...]


def agree(passes: Sequence[Sequence[ParsedRule]], existing: RuleSet) -> Consensus:
    """Return the proposals that more than half of the analysis passes make, in one wording each.

    Proposals are one if `means_same` says so of every two of them. The wording closest to the others is
    kept, with the number of distinct passes as `support`, and with (support + 1) / (passes + 2) as
    `confidence`: the chance that one more pass would make it too, if nothing was known before (Laplace's
    rule of succession). So one pass of one never looks certain. A removal refers to a rule by its text,
    and by its trigger if it has one. The order is by support, then by first appearance.
    """
    clusters: list[_Cluster] = []
    dropped: list[DroppedProposal] = []
    for number, proposals in enumerate(passes):
        for proposal in proposals:
            flaw = _flaw(proposal, existing)
            if flaw:
                dropped.append(DroppedProposal(proposal=proposal, reason=flaw))
            else:
                _place(clusters, number, proposal)
    kept = []
    for cluster in sorted(clusters, key=lambda cluster: -cluster.support):
        proposal = cluster.representative(len(passes))
        if 2 * cluster.support > len(passes):
            kept.append(proposal)
        else:
            reason = f"{cluster.support} of {len(passes)} analyses proposed it"
            dropped.append(DroppedProposal(proposal=proposal, reason=reason))
    return Consensus(tuple(kept), tuple(dropped))


def means_same(one: ParsedRule, other: ParsedRule) -> bool:
    """Return whether two proposals say the same in other words.

    With triggers on both sides, these must share more than half of their words, and of what the texts say
    beyond them, the shorter must share more than half with the longer: "gift card" is not "gift box", and
    "to loyalty" is not "to billing" or "not to loyalty". Without triggers the whole texts must share 60 %
    of their words. Either way texts that differ by one word put in another's place say different things, as
    do texts with different numbers. Words that any rule is phrased with count a quarter.

    Words aren't weighted by their rarity among the proposals: passes that agree make their own words
    common, and would look the less alike the more they agree.
    """
    if one.action != other.action or not _same_predictor(one.predictor, other.predictor):
        return False
    if one.action == "remove":
        same_trigger = one.trigger == other.trigger or not (one.trigger and other.trigger)
        return same_trigger and _normalised(one.text) == _normalised(other.text)
    if _normalised(one.text) == _normalised(other.text):
        return True
    triggers = _meaning(one.trigger), _meaning(other.trigger)
    texts = _meaning(one.text), _meaning(other.text)
    if _contradict(*texts):
        return False
    answers = texts[0] - triggers[0] - triggers[1], texts[1] - triggers[0] - triggers[1]
    if all(triggers) and all(answers):
        return _jaccard(*triggers) > _SAME_TRIGGER and _containment(*answers) > _SAME_ANSWER
    return _jaccard(texts[0] | triggers[0], texts[1] | triggers[1]) >= _SAME_TEXT


class _Cluster:
    """Proposals that mean the same, each with the number of its pass."""

    def __init__(self) -> None:
        self.members: list[tuple[int, ParsedRule]] = []

    @property
    def support(self) -> int:
        return len({number for number, _ in self.members})

    def accepts(self, proposal: ParsedRule) -> bool:
        return all(means_same(proposal, member) for _, member in self.members)

    def representative(self, passes: int) -> ParsedRule:
        """The medoid of the wordings, carrying the cluster's support and confidence."""
        wordings = [member for _, member in self.members]
        medoid = max(wordings, key=lambda wording: sum(_likeness(wording, other) for other in wordings))
        confidence = (self.support + 1) / (passes + 2)
        return medoid.model_copy(update={"support": self.support, "confidence": confidence})


def _place(clusters: list[_Cluster], number: int, proposal: ParsedRule) -> None:
    home = next((cluster for cluster in clusters if cluster.accepts(proposal)), None)
    if home is None:
        home = _Cluster()
        clusters.append(home)
    home.members.append((number, proposal))


def _flaw(proposal: ParsedRule, existing: RuleSet) -> str:
    """Why a proposal makes no sense beside the rules there are, or ""."""
    twin = next((rule for rule in existing if means_same(rule.proposed(proposal.action), proposal)), None)
    if proposal.action == "remove":
        return "" if twin else "no rule says this"
    return f"a rule says this already: {twin.text}" if twin else ""


def _same_predictor(one: str | None, other: str | None) -> bool:
    """None is the only predictor there is."""
    return one is None or other is None or one == other


def _normalised(text: str) -> tuple[str, ...]:
    return tuple(token.text for token in tokens(text))


@lru_cache(maxsize=4096)
def _meaning(text: str) -> frozenset[str]:
    """Content words of a text without its reasons; those of a negated clause carry a "not "."""
    words: set[str] = set()
    for clause in _CLAUSE.split(_REASON.sub(" ", text)):
        sign = ""
        for token in tokens(clause):
            if token.text in _NEGATION:
                sign = "not "
            else:
                words.update(sign + word for word in content_words(token.text))
    return frozenset(words)


def distinguishing_words(text: str) -> frozenset[str]:
    """Return the content words by which a rule differs from others; negated ones have a "not "."""
    return frozenset(word for word in _meaning(text) if not _is_generic(word))


def _contradict(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether one word was put in another's place, or both name numbers and not the same."""
    ours, theirs = (frozenset(w for w in words if not _is_generic(w)) for words in (one - other, other - one))
    numbers = [any(char.isdigit() for word in words for char in word) for words in (ours, theirs)]
    return len(ours) == len(theirs) == 1 or all(numbers)


def _is_generic(word: str) -> bool:
    return word.removeprefix("not ") in _GENERIC


def _weight(words: frozenset[str]) -> float:
    return sum(_GENERIC_WEIGHT if _is_generic(word) else 1.0 for word in words)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return _weight(one & other) / (_weight(one | other) or 1.0)


def _containment(one: frozenset[str], other: frozenset[str]) -> float:
    return _weight(one & other) / (min(_weight(one), _weight(other)) or 1.0)


def _likeness(one: ParsedRule, other: ParsedRule) -> float:
    return _jaccard(
        _meaning(one.text) | _meaning(one.trigger), _meaning(other.text) | _meaning(other.trigger)
    )
