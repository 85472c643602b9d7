from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.catalog.discovery import find_models
from models.catalog.found import FoundModel
from models.gguf.hashing import gguf_digest
from models.speed.throughput import Throughput, recall, remember
from tests.models.gguf_files import MODEL, write_model
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.models.openai.openai_server import OpenAIServer

NO_SERVER = {"OLLAMA_HOST": "127.0.0.1:9"}


def found(home: Path, project: Path | None = None, **environ: str) -> dict[str, FoundModel]:
    """Return what is found besides the demo model, by name."""
    models = find_models(project, environ=NO_SERVER | environ, home=home)
    return {model.name: model for model in models if model.place != "demo"}


def write_ollama_model(store: Path, host: str, owner: str, name: str, tag: str, **layer: Any) -> str:
    """Write a model into an Ollama store and return its weights' digest."""
    weights = write_model(store / "weights.gguf")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    (store / "blobs").mkdir(exist_ok=True)
    weights.rename(store / "blobs" / f"sha256-{digest}")
    model = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", **layer}
    template = {"mediaType": "application/vnd.ollama.image.template", "digest": f"sha256:{'0' * 64}"}
    manifest = store / "manifests" / host / owner / name / tag
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"layers": [model, template]}))
    return f"sha256:{digest}"


def test_a_file_in_the_project_is_described(tmp_path: Path) -> None:
    path = write_model(tmp_path / "project" / "models" / "qwen.gguf")
    model = found(tmp_path, tmp_path / "project")["qwen"]
    assert model == FoundModel(
        uri=f"gguf:{path}",
        name="qwen",
        place="project",
        size=path.stat().st_size,
        architecture="qwen3",
        quantization="Q4_K_M",
        parameters="0.6M",
        context_length=40_960,
        has_template=True,
        revision=None,
        needed=path.stat().st_size + 8192 * 114_688,
        fits=True,
    )
    digest = gguf_digest(path)
    assert found(tmp_path, tmp_path / "project")["qwen"].revision == digest
    assert FoundModel.from_dict(json.loads(json.dumps(model.as_dict()))) == model


def test_the_usual_folders_are_searched(tmp_path: Path) -> None:
    write_model(tmp_path / ".lmstudio" / "models" / "team" / "repo" / "studio.gguf")
    write_model(tmp_path / "elsewhere" / "mine.gguf")
    single = write_model(tmp_path / "single.gguf")
    models = found(tmp_path, PROMPTGRAD_MODELS=f"{tmp_path / 'elsewhere'}:{single}:/nowhere")
    assert {name: model.place for name, model in models.items()} == {
        "studio": "LM Studio",
        "mine": "PROMPTGRAD_MODELS",
        "single": "PROMPTGRAD_MODELS",
    }


def test_the_hubs_cache_knows_its_digests(tmp_path: Path) -> None:
    cache = tmp_path / ".cache" / "huggingface" / "hub" / "models--team--repo"
    weights = write_model(tmp_path / "weights.gguf")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    snapshot = cache / "snapshots" / "abc" / "file.gguf"
    (cache / "blobs").mkdir(parents=True)
    snapshot.parent.mkdir(parents=True)
    weights.rename(cache / "blobs" / digest)
    snapshot.symlink_to(cache / "blobs" / digest)
    model = found(tmp_path)["team/repo/file.gguf"]
    assert (model.revision, model.uri) == (f"sha256:{digest}", f"gguf:{snapshot}")


def test_ollamas_store_is_read_without_a_server(tmp_path: Path) -> None:
    store = tmp_path / ".ollama" / "models"
    digest = write_ollama_model(store, "registry.ollama.ai", "library", "qwen3", "4b")
    model = found(tmp_path)["qwen3:4b"]
    assert model.revision == digest
    assert model.uri == f"gguf:{store / 'blobs' / digest.replace(':', '-')}"
    assert model.architecture == "qwen3"


@pytest.mark.parametrize(
    ("host", "owner", "name"),
    [("registry.ollama.ai", "team", "team/m:t"), ("hf.co", "team", "hf.co/team/m:t")],
)
def test_names_are_those_of_ollama(tmp_path: Path, host: str, owner: str, name: str) -> None:
    write_ollama_model(tmp_path / "store", host, owner, "m", "t")
    assert list(found(tmp_path, OLLAMA_MODELS=str(tmp_path / "store"))) == [name]


def test_a_manifest_cannot_lead_out_of_the_store(tmp_path: Path) -> None:
    write_model(tmp_path / "secret.gguf")
    write_ollama_model(tmp_path / "store", "hf.co", "a", "m", "t", digest="sha256:../../secret.gguf")
    assert found(tmp_path, OLLAMA_MODELS=str(tmp_path / "store")) == {}


def test_a_manifest_that_is_damaged_is_passed_over(tmp_path: Path) -> None:
    write_ollama_model(tmp_path / "store", "hf.co", "a", "m", "t")
    for text in ("{half", "[]", '{"layers": [3]}', '{"layers": null}'):
        (tmp_path / "store" / "manifests" / "hf.co" / "a" / "m" / "t").write_text(text)
        assert found(tmp_path, OLLAMA_MODELS=str(tmp_path / "store")) == {}


def test_shards_are_one_model_with_their_whole_size(tmp_path: Path) -> None:
    files = [write_model(tmp_path / "p" / f"big-{i:05d}-of-00002.gguf") for i in (1, 2)]
    models = found(tmp_path, tmp_path / "p")
    assert list(models) == ["big-00001-of-00002"]
    assert models["big-00001-of-00002"].size == sum(file.stat().st_size for file in files)
    files[1].unlink()
    assert (
        "big-00002-of-00002.gguf is missing" in found(tmp_path, tmp_path / "p")["big-00001-of-00002"].problem
    )


def test_a_damaged_file_is_shown_with_its_problem(tmp_path: Path) -> None:
    path = tmp_path / "p" / "half.gguf"
    path.parent.mkdir()
    path.write_bytes(b"GGUF\3\0\0\0")
    assert "damaged or incomplete" in found(tmp_path, tmp_path / "p")["half"].problem


def test_what_is_no_language_model_is_left_out(tmp_path: Path) -> None:
    write_model(tmp_path / "p" / "mmproj.gguf", {**MODEL, "general.type": "mmproj"})
    write_model(tmp_path / "p" / ".venv" / "hidden.gguf")
    write_model(tmp_path / "p" / "node_modules" / "hidden.gguf")
    assert found(tmp_path, tmp_path / "p") == {}


def test_a_file_that_is_reached_twice_is_shown_once(tmp_path: Path) -> None:
    path = write_model(tmp_path / "p" / "one.gguf")
    (tmp_path / "p" / "two.gguf").symlink_to(path)
    assert len(found(tmp_path, tmp_path / "p", PROMPTGRAD_MODELS=str(path))) == 1


def test_what_does_not_fit_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "p" / "one.gguf")
    monkeypatch.setattr("models.catalog.discovery.available_bytes", lambda: 1000)
    assert found(tmp_path, tmp_path / "p")["one"].fits is False


def test_a_server_that_answers_is_asked(tmp_path: Path, ollama: OllamaServer) -> None:
    ollama.models.append(FakeModel("big:cloud", remote_model="big"))
    models = found(tmp_path, OLLAMA_HOST=ollama.address)
    assert list(models) == ["qwen3:4b"]
    model = models["qwen3:4b"]
    assert (model.uri, model.revision) == ("ollama:qwen3:4b", f"sha256:{ollama.models[0].digest}")
    assert (model.parameters, model.quantization, model.fits) == ("4.0B", "Q4_K_M", None)
    assert model.is_loaded is False
    ollama.contexts["qwen3:4b"] = 4096
    assert found(tmp_path, OLLAMA_HOST=ollama.address)["qwen3:4b"].is_loaded is True


def test_what_a_project_names_is_listed_wherever_it_is(tmp_path: Path, ollama: OllamaServer) -> None:
    path = write_model(tmp_path / "far" / "away.gguf")
    project = tmp_path / "project"
    project.mkdir()
    named = ["gguf:../far/away.gguf", "gguf:gone.gguf", "ollama:qwen3:4b", "ollama:other", "nonsense"]
    models = find_models(project, named, environ={"OLLAMA_HOST": ollama.address}, home=tmp_path)
    problems = {model.name: model.problem for model in models if model.place != "demo"}
    assert problems == {
        "away": "",
        "gone": f"There is no file {project / 'gone.gguf'}.",
        "qwen3:4b": "",
        "other:latest": f"Ollama at {ollama.address} doesn't have it.",
        "nonsense": "'nonsense' isn't a model URI.",
    }
    assert Path(models[1].uri.removeprefix("gguf:")).resolve() == path


def test_a_named_model_of_an_ollama_that_is_down_says_so(tmp_path: Path) -> None:
    (model,) = find_models(None, ["ollama:qwen3:4b"], environ=NO_SERVER, home=tmp_path)[1:]
    assert model.problem == "Ollama doesn't answer at http://127.0.0.1:9."


def test_a_named_server_is_asked_for_all_that_it_serves(tmp_path: Path) -> None:
    meta = {"n_ctx_train": 32_768, "n_params": 4_020_000_000, "size": 2_500_000_000}
    with OpenAIServer(entry={"meta": meta}, props={"chat_template": "{{ messages }}"}) as server:
        uri = f"openai:{server.endpoint}#qwen3"
        (model,) = find_models(None, [uri], environ=NO_SERVER, home=tmp_path)[1:]
        assert (model.uri, model.place, model.problem) == (uri, "server", "")
        assert (model.size, model.parameters) == (2_500_000_000, "4.0B")
        assert (model.context_length, model.has_template) == (32_768, True)
        assert str(model.revision).startswith("unverified:")
        (other,) = find_models(None, [f"openai:{server.endpoint}#x"], environ=NO_SERVER, home=tmp_path)[1:]
    assert "has no model 'x'" in other.problem
    assert "It serves: qwen3" in other.problem


def test_a_named_server_that_is_down_or_wants_a_key_says_so(tmp_path: Path) -> None:
    with OpenAIServer(key="secret") as server:
        (model,) = find_models(None, [f"openai:{server.endpoint}#m"], environ=NO_SERVER, home=tmp_path)[1:]
    assert "PROMPTGRAD_API_KEY" in model.problem
    (model,) = find_models(None, ["openai:http://127.0.0.1:9/v1#m"], environ=NO_SERVER, home=tmp_path)[1:]
    assert "doesn't answer" in model.problem


def test_what_was_measured_is_shown_for_that_revision_in_that_place(tmp_path: Path) -> None:
    path = write_model(tmp_path / "p" / "one.gguf")
    measured = Throughput(prompt=900.0, single=40.5, several=210.0, sequences=8, measured=1.0)
    remember(measured, gguf_digest(path), "")
    assert found(tmp_path, tmp_path / "p")["one"].throughput == measured
    assert recall(gguf_digest(path), "http://127.0.0.1:11434") is None
    path.write_bytes(path.read_bytes() + b"more")
    assert found(tmp_path, tmp_path / "p")["one"].throughput is None


def test_looking_around_loads_neither_dspy_nor_llama_cpp(tmp_path: Path) -> None:
    code = (
        "import sys, models, models.catalog.discovery, models.catalog.pull, models.settings, models.uri\n"
        "models.ModelSettings, models.ModelRevision, models.open_model\n"
        "models.catalog.discovery.find_models(environ={'OLLAMA_HOST': '127.0.0.1:9'})\n"
        "heavy = {'dspy', 'llama_cpp', 'torch', 'litellm', 'textual'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"HOME": str(tmp_path)})
