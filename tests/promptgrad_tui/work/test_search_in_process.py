"""A search in process on the file of an Ollama model, which proves what was found: on the real demo model."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.journal.events import Notice, RolloutFinished, RunStarted
from engine.release.manifest import load_manifest
from models import open_model
from models.demo import demo_model_path
from models.demo.project import write_demo_project
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.promptgrad_tui.desk_project import last_events, promptgrad, result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not demo_model_path().is_file(), reason="the demo model isn't built: make demo-model"),
]

URI = "ollama:demo:latest"


@pytest.fixture(scope="module")
def demo() -> Iterator[Any]:
    with open_model("demo") as model:
        yield model


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model's file as Ollama keeps it."""
    digest = hashlib.sha256(demo_model_path().read_bytes()).hexdigest()
    path = tmp_path_factory.mktemp("blobs") / f"sha256-{digest}"
    shutil.copy(demo_model_path(), path)
    return path


@pytest.fixture
def ollama(demo: Any, blob: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    """A server that runs the demo model's own file."""

    def answer(body: dict[str, Any]) -> str:
        options: dict[str, Any] = {"max_tokens": body["options"]["num_predict"]}
        if schema := body.get("format"):
            options["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema},
            }
        return str(demo.lm(messages=body["messages"], **options)[0])

    named = FakeModel("demo:latest", blob=blob, context_length=4096, template="as in the file")
    with OllamaServer([named], default_answer=answer, renders=demo.render) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        yield server


def project(root: Path) -> Path:
    write_demo_project(root, seed=0)
    file = root / "promptgrad.toml"
    text = file.read_text().replace("epochs = 3", "epochs = 1")
    file.write_text(text.replace('task = "demo"', f'task = "{URI}"\nsearch = "in_process"', 1))
    return root


def test_candidates_are_tried_in_process_and_every_score_that_counts_is_the_servers(
    ollama: OllamaServer, blob: Path, tmp_path: Path
) -> None:
    root = project(tmp_path)
    summary = result(promptgrad("run", root, "--json", "--quiet"))
    assert summary["status"] == "improved"
    events = last_events(root)
    begun = next(event for event in events if isinstance(event, RunStarted))
    assert begun.model.uri == URI
    assert begun.search is not None
    assert begun.search.uri == begun.reflection.uri == f"gguf:{blob}"
    rollouts = [event for event in events if isinstance(event, RolloutFinished)]
    where = Counter((event.split, event.searched) for event in rollouts)
    assert where["test", True] == 0
    assert where["train", False] == 12, "those that were compared"
    assert where["train", True] > 12
    assert where["validation", True] > 0
    scored = {event.example for event in rollouts if event.split == "validation" and not event.searched}
    assert len(scored) == summary["baseline"]["validation"]["n"]
    served = sum(not event.searched for event in rollouts)
    assert len(ollama.chats) == served, "no other call reached the server"
    told = [event.text for event in events if isinstance(event, Notice) and event.id == "search"]
    assert told == [f"The search runs in process: 12 of 12 answers are the same. {URI} proves."]
    manifest = load_manifest(summary["artifact"])
    assert manifest.model.digest == begun.model.revision
    assert manifest.details["search"]["revision"] == begun.search.revision
    shown = promptgrad("-C", root, "show", "last").stdout
    assert "search" in shown


def test_check_says_how_far_the_answers_agree(ollama: OllamaServer, tmp_path: Path) -> None:
    done = promptgrad("check", project(tmp_path), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = result(done)
    found = [finding["text"] for finding in told["findings"]]
    assert f"in process: 12 of 12 answers are the same; {URI} proves" in found
    rate = told["rate"]
    assert (rate["measured"]["calls"], rate["searched"]["calls"]) == (8, 8)
    assert any("by 8 measured calls, and 8 in process" in text for text in found)


def test_tokens_are_counted_on_the_prompt_that_the_server_makes(ollama: OllamaServer, demo: Any) -> None:
    messages = [{"role": "system", "content": "Route it."}, {"role": "user", "content": "A late parcel."}]
    with open_model(URI) as model:
        assert model.count_prompt_tokens(messages) == demo.count_prompt_tokens(messages)


def test_other_answers_are_refused_by_check_and_run(ollama: OllamaServer, tmp_path: Path) -> None:
    ollama.default_answer = '{"reasoning": "A thing is broken.", "queue": "repairs"}'
    root = project(tmp_path)
    for command in ("check", "run"):
        done = promptgrad(command, root)
        text = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 2, text
        assert "Too few answers in process are those of ollama:demo:latest" in text
        assert "'repairs' there" in text


def test_another_prompt_is_refused_with_the_place_where_it_parts(
    ollama: OllamaServer, demo: Any, tmp_path: Path
) -> None:
    ollama.renders = lambda messages: demo.render(messages).replace("Sort it.", "Sort them.")
    done = promptgrad("check", project(tmp_path))
    assert done.returncode == 3
    text = " ".join((done.stdout + done.stderr).split())
    assert "can't search in process: Ollama makes" in text
    assert "Sort them." in text


def test_a_model_whose_file_is_elsewhere_cannot_search_in_process(
    ollama: OllamaServer, tmp_path: Path
) -> None:
    ollama.models[0].blob = None
    done = promptgrad("check", project(tmp_path))
    assert "its file isn't on this machine" in " ".join((done.stdout + done.stderr).split())
