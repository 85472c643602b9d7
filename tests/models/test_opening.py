"""From a URI to answers, with a real GGUF."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import models
from models import ModelSettings, check_models_fit, open_model
from models.errors import (
    ChatTemplateError,
    ModelFileError,
    ModelMemoryError,
    ModelNotFoundError,
    RevisionMovedError,
)
from models.gguf.model import GGUFModel
from tests.models.gguf.tiny_model import CHATML, write_tiny_model
from tests.models.gguf_files import write_model
from tests.models.ollama.ollama_server import FakeModel, OllamaServer

SMALL = ModelSettings(context_length=512, max_tokens=8, sequences=2, threads=1, gpu_layers=0)


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_gguf_of_the_project_answers(tiny_gguf: Path) -> None:
    heard: list[str] = []
    with open_model(
        "gguf:tiny.gguf",
        project_dir=tiny_gguf.parent,
        settings=SMALL,
        on_progress=lambda sentence, _fraction: heard.append(sentence),
    ) as model:
        assert model.uri == "gguf:tiny.gguf"
        assert model.context_length == 512
        assert model.exact_token_counts
        [answer] = model.lm("hello")
        assert model.lm("hello") == [answer]
        assert model.count_prompt_tokens([{"role": "user", "content": "hello"}]) > model.count_tokens("hello")
        model.verify_revision()
    assert model.revision.digest == sha256(tiny_gguf.read_bytes())
    assert model.revision.template_digest == sha256(CHATML.encode())
    assert "Hashing tiny.gguf" in heard
    assert "Loading tiny.gguf" in heard


def test_a_template_of_the_project_makes_another_revision(tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "short.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    settings = SMALL.model_copy(update={"chat_template": "short.jinja"})
    with (
        open_model(f"gguf:{tiny_gguf}", settings=SMALL) as own,
        open_model(f"gguf:{tiny_gguf}", settings=settings, project_dir=tmp_path) as other,
    ):
        assert own.revision != other.revision
        assert own.revision.same_weights(other.revision)
        messages = [{"role": "user", "content": "hello"}]
        assert other.count_prompt_tokens(messages) < own.count_prompt_tokens(messages)


def test_a_blob_of_ollama_run_in_process_has_the_same_weights(
    tiny_gguf: Path, ollama: OllamaServer, tmp_path: Path
) -> None:
    digest = hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    blob = tmp_path / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir()
    blob.write_bytes(tiny_gguf.read_bytes())
    ollama.models = [FakeModel("tiny:latest", blob=blob)]
    with open_model("ollama:tiny") as served, open_model(f"gguf:{blob}", settings=SMALL) as own:
        assert served.revision != own.revision
        assert served.revision.same_weights(own.revision)
        assert own.revision.weights_digest == own.revision.digest == f"sha256:{digest}"
        assert own.lm("hello")


def test_a_file_that_is_replaced_is_noticed(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "model.gguf")
    with open_model(f"gguf:{path}", settings=SMALL) as model:
        write_tiny_model(tmp_path / "other.gguf", seed=1).replace(path)
        with pytest.raises(RevisionMovedError, match="changed"):
            model.verify_revision()


def test_the_demo_model_needs_no_path() -> None:
    from models.demo import demo_model_path

    if not demo_model_path().exists():
        pytest.skip("the demo model is not built")
    with open_model("demo", settings=SMALL) as model:
        assert model.uri == "demo"
        assert model.revision.digest == sha256(demo_model_path().read_bytes())


def test_what_cannot_be_opened_says_why_and_what_to_do(tmp_path: Path, tiny_gguf: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="promptgrad models"):
        open_model("gguf:none.gguf", project_dir=tmp_path)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gguf.read_bytes()[:20_000])
    with pytest.raises(ModelFileError, match="incomplete"):
        open_model(f"gguf:{cut}")
    with pytest.raises(ModelFileError, match="can't load"):
        open_model(f"gguf:{write_model(tmp_path / 'hollow.gguf')}")
    with pytest.raises(ChatTemplateError, match=r"none\.jinja"):
        open_model(f"gguf:{tiny_gguf}", settings=ModelSettings(chat_template="none.jinja"))
    bare = write_tiny_model(tmp_path / "bare.gguf", template=None)
    with pytest.raises(ChatTemplateError, match="chat_template"):
        open_model(f"gguf:{bare}", settings=SMALL)


def test_what_does_not_fit_is_said_before_it_is_read(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.gguf.memory.available_bytes", lambda: 1000)
    heard: list[str] = []
    with pytest.raises(ModelMemoryError, match="smaller quantization"):
        open_model(f"gguf:{tiny_gguf}", settings=SMALL, on_progress=lambda *said: heard.append(said[0]))
    assert heard == []


def test_all_that_is_promised_can_be_imported() -> None:
    assert sorted(models.__all__) == sorted(dir(models))
    assert all(getattr(models, name) for name in models.__all__)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = models.nothing_of_the_kind


def test_two_models_at_a_time_have_a_scheduler_and_a_budget_each(tiny_gguf: Path) -> None:
    budget = SMALL.model_copy(update={"kv_memory": 1, "context_length": 256})
    # Both are sure of what they say to this, whatever else a step evaluates: 1.1 logits between two tokens.
    text = "Tickets that mention a camera crew go to press."
    with (
        open_model("demo", settings=budget) as task,
        open_model(f"gguf:{tiny_gguf}", settings=SMALL) as other,
    ):
        expected = [task.lm(text), other.lm(text)]
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda model: model.lm(text), [task, other] * 20))
        assert answers == expected * 20
        assert isinstance(task, GGUFModel)
        assert isinstance(other, GGUFModel)
        assert task.statistics().requests == other.statistics().requests == 21
        per_token = task._model.kv_bytes_per_token()
        assert (task.statistics().cells_used + task.statistics().cells_free) * per_token <= max(
            2**20, 256 * per_token
        )
        other.cancel()
        assert task.lm(text) == expected[0]


def test_two_models_that_do_not_fit_together_are_refused_before_either_is_read(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = tiny_gguf.stat().st_size
    (tmp_path / "second.gguf").write_bytes(tiny_gguf.read_bytes())
    uris = [f"gguf:{tiny_gguf}", "gguf:second.gguf"]
    monkeypatch.setattr("models.gguf.memory.available_bytes", lambda: size * 3 // 2 + 200_000)
    for uri in uris:
        check_models_fit([uri, "ollama:qwen3:4b"], SMALL, tmp_path)
    with pytest.raises(ModelMemoryError, match=r"tiny\.gguf and second\.gguf need about 0\.0 \+ 0\.0 GB"):
        check_models_fit(uris, SMALL, tmp_path)
