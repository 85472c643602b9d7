"""Topics by answer: what the inputs that ask for one answer have in common, as one rule for each answer.

Instruction induction (Honovich et al. 2022, arXiv 2205.10782), made small enough for small models: they
see the inputs of one answer without the names of others, and write topics. The sentence is composed here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Any

from engine.ground.examples import Item
from engine.ground.seeds import generator
from engine.learning.answers import AnswerSpace
from engine.learning.place import Place
from engine.learning.proposals.questions import Question, Questioner
from engine.learning.proposals.source import Findings, RuleProposal, SourceCost
from engine.learning.proposals.wording import input_noun, input_text, topic_rule
from engine.programs.formatting import as_text
from engine.programs.rules import Rule

SYSTEM = (
    "You name what a group of texts has in common. Answer with one line: the topics, in plain words, "
    "separated by commas."
)
WORKED_EXAMPLES = (
    (
        "Texts:\n- My parcel should have come on Monday.\n- Where is my package?\n- The tracking page hasn't "
        "changed for a week.\n- The courier says it was delivered, but it wasn't.\n\nTopics:",
        "late or missing parcels, delivery dates, tracking, the courier",
    ),
    (
        "Texts:\n- Why is this invoice higher than last month's?\n- I was billed twice.\n- There's a "
        "fee on my "
        "bill that I don't know.\n\nTopics:",
        "invoices, double billing, unexpected fees",
    ),
)
_MOST_TEXTS = 12
_MOST_SHOWN = 2400
"""Characters of texts in one question: some 600 tokens."""
_FEWEST_TEXTS = 4
_WARM = 0.6
_MOST_TOPICS = 8
_LONGEST_TOPIC = 60
"""Characters."""


class TopicSource:
    """Proposes sets of rules, one rule for each answer, from what a model says its inputs have in common."""

    name = "topics"

    def __init__(self, questioner: Questioner, *, seed: int, samples: int) -> None:
        self._questioner = questioner
        self._seed = seed
        self._samples = samples

    def cost(self, findings: Findings) -> SourceCost:
        """Return one question for each answer and sample."""
        space = findings.space
        return SourceCost(questions=self._samples * len(space.values) if space and space.is_closed else 0)

    def propose(self, findings: Findings) -> Sequence[RuleProposal]:
        """Return one set per sample; answers without topics have no rule in it."""
        space = findings.space
        if space is None or not space.is_closed or not findings.train:
            return []
        if findings.has_set:
            return []
        groups = {answer: items for answer, items in space.by_value(findings.train).items() if items}
        asked = [(number, answer) for number in range(self._samples) for answer in groups]
        questions = [
            self._question(answer, groups[answer], number, findings.place) for number, answer in asked
        ]
        replies = self._questioner.ask(questions, findings.place)
        told = {
            (number, answer): [
                topic for topic in read_topics(reply) if not names_another(topic, answer, space)
            ]
            for (number, answer), reply in zip(asked, replies, strict=True)
        }
        noun = input_noun(findings.train[0])
        sets = []
        for number in range(self._samples):
            topics = {answer: told[number, answer] for answer in groups if told[number, answer]}
            rules = tuple(
                self._rule(", ".join(found), answer, space, noun, findings)
                for answer, found in topics.items()
            )
            if rules:
                sets.append(RuleProposal(self.name, rules, tuple(topics)))
        return sets

    def _question(self, answer: Any, items: Sequence[Item], number: int, place: Place) -> Question:
        rng = generator(self._seed, "topics", place, as_text(answer), number)
        return topic_question(self.name, as_text(answer), items, number, rng)

    def _rule(self, topics: str, answer: Any, space: AnswerSpace, noun: str, findings: Findings) -> Rule:
        return findings.rule(self.name, topic_rule(topics, answer, space, noun), trigger=topics)


def topic_question(source: str, about: str, items: Sequence[Item], number: int, rng: Random) -> Question:
    """Return the question what several inputs have in common; the first sample has temperature 0."""
    texts = "\n".join(f"- {text}" for text in _shown([input_text(item) for item in items], rng))
    return Question(
        source=source,
        about=about,
        system=SYSTEM,
        examples=WORKED_EXAMPLES,
        text=f"Texts:\n{texts}\n\nTopics:",
        number=number,
        temperature=_WARM if number else 0.0,
    )


def _shown(texts: Sequence[str], rng: Random) -> list[str]:
    """Return the texts in random order, as many as a short question holds."""
    drawn = rng.sample(list(texts), min(_MOST_TEXTS, len(texts)))
    while len(drawn) > _FEWEST_TEXTS and sum(map(len, drawn)) > _MOST_SHOWN:
        drawn.pop()
    return drawn


def names_another(topic: str, answer: Any, space: AnswerSpace) -> bool:
    """Whether a topic is another answer's name: a rule with it would contradict itself."""
    others = (as_text(other) for other in space.values if other != answer)
    return _words(topic) in [_words(other) for other in others]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def read_topics(line: str) -> list[str]:
    """Return the topics in a reply, without repetitions and without texts too long to be one."""
    found = re.sub(r"^\W*(?:topics?\s*:)?\s*", "", line, flags=re.IGNORECASE).strip().rstrip(".")
    topics = dict.fromkeys(" ".join(part.split()).strip(" .\"'") for part in re.split(r"[,;]", found))
    return [topic for topic in topics if topic and len(topic) <= _LONGEST_TOPIC][:_MOST_TOPICS]
