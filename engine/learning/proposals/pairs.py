"""Confused pairs: what distinguishes the inputs of an answer from those of the answer given instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from engine.ground.examples import Item
from engine.ground.seeds import generator
from engine.learning.answers import AnswerSpace
from engine.learning.place import Place
from engine.learning.proposals.contrast import telling_words
from engine.learning.proposals.questions import Question, Questioner
from engine.learning.proposals.source import Confusion, Findings, RuleProposal, SourceCost
from engine.learning.proposals.topics import names_another, read_topics
from engine.learning.proposals.wording import about, input_noun, input_text, mentions, pair_rule
from engine.programs.formatting import as_text

_SYSTEM = (
    "You say how one group of texts differs from another. Answer with one line: what only the texts of group "
    "A are about, in plain words, separated by commas."
)
_WORKED_EXAMPLES = (
    (
        "Group A:\n- Where is my package?\n- The courier says it was delivered, but it wasn't.\n- My "
        "parcel is "
        "two days late.\n\nGroup B:\n- Can you send my parcel to another address?\n- Please deliver "
        "after six.\n- "
        "I'd like to pick the package up myself.\n\nOnly in group A:",
        "late parcels, missing parcels, where a parcel is now",
    ),
    (
        "Group A:\n- How do I change my seat?\n- Can I move to a window seat?\n\nGroup B:\n- How do I "
        "change my "
        "flight?\n- I need to fly a day later.\n\nOnly in group A:",
        "seats on the plane, window or aisle",
    ),
)
_TEXTS_SHOWN = 5
_MOST_PAIRS = 3
_MOST_WORDS = 4


class PairSource:
    """Proposes a rule for each of the most confused pairs of answers."""

    name = "pairs"

    def __init__(self, questioner: Questioner, *, seed: int) -> None:
        self._questioner = questioner
        self._seed = seed

    def cost(self, findings: Findings) -> SourceCost:
        """Return one question per chosen pair."""
        space = findings.space
        most = min(_MOST_PAIRS, len(space.values) * (len(space.values) - 1)) if space else 0
        return SourceCost(questions=most)

    def propose(self, findings: Findings) -> Sequence[RuleProposal]:
        """Return single rules, those for the most frequent confusion first."""
        space = findings.space
        if space is None or not space.is_closed:
            return []
        pairs = findings.confusions[:_MOST_PAIRS]
        groups = space.by_value(findings.train)
        replies = self._questioner.ask(
            [
                self._question(pair, groups[pair.right], groups.get(pair.favoured, []), findings.place)
                for pair in pairs
            ],
            findings.place,
        )
        proposals = [
            self._proposal(mentions(words), ", ".join(words), pair, space, findings)
            for pair in pairs
            if (words := _own_words(pair, groups))
        ]
        for pair, reply in zip(pairs, replies, strict=True):
            found = [topic for topic in read_topics(reply) if not names_another(topic, pair.right, space)]
            if topics := ", ".join(found):
                proposals.append(self._proposal(about(topics), topics, pair, space, findings))
        return proposals

    def _question(
        self, pair: Confusion, own: Sequence[Item], others: Sequence[Item], place: Place
    ) -> Question:
        title = f"{as_text(pair.right)}, not {as_text(pair.favoured)}"
        rng = generator(self._seed, "pairs", place, title, 0)
        confused = list(pair.examples)
        rest = [item for item in own if item not in confused]
        ours = [*rng.sample(confused, min(3, len(confused))), *_drawn(rest, rng)][:_TEXTS_SHOWN]
        return Question(
            source=self.name,
            about=title,
            system=_SYSTEM,
            examples=_WORKED_EXAMPLES,
            text=f"Group A:\n{_listed(ours)}\n\nGroup B:\n{_listed(_drawn(others, rng))}\n\nOnly in group A:",
        )

    def _proposal(
        self, said: str, trigger: str, pair: Confusion, space: AnswerSpace, findings: Findings
    ) -> RuleProposal:
        text = pair_rule(said, pair.right, pair.favoured, space, input_noun(findings.train[0]))
        keys = (item.key for item in pair.examples)
        rule = findings.rule(self.name, text, trigger=trigger, suggested_by=keys)
        return RuleProposal(self.name, (rule,), (pair.right,))


def _own_words(pair: Confusion, groups: Mapping[Any, Sequence[Item]]) -> list[str]:
    """Return the words that set the right answer's inputs apart from those of the favoured one."""
    texts = {
        answer: [input_text(item) for item in groups.get(answer, ())]
        for answer in (pair.right, pair.favoured)
    }
    return telling_words(texts)[pair.right][:_MOST_WORDS]


def _drawn(items: Sequence[Item], rng: Random) -> list[Item]:
    return rng.sample(list(items), min(_TEXTS_SHOWN, len(items)))


def _listed(items: Sequence[Item]) -> str:
    return "\n".join(f"- {input_text(item)}" for item in items)
