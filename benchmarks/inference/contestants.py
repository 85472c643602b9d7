"""Ways to run a GGUF file on this machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import psutil
from dspy import lm15

from benchmarks.inference.workloads import Asking, Workload
from engine.ground.revision import ModelRevision
from models.gguf.model import GGUFModel
from models.settings import ModelSettings

CONTEXT = 2048
WORKERS = 32

Answer = Callable[[Asking], int]
"""Generates an answer and returns how many tokens it has."""


@dataclass(frozen=True)
class Contestant:
    """A way of running a workload."""

    name: str
    answer: Answer
    at_once: int
    close: Callable[[], None]
    model: GGUFModel | None = None


@dataclass(frozen=True)
class Round:
    """One contestant's time for one workload; the processor's time is that of its own process."""

    contestant: str
    workload: str
    wall_seconds: float
    cpu_seconds: float
    tokens: int


def behind_a_lock(path: Path, threads: int) -> Contestant:
    """Return what people write first."""
    from llama_cpp import Llama

    llama = Llama(str(path), n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False)
    lock = threading.Lock()

    def answer(asking: Asking) -> int:
        form = {"type": "json_object", "schema": asking.schema} if asking.schema else None
        with lock:
            completion: Any = llama.create_chat_completion(
                asking.messages,  # type: ignore[arg-type]
                max_tokens=asking.most_tokens,
                temperature=asking.temperature,
                seed=asking.seed,
                response_format=form,  # type: ignore[arg-type]
            )
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

    def answer(asking: Asking) -> int:
        completion: Any = server.handle_chat_completions(_openai_body(asking))
        return int(completion["usage"]["completion_tokens"])

    return Contestant(f"xllamacpp, {slots} slots", answer, WORKERS, lambda: None)


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

    def answer(asking: Asking) -> int:
        response = client.post("/v1/chat/completions", json=_openai_body(asking)).raise_for_status()
        return int(response.json()["usage"]["completion_tokens"])

    def close() -> None:
        client.close()
        process.terminate()
        process.wait()

    return Contestant(f"{binary.name} by HTTP, {slots} slots", answer, WORKERS, close)


def ollama(name: str) -> Contestant:
    """Return a model of the Ollama server at OLLAMA_HOST, as it comes."""
    host = os.environ.get("OLLAMA_HOST", "127.0.0.1:11434")
    client = httpx.Client(base_url=host if "://" in host else f"http://{host}", timeout=None)

    def answer(asking: Asking) -> int:
        options = {
            "temperature": asking.temperature,
            "seed": asking.seed,
            "num_predict": asking.most_tokens,
            "num_ctx": CONTEXT,
        }
        body = {"model": name, "messages": asking.messages, "stream": False, "options": options}
        response = client.post("/api/chat", json=body | ({"format": asking.schema} if asking.schema else {}))
        return int(response.raise_for_status().json()["eval_count"])

    return Contestant(f"Ollama, {name}", answer, WORKERS, client.close)


def ours(path: Path, threads: int) -> Contestant:
    """Return this package's scheduler."""
    settings = ModelSettings(context_length=CONTEXT, threads=threads)
    model = GGUFModel(path, revision=ModelRevision("gguf", "sha256:" + "0" * 64), settings=settings)

    def answer(asking: Asking) -> int:
        system, *turns = asking.messages
        config: dict[str, Any] = {"max_tokens": asking.most_tokens, "temperature": asking.temperature}
        if asking.temperature:
            config["seed"] = asking.seed
        if asking.schema:
            config["response_format"] = {"type": "json_schema", "schema": asking.schema}
        request = lm15.Request(
            model=model.lm.model,
            system=system["content"],
            messages=tuple(_SIDES[turn["role"]](turn["content"]) for turn in turns),
            config=lm15.Config(**config),
        )
        return int(model.lm.engine.complete(request).usage.output_tokens)

    return Contestant("ours", answer, WORKERS, model.close, model)


_SIDES = {"user": lm15.Message.user, "assistant": lm15.Message.assistant}


def _openai_body(asking: Asking) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": asking.messages,
        "max_tokens": asking.most_tokens,
        "temperature": asking.temperature,
        "seed": asking.seed,
        "cache_prompt": True,
    }
    if asking.schema:
        form = {"name": "answer", "schema": asking.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


class Process:
    """A contestant in a process of its own: libraries that share one also share OpenMP's threads."""

    def __init__(self, make: Callable[..., Contestant], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, make, arguments), daemon=True)
        self._process.start()
        self._here.recv()

    def run(self, workload: Workload) -> Round:
        """Return the time for a workload."""
        return self._ask(_run, workload)  # type: ignore[no-any-return]

    def score(self, workload: Workload) -> Round:
        """Return the time for finding the likeliest of given answers; for our own engine alone."""
        return self._ask(_score, workload)  # type: ignore[no-any-return]

    def statistics(self) -> Mapping[str, float]:
        """Return what our own engine has done so far."""
        return self._ask(_statistics)  # type: ignore[no-any-return]

    def distinct_tokens(self, workload: Workload) -> int:
        """Return how many tokens the prompts of a workload have, those that they share counted once."""
        return self._ask(_distinct_tokens, workload)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process."""
        self._here.send(None)
        self._process.join()

    def _ask(self, what: Callable[..., Any], *arguments: object) -> Any:
        self._here.send((what, arguments))
        found = self._here.recv()
        if isinstance(found, BaseException):
            raise found
        return found


def _serve(pipe: Connection, make: Callable[..., Contestant], arguments: Sequence[object]) -> None:
    contestant = make(*arguments)
    pipe.send("ready")
    while (asked := pipe.recv()) is not None:
        what, details = asked
        try:
            pipe.send(what(contestant, *details))
        except Exception as error:
            pipe.send(RuntimeError(f"{contestant.name}: {type(error).__name__}: {error}"))
    contestant.close()


def _run(contestant: Contestant, workload: Workload) -> Round:
    began, cpu, tokens = time.perf_counter(), time.process_time(), 0
    with ThreadPoolExecutor(contestant.at_once) as pool:
        for asked in workload.rounds:
            tokens += sum(pool.map(contestant.answer, asked))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Round(contestant.name, workload.name, seconds, cpu, tokens)


def _score(contestant: Contestant, workload: Workload) -> Round:
    model = _model_of(contestant)
    began, cpu = time.perf_counter(), time.process_time()
    for asked in workload.rounds:
        model.score_all([one.messages for one in asked], [workload.scored] * len(asked), among=True)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Round("ours, scoring", workload.name, seconds, cpu, 0)


def _statistics(contestant: Contestant) -> dict[str, float]:
    return {**asdict(_model_of(contestant).statistics()), "memory": psutil.Process().memory_info().rss}


def _distinct_tokens(contestant: Contestant, workload: Workload) -> int:
    model = _model_of(contestant)
    seen: set[tuple[int, ...]] = set()
    for asking in (one for asked in workload.rounds for one in asked):
        tokens = model._prompt_tokens(asking.messages)[0].tolist()
        seen |= {tuple(tokens[:end]) for end in range(1, len(tokens) + 1)}
    return len(seen)


def _model_of(contestant: Contestant) -> GGUFModel:
    assert contestant.model is not None
    return contestant.model
