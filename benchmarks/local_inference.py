"""How fast a validation round runs in process: ours, one request at a time behind a lock, and llama-server.

The workload is the optimizer's: 600 tokens of instructions, 32 examples of 100 to 150 tokens, short answers;
then the same examples again with one more rule. Each contestant has a process of its own and they run in
turn, on the same file and threads. The models are the demo model, kept from ending its answers, and random
weights of a 0.5 B model's shape.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import psutil
from dspy import lm15
from gguf import GGUFReader

from benchmarks.random_model import HALF_BILLION, write_random_model
from engine.ground.revision import ModelRevision
from models.demo import demo_model_path
from models.gguf.library import NativeModel
from models.gguf.model import GGUFModel
from models.settings import ModelSettings

Messages = list[dict[str, str]]
Answer = Callable[[Messages, int], int]
"""Generates an answer of at most so many tokens and returns how many it has."""

CONTEXT = 2048
WORKERS = 32
WORDS = ["the", "ticket", "a", "refund", "my", "gift", "card", "is", "late", "parcel", "wrong", "invoice"]


@dataclass(frozen=True)
class Contestant:
    """A way of running the workload."""

    name: str
    answer: Answer
    at_once: int
    close: Callable[[], None]
    model: GGUFModel | None = None


@dataclass(frozen=True)
class Round:
    """One contestant's time for one workload."""

    contestant: str
    new_tokens: int
    wall_seconds: float
    cpu_seconds: float
    tokens: int


def workload(count: Callable[[str], int], examples: int) -> list[list[Messages]]:
    """Return two rounds of prompts; the second has one more rule in its instructions."""
    rng = random.Random(0)

    def text(tokens: int) -> str:
        words: list[str] = []
        while count(" ".join(words)) < tokens:
            words += rng.choices(WORDS, k=4)
        return " ".join(words)

    instructions, rule = text(600), text(20)
    tickets = [text(rng.randint(100, 150)) for _ in range(examples)]
    return [
        [[{"role": "system", "content": system}, {"role": "user", "content": ticket}] for ticket in tickets]
        for system in (instructions, f"{instructions}\n{rule}")
    ]


def endless_demo_model(folder: Path) -> Path:
    """Copy the demo model with its end token renamed, so that every answer is as long as it may be."""
    path = folder / "demo.gguf"
    path.write_bytes(demo_model_path().read_bytes().replace(b"<|im_end|>", b"<|im_mid|>"))
    reader = GGUFReader(path, "r+")
    padding = reader.fields["tokenizer.ggml.padding_token_id"].parts[-1][0]
    for name in ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"):
        reader.fields[name].parts[-1][0] = padding
    return path


def behind_a_lock(path: Path, threads: int) -> Contestant:
    """Return what people write today."""
    from llama_cpp import Llama

    llama = Llama(str(path), n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False)
    lock = threading.Lock()

    def answer(messages: Messages, new_tokens: int) -> int:
        with lock:
            completion: Any = llama.create_chat_completion(messages, max_tokens=new_tokens, temperature=0.0)
        return int(completion["usage"]["completion_tokens"])

    return Contestant("Llama behind a lock", answer, 1, llama.close)


def llama_server(path: Path, threads: int, slots: int) -> Contestant:
    """Return llama-server's own batching, in process through xllamacpp."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = CONTEXT * slots
    params.n_parallel = slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    server = xllamacpp.Server(params)

    def answer(messages: Messages, new_tokens: int) -> int:
        request = {"messages": messages, "max_tokens": new_tokens, "temperature": 0.0, "cache_prompt": True}
        completion: Any = server.handle_chat_completions(request)
        return int(completion["usage"]["completion_tokens"])

    return Contestant(f"llama-server, {slots} slots", answer, WORKERS, lambda: None)


def server_process(binary: Path, path: Path, threads: int, slots: int) -> Contestant:
    """Return a llama-server that was built elsewhere, over HTTP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(binary), "-m", str(path), "--port", str(port), "-np", str(slots), "--no-webui"]
    command += ["-c", str(CONTEXT * slots), "-t", str(threads), "-tb", str(threads)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=None)
    while True:
        try:
            if client.get("/health").status_code == httpx.codes.OK:
                break
        except httpx.TransportError:
            if process.poll() is not None:
                raise SystemExit(f"{binary} ended with {process.returncode}.") from None
        time.sleep(0.1)

    def answer(messages: Messages, new_tokens: int) -> int:
        request = {"messages": messages, "max_tokens": new_tokens, "temperature": 0.0, "cache_prompt": True}
        completion = client.post("/v1/chat/completions", json=request).raise_for_status().json()
        return int(completion["usage"]["completion_tokens"])

    def close() -> None:
        client.close()
        process.terminate()
        process.wait()

    return Contestant(f"{binary.name} by HTTP, {slots} slots", answer, WORKERS, close)


def ours(path: Path, threads: int) -> Contestant:
    """Return this package's scheduler."""
    settings = ModelSettings(context_length=CONTEXT, threads=threads)
    model = GGUFModel(path, revision=ModelRevision("gguf", "sha256:" + "0" * 64), settings=settings)

    def answer(messages: Messages, new_tokens: int) -> int:
        request = lm15.Request(
            model=model.lm.model,
            system=messages[0]["content"],
            messages=(lm15.Message.user(messages[1]["content"]),),
            config=lm15.Config(max_tokens=new_tokens, temperature=0.0),
        )
        return int(model.lm.engine.complete(request).usage.output_tokens)

    return Contestant("ours", answer, WORKERS, model.close, model)


def run(contestant: Contestant, rounds: Sequence[Sequence[Messages]], new_tokens: int) -> Round:
    """Run both rounds and measure them together."""
    began, cpu, tokens = time.perf_counter(), time.process_time(), 0
    with ThreadPoolExecutor(contestant.at_once) as pool:
        for prompts in rounds:
            tokens += sum(pool.map(lambda prompt: contestant.answer(prompt, new_tokens), prompts))
    return Round(contestant.name, new_tokens, time.perf_counter() - began, time.process_time() - cpu, tokens)


def score_round(model: GGUFModel, rounds: Sequence[Sequence[Messages]], answers: Sequence[str]) -> Round:
    """Score one given answer for each prompt of both rounds, without decoding."""
    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(WORKERS) as pool:
        for prompts in rounds:
            list(pool.map(lambda pair: model.score(pair[0], [pair[1]]), zip(prompts, answers, strict=True)))
    return Round("ours, scoring", 32, time.perf_counter() - began, time.process_time() - cpu, 0)


class Process:
    """A contestant in a process of its own: libraries that share one also share OpenMP's threads."""

    def __init__(self, make: Callable[..., Contestant], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, make, arguments), daemon=True)
        self._process.start()
        self._here.recv()

    def ask(self, what: str, *arguments: object) -> Any:
        """Return what `_serve` answers."""
        self._here.send((what, arguments))
        return self._here.recv()

    def close(self) -> None:
        """End the process."""
        self._here.send(("close", ()))
        self._process.join()


def _serve(pipe: Connection, make: Callable[..., Contestant], arguments: Sequence[object]) -> None:
    contestant = make(*arguments)
    pipe.send("ready")
    while True:
        what, details = pipe.recv()
        if what == "close":
            contestant.close()
            return
        if what == "run":
            pipe.send(run(contestant, *details))
        elif what == "score":
            pipe.send(score_round(_model_of(contestant), *details))
        elif what == "statistics":
            pipe.send(asdict(_model_of(contestant).statistics()))


def _model_of(contestant: Contestant) -> GGUFModel:
    assert contestant.model is not None
    return contestant.model


def compare(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run all contestants in turn and return every time and the ratios."""
    threads, examples = options.threads, options.examples
    with open_tokenizer(path) as count:
        rounds = workload(count, examples)
    scheduler = Process(ours, path, threads)
    contestants = [scheduler, Process(behind_a_lock, path, threads)]
    for slots in options.slots:
        contestants.append(Process(llama_server, path, threads, slots))
        if options.llama_server:
            contestants.append(Process(server_process, options.llama_server, path, threads, slots))
    answers = [" ".join(WORDS[:12])] * examples
    results: list[Round] = []
    show_head(path.stem)
    for _ in range(options.repeats):
        for new_tokens in (32, 128):
            for contestant in contestants:
                results.append(contestant.ask("run", rounds, new_tokens))
                show_round(results[-1])
        results.append(scheduler.ask("score", rounds, answers))
        show_round(results[-1])
    report = {
        "rounds": [asdict(r) for r in results],
        "ratios": ratios(results),
        "scheduler": scheduler.ask("statistics"),
    }
    show_ratios(report)
    for contestant in contestants:
        contestant.close()
    return report


@contextmanager
def open_tokenizer(path: Path) -> Iterator[Callable[[str], int]]:
    """Give what counts a text's tokens, without the weights."""
    model = NativeModel(path, gpu_layers=0, vocabulary_only=True)
    try:
        yield lambda text: len(model.tokenize(text))
    finally:
        model.close()


def ratios(results: Sequence[Round]) -> dict[str, dict[str, float]]:
    """Return how many times as fast ours is, by the median of the repeats."""

    def median(name: str, new_tokens: int) -> float:
        return statistics.median(
            r.wall_seconds for r in results if r.contestant == name and r.new_tokens == new_tokens
        )

    names = dict.fromkeys(r.contestant for r in results if not r.contestant.startswith("ours"))
    table = {
        f"{new_tokens} new tokens": {
            name: median(name, new_tokens) / median("ours", new_tokens) for name in names
        }
        for new_tokens in (32, 128)
    }
    table["scoring"] = {name: median(name, 32) / median("ours, scoring", 32) for name in names}
    return table


def show_head(name: str) -> None:
    """Print what the columns are."""
    print(f"\n{name}")
    print(f"{'':30}{'new tokens':>12}{'wall s':>10}{'CPU s':>10}{'tokens/s':>10}", flush=True)


def show_round(row: Round) -> None:
    """Print one contestant's round."""
    rate = row.tokens / row.wall_seconds
    print(
        f"{row.contestant:30}{row.new_tokens:12}{row.wall_seconds:10.2f}{row.cpu_seconds:10.2f}{rate:10.1f}",
        flush=True,
    )


def show_ratios(report: dict[str, Any]) -> None:
    """Print how many times as fast ours is, and what its Python costs."""
    for workload_name, row in report["ratios"].items():
        print(f"{workload_name}: " + ", ".join(f"{ratio:.2f} times {name}" for name, ratio in row.items()))
    counts = report["scheduler"]
    share = (counts["busy_seconds"] - counts["decode_seconds"]) / counts["decode_seconds"]
    print(f"Python beside llama.cpp: {share:.1%} of its time", flush=True)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--slots", type=int, nargs="*", default=[4, 16], help="of llama-server; none leaves it out"
    )
    parser.add_argument("--model", type=Path, nargs="*", help="GGUF files instead of those two")
    parser.add_argument(
        "--llama-server", type=Path, help="a llama-server built with the same flags, to run as well"
    )
    parser.add_argument("--json", type=Path, help="where to write every time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = options.model or [
            endless_demo_model(Path(folder)),
            write_random_model(Path(folder) / f"{HALF_BILLION.name}.gguf", HALF_BILLION),
        ]
        report = {}
        for path in paths:
            report[path.stem] = compare(path, options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
