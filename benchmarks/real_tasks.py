"""PromptGrad against DSPy's optimizers, with real models on real tasks.

Each method gets the same model, splits and metric, and is scored once on the test split. PromptGrad runs with
the settings of `promptgrad init`; the others may run the program as often as it did, or `--calls` times.
Results are appended to a file as they come, and what is there isn't measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):  # started as a file
    sys.path[0] = str(Path(__file__).parents[1])

from benchmarks.real.plot import plot
from benchmarks.real.product import VARIANTS, measure
from benchmarks.real.records import Record, Records
from benchmarks.real.table import ORDER, as_json, markdown, rows
from benchmarks.real.tasks import Task, load_tasks

if TYPE_CHECKING:
    import dspy

SEEDLESS = "base"
PEERS = tuple(method for method in ORDER if method != SEEDLESS and method not in VARIANTS)
CALLS_WITHOUT_PRODUCT = 500


def main() -> None:
    """Run what isn't measured yet, then write the table and the plot."""
    options = _options()
    records = Records(options.out)
    tasks = [task.limited(options.limit) for task in load_tasks(options.tasks, options.only)]
    for model in _models(options.models, options.model):
        for variant in options.product:
            for task in tasks:
                _run_product(records, task, model, variant, options)
        methods = ["base", *_by_demonstrations(options.against, options.k)]
        if any(_missing(records, task, model, m, options) for task in tasks for m in methods):
            with _opened(model) as lm:
                for method in methods:
                    for task in tasks:
                        _run_peer(records, task, model, lm, method, options)
    write_report(records.find(limit=options.limit), options.out)


def _by_demonstrations(methods: list[str], numbers: list[int]) -> list[str]:
    """Return the methods with LabeledFewShot once for each number of demonstrations."""
    labeled = [f"labeled-{number}" for number in numbers]
    return [name for method in methods for name in (labeled if method == "labeled" else [method])]


def _run_product(
    records: Records, task: Task, model: Path, variant: str, options: argparse.Namespace
) -> None:
    for seed in _missing(records, task, model, variant, options):
        folder = options.out / "projects" / f"{task.name}-{model.stem}-{variant}-{seed}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        record = measure(task, model, variant, seed, folder)
        _add(records, _key(task, model, variant, seed, options), record)


def _run_peer(
    records: Records, task: Task, model: Path, lm: dspy.LM, method: str, options: argparse.Namespace
) -> None:
    from benchmarks.real.peers import PEERS, WITHOUT_BUDGET, Bench

    bench = Bench(task, lm, options.reflection_tokens)
    is_free = PEERS[method.partition("-")[0]] in WITHOUT_BUDGET
    for seed in _missing(records, task, model, method, options):
        runs = 0 if is_free else options.calls or _product_runs(records, task, model)
        record = bench.measure(method, seed, runs)
        _add(records, _key(task, model, method, seed, options), {"budget": runs, **record})


def _missing(
    records: Records, task: Task, model: Path, method: str, options: argparse.Namespace
) -> list[int]:
    """Return the seeds of a method that the file of results doesn't have."""
    seeds = [0] if method == SEEDLESS else options.seeds
    return [
        seed
        for seed in seeds
        if not [
            record
            for record in records.find(**_key(task, model, method, seed, options))
            if record["status"] == "ok" or not options.retry
        ]
    ]


def _key(task: Task, model: Path, method: str, seed: int, options: argparse.Namespace) -> Record:
    return {
        "task": task.name,
        "model": model.name,
        "method": method,
        "seed": seed,
        "limit": options.limit,
    }


def _product_runs(records: Records, task: Task, model: Path) -> int:
    """Return how often PromptGrad ran the program or scored a prompt of it, on average over its seeds."""
    found = records.find(task=task.name, model=model.name, method="promptgrad", status="ok")
    runs = [record["usage"]["task"]["calls"] + record["scored_prompts"] for record in found]
    return round(fmean(runs)) if runs else CALLS_WITHOUT_PRODUCT


def _add(records: Records, key: Record, record: Record) -> None:
    about = {
        "time": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "load": round(os.getloadavg()[0], 1),
        "dspy": version("dspy"),
    }
    records.add({**key, **record, **about})
    scores = record.get("scores")
    outcome = f"{fmean(scores):.3f}" if scores else f"{record['status']}: {record.get('problem', '')}"
    print(
        f"{key['task']} {key['model']} {key['method']} seed {key['seed']}: {outcome}, "
        f"{record['seconds']:.0f} s",
        flush=True,
    )


@contextmanager
def _opened(model: Path) -> Iterator[dspy.LM]:
    from promptgrad_tui import open_model

    with open_model(f"gguf:{model}") as opened:
        yield opened.lm


def _models(folder: Path, chosen: list[str]) -> list[Path]:
    """Return the model files that are named, by a part of their names; without any, the largest one."""
    files = sorted(folder.glob("*.gguf"), key=lambda file: file.stat().st_size)
    if not files:
        raise SystemExit(f"There is no .gguf file in {folder}.")
    if not chosen:
        return [files[-1].resolve()]
    found = [[file for file in files if name.lower() in file.name.lower()] for name in chosen]
    for name, matches in zip(chosen, found, strict=True):
        if not matches:
            raise SystemExit(f"No model in {folder} is called {name}.")
    return [matches[0].resolve() for matches in found]


def write_report(records: list[Record], folder: Path) -> None:
    """Write the table as Markdown and JSON, and the plot."""
    table = rows(records)
    text = markdown(table)
    (folder / "results.md").write_text(text, encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(as_json(table), indent=2), encoding="utf-8")
    (folder / "results.svg").write_text(plot(table), encoding="utf-8")
    print(f"\n{text}\n{folder / 'results.md'}, results.json and results.svg are written.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add: Any = parser.add_argument
    add("--models", type=Path, required=True, help="a folder of .gguf files")
    add("--tasks", type=Path, required=True, help="a folder of tasks, each a folder with task.toml")
    add("--only", nargs="*", default=[], metavar="TASK", help="these tasks only")
    add("--model", nargs="*", default=[], metavar="FILE", help="these models only; by default the largest")
    add("--seeds", type=_numbers, default=[1, 2, 3], help="as in 1,2,3")
    add("--against", type=_peers, default=["labeled"], help=f"of {','.join(PEERS)}; or none")
    add("--product", type=_variants, default=list(VARIANTS), help=f"of {','.join(VARIANTS)}; or none")
    add("--calls", type=int, help="program runs for each optimizer; by default as many as PromptGrad needed")
    add("--reflection-tokens", type=int, help="tokens that each may use to write rules; by default unbounded")
    add("--k", type=_numbers, default=[12, 36], help="demonstrations of LabeledFewShot, as in 12,36")
    add("--limit", type=int, help="examples of each split, for trying it out")
    add("--retry", action="store_true", help="measure again what failed")
    add("--out", type=Path, default=Path("real-tasks"), help="where results and projects are written")
    options = parser.parse_args()
    options.out = options.out.resolve()
    return options


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _peers(text: str) -> list[str]:
    return _chosen(text, PEERS)


def _variants(text: str) -> list[str]:
    return _chosen(text, tuple(VARIANTS))


def _chosen(text: str, names: tuple[str, ...]) -> list[str]:
    chosen = [] if text == "none" else text.split(",")
    if unknown := [name for name in chosen if name not in names]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} isn't one of {', '.join(names)}")
    return chosen


if __name__ == "__main__":
    main()
