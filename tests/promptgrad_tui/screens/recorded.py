"""A recorded run: a project on disk and a journal with all that a run writes, made without a model."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.ground.examples import example_key, public_fields
from engine.ground.interval import Interval
from engine.journal.completions import Completion
from engine.journal.events import (
    AnalysisFinished,
    BatchScored,
    ConsensusReached,
    DataUsed,
    DroppedProposal,
    EpochFinished,
    Event,
    ModelUsed,
    PhaseStarted,
    ProgressEstimated,
    ReviewApplied,
    RolloutFinished,
    RulesChanged,
    RunFinished,
    RunStarted,
    RunSummary,
    SliceScore,
    SliceScores,
    SplitScores,
    TestFinished,
    Tokens,
    ValidationFinished,
    ValidationStarted,
)
from engine.journal.journal import Journal, journal_path
from engine.programs.rules import Evidence, ParsedRule, Rule, RuleSet

BASE = "Route the ticket to the queue that can solve it."
QUEUES = ("billing", "delivery", "accounts", "returns", "technical")
RULES = (
    ("Tickets that mention a refund go to returns.", "refund money back"),
    ("Tickets about a parcel go to delivery.", "parcel courier"),
    ("A lost password goes to accounts.", "password login"),
    ("An invoice goes to billing.", "invoice charge"),
    ("Crashes and error codes go to technical.", "crash error code"),
)
PROJECT = """\
[program]
signature = "ticket -> queue"
instructions = "Route the ticket to the queue that can solve it."
[data]
train = "data/train.jsonl"
validation = "data/validation.jsonl"
test = "data/test.jsonl"
[metric]
kind = "exact_match"
field = "queue"
[model]
task = "demo"
"""
_WORDS = [
    "the",
    "parcel",
    "a",
    "refund",
    "my",
    "password",
    "an",
    "invoice",
    "crash",
    "order",
    "please",
    "again",
]
_EFFECTS = {text: 0.13 for text, _ in RULES[:3]} | {text: 0.03 for text, _ in RULES[3:]}
"""By how much a rule shifts the share of right answers; others make it a little worse."""


class RecordedRun:
    """Writes a run into a journal, event by event, as an engine would; a seed makes it reproducible.

    `clock` gives the time of each event; `hostile` makes data and answers that try to act on a terminal;
    `rules` are what its analyses propose, each with its trigger.
    """

    def __init__(
        self,
        folder: Path,
        *,
        epochs: int = 3,
        batches: int = 3,
        batch_size: int = 10,
        validation: int = 60,
        seed: int = 4,
        hostile: str = "",
        clock: Callable[[], float] = time.time,
        with_completions: bool = True,
        rules: Sequence[tuple[str, str]] = RULES,
    ) -> None:
        self.folder = folder
        self._rng = random.Random(seed)
        self._hostile = hostile
        self._clock = clock
        self._epochs, self._batches, self._batch_size = epochs, batches, batch_size
        self._with_completions = with_completions
        self._splits = {
            "train": self._examples("train", 40),
            "validation": self._examples("validation", validation),
            "test": self._examples("test", 40),
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "promptgrad.toml").write_text(PROJECT)
        (folder / "data").mkdir(exist_ok=True)
        for split, examples in self._splits.items():
            text = "\n".join(json.dumps(example) for example in examples.values())
            (folder / "data" / f"{split}.jsonl").write_text(text)
        self.journal = Journal.open(journal_path(folder))
        self.run = self.journal.create_run(folder, {"seed": 7, "budget": {"max_calls": None}}).id
        self._rules = RuleSet()
        self._pool = list(rules)
        self._known: dict[tuple[str, str], float] = {}
        self._done = 0
        self._expected = 800

    def write(self, until: type[Event] | None = None, count: int | None = None) -> int:
        """Write events until one of the kind `until`, or `count` of them, or all; return how many."""
        number = 0
        for event in self.events():
            self.journal.append(self.run, event)
            number += 1
            if (until is not None and isinstance(event, until)) or number == count:
                break
        return number

    def examples(self, split: str) -> dict[str, dict[str, str]]:
        """Return the examples of a split by their keys."""
        return dict(self._splits[split])

    def accepted_rules(self) -> tuple[Rule, ...]:
        """Return the rules that the run has kept so far."""
        return self._rules.rules

    def write_review(self, *rules: Rule) -> None:
        """Write that a review was applied after the run, and left `rules`, or the first one."""
        score = Interval(score=0.8125, n=40, low=0.7, high=0.9)
        kept = rules or self._rules.rules[:1]
        self.journal.append(
            self.run,
            ReviewApplied(
                id="review/1", time=self._clock(), number=1, rules=kept, validation=score, test=score
            ),
        )

    def write_rejected_edit(self, rule: Rule, text: str) -> None:
        """Write the test of an edit of `rule` that brought nothing."""
        edited = rule.model_copy(update={"text": text, "trigger": "", "evidence": None})
        test = {"epoch": rule.epoch, "batch": 1, "action": "add", "rule": edited}
        started = {"id": "edit/started", "time": self._clock(), "n": 40, "before": ()}
        finished = {"id": "edit", "time": self._clock(), "verdict": "rejected", "reason": "no gain"}
        self.journal.append(self.run, ValidationStarted.model_validate({**test, **started}))
        self.journal.append(self.run, ValidationFinished.model_validate({**test, **finished}))

    def events(self) -> Iterator[Event]:
        """Yield the run's events in order."""
        yield self._started()
        yield from self._epoch_score(0)
        for epoch in range(1, self._epochs + 1):
            for batch in range(1, self._batches + 1):
                yield from self._batch(epoch, batch)
            yield from self._epoch_score(epoch)
        yield from self._test()

    def _started(self) -> Event:
        model = ModelUsed(uri="demo", revision="sha256:" + "3fa9c1d2e4b5" * 5)
        return RunStarted(
            id="run",
            time=self._clock(),
            run=self.run,
            project=str(self.folder),
            program="sha256:1",
            model=model,
            reflection=model,
            base_instructions={"predict": BASE},
            config={
                "epochs": self._epochs,
                "batches_per_epoch": self._batches,
                "batch_size": self._batch_size,
            },
            seed=7,
            data={name: DataUsed(n=len(split), digest="sha256:2") for name, split in self._splits.items()},
        )

    def _epoch_score(self, epoch: int) -> Iterator[Event]:
        yield self._phase("epoch" if epoch else "baseline", epoch)
        yield self._progress(f"epoch{epoch}")
        keys = list(self._splits["validation"])
        yield from self._rollouts("validation", keys, self._rules)
        mean = sum(self._known[self._rules.digest, key] for key in keys) / len(keys)
        spread = 0.12
        interval = Interval(score=mean, n=len(keys), low=max(mean - spread, 0), high=min(mean + spread, 1))
        yield EpochFinished(
            id=f"epoch{epoch}",
            time=self._clock(),
            epoch=epoch,
            validation=interval,
            rules=self._rules.digest,
            n_rules=len(self._rules),
            best=mean,
            outcome="improved" if epoch else "baseline",
            slices={
                name: SliceScore(score=self._interval(values), failures=values.count(0.0))
                for name, values in self._by_queue("validation", self._rules).items()
            },
        )

    def _phase(self, phase: str, epoch: int, batch: int = 0) -> Event:
        return PhaseStarted.model_validate(
            {"id": f"epoch{epoch}/batch{batch}/{phase}/phase", "time": self._clock(), "phase": phase}
            | {"epoch": epoch, "batch": batch}
        )

    def _progress(self, place: str) -> Event:
        now = self._clock()
        return ProgressEstimated(id=f"{place}/progress", time=now, done=self._done, expected=self._expected)

    def _batch(self, epoch: int, batch: int) -> Iterator[Event]:
        keys = self._rng.sample(list(self._splits["train"]), self._batch_size)
        yield self._phase("rollouts", epoch, batch)
        yield self._progress(f"epoch{epoch}/batch{batch}")
        yield from self._rollouts("train", keys, self._rules)
        scores = {key: self._known[self._rules.digest, key] for key in keys}
        failures = tuple(key for key, score in scores.items() if score < 0.5)
        types: dict[str, int] = {}
        for key in failures:
            types[self._error_type(key)] = types.get(self._error_type(key), 0) + 1
        yield BatchScored(
            id=f"epoch{epoch}/batch{batch}",
            time=self._clock(),
            epoch=epoch,
            batch=batch,
            examples=tuple(keys),
            failures=failures,
            rules=self._rules.digest,
            score=sum(scores.values()) / len(scores),
            error_types=types,
        )
        if failures:
            yield from self._gradient(epoch, batch, failures)

    def _gradient(self, epoch: int, batch: int, failures: tuple[str, ...]) -> Iterator[Event]:
        yield self._phase("gradients", epoch, batch)
        text, trigger = self._pool.pop(0) if self._pool else ("Answer in lower case.", "")
        good = ParsedRule(
            action="add",
            text=text + self._hostile,
            trigger=trigger,
            confidence=2 / 3,
            support=2,
            rationale="Shared.",
        )
        other = ParsedRule(
            action="add", text=f"Write the queue in capitals ({epoch}.{batch}).", confidence=0.7, support=2
        )
        for number in range(3):
            yield AnalysisFinished(
                id=f"epoch{epoch}/batch{batch}/analysis/{number}",
                time=self._clock(),
                epoch=epoch,
                batch=batch,
                number=number,
                temperature=0.7 + 0.15 * number,
                analysis=f"The failures share a word.{self._hostile} It should decide the queue.",
                proposals=(good, other)[: number + 1],
                completions=self._complete(
                    f"analysis/{epoch}/{batch}/{number}", "Why did these fail?", "{...}"
                ),
            )
        lone = ParsedRule(action="add", text="Copy the ticket's first word.", support=1, confidence=0.3)
        yield ConsensusReached(
            id=f"epoch{epoch}/batch{batch}/consensus",
            time=self._clock(),
            epoch=epoch,
            batch=batch,
            passes=3,
            kept=(good, other),
            dropped=(DroppedProposal(proposal=lone, reason="said by 1 of 3 passes"),),
        )
        yield self._phase("validation", epoch, batch)
        yield from self._tested(good, epoch, batch, failures)
        yield from self._tested(other, epoch, batch, failures)

    def _tested(
        self, proposal: ParsedRule, epoch: int, batch: int, failures: tuple[str, ...]
    ) -> Iterator[Event]:
        rule = Rule(
            text=proposal.text,
            trigger=proposal.trigger,
            predictor="predict",
            rationale=proposal.rationale,
            support=proposal.support,
            epoch=epoch,
            batch=batch,
            suggested_by=failures[:3],
        )
        place = f"epoch{epoch}/batch{batch}/add/{rule.id}/{self._rules.digest}"
        keys = list(self._splits["validation"])[:40]
        yield ValidationStarted(
            id=f"{place}/started",
            time=self._clock(),
            epoch=epoch,
            batch=batch,
            action="add",
            rule=rule,
            n=len(keys),
        )
        after = self._rules.adding(rule)
        yield from self._rollouts("validation", keys, after)
        deltas = {key: self._known[after.digest, key] - self._known[self._rules.digest, key] for key in keys}
        delta = sum(deltas.values()) / len(deltas)
        evidence = Evidence(
            delta=delta, low=delta - 0.14, high=delta + 0.16, n=len(keys), deltas=deltas, calls=len(keys)
        )
        verdict = "accepted" if delta > 0.1 else "needs_review" if delta > 0 else "rejected"
        yield ValidationFinished.model_validate(
            {
                "id": f"{place}/finished",
                "time": self._clock(),
                "epoch": epoch,
                "batch": batch,
                "action": "add",
                "rule": rule,
                "verdict": verdict,
                "reason": "the gain is at least 0.01" if verdict == "accepted" else "the interval includes 0",
                "fixed": [key for key, value in deltas.items() if value > 0],
                "broken": [key for key, value in deltas.items() if value < 0],
                "evidence": evidence,
            }
        )
        if verdict == "accepted":
            before, self._rules = (
                self._rules,
                self._rules.adding(rule.model_copy(update={"evidence": evidence})),
            )
            yield RulesChanged(
                id=f"epoch{epoch}/batch{batch}/rules/{before.digest}/{self._rules.digest}",
                time=self._clock(),
                epoch=epoch,
                batch=batch,
                reason="accepted",
                digest=self._rules.digest,
                rules=self._rules.rules,
            )

    def _test(self) -> Iterator[Event]:
        keys = list(self._splits["test"])
        yield self._phase("test", 0)
        yield from self._rollouts("test", keys, RuleSet())
        yield from self._rollouts("test", keys, self._rules)
        scores = [
            self._interval([self._known[rules.digest, key] for key in keys])
            for rules in (RuleSet(), self._rules)
        ]
        gain = scores[1].score - scores[0].score
        yield TestFinished(
            id="test",
            time=self._clock(),
            baseline=scores[0],
            optimized=scores[1],
            gain=Interval(score=gain, n=len(keys), low=gain - 0.1, high=gain + 0.1),
            slices=self._slice_gains("test"),
        )
        yield RunFinished(
            id="finished/1",
            time=self._clock(),
            summary=RunSummary(
                run=self.run,
                status="improved",
                reason="all epochs are done",
                model=ModelUsed(uri="demo", revision="sha256:3fa9"),
                baseline=SplitScores(validation=scores[0], test=scores[0]),
                optimized=SplitScores(validation=scores[1], test=scores[1]),
                slices=self._slice_gains("test"),
                validation_slices=self._slice_gains("validation"),
                calls=self._done,
                tokens=Tokens(prompt=self._done * 160, completion=self._done * 12, reused=self._done * 110),
                seconds=61.5,
            ),
        )

    def _slice_gains(self, split: str) -> dict[str, SliceScores]:
        before, after = self._by_queue(split, RuleSet()), self._by_queue(split, self._rules)
        found = {}
        for name, values in after.items():
            old, new = self._interval(before[name]), self._interval(values)
            delta = new.score - old.score
            gain = Interval(score=delta, n=len(values), low=delta - 0.2, high=min(delta + 0.2, 1.0))
            found[name] = SliceScores(baseline=old, optimized=new, gain=gain, failures=values.count(0.0))
        return found

    def _by_queue(self, split: str, rules: RuleSet) -> dict[str, list[float]]:
        """Return the scores of a split under a rule set, with the right queue as the slice."""
        found: dict[str, list[float]] = {}
        for key, example in sorted(self._splits[split].items(), key=lambda pair: pair[1]["queue"]):
            found.setdefault(example["queue"], []).append(self._known[rules.digest, key])
        return found

    def _interval(self, values: list[float]) -> Interval:
        mean = sum(values) / len(values)
        return Interval(score=mean, n=len(values), low=max(mean - 0.1, 0.0), high=min(mean + 0.1, 1.0))

    def _rollouts(self, split: str, keys: list[str], rules: RuleSet) -> Iterator[Event]:
        for key in keys:
            if (rules.digest, key) not in self._known:
                yield self._rollout(split, key, rules)

    def _rollout(self, split: str, key: str, rules: RuleSet) -> Event:
        example = self._splits[split][key]
        skill = 0.42 + sum(_EFFECTS.get(rule.text.removesuffix(self._hostile), -0.07) for rule in rules)
        right = int(key[-4:], 16) / 0x10000 < skill
        self._known[rules.digest, key] = 1.0 if right else 0.0
        answer = example["queue"] if right else self._rng.choice([q for q in QUEUES if q != example["queue"]])
        self._done += 1
        name = f"rollout/{rules.digest}/{key}"
        return RolloutFinished.model_validate(
            {
                "id": name,
                "time": self._clock(),
                "example": key,
                "split": split,
                "rules": rules.digest,
                "score": 1.0 if right else 0.0,
                "is_success": right,
                "feedback": "" if right else f"Expected {example['queue']}, got {answer}.{self._hostile}",
                "error_type": "" if right else self._error_type(key),
                "prediction": {"queue": answer + self._hostile},
                "completions": self._complete(name, example["ticket"], json.dumps({"queue": answer})),
                "tokens": Tokens(prompt=160, completion=12, reused=110),
                "seconds": 0.08,
            }
        )

    def _complete(self, key: str, prompt: str, answer: str) -> tuple[str, ...]:
        if not self._with_completions:
            return (key,)
        text = [{"type": "text", "text": prompt + self._hostile}]
        request = {"system": f"{BASE}\n\n  Answer as JSON.", "messages": [{"role": "user", "parts": text}]}
        response = {"message": {"parts": [{"type": "text", "text": answer + self._hostile}]}}
        self.journal.remember_completion(
            Completion(
                *(key, self.run, self._clock(), json.dumps(request), json.dumps(response), 0.08),
                Tokens(prompt=160, completion=12, reused=110),
            )
        )
        return (key,)

    def _error_type(self, key: str) -> str:
        return ("wrong queue", "wrong queue", "unparseable", "too broad")[int(key[:2], 16) % 4]

    def _examples(self, split: str, count: int) -> dict[str, dict[str, str]]:
        examples: dict[str, dict[str, str]] = {}
        for number in range(count):
            ticket = f"{' '.join(self._rng.choices(_WORDS, k=9))}{self._hostile}"
            example = {"id": f"{split}-{number:03}", "ticket": ticket, "queue": self._rng.choice(QUEUES)}
            examples[example_key(example, public_fields(example))] = example
        return examples
