"""What a worker waits for reaches whoever watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.journal.journal import Journal, journal_path
from engine.journal.live_status import read_status, status_file
from promptgrad_tui.screens.live.worker_process import start_worker
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.run.budget import Budget
from promptgrad_tui.work.run.job import create_run
from tests.engine.desk import Desk
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.desk_project import write_project
from tests.promptgrad_tui.model_server import desk_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> OllamaServer:
    desk, model = Desk(), FakeModel("desk:latest", context_length=1_000_000)
    server = OllamaServer(models=[model], default_answer=lambda body: desk.answer(body["messages"]))
    monkeypatch.setenv("OLLAMA_HOST", server.address)
    return server


def test_a_worker_tells_what_it_waits_for(server: OllamaServer, tmp_path: Path) -> None:
    write_project(tmp_path, "ollama:desk")
    server.faults.busy = 10**6
    with server, Journal.open(journal_path(tmp_path)) as journal:
        run = create_run(journal, open_project(tmp_path, {}), {}, 1, Budget()).id
        file = status_file(journal.path, run)

        def said() -> str:
            return str(read_status(file) or "")

        worker = start_worker(tmp_path, run)
        wait(lambda: said().endswith("is busy"))
        journal.send_command(run, "stop")
        assert worker.wait(PATIENCE_SECONDS) == 130
        assert said() == ""


def test_a_stop_is_obeyed_that_comes_before_the_worker_listens(tmp_path: Path) -> None:
    with desk_server() as desk, Journal.open(journal_path(tmp_path)) as journal:
        write_project(tmp_path, desk.uri)
        run = create_run(journal, open_project(tmp_path, {}), {}, 1, Budget()).id
        worker = start_worker(tmp_path, run)
        journal.send_command(run, "stop")
        assert worker.wait(PATIENCE_SECONDS) == 130
        assert journal.run(run).status == "stopped"
        assert start_worker(tmp_path, run).wait(PATIENCE_SECONDS) == 0
        assert journal.run(run).status == "improved"


def wait(is_so: Callable[[], bool]) -> None:
    while not is_so():  # the test's own time limit ends it
        time.sleep(0.02)
