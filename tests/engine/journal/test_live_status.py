from __future__ import annotations

import threading
import time
from pathlib import Path

from engine.journal.live_status import (
    ScoringCount,
    StatusFile,
    read_scorings,
    read_status,
    scorings_file,
    status_file,
)


def test_what_is_waited_for_is_told_and_gone_at_the_end(tmp_path: Path) -> None:
    file = status_file(tmp_path / "journal.sqlite", "r1")
    with StatusFile(file) as status:
        assert read_status(file) is None
        status.show("Loading m.gguf", 0.4)
        assert str(read_status(file)) == "Loading m.gguf 40%"
        status.show("Loading m.gguf", 1.0)
        status.show("Waiting: the server is busy", 0.0)
        assert str(read_status(file)) == "Waiting: the server is busy"
    assert read_status(file) is None


def test_what_a_killed_process_said_is_removed(tmp_path: Path) -> None:
    file = status_file(tmp_path / "journal.sqlite", "r1")
    StatusFile(file).show("Loading", 0.0)
    assert read_status(file)
    with StatusFile(file):
        assert read_status(file) is None


def test_many_threads_may_speak_and_half_a_character_hurts_nobody(tmp_path: Path) -> None:
    file = status_file(tmp_path / "journal.sqlite", "r1")
    with StatusFile(file) as status:
        speakers = [threading.Thread(target=status.show, args=(f"Waiting {i}", 0.0)) for i in range(8)]
        for speaker in speakers:
            speaker.start()
        for speaker in speakers:
            speaker.join()
        assert str(read_status(file)).startswith("Waiting ")
        status.show("Loading \ud83d.gguf", 0.0)
        assert str(read_status(file)) == "Loading ?.gguf"


def test_a_folder_that_cannot_be_written_hurts_nobody(tmp_path: Path) -> None:
    (tmp_path / "live").write_text("in the way")
    with StatusFile(status_file(tmp_path / "journal.sqlite", "r1")) as status:
        status.show("Loading", 0.0)


def test_scorings_are_counted_for_who_watches(tmp_path: Path):
    file = scorings_file(tmp_path / "journal.sqlite", "r1")
    count = ScoringCount(file)
    assert read_scorings(file) is None
    count.add()
    found = read_scorings(file)
    assert found is not None
    assert found.count == 1
    assert abs(found.time - time.time()) < 60
    for _ in range(3):
        time.sleep(0.3)
        count.add()
    found = read_scorings(file)
    assert found is not None
    assert found.count == 4
    ScoringCount(file)
    assert read_scorings(file) is None, "a new process begins at 0"
