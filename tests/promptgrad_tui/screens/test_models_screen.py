"""The Models screen with its real child processes, against servers on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from textual.pilot import Pilot

from engine.journal.journal import Journal, journal_path
from promptgrad_tui.screens.widgets.dialogs import QuestionScreen
from promptgrad_tui.screens.widgets.table import RowTable
from tests.models.catalog.hub_server import Hub
from tests.models.gguf_files import MODEL, write_model
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.screens.driving import LARGE, SMALL, drive, seen, until, until_told, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun
from tests.promptgrad_tui.screens.stills import Stills

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])
HUGE = 400 * 10**9
"""Bytes that no disk holds, in a file that takes none: long enough to be cancelled while it is hashed."""


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


async def models(pilot: Pilot[int], text: str = "memory free") -> str:
    """Open the screen from the start page."""
    await until(pilot, "Recent projects")
    await pilot.press("M")
    return await until(pilot, text)


def children() -> list[psutil.Process]:
    """The processes that compute a hash; one that ends meanwhile is none."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            found += [child] if "hash" in child.cmdline() else []
    return found


@SIZES
def test_what_is_here_is_listed_with_its_facts(
    folder: Path, ollama: OllamaServer, size: tuple[int, int]
) -> None:
    write_model(folder / "qwen.gguf")

    async def script(pilot: Pilot[int]) -> None:
        screen = await models(pilot, "qwen3:4b")
        assert "3 models" in screen
        row = next(line for line in screen.splitlines() if " qwen " in line)
        assert ("project" in row and "Q4_K_M" in row) == (size == LARGE)
        assert "40,960" in row
        assert "not hashed" in row
        assert ollama.models[0].digest[:12] in screen
        assert ('task = "demo"' in screen) == (size == LARGE)
        await pilot.press("down")
        if size == LARGE:
            await until(pilot, "needs about 939.5 MB")
        await pilot.press("enter")
        screen = await until(pilot, "Metadata")
        assert "fits: needs about" in screen
        assert "not known yet: H computes it" in screen
        await pilot.press("G")
        await until(pilot, "{{ messages }}")
        await pilot.press("escape")
        await until(pilot, "3 models")
        await pilot.press("escape")
        await until(pilot, "Recent projects")

    drive(folder, None, script, size)


@SIZES
def test_it_looks_as_it_should(stills: Stills, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await pilot.press("M")
        await until(pilot, "1 model ")
        await stills.check(pilot, "models", varying=r"[\d.]+ [kMG]B (of .* memory )?free")

    drive(stills.folder, None, script, size)


def test_the_order_and_the_cursor_stay_when_the_list_is_read_again(folder: Path) -> None:
    for name in ("bear", "ape"):
        write_model(folder / f"{name}.gguf")

    async def script(pilot: Pilot[int]) -> None:
        await models(pilot, "bear")
        table = pilot.app.screen.query_one(RowTable)
        await pilot.press("o", "slash", *"bear", "enter")
        write_model(folder / "ant.gguf")
        await pilot.press("f5")
        screen = await until(pilot, "4 models")
        assert "Model\u25b4" in screen
        assert [row.model.name for row in table.rows] == ["ant", "ape", "bear", "demo"]
        assert table.current.model.name == "bear"

    drive(folder, None, script)


def test_a_hash_is_computed_and_stays(folder: Path) -> None:
    path = write_model(folder / "qwen.gguf")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    async def script(pilot: Pilot[int]) -> None:
        await models(pilot, "not hashed")
        await pilot.press("down", "H")
        await until_told(pilot, f"is sha256:{digest[:20]}")
        await until_true(
            pilot, lambda screen: any("Q4_K_M" in row and digest[:12] in row for row in screen.splitlines())
        )

    drive(folder, None, script, LARGE)


def test_a_hash_shows_its_rate_and_can_be_cancelled(folder: Path) -> None:
    path = write_model(folder / "huge.gguf")
    with path.open("r+b") as file:
        file.truncate(HUGE)

    async def script(pilot: Pilot[int]) -> None:
        screen = await models(pilot, "huge")
        assert "no" in next(line for line in screen.splitlines() if "huge" in line)
        await pilot.press("down", "H")
        screen = await until(pilot, "left")
        assert "Hashing huge.gguf" in screen
        assert "B/s" in screen
        assert len(children()) == 1
        await pilot.press("escape")
        await until(pilot, "Recent projects")
        assert len(children()) == 1
        await pilot.press("M")
        await until(pilot, "Hashing huge.gguf")
        await pilot.press("x")
        await until(pilot, "hash of huge: cancelled")
        await until_true(pilot, lambda _: not children(), "the end of the process")

    drive(folder, None, script)


def test_work_that_is_asked_for_meanwhile_waits_and_begins_after(folder: Path) -> None:
    path = write_model(folder / "huge.gguf")
    with path.open("r+b") as file:
        file.truncate(HUGE)
    other = write_model(folder / "tiny.gguf")
    digest = hashlib.sha256(other.read_bytes()).hexdigest()

    async def script(pilot: Pilot[int]) -> None:
        await models(pilot, "huge")
        await pilot.press("down", "H")
        await until(pilot, "Hashing huge.gguf")
        await pilot.press("H")
        await until(pilot, "hash of huge is already in progress or queued")
        await pilot.press("down", "H")
        await until(pilot, "then: hash of tiny")
        assert len(children()) == 1
        await pilot.press("q")
        await until(pilot, "Not started: hash of tiny.")
        await pilot.press("escape")
        await until(pilot, "then: hash of tiny")
        await pilot.press("x")
        await until(pilot, f"is sha256:{digest[:20]}")
        assert "then:" not in seen(pilot)

    drive(folder, None, script, LARGE)


def test_leaving_the_app_ends_the_work(folder: Path) -> None:
    path = write_model(folder / "huge.gguf")
    with path.open("r+b") as file:
        file.truncate(HUGE)

    async def script(pilot: Pilot[int]) -> None:
        await models(pilot, "huge")
        await pilot.press("down", "H")
        await until(pilot, "Hashing huge.gguf")
        await pilot.press("q")
        await until(pilot, "Hashing huge ends before it is done.")
        await pilot.press("escape")
        await until_true(pilot, lambda _: not isinstance(pilot.app.screen, QuestionScreen))
        assert len(children()) == 1
        await pilot.press("q")
        await until(pilot, "Leave?")
        await pilot.press("g")

    assert drive(folder, None, script).return_value == 0
    psutil.wait_procs(children(), PATIENCE_SECONDS)
    assert children() == []


def test_a_pull_asks_first_is_interrupted_and_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_model(folder.parent / "tiny.gguf", body=30_000_000).read_bytes()

    def arrived() -> int:
        partial = (folder.parent / "hub").glob("models--team--repo/blobs/*.incomplete")
        return max((file.stat().st_size for file in partial), default=0)

    async def pull(pilot: Pilot[int]) -> None:
        await pilot.press("P", *"hf:team/repo/tiny.gguf", "enter")
        screen = await until(pilot, "Reach out?")
        assert "127.0.0.1" in screen
        assert "only action that connects to the internet" in screen

    async def script(pilot: Pilot[int]) -> None:
        await models(pilot)
        await pull(pilot)
        await pilot.press("escape")
        await until_true(pilot, lambda _: not isinstance(pilot.app.screen, QuestionScreen))
        assert hub.ranges == []
        hub.hold_after = 25_000_000
        await pull(pilot)
        await pilot.press("y")
        await until(pilot, "Downloading tiny.gguf")
        await until_true(pilot, lambda _: arrived() >= 20_000_000, "most of the file")
        await pilot.press("q")
        await until(pilot, "Leave, and end it")
        await pilot.press("escape")
        await until_true(pilot, lambda screen: "Leave" not in screen)
        await pilot.press("x")
        await until(pilot, "the next one continues where it stopped")
        hub.go_on.set()
        await pull(pilot)
        await pilot.press("y")
        await until_told(pilot, "Pulled: gguf:")
        await until(pilot, "team/repo/tiny.gguf")
        assert [bool(start) for start in hub.ranges] == [False, True]

    with Hub({"team/repo/tiny.gguf": data}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        drive(folder, None, script, LARGE)


def test_a_pull_that_cannot_be_read_or_done_is_a_panel(folder: Path, ollama: OllamaServer) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await models(pilot)
        await pilot.press("P", *"qwen3", "enter")
        screen = await until(pilot, "can't be downloaded")
        assert "hf:OWNER/REPO/FILE.gguf" in screen
        await pilot.press("escape", "P", *"ollama:missing", "enter")
        await until(pilot, "Reach out?")
        await pilot.press("y")
        await until(pilot, "file does not exist")
        await pilot.press("escape", "P", *"ollama:llama3", "enter")
        await until(pilot, "registry.ollama.ai, through Ollama")
        await pilot.press("y")
        await until(pilot, "Pulled: ollama:llama3")

    drive(folder, None, script)


def test_a_model_in_ollamas_memory_is_freed(folder: Path, ollama: OllamaServer) -> None:
    ollama.contexts["qwen3:4b"] = 4096

    async def script(pilot: Pilot[int]) -> None:
        screen = await models(pilot, "1 in memory")
        assert "● qwen3:4b" in screen
        assert " X Free" not in screen
        await pilot.press("down")
        await until(pilot, " X Free")
        await pilot.press("X")
        await until(pilot, "ollama:qwen3:4b: unloaded")
        await until_true(pilot, lambda screen: "in memory" not in screen)

    drive(folder, None, script)
    assert ollama.contexts == {}


def test_a_run_that_holds_a_model_is_named_and_stopped_only_if_a_person_says_so(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await pilot.press("M")
        await until(pilot, "● demo")
        await pilot.press("X")
        screen = await until(pilot, "Free demo?")
        assert recorded.run in screen
        await pilot.press("escape")
        await until_true(pilot, lambda _: not isinstance(pilot.app.screen, QuestionScreen))
        assert journal.commands(recorded.run) == []
        await pilot.press("X")
        await until(pilot, "Free demo?")
        await pilot.press("s")
        await until(pilot, "demo: stopping")
        assert [command.name for command in journal.commands(recorded.run)] == ["stop"]

    with Journal.open(journal_path(recorded.folder)) as journal, journal.lock_run(recorded.run):
        drive(recorded.folder, None, script)


def test_a_measured_model_shows_its_rates(folder: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await models(pilot, "not measured yet")
        await pilot.press("b")
        await until(pilot, "Measuring")
        await until(pilot, "with 8 requests at a time")
        await until(pilot, "(measured")

    drive(folder, None, script, LARGE)


def test_hostile_names_are_shown_and_not_obeyed(folder: Path, ollama: OllamaServer) -> None:
    ollama.models = [FakeModel("evil\x1b[2J\u202e[red]x[/nonsense]:tag")]
    write_model(folder / "a\x1b[31m[bold]\n.gguf", {**MODEL, "qwen3.note": "\x1b]0;owned\x07[/]"})

    async def script(pilot: Pilot[int]) -> None:
        screen = await models(pilot, "[red]x[/nonsense]")
        assert "␛[2J<U+202E>" in screen
        await pilot.press("down", "enter")
        screen = await until(pilot, "owned")
        assert "␛]0;owned␇[/]" in screen
        assert "\x1b" not in screen
        await pilot.press("escape")

    drive(folder, None, script, LARGE)


def test_a_file_that_is_gone_meanwhile_is_told(folder: Path) -> None:
    path = write_model(folder / "qwen.gguf")

    async def script(pilot: Pilot[int]) -> None:
        await models(pilot, "qwen")
        path.unlink()
        await pilot.press("down", "enter")
        await until(pilot, "There is no file")
        await pilot.press("escape")
        await until_true(pilot, lambda screen: "1 model " in screen and " qwen " not in screen)

    drive(folder, None, script)


def test_a_server_that_is_down_is_a_row_with_its_problem(folder: Path) -> None:
    (folder / "promptgrad.toml").write_text('[model]\ntask = "ollama:qwen3:4b"\n')

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "No runs yet")
        await pilot.press("M")
        screen = await until(pilot, "! qwen3:4b")
        assert "1 problem" in screen
        await pilot.press("down")
        await until(pilot, "! Ollama doesn't answer at http://127.0.0.1:9.")
        await until_true(pilot, lambda screen: " t Throughput" not in screen)
        await pilot.press("enter")
        await until(pilot, "ollama serve")

    drive(folder, None, script)


def test_it_is_found_in_the_palette_and_from_a_run(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("ctrl+p", *"models")
        await until(pilot, "Models  (M)")
        await pilot.press("enter")
        await until(pilot, "memory free")
        await pilot.resize_terminal(40, 10)
        await until(pilot, "demo")
        await pilot.resize_terminal(*LARGE)
        await until(pilot, 'task = "demo"')
        assert "Models" in seen(pilot)

    drive(recorded.folder, recorded.run, script)
