from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import ModelFileError, ModelNotFoundError
from models.gguf.header import FILE_TYPES, read_header, shards
from tests.models.gguf.tiny_model import CHATML
from tests.models.gguf_files import MODEL, header_bytes, text, write_model


def test_a_real_model_is_described(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    reader = gguf.GGUFReader(str(tiny_gguf))
    assert (header.architecture, header.name, header.context_length) == ("llama", "tiny", 2048)
    assert header.chat_template == CHATML
    assert header.parameter_count == sum(int(tensor.n_elements) for tensor in reader.tensors)
    assert header.array_lengths["tokenizer.ggml.tokens"] == 266
    assert header.is_language_model


def test_the_demo_keys_are_read(tmp_path: Path) -> None:
    header = read_header(write_model(tmp_path / "model.gguf"))
    assert (header.architecture, header.quantization, header.context_length) == ("qwen3", "Q4_K_M", 40_960)
    assert header.parameter_count == 600_000
    assert header.of_architecture("attention.head_count_kv") == 8


def test_a_large_vocabulary_is_passed_over(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(2000)]
    path = write_model(
        tmp_path / "model.gguf", {"tokenizer.ggml.tokens": words, **MODEL, "x.list": [1, 2, 3]}
    )
    header = read_header(path)
    assert "tokenizer.ggml.tokens" not in header.metadata
    assert header.array_lengths["tokenizer.ggml.tokens"] == 2000
    assert header.metadata["x.list"] == [1, 2, 3]
    assert header.name == "Qwen3 0.6B"


def test_file_types_are_named_as_the_gguf_package_names_them() -> None:
    names = {kind.value: kind.name for kind in gguf.LlamaFileType}
    for number, name in FILE_TYPES.items():
        assert name in names[number]


def test_a_projector_or_a_vocabulary_is_no_language_model(tmp_path: Path) -> None:
    projector = write_model(tmp_path / "mmproj.gguf", {**MODEL, "general.type": "mmproj"})
    assert not read_header(projector).is_language_model
    vocabulary = tmp_path / "vocab.gguf"
    vocabulary.write_bytes(header_bytes(MODEL))
    assert not read_header(vocabulary).is_language_model


def test_odd_values_do_no_harm(tmp_path: Path) -> None:
    odd = {**MODEL, "general.file_type": [1, 2], "general.alignment": 0, "tokenizer.chat_template": 3}
    header = read_header(write_model(tmp_path / "model.gguf", odd))
    assert (header.quantization, header.chat_template) == ("unknown", None)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 not a model", "isn't a GGUF file"),
        (header_bytes({}, version=1), "version 1"),
        (header_bytes(MODEL)[:-7], "at byte"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("key") + struct.pack("<I", 77),
            "unknown value type 77",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 1 << 50),
            "strings are",
        ),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text("t") + struct.pack("<I", 1 << 30), "dimensions"),
        (header_bytes(MODEL, {"a": ((10,), 0), "b": ((10,), 1 << 20)}) + bytes(100), "last tensor begins"),
    ],
    ids=["empty", "zip", "version", "cut", "type", "array", "tensor", "weights"],
)
def test_a_damaged_file_is_named_with_the_byte(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=words) as caught:
        read_header(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=16))
def test_no_damage_leads_to_anything_but_a_clear_error(tmp_path: Path, at: int, garbage: bytes) -> None:
    path = write_model(tmp_path / "model.gguf")
    data = path.read_bytes()
    path.write_bytes(data[:at] + garbage + data[at + len(garbage) :])
    with contextlib.suppress(ModelFileError):
        read_header(path)


def test_a_missing_file_and_a_folder_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="promptgrad models"):
        read_header(tmp_path / "none.gguf")
    with pytest.raises(ModelFileError, match="can't be read"):
        read_header(tmp_path)


def test_shards_are_found_from_any_of_them(tmp_path: Path) -> None:
    names = [f"big-{i:05d}-of-00003.gguf" for i in (1, 2, 3)]
    for name in names:
        write_model(tmp_path / name)
    assert [path.name for path in shards(tmp_path / names[1])] == names
    (tmp_path / names[2]).unlink()
    with pytest.raises(ModelNotFoundError, match="big-00003-of-00003"):
        shards(tmp_path / names[0])
