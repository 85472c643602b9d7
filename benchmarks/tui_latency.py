"""How the full-screen app feels: time to the first paint, a key's effect under load, memory.

`python -m benchmarks.tui_latency` prints a table and exits with 1 where a bar is missed:
first paint within 0.5 s with a project of 50 runs; the effect of a key within 50 ms (95 of 100 keys) while
200 events a second arrive in a run of 100,000 events; less than 250 MB of memory.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from textual.events import Key

from engine.journal.events import RolloutFinished, Tokens
from engine.journal.journal import Journal, journal_path
from promptgrad_tui.screens.app import PromptGradApp
from promptgrad_tui.screens.run.screen import RunScreen
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.work.machine.recent import RecentProjects

EVENTS = 100_000
EVENTS_PER_SECOND = 200
RUNS = 50
KEYS = 200
STARTS = 5
PAINT_BAR, KEY_BAR, MEMORY_BAR = 0.5, 0.050, 250.0


def main() -> int:
    """Measure, print, and return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = many_runs(folder / "runs")
        paint, paint_work = median_paint(runs, b"PromptGrad")
        listed, listed_work = median_paint(runs, b"improved")
        run = large_run(folder / "large")
        keys, loading, memory = asyncio.run(under_load(folder / "large", run))
    elapsed, worked = zip(*keys, strict=True)
    p95, p95_work = (statistics.quantiles(figures, n=20)[-1] for figures in (elapsed, worked))
    median = statistics.median(elapsed)
    rows = [
        ("first paint", f"{paint:.2f} s", paint <= PAINT_BAR),
        ("  processor time", f"{paint_work:.2f} s", True),
        (f"{RUNS} runs listed", f"{listed:.2f} s", True),
        ("  processor time", f"{listed_work:.2f} s", True),
        (f"reading {EVENTS:,} events", f"{loading:.1f} s", True),
        (f"a key at {EVENTS_PER_SECOND} events/s, median", f"{median * 1000:.0f} ms", True),
        ("  95 of 100 keys within", f"{p95 * 1000:.0f} ms", p95 <= KEY_BAR),
        ("    processor time", f"{p95_work * 1000:.0f} ms", True),
        ("memory", f"{memory:.0f} MB", memory <= MEMORY_BAR),
    ]
    for what, figure, is_met in rows:
        print(f"{what:<45} {figure:>10}  {'' if is_met else 'misses its bar'}")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0 if all(is_met for _, _, is_met in rows) else 1


def many_runs(folder: Path) -> Path:
    """Write a project with many finished runs."""
    if not folder.exists():
        write_runs(folder, "many", RUNS)
    return folder


def median_paint(folder: Path, text: bytes) -> tuple[float, float]:
    """Return the medians of `first_paint` over several starts."""
    elapsed, work = zip(*(first_paint(folder, text) for _ in range(STARTS)), strict=True)
    return statistics.median(elapsed), statistics.median(work)


def first_paint(folder: Path, text: bytes) -> tuple[float, float]:
    """Return the seconds from starting the program in a terminal until `text` is on screen.

    The second number is the processor time of it: what counts on a machine that has other work to do.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    # What was installed for a person has its bytecode.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("promptgrad")), "-C", str(folder)]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    try:
        seen = b""
        while text not in seen:
            if not select.select([master], [], [], 60)[0]:
                raise TimeoutError("nothing was painted within a minute")
            seen += os.read(master, 65536)
        elapsed = time.perf_counter() - started
        spent = psutil.Process(process.pid).cpu_times()
        return elapsed, spent.user + spent.system
    finally:
        process.kill()
        process.wait()
        os.close(master)


def large_run(folder: Path) -> str:
    """Write a run of many events into a journal and return its id."""
    write_runs(folder, "large", EVENTS)
    with Journal.open(journal_path(folder), read_only=True) as journal:
        return journal.run("last").id


def write_runs(folder: Path, kind: str, count: int) -> None:
    """Have another process write recorded runs into a project: `tui_runs` says which kinds there are."""
    command = [sys.executable, "-m", "benchmarks.tui_runs", str(folder), kind, str(count)]
    subprocess.run(command, check=True)


async def under_load(folder: Path, run: str) -> tuple[list[tuple[float, float]], float, float]:
    """Return the seconds that each key took, those that loading took, and the memory in MB."""
    app = PromptGradApp(folder, run, recent=RecentProjects(folder / "recent.json"))
    async with app.run_test(size=(200, 50)) as pilot:
        started = time.perf_counter()
        while not isinstance(app.screen, RunScreen):
            await pilot.pause(0.01)
        screen = app.screen
        while len(screen.session.live.rollouts) < 10_000 or screen.session.live.last_seq < EVENTS:
            await pilot.pause(0.05)
        loading = time.perf_counter() - started
        await pilot.press("2")
        table = screen.query_one("#gradients", RowTable)
        with writing(folder, run):
            await asyncio.sleep(1.0)
            keys = [
                await key_effect(app, table, "up" if number % 20 < 10 else "down") for number in range(KEYS)
            ]
        memory = psutil.Process().memory_info().rss / 1e6
    return keys, loading, memory


async def key_effect(app: PromptGradApp, table: RowTable[object], key: str) -> tuple[float, float]:
    """Return the seconds from a key to the screen that shows its effect, and the processor time of them."""
    await asyncio.sleep(0.03)
    before, painted = table.cursor, asyncio.Event()
    started, worked = time.perf_counter(), time.process_time()
    app.post_message(Key(key, None))
    while table.cursor == before:
        await asyncio.sleep(0)
    table.call_after_refresh(painted.set)
    await painted.wait()
    return time.perf_counter() - started, time.process_time() - worked


@contextmanager
def writing(folder: Path, run: str) -> Iterator[None]:
    """While the context lasts, another process writes events into the run."""
    command = [sys.executable, "-m", "benchmarks.tui_latency", str(folder), run]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def write_late_events(folder: Path, run: str) -> None:
    """Write events into a run at a steady rate, without end."""
    with Journal.open(journal_path(folder)) as journal, journal.lock_run(run):
        number, began = 0, time.monotonic()
        while True:
            journal.append(
                run,
                RolloutFinished(
                    id=f"late/{number}",
                    example=f"{number % 60:016x}",
                    split="validation",
                    rules="late",
                    repeat=number,
                    score=1.0,
                    is_success=True,
                    prediction={"queue": "billing"},
                    tokens=Tokens(prompt=160, completion=12, reused=110),
                ),
            )
            number += 1
            time.sleep(max(0.0, began + number / EVENTS_PER_SECOND - time.monotonic()))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_late_events(Path(sys.argv[1]), sys.argv[2])
    sys.exit(main())
