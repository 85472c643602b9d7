"""What sources propose from examples and from short answers of a model."""

from __future__ import annotations

from random import Random

import dspy
import pytest

from engine.ground.examples import Item
from engine.learning.answers import AnswerSpace, answer_space
from engine.learning.demonstrations.draws import balanced_draw, fitting, labelled
from engine.learning.place import Place
from engine.learning.proposals.choice import chosen_sources
from engine.learning.proposals.contrast import ContrastSource, telling_words
from engine.learning.proposals.pairs import PairSource
from engine.learning.proposals.refinement import RefinementSource
from engine.learning.proposals.shapes import ShapeSource, broken_forms
from engine.learning.proposals.source import Confusion, Findings
from engine.learning.proposals.topics import TopicSource, read_topics
from engine.learning.proposals.wording import topic_rule
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState

QUEUES = AnswerSpace("self", "queue", ("music", "sports"), is_closed=True)


def item(text: str, queue: str) -> Item:
    values = {"ticket": text, "queue": queue}
    return Item(f"key of {text}", "train", values, {"ticket": text})


TRAIN = [
    *(item(f"The grand piano in hall {number} needs a tuner", "music") for number in range(4)),
    *(item(f"My kayak in dock {number} needs a paddle", "sports") for number in range(4)),
]


def findings(space=QUEUES, train=TRAIN, **known) -> Findings:
    known = {"state": LearnedState(), **known}
    return Findings(train=train, space=space, place=Place(1, 1), **known)


def test_contrast_finds_the_words_that_only_one_answer_has():
    music = [f"the grand piano in hall {number}" for number in range(8)]
    sports = [f"a kayak in hall {number}" for number in range(8)]
    found = telling_words({"music": music, "sports": sports})
    assert found == {"music": ["grand piano"], "sports": ["kayak"]}


def test_contrast_leaves_out_what_both_answers_say_and_what_is_said_once():
    found = telling_words({"a": ["needs help", "needs a tuner"], "b": ["needs help", "needs a paddle"]})
    assert found == {"a": [], "b": []}


def test_contrast_proposes_one_set_with_a_rule_for_each_answer_and_no_second_one():
    (proposal,) = ContrastSource().propose(findings())
    assert proposal.stands_for == ("music", "sports")
    assert "piano" in proposal.rules[0].text
    assert proposal.rules[1].text.endswith("the queue is sports.")
    held = LearnedState(RuleSet(proposal.rules))
    assert ContrastSource().propose(findings(state=held)) == []


@pytest.mark.parametrize(
    ("line", "topics"),
    [
        ("late parcels, tracking", ["late parcels", "tracking"]),
        ("Topics: late parcels; tracking.", ["late parcels", "tracking"]),
        ("- late parcels, late parcels, ", ["late parcels"]),
        ("x" * 61, []),
        ("", []),
    ],
)
def test_topics_are_read_from_one_line(line, topics):
    assert read_topics(line) == topics


class Says:
    """Answers every question the same."""

    def __init__(self, reply):
        self._reply = reply

    def ask(self, questions, place):
        return [self._reply] * len(questions)


def test_no_rule_names_another_answer_as_a_topic_of_its_own():
    (proposal,) = TopicSource(Says("pianos, Sports, music"), seed=1, samples=1).propose(findings())
    music, sports = (rule.text for rule in proposal.rules)
    assert "about pianos, music, the" in music
    assert "about pianos, Sports, the" in sports
    misled = [Confusion("sports", "music", tuple(TRAIN[4:6]))]
    source = PairSource(Says("music, kayaks"), seed=1)
    texts = [one.rules[0].text for one in source.propose(findings(confusions=misled))]
    assert "If the ticket is about kayaks, the queue is sports, not music." in texts
    said, unsaid = (PairSource(Says(reply), seed=1) for reply in ("MUSIC", ""))
    assert said.propose(findings(confusions=misled)) == unsaid.propose(findings(confusions=misled))


def test_an_answer_that_is_written_otherwise_brings_the_rule_of_its_form_and_the_list_of_answers():
    letters = AnswerSpace("self", "answer", ("(A)", "(B)"), is_closed=True)
    train = [Item(f"{n}", "train", {"q": f"{n}", "answer": "(A)"}, {"q": f"{n}"}) for n in range(4)]
    first, *forms = ShapeSource().propose(findings(letters, train, given={"0": "A", "1": "A"}))
    assert "exactly one of: (A), (B)" in first.rules[0].text
    assert "in brackets, as in (A)" in forms[0].rules[0].text


def test_wrong_answers_in_the_right_form_bring_no_rule():
    assert broken_forms(["12", "7"], ["13", "8"]) == []
    assert ShapeSource().propose(findings(given={"x": "music"})) == []


def test_numbers_with_words_around_them_bring_the_rule_for_numbers():
    sentences = broken_forms(["12", "7"], ["12 apples", "It is 7."])
    assert any("whole number in digits" in sentence for sentence in sentences)


def test_refinement_narrows_the_rule_that_misleads_in_its_place():
    wide = Rule(text=topic_rule("piano, kayak", "music", QUEUES, "ticket"), trigger="piano, kayak")
    state = LearnedState(RuleSet([wide]))
    misled = Confusion("sports", "music", tuple(TRAIN[4:6]))
    source = RefinementSource(NoQuestions(), seed=1)
    (proposal,) = source.propose(findings(state=state, confusions=[misled]))
    assert proposal.replaces == (wide,)
    after = proposal.applied_to(state)
    assert [rule.text for rule in after.rules] == [topic_rule("piano", "music", QUEUES, "ticket")]


class NoQuestions:
    def ask(self, questions, place):
        assert not questions
        return []


TOPICS = ["topics", "contrast", "shapes", "pairs", "refinement"]


@pytest.mark.parametrize(
    ("values", "sources"),
    [
        (["fraud", "cards", "loans", "cash"], TOPICS),
        (["yes", "no"], [*TOPICS, "corrections"]),
        (["(A)", "(B)", "(C)"], ["shapes", "corrections"]),
        ([str(number) for number in range(24)], ["shapes", "corrections"]),
    ],
)
def test_sources_are_chosen_by_the_answers(values, sources):
    program = FrozenProgram(dspy.Predict("ticket -> queue"))
    train = [item(f"{number}", value) for number, value in enumerate(values * 3)]
    space = answer_space(program, train)
    assert chosen_sources(("auto",), space, is_one_step=True) == sources
    assert chosen_sources(("auto",), space, is_one_step=False) == ["failure_analysis", *sources]


def test_the_answers_are_those_of_the_literal_where_there_is_one():
    signature = dspy.Signature("ticket -> queue: Literal['music', 'sports', 'legal']")
    space = answer_space(FrozenProgram(dspy.Predict(signature)), TRAIN)
    assert space.values == ("music", "sports", "legal")


def test_every_beginning_of_a_balanced_draw_is_balanced():
    drawn = [item.values["queue"] for item in balanced_draw(TRAIN, QUEUES, 6, Random(3))]
    assert all(sorted(drawn[i : i + 2]) == ["music", "sports"] for i in (0, 2, 4))


def test_demonstrations_end_where_there_is_no_more_room():
    shown = DemonstrationSet(labelled(one, "self", ["queue"], "balanced") for one in TRAIN)
    kept = fitting(shown, lambda some: len(some) <= 3)
    assert kept.demonstrations == shown.demonstrations[:3]
    assert kept.demonstrations[0].values == {**TRAIN[0].inputs, "queue": "music"}
