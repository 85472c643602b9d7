from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.ground.files import append_durably, replace_file, write_durably


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("old")
    file.chmod(0o600)
    replace_file(file, b"new")
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file], "no draft is left beside it"


@pytest.mark.parametrize("is_durable", [True, False])
def test_a_link_stays_a_link(tmp_path: Path, is_durable: bool) -> None:
    target, link = tmp_path / "real.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    replace_file(link, b"new", is_durable=is_durable)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_file_that_cannot_be_replaced_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(file, b"new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_appended_comes_after_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    write_durably(file, b"1\n")
    append_durably(file, b"2\n")
    assert file.read_bytes() == b"1\n2\n"
