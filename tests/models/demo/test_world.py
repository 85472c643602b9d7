from __future__ import annotations

from random import Random

import pytest

from models.demo.world import CAUSES, ORDINARY, QUEUES, TOPICS, queue_of, with_article, write_ticket


def test_a_topic_belongs_to_one_queue() -> None:
    topics = [topic for group in TOPICS.values() for topic in group]
    assert len(topics) == len(set(topics))
    assert queue_of("courier") == "shipping"


def test_special_causes_are_no_topics_and_no_ordinary_things() -> None:
    causes = {cause for group in CAUSES.values() for cause in group}
    assert not causes & set(ORDINARY)
    assert not causes & {topic for group in TOPICS.values() for topic in group}
    assert not set(CAUSES) & set(QUEUES)


@pytest.mark.parametrize(
    ("phrase", "said"), [("gift card", "a gift card"), ("island address", "an island address")]
)
def test_articles_follow_the_sound(phrase: str, said: str) -> None:
    assert with_article(phrase) == said


def test_a_ticket_says_its_topic_and_what_it_mentions() -> None:
    ticket = write_ticket(Random(4), topic="parcel", mention="gift card")
    assert "the parcel" in ticket.text.lower()
    assert "a gift card" in ticket.text
    assert ticket == write_ticket(Random(4), topic="parcel", mention="gift card")
