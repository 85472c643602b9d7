"""How fast an optimizer's work runs in process: ours, one request at a time behind a lock, and llama-server.

With `--models` and `--tasks` it is what a run on a handed task asks a real model: test messages behind the
base instructions, behind 12 demonstrations and behind 6 rules, and samples of an analysis. Without them it is
600 tokens of instructions and messages of 100 to 150 tokens, twice, on the demo model, kept from ending its
answers, and on random weights of a 0.5 B model's shape. Each contestant has a process of its own, and they
run in turn, on the same file and threads.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from gguf import GGUFReader

from benchmarks.inference.contestants import (
    Process,
    Round,
    behind_a_lock,
    llama_server,
    ollama,
    ours,
    server_process,
)
from benchmarks.inference.workloads import Workload, random_workloads, real_workloads
from benchmarks.random_model import HALF_BILLION, write_random_model
from benchmarks.real.tasks import load_tasks
from models.demo import demo_model_path
from models.gguf.library import NativeModel


def endless_demo_model(folder: Path) -> Path:
    """Copy the demo model with its end token renamed, so that every answer is as long as it may be."""
    path = folder / "demo.gguf"
    path.write_bytes(demo_model_path().read_bytes().replace(b"<|im_end|>", b"<|im_mid|>"))
    reader = GGUFReader(path, "r+")
    padding = reader.fields["tokenizer.ggml.padding_token_id"].parts[-1][0]
    for name in ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"):
        reader.fields[name].parts[-1][0] = padding
    return path


def compare(path: Path, workloads: Sequence[Workload], options: argparse.Namespace) -> dict[str, Any]:
    """Run all contestants in turn and return every time, the ratios, and what ours did for each workload."""
    print(f"\n{path.stem}\n{'':30}{'workload':26}{'wall s':>9}{'CPU s':>9}{'tokens/s':>10}", flush=True)
    rounds: list[Round] = []
    done: dict[str, dict[str, float]] = {}
    with ExitStack() as closing:

        def started(*arguments: Any) -> Process:
            process = Process(*arguments)
            closing.callback(process.close)
            return process

        scheduler = started(ours, path, options.threads)
        others = [started(behind_a_lock, path, options.threads)]
        for slots in options.slots:
            others.append(started(llama_server, path, options.threads, slots))
            if options.llama_server:
                others.append(started(server_process, options.llama_server, path, options.threads, slots))
        if options.ollama:
            others.append(started(ollama, options.ollama))
        for _ in range(options.repeats):
            for workload in workloads:
                before = scheduler.statistics()
                rounds.append(shown(scheduler.run(workload)))
                after = scheduler.statistics()
                done[workload.name] = {
                    "distinct_prompt_tokens": scheduler.distinct_tokens(workload),
                    "memory": after["memory"],
                } | {name: after[name] - before[name] for name in _COUNTED}
                rounds += [shown(other.run(workload)) for other in others]
                if workload.scored:
                    rounds.append(shown(scheduler.score(workload)))
    report = {"rounds": [asdict(one) for one in rounds], "ratios": ratios(rounds), "ours": done}
    show_report(report)
    return report


_COUNTED = (
    "prompt_tokens_evaluated",
    "tokens_decoded",
    "tokens_guessed",
    "steps",
    "rows",
    "decode_seconds",
    "busy_seconds",
)


@contextmanager
def open_tokenizer(path: Path) -> Iterator[Callable[[str], int]]:
    """Give what counts a text's tokens, without the weights."""
    model = NativeModel(path, gpu_layers=0, vocabulary_only=True)
    try:
        yield lambda text: len(model.tokenize(text))
    finally:
        model.close()


def ratios(rounds: Sequence[Round]) -> dict[str, dict[str, float]]:
    """Return how many times as fast ours is, by the median of the repeats; scoring against generating."""
    times: dict[tuple[str, str], list[float]] = {}
    for one in rounds:
        times.setdefault((one.workload, one.contestant), []).append(one.wall_seconds)
    median = {key: statistics.median(seconds) for key, seconds in times.items()}
    table: dict[str, dict[str, float]] = {}
    for (workload, contestant), seconds in median.items():
        if contestant.startswith("ours"):
            continue
        table.setdefault(workload, {})[contestant] = seconds / median[workload, "ours"]
        if (scoring := median.get((workload, "ours, scoring"))) is not None:
            table.setdefault(f"{workload}, scoring", {})[contestant] = seconds / scoring
    return table


def shown(row: Round) -> Round:
    """Print one contestant's time, and return it."""
    print(
        f"{row.contestant:30}{row.workload:26}{row.wall_seconds:9.2f}{row.cpu_seconds:9.2f}"
        f"{row.tokens / row.wall_seconds:10.1f}",
        flush=True,
    )
    return row


def show_report(report: dict[str, Any]) -> None:
    """Print how many times as fast ours is, and what it did."""
    for workload, row in report["ratios"].items():
        print(f"{workload}: " + ", ".join(f"{ratio:.2f} times {name}" for name, ratio in row.items()))
    for workload, did in report["ours"].items():
        python = (did["busy_seconds"] - did["decode_seconds"]) / did["decode_seconds"]
        print(
            f"{workload}: {did['prompt_tokens_evaluated']:.0f} prompt tokens evaluated of "
            f"{did['distinct_prompt_tokens']:.0f} distinct ones, {did['tokens_decoded']:.0f} answer tokens, "
            f"{did['steps']:.0f} steps, {did['rows']:.0f} rows, Python {python:.1%} beside llama.cpp, "
            f"{did['memory'] / 2**30:.1f} GiB",
            flush=True,
        )


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, help="a folder of GGUF files, each of which is run")
    parser.add_argument("--tasks", type=Path, help="a folder of handed tasks, as for benchmarks.real_tasks")
    parser.add_argument("--only", help="the task to take; otherwise the first one")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--slots", type=int, nargs="*", default=[4, 16], help="of llama-server; none leaves it out"
    )
    parser.add_argument(
        "--llama-server", type=Path, help="a llama-server built with the same flags, to run as well"
    )
    parser.add_argument("--ollama", metavar="NAME", help="the same model in Ollama, to run as well")
    parser.add_argument("--json", type=Path, help="where to write every time")
    options = parser.parse_args()
    if (options.models is None) is not (options.tasks is None):
        parser.error("--models and --tasks go together.")
    report = {}
    with tempfile.TemporaryDirectory() as folder:
        for path, workloads in _contests(options, Path(folder)):
            report[path.stem] = compare(path, workloads, options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")


def _contests(options: argparse.Namespace, folder: Path) -> Iterator[tuple[Path, list[Workload]]]:
    """Yield each model with its workloads."""
    if options.models is not None:
        task = load_tasks(options.tasks, [options.only] if options.only else [])[0]
        for path in sorted(options.models.glob("*.gguf")):
            yield path, real_workloads(task, options.examples)
        return
    yield _random(endless_demo_model(folder), options.examples)
    shape = write_random_model(folder / f"{HALF_BILLION.name}.gguf", HALF_BILLION)
    yield _random(shape, options.examples)


def _random(path: Path, examples: int) -> tuple[Path, list[Workload]]:
    with open_tokenizer(path) as count:
        return path, random_workloads(count, examples)


if __name__ == "__main__":
    main()
