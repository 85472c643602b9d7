"""What `promptgrad doctor` looks at: packages, llama.cpp, models, disk, terminal, journal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from engine.ground.errors import PromptGradError
from engine.journal.file import open_for_reading, readable_errors
from engine.journal.journal import journal_path
from engine.project import PROJECT_FILE
from models.errors import ModelError
from models.gguf.memory import available_bytes
from models.gguf.package import is_installed
from models.ollama.api import OllamaApi
from promptgrad_tui.views.figures import count_text, duration_text, size_text
from promptgrad_tui.views.findings import Finding
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.release.moved_models import examine_artifacts

_OURS = "promptgrad-tui"
_LITTLE_SPACE = 1e9
_TOO_LITTLE_SPACE = 50e6
_OLLAMA_SECONDS = 2.0
_NATIVE_SECONDS = 120
_SMALLEST_TERMINAL = (80, 24)
_FEATURES = ("AVX", "AVX2", "AVX512", "AMX_INT8", "FMA", "NEON")


def examine(folder: Path) -> Iterator[Finding]:
    """Yield what was found, one thing after the other; nothing here raises."""
    yield _python()
    yield from _packages()
    if not is_installed():
        yield Finding(
            "warn",
            "llama.cpp",
            "llama-cpp-python isn't installed: GGUF files and the demo don't run in process",
            "pip install 'promptgrad-tui[gguf]'; Ollama and other servers need nothing more",
        )
        yield from _machine(folder)
        return
    library = _native("library")
    yield _llama_cpp(library)
    yield _demo_model() if "problem" not in library else Finding("warn", "demo model", "not tried")
    yield from _machine(folder)


def _machine(folder: Path) -> Iterator[Finding]:
    yield _ollama()
    yield _memory()
    yield _disk(folder)
    yield _terminal()
    yield from _project(folder)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("ok", "python", f"{version} at {sys.executable}")


def _packages() -> Iterator[Finding]:
    """Compare what is installed with what our own package says it needs."""
    try:
        requirements = [Requirement(text) for text in metadata.requires(_OURS) or []]
    except metadata.PackageNotFoundError:
        yield Finding("warn", "packages", f"{_OURS} itself is not installed", "pip install -e .")
        return
    fine = []
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding(
                "fail", "packages", f"{requirement.name} is missing", f"pip install '{requirement}'"
            )
            continue
        if requirement.specifier.contains(version, prereleases=True):
            fine.append(f"{requirement.name} {version}")
        else:
            yield Finding(
                "fail",
                "packages",
                f"{requirement.name} {version} is installed",
                f"pip install '{requirement}'",
            )
    yield Finding("ok", "packages", ", ".join(fine))


def _native(part: str) -> dict[str, Any]:
    """Return what `promptgrad_tui.native_check` reports, or its `problem`."""
    # -P keeps a models.py in the current folder from being taken for ours.
    command = [sys.executable, "-P", "-m", "promptgrad_tui.native_check", part]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, capture_output=True, text=True, timeout=_NATIVE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"it gave no answer within {_NATIVE_SECONDS} s"}
    if done.returncode < 0:
        return {"problem": f"the process died of {signal.Signals(-done.returncode).name}"}
    if done.returncode:
        return {"problem": (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]}
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _llama_cpp(report: dict[str, Any]) -> Finding:
    if "problem" in report:
        return Finding(
            "fail",
            "llama.cpp",
            report["problem"],
            "Build it for this machine: "
            "pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python llama-cpp-python",
        )
    features = [name for name in _FEATURES if f" {name} = 1" in f" {report['features']}"]
    gpu = "with a GPU" if report["gpu"] else "CPU only"
    text = f"{gpu}; {', '.join(features) or 'no vector instructions'}"
    if report["amx_works"]:
        return Finding("ok", "llama.cpp", text)
    return Finding(
        "warn",
        "llama.cpp",
        f"{text}; its AMX code was broken by the compiler and is not used",
        "For faster prompts build it with GCC 12.4, 13.3 or later, or around the compiler's fault: "
        "FLAGS='-fno-tree-dse -fno-dse -mno-avx512fp16'; CFLAGS=$FLAGS CXXFLAGS=$FLAGS "
        "pip install --force-reinstall --no-binary llama-cpp-python --no-cache-dir llama-cpp-python",
    )


def _demo_model() -> Finding:
    report = _native("demo")
    if "problem" in report:
        return Finding(
            "fail",
            "demo model",
            report["problem"],
            f"Install {_OURS} again, or use another model in [model].",
        )
    loading, answering = duration_text(report["load_seconds"]), duration_text(report["answer_seconds"])
    return Finding(
        "ok", "demo model", f"revision {report['revision']}, loads in {loading}, answers in {answering}"
    )


def _ollama() -> Finding:
    with OllamaApi(seconds=_OLLAMA_SECONDS) as api:
        try:
            version, models = api.version(), api.models()
        except ModelError:
            return Finding(
                "ok", "Ollama", f"no server at {api.address}; only models with ollama: would need it"
            )
    if not models:
        return Finding("warn", "Ollama", f"version {version}, no models", "ollama pull qwen3:4b")
    return Finding("ok", "Ollama", f"version {version} at {api.address}, {count_text(len(models), 'model')}")


def _memory() -> Finding:
    return Finding("ok", "memory", f"{size_text(available_bytes())} free; {os.cpu_count()} processors")


def _disk(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            "fail", "disk", f"{folder} can't be written: {error.strerror}", "Make the folder writable."
        )
    text = f"{size_text(free)} free in {folder}"
    if free < _TOO_LITTLE_SPACE:
        return Finding("fail", "disk", text, "Free some space: a run needs a few megabytes.")
    if free < _LITTLE_SPACE:
        return Finding("warn", "disk", text, "Free some space before long runs.")
    return Finding("ok", "disk", text)


def _terminal() -> Finding:
    if not sys.stdout.isatty():
        return Finding("ok", "terminal", "none: runs are shown as plain lines")
    columns, lines = shutil.get_terminal_size()
    colours = "without colours (NO_COLOR)" if os.environ.get("NO_COLOR") else "with colours"
    text = f"{os.environ.get('TERM', 'unknown')}, {columns}x{lines}, {sys.stdout.encoding}, {colours}"
    if os.environ.get("TERM") in (None, "dumb"):
        return Finding("warn", "terminal", text, "Set TERM (xterm-256color suits most), or use --plain.")
    if columns < _SMALLEST_TERMINAL[0] or lines < _SMALLEST_TERMINAL[1]:
        return Finding("warn", "terminal", text, "80x24 or more shows everything.")
    if "utf" not in sys.stdout.encoding.lower():
        return Finding("warn", "terminal", text, "Choose a UTF-8 locale, such as LANG=C.UTF-8.")
    return Finding("ok", "terminal", text)


def _project(folder: Path) -> Iterator[Finding]:
    if not (folder / PROJECT_FILE).is_file():
        yield Finding("ok", "project", f"none in {folder}; `promptgrad init DIR` writes one")
    else:
        try:
            project = open_project(folder, {})
            yield Finding(
                "ok", "project", f"{project.name}: the file can be read; `promptgrad check` looks closer"
            )
            yield from examine_artifacts(project)
        except PromptGradError as error:
            yield Finding.of("project", error)
    if journal_path(folder).is_file():
        yield _journal(journal_path(folder))


def _journal(path: Path) -> Finding:
    try:
        with readable_errors(path), closing(open_for_reading(path)) as connection:
            verdict: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            runs: int = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    except PromptGradError as error:
        return Finding.of("journal", error)
    if verdict != "ok":
        return Finding(
            "fail",
            "journal",
            f"{path} is damaged: {verdict}",
            "Move it away; `sqlite3 FILE .recover` may help.",
        )
    return Finding("ok", "journal", f"whole, {count_text(runs, 'run')}, {size_text(path.stat().st_size)}")
