"""Whether the same request gets the same answer, bit for bit: real models, real prompts, every way to ask.

Requests are the product's: base instructions, with demonstrations, sampled and greedy, with and without a
schema, and scores. Each is asked alone first, and then in crowds of threads, in another order, with another
number of threads, with few sequences, in small steps and in another process. What is compared is every token,
its log-probability and every score. The same requests are counted once: tokens evaluated and time taken.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import random
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy
from dspy import lm15

from models import ModelSettings, open_model
from models.gguf.model import GGUFModel

WAYS = ("greedy", "sampled", "schema", "closed", "score", "among")
DEMONSTRATIONS = 12
LONGEST = 24


@dataclass(frozen=True)
class Task:
    """A handed task."""

    name: str
    instructions: str
    signature: str
    field: str
    examples: list[dict[str, str]]

    @property
    def answers(self) -> list[str]:
        """The answers that the examples have, as JSON."""
        values = sorted({example[self.field] for example in self.examples})
        return [json.dumps({self.field: value}) for value in values][:10]


@dataclass(frozen=True)
class Job:
    """One request."""

    number: int
    way: str
    messages: list[dict[str, str]]
    schema: dict[str, Any]
    answers: list[str]


def read_tasks(folder: Path) -> list[Task]:
    """Read every task of a folder."""
    tasks = []
    for file in sorted(folder.glob("*/task.toml")):
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        lines = (file.parent / "train.jsonl").read_text(encoding="utf-8").splitlines()
        examples = [json.loads(line) for line in lines]
        tasks.append(
            Task(file.parent.name, table["instructions"], table["signature"], table["field"], examples)
        )
    return tasks


def make_jobs(tasks: Sequence[Task], count: int) -> list[Job]:
    """Return requests of all kinds, a third of them with demonstrations."""
    rng = random.Random(0)
    jobs = []
    for number in range(count):
        task = rng.choice(tasks)
        signature = dspy.Signature(task.signature, task.instructions)
        field = next(iter(signature.input_fields))
        shown = [dspy.Example(**example) for example in task.examples[:DEMONSTRATIONS]]
        messages = dspy.JSONAdapter().format(
            signature,
            shown if rng.random() < 1 / 3 else [],
            {field: rng.choice(task.examples[DEMONSTRATIONS:])[field]},
        )
        way = WAYS[number % len(WAYS)]
        value: dict[str, Any] = {"type": "string", "maxLength": 40}
        if way == "closed":
            value = {"enum": [json.loads(answer)[task.field] for answer in task.answers]}
        schema = {"type": "object", "properties": {task.field: value}, "required": [task.field]}
        jobs.append(Job(number, way, messages, schema, task.answers))
    return jobs


def ask(model: GGUFModel, job: Job) -> Any:
    """Return everything that an answer consists of."""
    if job.way in ("score", "among"):
        return model.score(job.messages, job.answers, among=job.way == "among")
    config: dict[str, Any] = {"max_tokens": LONGEST, "temperature": 0.0, "logprobs": 2}
    if job.way == "sampled":
        config |= {"temperature": 1.0, "seed": job.number}
    if job.way in ("schema", "closed"):
        config["response_format"] = {"type": "json_schema", "schema": job.schema}
    sides = {"user": lm15.Message.user, "assistant": lm15.Message.assistant}
    request = lm15.Request(
        model=model.lm.model,
        system=job.messages[0]["content"],
        messages=tuple(sides[message["role"]](message["content"]) for message in job.messages[1:]),
        config=lm15.Config(**config),
    )
    answer = model.lm.engine.complete(request)
    choices = [
        [choice.token_id, choice.logprob, [top.logprob for top in choice.top]]
        for choice in answer.logprobs or ()
    ]
    return [answer.text, choices]


def run(path: Path, jobs: Sequence[Job], askers: int, **settings: Any) -> dict[int, str]:
    """Ask all requests of a freshly opened model and return a hash of each answer."""
    began = time.perf_counter()
    with open_model(f"gguf:{path}", settings=ModelSettings(context_length=4096, **settings)) as model:
        assert isinstance(model, GGUFModel)
        opened = time.perf_counter()
        with ThreadPoolExecutor(askers) as pool:
            answers = list(pool.map(lambda job: ask(model, job), jobs))
        counts = model.statistics()
        taken = time.perf_counter() - opened
    reused = counts.prompt_tokens_reused / max(1, counts.prompt_tokens_requested)
    print(
        f"  {askers:3} threads, {settings or 'as it comes'}: {taken:.0f} s, {opened - began:.0f} to open; "
        f"{counts.prompt_tokens_evaluated:,} prompt tokens evaluated, {reused:.0%} reused; "
        f"{counts.tokens_decoded} tokens decoded, {counts.tokens_guessed} of them guessed; "
        f"{counts.steps} steps",
        flush=True,
    )
    found = {}
    for job, answer in zip(jobs, answers, strict=True):
        found[job.number] = hashlib.sha256(json.dumps(answer).encode()).hexdigest()
    return found


def run_elsewhere(path: Path, jobs: Sequence[Job], threads: int) -> dict[int, str]:
    """Do the same in another process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, (path, jobs, threads))


def compare(path: Path, jobs: Sequence[Job], ways: int) -> int:
    """Ask in every way and print how many answers differ; return how many do in all."""
    print(f"{path.name}: {len(jobs)} requests", flush=True)
    expected = run(path, jobs, 1, threads=1)
    shuffled = random.Random(1).sample(jobs, len(jobs))
    trials: list[tuple[Sequence[Job], int, dict[str, Any]]] = [
        (shuffled, 64, {}),
        (jobs[::-1], 7, {"sequences": 3}),
        (shuffled[::-1], 16, {"batch_size": 64}),
    ]
    different = 0
    for order, threads, settings in trials[:ways]:
        found = run(path, order, threads, **settings)
        differs = sum(found[number] != expected[number] for number in expected)
        print(f"    {differs} of {len(expected)} differ", flush=True)
        different += differs
    found = run_elsewhere(path, shuffled, 10)
    differs = sum(found[number] != expected[number] for number in expected)
    print(f"    in another process {differs} of {len(expected)} differ", flush=True)
    return different + differs


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="a folder with GGUF files")
    parser.add_argument("--tasks", type=Path, required=True, help="a folder with tasks")
    parser.add_argument("--only", help="a part of the names of the models to ask")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--ways", type=int, default=3, help="of asking in this process, besides alone")
    options = parser.parse_args()
    jobs = make_jobs(read_tasks(options.tasks), options.requests)
    files = [path for path in sorted(options.models.glob("*.gguf")) if (options.only or "") in path.name]
    if sum(compare(path, jobs, options.ways) for path in files):
        raise SystemExit("Some answers differ.")


if __name__ == "__main__":
    main()
