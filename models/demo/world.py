"""The demo's small world: a support desk, its queues, and how customers write."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

TOPICS: dict[str, tuple[str, ...]] = {
    "billing": ("invoice", "payment", "receipt", "sales tax", "credit note"),
    "shipping": ("parcel", "delivery date", "courier", "tracking number", "customs form"),
    "returns": ("return label", "exchange", "pickup slot", "return window", "wrong size"),
    "account": ("password", "login page", "profile picture", "username", "newsletter"),
    "technical": ("app", "website", "software update", "error message", "search box"),
    "sales": ("price list", "bulk order", "catalogue", "quote", "demo appointment"),
    "repairs": ("broken screen", "loose hinge", "dead battery", "cracked lid", "noisy motor"),
    "security": ("phishing mail", "unknown login", "leaked data", "stolen phone", "fake shop"),
}
"""Each queue and the topics that belong to it: what the base instructions and the model know."""

QUEUES = tuple(TOPICS)

TOPIC_SENTENCES = (
    "There is a problem with the {}.",
    "I have a question about the {}.",
    "Please look into the {}.",
    "The {} is not what I expected.",
    "Nobody has answered me about the {}.",
    "Can you help me with the {}?",
    "I am writing about the {}.",
    "Something is wrong with the {}.",
    "I need advice on the {}.",
    "The {} worries me.",
)

MENTION_SENTENCES = (
    "I have {}.",
    "I paid with {}.",
    "I ordered {} from you.",
    "It came with {}.",
    "My order includes {}.",
    "I am using {}.",
    "This concerns {}.",
    "My family shares {}.",
    "I got {} last week.",
    "We signed up for {}.",
    "There was {} in it.",
    "You sold me {}.",
    "I was promised {}.",
    "My company relies on {}.",
    "I asked for {} in May.",
    "It all began with {}.",
)

SMALL_TALK = (
    "Hello.",
    "Good morning.",
    "Hi there!",
    "Thanks in advance.",
    "Please reply soon.",
    "Kind regards.",
    "This is urgent.",
    "I have waited for days.",
    "Sorry to bother you.",
    "Have a nice day.",
)

CHANNELS = ("chat", "email", "phone", "web")

CAUSES: dict[str, tuple[str, ...]] = {
    "loyalty": ("gift card", "birthday voucher", "points balance", "referral bonus"),
    "education": ("student discount", "classroom licence", "school laptop", "teacher pass"),
    "export": ("customs bond", "pallet shipment", "freight container", "island address"),
    "legal": ("court letter", "signed contract", "patent claim", "debt notice"),
    "partners": ("reseller badge", "affiliate link", "franchise store", "market stall"),
    "warranty": ("recalled kettle", "extended guarantee", "burnt toaster", "swollen charger"),
    "press": ("magazine review", "podcast interview", "camera crew", "film permit"),
    "medical": ("hearing aid", "blood monitor", "clinic account", "wheelchair ramp"),
    "events": ("festival ticket", "wedding list", "trade fair", "concert booth"),
    "nonprofit": ("charity receipt", "donation box", "church group", "volunteer team"),
}
"""Special causes by the queue that a hidden policy may assign them to; training never sees these phrases."""

ORDINARY = (
    "garden chair",
    "desk lamp",
    "wool blanket",
    "steel bottle",
    "paper diary",
    "kitchen scale",
    "travel bag",
    "wall clock",
    "rain jacket",
    "picture frame",
    "coffee grinder",
    "yoga mat",
    "bread knife",
    "bicycle pump",
    "phone cover",
    "tea pot",
)
"""Things that customers mention and that never change the queue."""


@dataclass(frozen=True)
class Ticket:
    """What a customer wrote: the topic, and perhaps one thing it mentions."""

    text: str
    topic: str
    mention: str | None


def queue_of(topic: str) -> str:
    """Return the queue that handles `topic` where no rule says otherwise."""
    return next(queue for queue, topics in TOPICS.items() if topic in topics)


def with_article(phrase: str) -> str:
    """Return "a gift card" for "gift card"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def write_ticket(rng: Random, *, topic: str, mention: str | None) -> Ticket:
    """Return a ticket about `topic` that mentions `mention`, in words drawn from `rng`."""
    sentences = [rng.choice(TOPIC_SENTENCES).format(topic)]
    if mention is not None:
        mentioning = rng.choice(MENTION_SENTENCES).format(with_article(mention))
        sentences.insert(rng.randrange(2), mentioning)
    if rng.random() < 0.35:
        sentences.insert(rng.randrange(len(sentences) + 1), rng.choice(SMALL_TALK))
    return Ticket(" ".join(sentences), topic, mention)
