from __future__ import annotations

from pathlib import Path

import pytest

from models import ModelSettings
from models.errors import ModelMemoryError
from models.gguf import memory
from models.gguf.header import read_header
from models.gguf.memory import check_fits, kv_bytes_per_token, needed_bytes
from tests.models.gguf_files import MODEL, write_model


def test_the_kv_cache_is_reckoned_from_the_header(tmp_path: Path) -> None:
    header = read_header(write_model(tmp_path / "model.gguf"))
    assert (
        kv_bytes_per_token(header) == 28 * 8 * (128 + 128) * 2
    )  # 112 KiB, as llama.cpp reports for Qwen3 0.6B
    assert needed_bytes(header, 1000, 4096) == 1000 + 4096 * 114_688
    assert needed_bytes(header, 1000) == 1000 + 8192 * 114_688


def test_heads_may_differ_between_layers_or_not_be_told(tmp_path: Path) -> None:
    many = {**MODEL, "qwen3.attention.head_count_kv": [2, 8, 4]}
    assert kv_bytes_per_token(read_header(write_model(tmp_path / "a.gguf", many))) == 114_688
    few = {key: value for key, value in MODEL.items() if "attention" not in key}
    few["qwen3.attention.head_count"] = 16
    assert kv_bytes_per_token(read_header(write_model(tmp_path / "b.gguf", few))) == 28 * 16 * (64 + 64) * 2


def test_what_does_not_fit_is_said_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_model(tmp_path / "model.gguf")
    monkeypatch.setattr(memory, "available_bytes", lambda: 500_000_000)
    check_fits(ModelSettings(context_length=2048, gpu_layers=0), path)
    with pytest.raises(ModelMemoryError, match=r"0\.9 GB of memory, and 0\.5 GB are free") as caught:
        check_fits(ModelSettings(context_length=8192, gpu_layers=0), path)
    assert "context_length" in caught.value.hint


def test_models_that_fit_alone_may_not_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (
        write_model(tmp_path / "small.gguf"),
        write_model(tmp_path / "large.gguf", body=300_000_000),
    )
    settings = ModelSettings(context_length=2048, gpu_layers=0)
    monkeypatch.setattr(memory, "available_bytes", lambda: 600_000_000)
    check_fits(settings, small)
    check_fits(settings, large)
    with pytest.raises(ModelMemoryError, match=r"small\.gguf and large\.gguf need about 0\.2 \+ 0\.5 GB"):
        check_fits(settings, small, large)
