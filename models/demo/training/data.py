"""Training conversations: tickets with rules, lists of look-ups, analyses of failures, merges of rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from engine.learning.analysis.prompts import ShownFailure, analysis_inputs, merge_inputs
from engine.programs.formatting import FieldFormatter
from engine.programs.metrics import built_in_metric
from engine.programs.rules import Rule, render_instructions
from models.demo.training.prompts import analysis_prompt, chat, indented, merge_prompt, task_prompt
from models.demo.training.vocabulary import noise, training_phrase, training_queue
from models.demo.world import CHANNELS, QUEUES, TOPICS, Ticket, queue_of, with_article, write_ticket

CANONICAL = "Tickets that mention {a} go to {q}."
RULE_FORMS = (
    "If a ticket mentions {a}, answer {q}.",
    "Anything about {s} must be sent to {q}.",
    "Send tickets about {a} to {q}.",
    "Use {q} for every ticket with {a}.",
    "When {a} is mentioned, the queue is {q}.",
    "Route {s} to {q}.",
    "A ticket with {a} belongs to {q}.",
    "Whenever the customer talks about {a}, choose {q}.",
    "Questions about {s} are for {q}.",
    "Tickets mentioning {a} should go to {q}.",
    "The {q} team takes care of {s}.",
    "{q} handles tickets that mention {a}.",
    "For {s}, answer {q}.",
    "Every message about {a} is for {q}.",
)
HELD_OUT_RULE_FORMS = (
    "Messages that mention {a} must go to {q}.",
    "If the customer mentions {a}, choose {q}.",
    "Anything with {a} belongs to {q}.",
)
"""Phrasings that only evaluation uses."""

BASE_INSTRUCTIONS = (
    "Route the support ticket to the queue that handles its topic: {queues}.",
    "Route the ticket to one of these queues: {queues}.",
    "Decide which queue handles the ticket. The queues are {queues}.",
    "You are the front desk of a shop. Send each ticket to the right queue: {queues}.",
    "Read the customer's ticket.\nAnswer with the queue that fits its topic: {queues}.",
    "Classify the ticket by its topic. Possible queues: {queues}.",
    "Route the ticket to a queue.",
    "Given the fields `{source}`, produce the fields `{target}`.",
)

FIELDS = (("ticket", "queue"),) * 6 + (
    ("question", "label"),
    ("message", "team"),
    ("email", "department"),
    ("text", "category"),
)

Draw = Callable[[Random], str]


@dataclass(frozen=True)
class Words:
    """Where phrases, queues and phrasings come from: training's own, or those held out."""

    phrase: Draw = training_phrase
    queue: Draw = training_queue
    rule_forms: Sequence[str] = RULE_FORMS
    canonical_share: float = 0.5


@dataclass(frozen=True)
class Policy:
    """Special causes, the queue of each, and the rules that say so, in their order."""

    queues: dict[str, str]
    rules: list[str]
    rule_numbers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversation:
    """A system message, and turns that each follow it directly: (user message or "", answer)."""

    system: str
    turns: list[tuple[str, str]]

    def texts(self) -> tuple[str, list[str]]:
        """Return the system message and the turns as ChatML."""
        turns = [
            chat(("user", user), ("assistant", answer)) if user else chat(("assistant", answer))
            for user, answer in self.turns
        ]
        return chat(("system", self.system)), turns


def base_instructions(rng: Random, source: str = "ticket", target: str = "queue") -> str:
    """Return one of the ways to tell the task, without any rule."""
    names = list(QUEUES)
    rng.shuffle(names)
    listed = f"{', '.join(names[:-1])} {rng.choice(('or', 'and'))} {names[-1]}"
    text = rng.choice(BASE_INSTRUCTIONS).format(queues=listed, source=source, target=target)
    return f"{text}\n" if rng.random() < 0.2 else text


def similar_phrase(rng: Random, phrase: str, words: Words) -> str:
    """Return a phrase that shares a word with `phrase` but isn't the same."""
    own = phrase.split()
    while True:
        other = words.phrase(rng).split()
        if len(own) == 2 and len(other) == 2:
            mixed = f"{own[0]} {other[1]}" if rng.random() < 0.5 else f"{other[0]} {own[1]}"
            if mixed != phrase:
                return mixed
        elif len(own) == 1:
            return " ".join(other) if own[0] not in other else f"{words.phrase(rng)}"


def distinct_phrases(rng: Random, count: int, words: Words) -> list[str]:
    """Return `count` phrases none of which holds another; some share a word."""
    chosen: list[str] = []
    while len(chosen) < count:
        phrase = words.phrase(rng)
        if chosen and rng.random() < 0.25:
            phrase = similar_phrase(rng, rng.choice(chosen), words)
        if not any(_overlap(phrase, other) for other in chosen):
            chosen.append(phrase)
    return chosen


def _overlap(one: str, other: str) -> bool:
    short, long = sorted((one.split(), other.split()), key=len)
    return short == long or (len(short) == 1 and short[0] in long)


def write_policy(rng: Random, count: int, words: Words) -> Policy:
    """Return a policy of `count` causes, and its rules in mixed phrasings, some of them merged."""
    phrases = distinct_phrases(rng, count, words)
    queues: dict[str, str] = {}
    rules: list[str] = []
    numbers: dict[str, int] = {}
    left = list(phrases)
    shared = words.queue(rng)
    while left:
        queue = shared if rng.random() < 0.1 else words.queue(rng)
        group = [left.pop() for _ in range(min(len(left), rng.choices((1, 2, 3), (85, 11, 4))[0]))]
        queues |= dict.fromkeys(group, queue)
        if len(group) == 2 and rng.random() < 0.3:
            queues[group[1]] = words.queue(rng)
        rules.append(write_rule(rng, [(phrase, queues[phrase]) for phrase in group], words))
        numbers |= dict.fromkeys(group, len(rules))
    return Policy(queues, rules, numbers)


def write_rule(rng: Random, pairs: Sequence[tuple[str, str]], words: Words) -> str:
    """Return one rule that sends each phrase to its queue."""
    if len(pairs) > 1:
        return merged_text(pairs)
    ((phrase, queue),) = pairs
    form = CANONICAL if rng.random() < words.canonical_share else rng.choice(words.rule_forms)
    return form.format(a=with_article(phrase), s=f"{phrase}s", q=queue)


def merged_text(pairs: Sequence[tuple[str, str]]) -> str:
    """Return the sentence that says what several rules say."""
    by_queue: dict[str, list[str]] = {}
    for phrase, queue in pairs:
        by_queue.setdefault(queue, []).append(with_article(phrase))
    parts = [f"tickets that mention {_either(phrases)} go to {queue}" for queue, phrases in by_queue.items()]
    sentence = ", and ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _either(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"


def looked_up(phrase: str, queue: str | None) -> str:
    """Return one step of reasoning: a phrase, and the queue that a rule gives it."""
    return f"{with_article(phrase)}: {queue or 'no correction'}."


def reasoning(ticket: Ticket, queue: str | None) -> str:
    """Return the model's reasoning about a ticket whose mention a rule sends to `queue`, or none does."""
    topic = f" It is about the {ticket.topic}: {queue_of(ticket.topic)}."
    if ticket.mention is None:
        return f"It mentions nothing special.{topic}"
    return f"It mentions {looked_up(ticket.mention, queue)}{'' if queue else topic}"


def task_answer(ticket: Ticket, queue: str | None, target: str) -> str:
    """Return the task program's answer as JSON."""
    return json.dumps({"reasoning": reasoning(ticket, queue), target: queue or queue_of(ticket.topic)})


def training_ticket(rng: Random, topic: str, mention: str | None) -> Ticket:
    """Return a ticket, now and then with something meaningless at its beginning or end."""
    ticket = write_ticket(rng, topic=topic, mention=mention)
    if rng.random() < 0.1:
        parts = [ticket.text, noise(rng)]
        rng.shuffle(parts)
        return replace(ticket, text=" ".join(parts))
    return ticket


def some_topic(rng: Random) -> str:
    """Return a topic, each queue equally likely."""
    return rng.choice(TOPICS[rng.choice(QUEUES)])


def other_mention(rng: Random, policy: Policy, words: Words) -> str | None:
    """Return something that no rule names: often close to one that a rule names, or nothing."""
    kind = rng.random()
    if kind < 0.25:
        return None
    known = list(policy.queues)
    while True:
        close = known and kind < 0.6
        phrase = similar_phrase(rng, rng.choice(known), words) if close else words.phrase(rng)
        if not any(_overlap(phrase, other) for other in known):
            return phrase


def triage(rng: Random, *, max_rules: int, turns: int, words: Words = Words()) -> Conversation:
    """Return tickets that are routed under one set of rules."""
    source, target = rng.choice(FIELDS)
    count = rng.randint(0, max_rules) if rng.random() < 0.9 else 0
    policy = write_policy(rng, count, words)
    base = base_instructions(rng, source, target)
    shown = render_instructions(base, [Rule(text=text) for text in policy.rules])
    prompt = task_prompt(source, target)
    answered = []
    for _ in range(turns):
        mention = other_mention(rng, policy, words)
        if policy.queues and rng.random() < 0.65:
            mention = rng.choice(list(policy.queues))
        ticket = training_ticket(rng, some_topic(rng), mention)
        answer = task_answer(ticket, policy.queues.get(mention or ""), target)
        answered.append((prompt.fill_user(**{source: ticket.text}), answer))
    return Conversation(prompt.fill_system(instructions=indented(shown)), answered)


def look_ups(rng: Random, *, max_rules: int, entries: int, words: Words = Words()) -> Conversation:
    """Return a dense list of look-ups in one set of rules: what makes the model learn to look up at all."""
    policy = write_policy(rng, rng.randint(1, max_rules), words)
    shown = render_instructions(base_instructions(rng), [Rule(text=text) for text in policy.rules])
    lines = []
    for _ in range(entries):
        phrase = rng.choice(list(policy.queues)) if rng.random() < 0.7 else other_mention(rng, policy, words)
        if phrase is not None:
            lines.append(looked_up(phrase, policy.queues.get(phrase)))
    return Conversation(
        task_prompt("ticket", "queue").fill_system(instructions=indented(shown)),
        [("", " ".join(("Now", *lines)))],
    )


@dataclass(frozen=True)
class _Failed:
    ticket: Ticket
    expected: str
    got: str
    cause: str | None
    wrong_rule: int | None


def analysis(rng: Random, words: Words = Words()) -> Conversation:
    """Return an analysis of failures, under a task whose current rules miss or mislead some causes."""
    source, target = rng.choice(FIELDS)
    count = rng.choices((1, 2, 3, 4), (30, 25, 25, 20))[0]
    policy = write_policy(rng, rng.choice((0, 0, 1, 2, 3, 4, 6, 8, 10)), words)
    causes = _new_causes(rng, count, policy, words)
    failures = [
        _failure(rng, causes, policy) for _ in range(rng.choices((1, 2, 3, 4, 5), (10, 15, 20, 20, 35))[0])
    ]
    successes = [_success(rng, policy, words) for _ in range(rng.randrange(4))]
    base = base_instructions(rng, source, target)
    inputs = analysis_inputs(
        task=base,
        rules=[Rule(text=text) for text in policy.rules],
        failures=[_shown(rng, failed, source, target) for failed in failures],
        successes=[_example(rng, ticket, queue, source, target) for ticket, queue in successes],
        formatter=FieldFormatter({source}),
    )
    prompt = analysis_prompt()
    return Conversation(prompt.system, [(prompt.fill_user(**inputs), _analysis_answer(failures, policy))])


def _new_causes(rng: Random, count: int, policy: Policy, words: Words) -> dict[str, str]:
    causes: dict[str, str] = {}
    while len(causes) < count:
        phrase = words.phrase(rng)
        if not any(_overlap(phrase, other) for other in (*causes, *policy.queues)):
            causes[phrase] = words.queue(rng)
    if policy.queues and rng.random() < 0.25:
        causes[rng.choice(list(policy.queues))] = words.queue(rng)
    return causes


def _failure(rng: Random, causes: dict[str, str], policy: Policy) -> _Failed:
    kind = rng.random()
    if kind < 0.06:
        topic = some_topic(rng)
        got = rng.choice([queue for queue in QUEUES if queue != queue_of(topic)])
        return _Failed(write_ticket(rng, topic=topic, mention=None), queue_of(topic), got, None, None)
    known = [phrase for phrase in policy.queues if phrase not in causes]
    cause = rng.choice(known) if known and kind < 0.12 else rng.choice(list(causes))
    expected = causes.get(cause) or policy.queues[cause]
    while True:
        ticket = training_ticket(rng, some_topic(rng), cause)
        misled = cause in policy.queues and cause in causes and policy.queues[cause] != expected
        got = policy.queues[cause] if misled else queue_of(ticket.topic)
        if got != expected:
            return _Failed(ticket, expected, got, cause, policy.rule_numbers[cause] if misled else None)


def _success(rng: Random, policy: Policy, words: Words) -> tuple[Ticket, str]:
    mention = other_mention(rng, policy, words)
    if policy.queues and rng.random() < 0.4:
        mention = rng.choice(list(policy.queues))
    ticket = training_ticket(rng, some_topic(rng), mention)
    return ticket, policy.queues.get(mention or "") or queue_of(ticket.topic)


def _example(rng: Random, ticket: Ticket, queue: str, source: str, target: str) -> dict[str, str]:
    example = {"id": str(rng.randrange(999)), source: ticket.text, target: queue}
    if rng.random() < 0.5:
        example["channel"] = rng.choice(CHANNELS)
    return example


def _shown(rng: Random, failed: _Failed, source: str, target: str) -> ShownFailure:
    example = _example(rng, failed.ticket, failed.expected, source, target)
    score = built_in_metric("exact_match", target)(example, {target: failed.got})
    if rng.random() < 0.02:
        return example, score, None, ""
    said = reasoning(failed.ticket, failed.got if failed.wrong_rule else None)
    if failed.cause and rng.random() < 0.1:
        misread = similar_phrase(rng, failed.cause, Words())
        said = said.replace(with_article(failed.cause), with_article(misread))
    if failed.cause is None:
        said = f"It mentions nothing special. It is about the {failed.ticket.topic}: {failed.got}."
    thoughts = {} if rng.random() < 0.15 else {"reasoning": said}
    return example, score, {**thoughts, target: failed.got}, ""


def _analysis_answer(failures: Sequence[_Failed], policy: Policy) -> str:
    steps: list[str] = []
    added: dict[str, str] = {}
    removed: list[int] = []
    for number, failed in enumerate(failures, 1):
        phrase = "nothing special" if failed.cause is None else with_article(failed.cause)
        steps.append(f"{number} mentions {phrase}: {_finding(failed, added, policy)}.")
        if failed.cause is None or failed.cause in added or _is_known(failed, policy):
            continue
        added[failed.cause] = failed.expected
        if failed.wrong_rule is not None and failed.wrong_rule not in removed:
            removed.append(failed.wrong_rule)
    rules = [
        {"text": CANONICAL.format(a=with_article(phrase), q=queue), "trigger": phrase}
        for phrase, queue in added.items()
    ]
    return json.dumps({"analysis": " ".join(steps), "add": rules, "remove": removed})


def _is_known(failed: _Failed, policy: Policy) -> bool:
    return failed.wrong_rule is None and failed.cause in policy.queues


def _finding(failed: _Failed, added: dict[str, str], policy: Policy) -> str:
    if failed.cause is None:
        return "no rule"
    if failed.cause in added:
        return "again"
    if _is_known(failed, policy):
        return "known"
    return (
        failed.expected if failed.wrong_rule is None else f"{failed.expected}, not rule {failed.wrong_rule}"
    )


def merge(rng: Random, words: Words = Words()) -> Conversation:
    """Return a merge of two to four rules, which mostly agree on the queue."""
    phrases = distinct_phrases(rng, rng.choice((2, 2, 2, 3, 3, 4, 5)), words)
    queue = words.queue(rng)
    pairs = [(phrase, queue if rng.random() < 0.8 else words.queue(rng)) for phrase in phrases]
    texts, rest = [], list(pairs)
    while rest:
        size = 2 if len(rest) > 2 and rng.random() < 0.3 else 1
        texts.append(write_rule(rng, rest[:size], words))
        rest = rest[size:]
    prompt = merge_prompt()
    answer = json.dumps({"text": merged_text(pairs), "trigger": ", ".join(phrases)})
    return Conversation(
        prompt.system, [(prompt.fill_user(**merge_inputs([Rule(text=text) for text in texts])), answer)]
    )
