"""The quality report: the exported model, asked through the application's own path, on unseen words."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import dspy
import gguf

from engine.learning.analysis.prompts import analysis_inputs, merge_inputs
from engine.learning.analysis.signatures import AnalyzeFailures, MergeRules
from engine.programs.formatting import FieldFormatter
from engine.programs.metrics import built_in_metric
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule
from models import open_model
from models.demo import demo_model_path
from models.demo.project import INSTRUCTIONS, demo_examples, hidden_policy
from models.demo.training.data import (
    HELD_OUT_RULE_FORMS,
    Words,
    merged_text,
    other_mention,
    some_topic,
    write_policy,
)
from models.demo.training.effort import METADATA_PREFIX
from models.demo.training.vocabulary import held_out_phrase, held_out_queue
from models.demo.world import queue_of, with_article, write_ticket

HELD_OUT = Words(held_out_phrase, held_out_queue, HELD_OUT_RULE_FORMS, canonical_share=0.6)
TEMPERATURES = (0.7, 0.85, 1.0)
"""Of the passes of one analysis, as the optimizer's defaults have them."""

Example = dict[str, str]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Measure:
    """One line of the report: the share of right answers, of how many, and the bar it has to reach."""

    name: str
    right: int
    count: int
    bar: str

    @property
    def share(self) -> float:
        """Right answers, 0..1."""
        return self.right / self.count if self.count else 0.0


class Evaluation:
    """Asks one opened model; `seed` starts all draws, and none of them is used in training."""

    def __init__(self, lm: dspy.LM, seed: int, threads: int = 8) -> None:
        self._lm = lm
        self._seed = seed
        self._threads = threads
        self._program = FrozenProgram(dspy.ChainOfThought(dspy.Signature("ticket -> queue", INSTRUCTIONS)))
        self._metric = built_in_metric("exact_match", "queue")
        self._formatter = FieldFormatter({"ticket"})

    def measure(self, scale: int = 1) -> list[Measure]:
        """Return every measure; `scale` multiplies the number of projects and rule sets."""
        projects = range(self._seed, self._seed + 2 * scale)
        return [
            self.demo_tickets(projects, with_rules=True),
            self.demo_tickets(projects, with_rules=False),
            self.held_out_tickets(rule_sets=20 * scale),
            self.shared_causes(projects),
            self.mixed_causes(projects, batches=4),
            self.merges(30 * scale),
        ]

    def demo_tickets(self, seeds: Iterable[int], *, with_rules: bool, limit: int | None = None) -> Measure:
        """Measure test tickets of demo projects, with all rules of their policy or with none."""
        right = count = 0
        for seed in seeds:
            rules = hidden_policy(seed).rules() if with_rules else []
            examples = demo_examples(seed)["test"][:limit]
            right += sum(self._scores(rules, examples))
            count += len(examples)
        if with_rules:
            return Measure("demo tickets, the right rules in the prompt", right, count, "at least 92 %")
        return Measure("demo tickets, no rules in the prompt", right, count, "at most 60 %")

    def held_out_tickets(self, rule_sets: int) -> Measure:
        """Measure tickets under 1 to 12 rules whose phrases, queues and phrasings training never saw."""
        rng = Random(f"held out {self._seed}")
        right = count = 0
        for _ in range(rule_sets):
            policy = write_policy(rng, rng.randint(1, 12), HELD_OUT)
            examples = []
            for _ in range(10):
                mention = other_mention(rng, policy, HELD_OUT)
                if rng.random() < 0.7:
                    mention = rng.choice(list(policy.queues))
                ticket = write_ticket(rng, topic=some_topic(rng), mention=mention)
                queue = policy.queues.get(mention or "") or queue_of(ticket.topic)
                examples.append({"ticket": ticket.text, "queue": queue})
            right += sum(self._scores(policy.rules, examples))
            count += len(examples)
        return Measure("tickets under rules, phrases and queues never seen", right, count, "at least 92 %")

    def shared_causes(self, seeds: Iterable[int], temperatures: Sequence[float] = TEMPERATURES) -> Measure:
        """Measure analyses of batches whose failures share a cause: one rule names cause and queue."""
        asked = [
            (cause, queue, temperature, self._failures(seed, [cause], 4))
            for seed in seeds
            for cause, queue in hidden_policy(seed).queues.items()
            for temperature in temperatures
        ]
        asked = [case for case in asked if case[3]]
        answers = self._each(lambda case: self._analyse(case[3], case[2], []), asked)
        right = sum(
            _says(answer, cause, queue) for (cause, queue, *_), answer in zip(asked, answers, strict=True)
        )
        return Measure(
            "gradients on a shared cause: the cause and its queue", right, len(asked), "at least 70 %"
        )

    def mixed_causes(self, seeds: Iterable[int], batches: int) -> Measure:
        """Measure analyses of five failures of mixed causes: the share of causes that get their rule."""
        rng = Random(f"mixed {self._seed}")
        asked = []
        for seed in seeds:
            causes = hidden_policy(seed).queues
            for _ in range(batches):
                drawn = rng.choices(list(causes), k=5)
                known = rng.sample([cause for cause in causes if cause not in drawn], rng.randint(0, 3))
                rules = [
                    f"Tickets that mention {with_article(cause)} go to {causes[cause]}." for cause in known
                ]
                failures = self._failures(seed, drawn, 5)
                asked += [(seed, failures, temperature, rules) for temperature in TEMPERATURES]
        answers = self._each(lambda case: self._analyse(case[1], case[2], case[3]), asked)
        right = count = 0
        for (seed, failures, *_), answer in zip(asked, answers, strict=True):
            causes = hidden_policy(seed).queues
            shown = {cause for example, _ in failures for cause in causes if cause in example["ticket"]}
            right += sum(_says(answer, cause, causes[cause]) for cause in shown)
            count += len(shown)
        return Measure("gradients on mixed causes: causes that get their rule", right, count, "most")

    def merges(self, count: int) -> Measure:
        """Measure merges of two or three rules: every cause and every queue is kept."""
        rng = Random(f"merge {self._seed}")
        asked = []
        for _ in range(count):
            queue = held_out_queue(rng)
            pairs = [(held_out_phrase(rng), queue) for _ in range(rng.choice((2, 3)))]
            asked.append((pairs, [merged_text([pair]) for pair in pairs]))
        answers = self._each(lambda case: self._ask(MergeRules, merge_inputs(_as_rules(case[1])), 0.0), asked)
        right = sum(
            answer is not None
            and all(cause in answer.text and queue in answer.text for cause, queue in pairs)
            for (pairs, _), answer in zip(asked, answers, strict=True)
        )
        return Measure("merges that keep every cause and queue", right, count, "most")

    def _scores(self, rules: Sequence[str], examples: Sequence[Example]) -> list[bool]:
        predictions = self._answers(rules, examples)
        return [
            bool(answer) and self._metric(example, answer).is_success
            for example, answer in zip(examples, predictions, strict=True)
        ]

    def _answers(self, rules: Sequence[str], examples: Sequence[Example]) -> list[Any]:
        module = self._program.with_rules(_as_rules(rules))
        return self._each(lambda example: self._call(module, 0.0, ticket=example["ticket"]), examples)

    def _failures(self, seed: int, causes: Sequence[str], count: int) -> list[tuple[Example, Any]]:
        """Return up to `count` failures of the program without rules, on tickets that mention `causes`."""
        pool = demo_examples(seed)
        chosen: list[Example] = []
        examples = [*pool["train"], *pool["test"]]
        for cause in list(causes) * (count + 1):
            fitting = [e for e in examples if cause in e["ticket"] and e not in chosen]
            chosen += fitting[:1]
        chosen = chosen[: count + 3]
        answers = self._answers([], chosen)
        failed = [
            (example, answer)
            for example, answer in zip(chosen, answers, strict=True)
            if answer is not None and answer.queue != example["queue"]
        ]
        return failed[:count]

    def _analyse(
        self, failures: Sequence[tuple[Example, Any]], temperature: float, rules: Sequence[str]
    ) -> Any:
        shown = [(example, self._metric(example, answer), dict(answer), "") for example, answer in failures]
        shown.sort(key=lambda failure: failure[1].error_type)
        inputs = analysis_inputs(
            task=INSTRUCTIONS, rules=_as_rules(rules), failures=shown, successes=[], formatter=self._formatter
        )
        return self._ask(AnalyzeFailures, inputs, temperature)

    def _ask(self, signature: Any, inputs: dict[str, str], temperature: float) -> Any:
        return self._call(dspy.Predict(signature), temperature, **inputs)

    def _call(self, module: Any, temperature: float, **inputs: str) -> Any:
        lm = self._lm.copy(temperature=temperature, seed=len(str(inputs)))
        try:
            with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
                return module(**inputs)
        except dspy.utils.exceptions.AdapterParseError:
            return None

    def _each(self, ask: Callable[[T], R], cases: Sequence[T]) -> list[R]:
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(ask, cases))


def _as_rules(texts: Iterable[str]) -> list[Rule]:
    return [Rule(text=text) for text in texts]


def _says(answer: Any, cause: str, queue: str) -> bool:
    if answer is None:
        return False
    return any(
        cause in rule.text and f" {queue}." in rule.text and rule.trigger == cause for rule in answer.add
    )


def report(measures: Sequence[Measure], path: Path, seed: int, scale: int, seconds: float) -> str:
    """Return the quality report of the model at `path` as Markdown."""
    lines = [
        "# How good the demo model is",
        "",
        "Every figure is measured through the application's own path: llama.cpp, the chat template, DSPy's",
        "JSONAdapter and the JSON-schema grammar. The causes of the demo project and the held-out words are",
        "never part of training. Analyses run at the optimizer's temperatures (0.7, 0.85, 1.0).",
        "",
        "| measured | right | of | share | bar |",
        "|---|---|---|---|---|",
        *(f"| {m.name} | {m.right} | {m.count} | {m.share:.1%} | {m.bar} |" for m in measures),
        "",
        f"Made by `python -m models.demo.training.evaluate --seed {seed} --scale {scale} --write` "
        f"in {seconds:.0f} s on two CPU cores.",
        "",
        *_provenance(path),
    ]
    return "\n".join(lines) + "\n"


def _provenance(path: Path) -> list[str]:
    reader = gguf.GGUFReader(path)
    steps, tokens, minutes = (
        reader.fields[f"{METADATA_PREFIX}.{key}"].contents() for key in ("steps", "tokens", "minutes")
    )
    weights = sum(int(tensor.n_elements) for tensor in reader.tensors)
    return [
        f"The file: `{path.name}`, {path.stat().st_size:,} bytes, {weights:,} weights,",
        f"sha256 `{sha256(path.read_bytes()).hexdigest()}`.",
        "",
        f"Trained by `python -m models.demo.training` in {steps:,} steps on "
        f"{tokens / 1e6:.1f} million tokens, {minutes:.0f} minutes on two shared CPU cores.",
    ]


def main() -> None:
    """Measure a model and print the report."""
    parser = argparse.ArgumentParser(prog="python -m models.demo.training.evaluate", description=main.__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=demo_model_path())
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--scale", type=int, default=1, help="multiplies the number of draws")
    parser.add_argument("--write", action="store_true", help="write models/demo/REPORT.md too")
    options = parser.parse_args()
    started = time.monotonic()
    with open_model(f"gguf:{options.model.resolve()}") as model:
        measures = Evaluation(model.lm, options.seed).measure(options.scale)
    text = report(measures, options.model, options.seed, options.scale, time.monotonic() - started)
    print(text)
    if options.write:
        demo_model_path().with_name("REPORT.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
