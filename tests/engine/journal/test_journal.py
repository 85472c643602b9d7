from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.ground.errors import JournalError, RunLockedError
from engine.journal.completions import Completion
from engine.journal.events import (
    NOT_BEGUN,
    ModelUsed,
    Notice,
    RolloutFinished,
    RunFinished,
    RunResumed,
    RunSummary,
    Tokens,
)
from engine.journal.journal import Journal, journal_path
from tests.patience import PATIENCE_SECONDS

RUN = "20261121-040420-d213"

# What the tests below run in processes of their own: argv is the journal's path, then the run.
PREAMBLE = f"""
import sys, time
from engine.ground.errors import JournalError
from engine.journal.events import Notice, Tokens
from engine.journal.completions import Completion
from engine.journal.journal import Journal
path, run = sys.argv[1], "{RUN}"
def completion(n):
    return Completion(str(n), run, time.time(), '"' + "x" * 2000 + '"', "{{}}", 0.1, Tokens(prompt=n))
"""


def spawn(program: str, path: Path, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + program, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        **options,  # type: ignore[call-overload]
    )


def outcome(program: str, path: Path, **options: object) -> str:
    process = spawn(program, path, **options)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    return output


def notice(n: int) -> Notice:
    return Notice(id=f"notice/{n}", text=f"number {n}")


def completion(key: str, run: str = RUN) -> Completion:
    message = '{"role": "user", "parts": [{"type": "text", "text": "Hallo <é>"}]}'
    request = f'{{"system": "Route.", "messages": [{message}]}}'
    parts = '[{"type": "thinking", "text": "hm"}, {"type": "text", "text": "tech"}]'
    response = f'{{"message": {{"parts": {parts}}}}}'
    return Completion(key, run, 1.5, request, response, 0.25, Tokens(prompt=9, completion=2, reused=4))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path)


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(path) as journal:
        yield journal


def test_the_last_event_of_all_and_before_another_one_tell_their_time(journal: Journal) -> None:
    assert journal.last_worked(RUN) is None
    for number in (1, 2, 3):
        journal.append(RUN, Notice(id=f"notice/{number}", text="", time=float(number)))
    third = journal.events(RUN)[-1][0]
    assert (journal.last_worked(RUN), journal.last_worked(RUN, before=third)) == (3.0, 2.0)
    assert journal.last_worked(RUN, before=1) is None
    journal.append(RUN, Notice(id=f"{NOT_BEGUN}0", text="", time=9.0))
    assert journal.last_worked(RUN) == 3.0, "the night before a resume that failed is no work"


def test_an_event_of_the_same_id_is_written_once(journal: Journal) -> None:
    assert journal.append(RUN, notice(1))
    assert not journal.append(RUN, Notice(id="notice/1", text="again"))
    assert journal.append("another-run", notice(1))
    assert [event for _, event in journal.events(RUN)] == [journal.events(RUN)[0][1]]
    assert journal.events(RUN)[0][1].id == "notice/1"
    assert isinstance(event := journal.events(RUN)[0][1], Notice)
    assert event.text == "number 1"


def test_a_reader_gets_only_what_it_has_not_seen(path: Path, journal: Journal) -> None:
    for n in range(10):
        journal.append(RUN, notice(n))
        journal.append("another-run", notice(n))
    with Journal.open(path, read_only=True) as reader:
        first = reader.events(RUN, limit=4)
        assert [event.id for _, event in first] == [f"notice/{n}" for n in range(4)]
        rest = reader.events(RUN, after=first[-1][0])
        assert [event.id for _, event in rest] == [f"notice/{n}" for n in range(4, 10)]
        assert reader.events(RUN, after=rest[-1][0]) == []
        journal.append(RUN, notice(10))
        assert [event.id for _, event in reader.events(RUN, after=rest[-1][0])] == ["notice/10"]


def test_a_reader_may_ask_for_some_kinds_of_events(journal: Journal) -> None:
    for n in range(3):
        journal.append(RUN, notice(n))
        journal.append(RUN, RunResumed(id=f"resumed/{n}", attempt=n))
    assert [event.id for _, event in journal.events(RUN, kinds=("run_resumed",), limit=2)] == [
        "resumed/0",
        "resumed/1",
    ]
    assert len(journal.events(RUN, kinds=("run_resumed", "notice"))) == 6
    assert journal.events(RUN, kinds=("rollout",)) == []


def test_a_prediction_of_any_kind_can_be_written(journal: Journal) -> None:
    odd = {"half": "\ud83d!", "path": Path("a/b"), "none": None, "object": complex(1, 2)}
    event = RolloutFinished(
        id="r", example="e", split="train", rules="", score=1, is_success=True, prediction=odd
    )
    assert journal.append(RUN, event)
    [(_, read)] = journal.events(RUN)
    assert isinstance(read, RolloutFinished)
    assert read.prediction == {"half": "?!", "path": "a/b", "none": None, "object": "(1+2j)"}


def test_a_completion_is_kept_with_its_prompt_and_who_paid(journal: Journal) -> None:
    assert journal.completion("k") is None
    assert journal.remember_completion(completion("k"))
    assert not journal.remember_completion(completion("k", run="later"))
    known = journal.completion("k")
    assert known == completion("k")
    assert known.messages == [("system", "Route."), ("user", "Hallo <é>")]
    assert (known.answer, known.thinking) == ("tech", "hm")
    assert journal.completions_paid(RUN) == 1
    assert journal.completions_paid("later") == 0


def test_many_threads_write_at_once(journal: Journal) -> None:
    def work(thread: int) -> None:
        for n in range(100):
            journal.remember_completion(completion(f"{thread}/{n}"))
            journal.append(RUN, notice(1000 * thread + n))
            assert journal.completion(f"{thread}/{n}") is not None

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.completions_paid(RUN) == 800
    numbers = [seq for seq, _ in journal.events(RUN)]
    assert len(numbers) == 800
    assert numbers == sorted(set(numbers))


def test_commands_and_decisions_reach_the_worker(path: Path, journal: Journal) -> None:
    with Journal.open(path) as screen:
        screen.send_command(RUN, "pause")
        screen.send_command(RUN, "stop")
        assert screen.decide(RUN, "rule/1", {"verdict": "accepted"})
        assert not screen.decide(RUN, "rule/1", {"verdict": "rejected"})
    first, second = journal.commands(RUN)
    assert (first.name, second.name) == ("pause", "stop")
    assert journal.commands(RUN, after=second.seq) == []
    assert journal.decision(RUN, "rule/1") == {"verdict": "accepted"}
    assert journal.decision(RUN, "rule/2") is None
    assert journal.decisions(RUN) == {"rule/1": {"verdict": "accepted"}}


def test_a_run_tells_how_it_stands(journal: Journal) -> None:
    run = journal.create_run(journal.path.parent.parent, {"seed": 3}).id
    assert journal.run(run).status == "interrupted"
    with journal.lock_run(run):
        assert journal.run(run).status == "running"
    summary = RunSummary(
        run=run, status="improved", reason="", model=ModelUsed(uri="demo", revision="sha256:0")
    )
    journal.append(run, RunFinished(id="finished", time=77.0, summary=summary))
    record = journal.run(run)
    assert (record.status, record.summary, record.last_event) == ("improved", summary, 77.0)
    assert (Path(record.project), record.options) == (journal.path.parent.parent, {"seed": 3})
    journal.append(run, RunResumed(id="resumed/2", attempt=2))
    assert journal.run(run).status == "interrupted"


def test_a_run_is_found_by_part_of_its_id(journal: Journal) -> None:
    with pytest.raises(JournalError, match="no run 'last'"):
        journal.run("last")
    first, second = journal.create_run("p").id, journal.create_run("p").id
    assert journal.run("last").id == second
    assert journal.run(first).id == first
    assert journal.run(first[-4:]).id == first
    with pytest.raises(JournalError, match="could mean 2 runs") as caught:
        journal.run(first[:8])
    assert first in caught.value.hint
    with pytest.raises(JournalError, match="no run 'zebra'"):
        journal.run("zebra")
    with pytest.raises(JournalError, match="no run ''"):
        journal.run("")


def test_a_killed_writer_loses_nothing_it_was_told_is_written(path: Path) -> None:
    writer = spawn(
        """
journal = Journal.open(path)
for n in range(10**9):
    journal.append(run, Notice(id=f"notice/{n}", text="x" * 500))
    journal.remember_completion(completion(n))
    print(n, flush=True)
""",
        path,
    )
    assert writer.stdout is not None
    for line in writer.stdout:
        if line == "400\n":
            writer.send_signal(signal.SIGKILL)
            break
    told = 400 + len(writer.stdout.read().splitlines())
    writer.wait()
    with Journal.open(path, read_only=True) as journal:
        events = journal.events(RUN)
        assert [event.id for _, event in events] == [f"notice/{n}" for n in range(len(events))]
        assert len(events) > told
        assert all(journal.completion(str(n)) for n in range(told + 1))
    with Journal.open(path) as journal:
        assert journal.append(RUN, Notice(id="after", text="the file is as good as before"))


def test_one_process_at_a_time_works_on_a_run(path: Path, journal: Journal) -> None:
    holder = spawn(
        "with Journal.open(path).lock_run(run): print('locked', flush=True); time.sleep(600)", path
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    assert journal.is_running(RUN)
    with pytest.raises(RunLockedError, match=f"Process {holder.pid} works on run {RUN} since") as caught:
        journal.lock_run(RUN).__enter__()
    assert caught.value.hint
    with journal.lock_run("another-run"):
        assert journal.append(RUN, notice(1)), "a lock keeps nobody from reading and writing"
    holder.kill()
    holder.wait()
    assert not journal.is_running(RUN)
    with journal.lock_run(RUN):
        with journal.lock_run(RUN):
            assert journal.is_running(RUN)
        assert journal.is_running(RUN), "who held it before holds it still"
    assert not journal.is_running(RUN)


def test_asking_whether_a_run_is_locked_never_keeps_a_worker_out(journal: Journal) -> None:
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            journal.is_running(RUN)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(50):
            with journal.lock_run(RUN):
                pass
    finally:
        done.set()
        for thread in asking:
            thread.join()


def test_processes_that_open_a_new_journal_at_once_agree(path: Path) -> None:
    openers = [
        spawn(f"Journal.open(path).append(run, Notice(id='{n}', text='')); print('ok')", path)
        for n in range(6)
    ]
    assert [opener.communicate(timeout=PATIENCE_SECONDS)[0] for opener in openers] == ["ok\n"] * 6
    with Journal.open(path, read_only=True) as journal:
        assert sorted(event.id for _, event in journal.events(RUN)) == list("012345")


FILL = """
journal = Journal.open(path)
written = 0
try:
    while written < 10_000:
        journal.remember_completion(completion(written))
        written += 1
except JournalError as error:
    assert path in error.message, error.message
    print(written, journal.completion(str(written - 1)) is not None, str(error), sep="|")
"""


def check_full(path: Path, output: str) -> None:
    written, readable, message = output.split("|")
    assert int(written) > 10
    assert readable == "True"
    assert "safe" in message
    with Journal.open(path, read_only=True) as journal:
        assert journal.completions_paid(RUN) == int(written)


def test_a_reader_never_meets_a_journal_without_tables(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) / "journal.sqlite" for number in range(40)]

    def make() -> None:
        for path in paths:
            Journal.open(path).close()

    writer = threading.Thread(target=make)
    writer.start()
    for path in paths:
        while not path.exists():
            time.sleep(0)
        with Journal.open(path, read_only=True) as reader:
            assert reader.runs() == []
    writer.join()
    assert not list(tmp_path.rglob("*.new"))


def test_a_file_size_limit_is_a_clear_error_and_what_was_written_stays(path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    output = outcome(FILL, path, preexec_fn=limit)
    check_full(path, output)
    assert "the disk" in output


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_a_clear_error_and_what_was_written_stays(small_disk: Path) -> None:
    path = journal_path(small_disk)
    output = outcome(FILL, path)
    check_full(path, output)
    assert "the disk is full" in output
    assert "Free some space" in output


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="promptgrad-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


OBEY_PERMISSIONS = """
import os
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""


@pytest.mark.parametrize("killed", [False, True])
def test_a_read_only_folder_is_a_clear_error_and_its_journal_readable(
    open_folder: Path, killed: bool
) -> None:
    path = journal_path(open_folder)
    ending = "os.kill(os.getpid(), 9)" if killed else "journal.close()"
    program = f"""
import os
journal = Journal.open(path)
journal.append(journal.create_run("p").id, Notice(id="1", text="number 1"))
{ending}
"""
    spawn(program, path).wait()
    assert Path(f"{path}-wal").exists() == killed
    for file in path.parent.glob("journal*"):
        file.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        output = outcome(
            OBEY_PERMISSIONS
            + """
try:
    Journal.open(path)
except JournalError as error:
    print(error.message, error.hint, sep="|")
reader = Journal.open(path, read_only=True)
(record,) = reader.runs()
print(record.status, [event.text for _, event in reader.events(record.id)])
try:
    reader.append(run, Notice(id="x", text=""))
except JournalError as error:
    print(error.message)
""",
            path,
        )
    finally:
        path.parent.chmod(0o755)
    refused, read, written = output.splitlines()
    assert refused.startswith(f"{path}: the file or its folder is read-only.|Make the folder writable")
    assert read == "interrupted ['number 1']"
    assert "read-only" in written


def test_no_journal_is_made_in_a_folder_that_cannot_be_written(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    output = outcome(
        OBEY_PERMISSIONS + "\ntry: Journal.open(path)\nexcept JournalError as error: print(error)",
        journal_path(open_folder),
    )
    assert "Permission denied" in output
    assert "Make the folder writable" in output


def test_a_file_where_the_journals_folder_belongs_is_named(tmp_path: Path) -> None:
    path = journal_path(tmp_path)
    path.parent.write_text("mine")
    with pytest.raises(JournalError, match="isn't a folder") as caught:
        Journal.open(path)
    assert "Move that file away" in caught.value.hint
    assert path.parent.read_text() == "mine"


def test_reading_where_there_is_no_journal_makes_none(path: Path) -> None:
    with pytest.raises(JournalError, match="no journal here"):
        Journal.open(path, read_only=True)
    assert not path.exists()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_journal_of_a_later_version_is_left_alone(path: Path, read_only: bool) -> None:
    Journal.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=7")
    connection.close()
    with pytest.raises(JournalError, match="later version") as caught:
        Journal.open(path, read_only=read_only)
    assert "format 7" in caught.value.message
    assert "pip install --upgrade" in caught.value.hint


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs(a)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="another program"):
        Journal.open(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, " * 300)
    with pytest.raises(JournalError, match="isn't a journal, or is damaged") as caught:
        Journal.open(path)
    assert str(path) in caught.value.message


def test_a_damaged_file_is_a_clear_error(path: Path) -> None:
    with Journal.open(path) as journal:
        for n in range(500):
            journal.append(RUN, notice(n))
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with Journal.open(path) as journal, pytest.raises(JournalError, match="damaged") as caught:
        journal.events(RUN)
    assert ".recover" in caught.value.hint


def test_another_programs_lock_is_a_clear_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.journal.file.BUSY_SECONDS", 0.1)
    with Journal.open(path) as journal:
        browser = sqlite3.connect(path, isolation_level=None)
        browser.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="another program holds it") as caught:
            journal.append(RUN, notice(1))
        assert "Close the program" in caught.value.hint
        browser.execute("ROLLBACK")
        browser.close()
        assert journal.append(RUN, notice(1))


def test_the_journal_needs_no_dspy(path: Path) -> None:
    program = "Journal.open(path); print([name for name in ('dspy', 'litellm') if name in sys.modules])"
    assert outcome(program, path) == "[]\n"


def test_run_ids_sort_by_time(journal: Journal) -> None:
    run = journal.create_run("p")
    assert run.id.startswith(time.strftime("%Y%m%d-%H%M", time.gmtime(run.created)))
    assert len(run.id) == len("20261121-040420-d213")
