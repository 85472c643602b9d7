"""Models by the hub's name, in the caches of the hub, of llama.cpp and of LM Studio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.catalog.discovery import find_models
from models.hub_names import HubName, cached_file, quantization_of
from tests.models.gguf_files import write_model


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_model(path)


@pytest.mark.parametrize(
    ("file", "quantization"),
    [
        ("Qwen3-4B-Q4_K_M.gguf", "Q4_K_M"),
        ("model.q8_0.gguf", "q8_0"),
        ("BF16/Model-BF16-00001-of-00003.gguf", "BF16"),
        ("gpt-oss-20b-mxfp4.gguf", "mxfp4"),
        ("Phi-3-UD-IQ2_XXS.gguf", "UD-IQ2_XXS"),
        ("model.gguf", ""),
    ],
)
def test_a_files_name_spells_its_quantization(file: str, quantization: str) -> None:
    assert quantization_of(file) == quantization


def test_each_cache_is_looked_into(tmp_path: Path) -> None:
    hub = put(tmp_path / "hub" / "models--o--one" / "snapshots" / "c1" / "one-Q4_K_M.gguf")
    llama = put(tmp_path / "llama" / "o_two_two-q4_k_m.gguf")
    studio = put(tmp_path / "own" / "o" / "three" / "three-Q8_0.gguf")
    settings = tmp_path / ".lmstudio" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"downloadsFolder": str(tmp_path / "own")}))
    environ = {
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "LLAMA_CACHE": str(tmp_path / "llama"),
        "OLLAMA_HOST": "127.0.0.1:9",
    }

    def found(name: str) -> Path | None:
        return cached_file(HubName.of(name), environ=environ, home=tmp_path)

    assert found("o/one") == hub
    assert found("o/two:Q4_K_M") == llama
    assert found("o/two/two-q4_k_m.gguf") == llama
    assert found("o/three") == found("o/three:q8_0") == studio
    assert found("o/three:Q4_K_M") is None
    places = {model.name: model.place for model in find_models(None, environ=environ, home=tmp_path)}
    assert places["o_two_two-q4_k_m"] == "llama.cpp"
    assert places["three-Q8_0"] == "LM Studio"


def test_the_snapshot_of_the_main_branch_comes_first(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "models--o--one"
    put(folder / "snapshots" / "newer" / "one-Q4_K_M.gguf")
    main = put(folder / "snapshots" / "main-commit" / "one-Q4_K_M.gguf")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("main-commit")
    environ = {"HF_HUB_CACHE": str(tmp_path / "hub")}
    assert cached_file(HubName.of("o/one"), environ=environ, home=tmp_path) == main
