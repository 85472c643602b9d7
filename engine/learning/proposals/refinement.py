"""Refinement: a rule of topics is widened by the examples it misses, or narrowed by those it misleads.

This adapts OPRO (Yang et al. 2024, arXiv 2309.03409) and APE's resampling to small models: they are asked
for topics again, never to rewrite a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.ground.examples import Item
from engine.ground.seeds import generator
from engine.ground.words import content_words
from engine.learning.answers import AnswerSpace
from engine.learning.proposals.questions import Question, Questioner
from engine.learning.proposals.source import Confusion, Findings, RuleProposal, SourceCost
from engine.learning.proposals.topics import read_topics, topic_question
from engine.learning.proposals.wording import input_noun, input_text, topic_rule
from engine.programs.formatting import as_text
from engine.programs.rules import Rule

_MOST_REFINED = 3
_MOST_TOPICS = 10


class RefinementSource:
    """Proposes new wordings of held rules of topics, each of which replaces the one it refines."""

    name = "refinement"

    def __init__(self, questioner: Questioner, *, seed: int) -> None:
        self._questioner = questioner
        self._seed = seed

    def cost(self, findings: Findings) -> SourceCost:
        """Return one question for each answer whose examples are missed most."""
        return SourceCost(questions=min(_MOST_REFINED, len(_missed(findings.confusions))))

    def propose(self, findings: Findings) -> Sequence[RuleProposal]:
        """Return wider rules for the most missed answers, narrower ones for those that attract too much."""
        space = findings.space
        if space is None or not space.is_closed or not findings.train:
            return []
        noun = input_noun(findings.train[0])
        held = _held(findings, space, noun)
        return [
            *self._wider(findings, space, noun, held),
            *_narrower(findings, space, noun, held),
        ]

    def _wider(
        self, findings: Findings, space: AnswerSpace, noun: str, held: dict[Any, Rule]
    ) -> list[RuleProposal]:
        missed = [(answer, items) for answer, items in _missed(findings.confusions).items() if answer in held]
        asked = missed[:_MOST_REFINED]
        replies = self._questioner.ask(
            [self._question(answer, items, findings) for answer, items in asked],
            findings.place,
        )
        proposals = []
        for (answer, items), reply in zip(asked, replies, strict=True):
            old = held[answer]
            topics = list(dict.fromkeys([*old.trigger.split(", "), *read_topics(reply)]))[:_MOST_TOPICS]
            rule = _worded(topics, answer, space, noun, findings, [item.key for item in items])
            if rule.id != old.id:
                proposals.append(RuleProposal(self.name, (rule,), (answer,), (old,)))
        return proposals

    def _question(self, answer: Any, items: Sequence[Item], findings: Findings) -> Question:
        rng = generator(self._seed, "refinement", findings.place, as_text(answer))
        return topic_question(self.name, as_text(answer), items, 0, rng)


def _narrower(findings: Findings, space: AnswerSpace, noun: str, held: dict[Any, Rule]) -> list[RuleProposal]:
    """Drop the topics whose words occur in the examples that the rule misleads."""
    proposals = []
    for answer, items in list(_misled(findings.confusions).items())[:_MOST_REFINED]:
        if answer not in held:
            continue
        words = {word for item in items for word in content_words(input_text(item))}
        topics = held[answer].trigger.split(", ")
        kept = [topic for topic in topics if not words & set(content_words(topic))]
        if kept and len(kept) < len(topics):
            rule = _worded(kept, answer, space, noun, findings, [item.key for item in items])
            proposals.append(RuleProposal(RefinementSource.name, (rule,), (answer,), (held[answer],)))
    return proposals


def _held(findings: Findings, space: AnswerSpace, noun: str) -> dict[Any, Rule]:
    """Return the held rules of topics, by the answer that each stands for."""
    texts = {
        topic_rule(rule.trigger, answer, space, noun): (answer, rule)
        for rule in findings.state.rules
        if rule.trigger
        for answer in space.values
    }
    return {answer: rule for text, (answer, rule) in texts.items() if text == rule.text}


def _worded(
    topics: Sequence[str],
    answer: Any,
    space: AnswerSpace,
    noun: str,
    findings: Findings,
    keys: Sequence[str],
) -> Rule:
    said = ", ".join(topics)
    text = topic_rule(said, answer, space, noun)
    return findings.rule(RefinementSource.name, text, trigger=said, suggested_by=keys)


def _missed(confusions: Sequence[Confusion]) -> dict[Any, list[Item]]:
    """Return the examples of each answer that get another one, the most missed answer first."""
    found: dict[Any, list[Item]] = {}
    for confusion in confusions:
        found.setdefault(confusion.right, []).extend(confusion.examples)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def _misled(confusions: Sequence[Confusion]) -> dict[Any, list[Item]]:
    """Return the examples that each answer wrongly attracts, the most attractive answer first."""
    found: dict[Any, list[Item]] = {}
    for confusion in confusions:
        found.setdefault(confusion.favoured, []).extend(confusion.examples)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))
