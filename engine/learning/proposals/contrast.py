"""Contrast: words that distinguish the answers in the training data, without a model.

Method: weighted log-odds with an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008, "Fightin'
Words", Political Analysis 16(4), section 3.5).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import ceil, log, sqrt
from typing import Any

from engine.ground.words import STOP_WORDS, tokens
from engine.learning.proposals.source import Findings, RuleProposal, SourceCost
from engine.learning.proposals.wording import input_noun, input_text, word_rule

_TELLING = 1.28
"""The z-score from which a word counts: one in ten exceeds it by chance, and screening decides."""
_MOST_WORDS = 6
_FEWEST_TEXTS, _MOST_NEEDED = 2, 4
"""A word needs a quarter of its group's texts, within these bounds."""


class ContrastSource:
    """Proposes a set of rules from the words that set each answer's inputs apart."""

    name = "contrast"

    def cost(self, findings: Findings) -> SourceCost:
        """Return that it costs nothing."""
        del findings
        return SourceCost()

    def propose(self, findings: Findings) -> Sequence[RuleProposal]:
        """Return one set with a rule for each answer that has distinctive words."""
        space = findings.space
        if space is None or not space.is_closed or not findings.train:
            return []
        if findings.has_set:
            return []
        noun = input_noun(findings.train[0])
        groups = {
            answer: [input_text(item) for item in items]
            for answer, items in space.by_value(findings.train).items()
        }
        rules, answers = [], []
        for answer, words in telling_words(groups).items():
            if words:
                text = word_rule(words, answer, space, noun)
                rules.append(findings.rule(self.name, text, trigger=", ".join(words)))
                answers.append(answer)
        return [RuleProposal(self.name, tuple(rules), tuple(answers))] if rules else []


def telling_words(groups: Mapping[Any, Sequence[str]]) -> dict[Any, list[str]]:
    """Return the words and word pairs that set each group of texts apart, the most distinctive first.

    A word counts once per text, and only if several texts of the group have it.
    """
    counts = {
        name: Counter(word for text in texts for word in _words(text)) for name, texts in groups.items()
    }
    whole = sum(counts.values(), Counter[str]())
    found = {}
    for name, own in counts.items():
        needed = min(max(_FEWEST_TEXTS, ceil(len(groups[name]) / 4)), _MOST_NEEDED)
        scored = {word: _z_score(word, own, whole) for word, count in own.items() if count >= needed}
        ranked = sorted(
            (word for word in scored if scored[word] >= _TELLING),
            key=lambda word: (-scored[word], -len(word), word),
        )
        found[name] = _without_parts(ranked)[:_MOST_WORDS]
    return found


def _z_score(word: str, own: Counter[str], whole: Counter[str]) -> float:
    """The distance of a word's log-odds in a group from those in the rest, in standard errors.

    The prior is the word's frequency in all groups together, scaled to weigh as much as one text.
    """
    total, ours = whole.total(), own.total()
    scale = 10.0
    prior, mass = scale * whole[word] / total, scale
    inside, outside = own[word] + prior, whole[word] - own[word] + prior
    odds = log(inside / (ours + mass - inside)) - log(outside / (total - ours + mass - outside))
    return odds / sqrt(1 / inside + 1 / outside)


def _words(text: str) -> set[str]:
    """The words of a text, and its pairs of neighbours, without those that begin or end in a stop word."""
    units = [token.text for token in tokens(text)]
    pairs = {
        f"{one} {other}"
        for one, other in pairwise(units)
        if one not in STOP_WORDS and other not in STOP_WORDS
    }
    return pairs | {unit for unit in units if unit not in STOP_WORDS and len(unit) > 1}


def _without_parts(ranked: Iterable[str]) -> list[str]:
    """Drop a word that is part of a better one, or contains one."""
    kept: list[str] = []
    for phrase in ranked:
        words = set(phrase.split())
        if not any(words <= set(other.split()) or set(other.split()) <= words for other in kept):
            kept.append(phrase)
    return kept
