import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.journal.journal import Journal, journal_path
from tests.promptgrad_tui.desk_project import PROMPTGRAD, promptgrad, promptgrad_process, write_project

COMMANDS = ["demo", "init", "check", "run", "resume", "runs", "show", "events", "predict", "models", "doctor"]


def test_help_lists_every_command_in_order():
    listed = re.findall(r"^  (\w+)  ", promptgrad("--help").stdout.split("Commands:")[1], re.MULTILINE)
    assert [name for name in listed if name in COMMANDS] == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_teaches_with_an_example(name):
    told = promptgrad(name, "--help").stdout
    assert re.search(rf"Examples?:\n  promptgrad .*{name}", told)
    assert max(map(len, told.splitlines())) <= 100


def test_version():
    assert re.fullmatch(r"promptgrad, version \d+\.\d+\.\d+\n", promptgrad("--version").stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["runs"], ["show", "last"]])
def test_light_commands_load_neither_dspy_nor_a_model_nor_a_screen(arguments, tmp_path):
    script = (
        "import sys; from promptgrad_tui.cli import promptgrad\n"
        f"promptgrad(['-C', {str(tmp_path)!r}, *{arguments!r}], standalone_mode=False)\n"
        "print(*(set(sys.modules) & {'dspy', 'llama_cpp', 'textual', 'numpy', 'httpx'}), 'loaded')"
    )
    with Journal.open(journal_path(tmp_path)) as journal:
        journal.create_run(tmp_path)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "loaded", done.stderr


def test_an_error_is_a_sentence_and_what_to_do(tmp_path):
    done = promptgrad("run", tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: There is no promptgrad.toml in")
    assert " hint: `promptgrad init" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(tmp_path):
    done = promptgrad_process("--debug", "run", tmp_path)
    assert "Traceback" in done.stderr
    assert "ProjectError" in done.stderr


def test_an_error_of_ours_is_told_as_one(monkeypatch, tmp_path):
    monkeypatch.setattr("promptgrad_tui.work.machine.doctor.examine", lambda folder: 1 / 0)
    done = promptgrad("doctor")
    assert done.returncode == 1
    assert "Unexpected error: ZeroDivisionError" in done.stderr
    assert "--debug" in done.stderr


def test_unknown_options_are_usage_errors():
    assert promptgrad("run", "--epochs", "3").returncode == 2
    assert promptgrad("run", "--set", "epochs").returncode == 2
    assert promptgrad("run", "--max-minutes", "nan").returncode == 2
    assert promptgrad("nonsense").returncode == 2


def test_colours_only_where_they_are_wanted(tmp_path):
    assert "\x1b[" not in promptgrad("run", tmp_path).stderr
    assert "\x1b[31m" in promptgrad("run", tmp_path, FORCE_COLOR="1").stderr
    assert "\x1b[" not in promptgrad("run", tmp_path, FORCE_COLOR="1", NO_COLOR="1").stderr


def test_a_project_without_runs_says_so(tmp_path):
    done = promptgrad("-C", tmp_path, "runs")
    assert done.returncode == 2
    assert "there is no journal here" in done.stderr
    assert "-C DIR" in done.stderr


def test_a_journal_that_was_never_written_is_none(tmp_path):
    path = journal_path(tmp_path)
    path.parent.mkdir()
    path.touch()
    done = promptgrad("-C", tmp_path, "runs")
    assert done.returncode == 2
    assert "there is no journal here" in done.stderr
    with Journal.open(path) as journal:
        journal.create_run(tmp_path)
    assert "interrupted" in promptgrad("-C", tmp_path, "runs").stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error(closed):
    done = subprocess.run(f"{PROMPTGRAD} --version {closed}", shell=True, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_output_is_said(tmp_path):
    with Journal.open(journal_path(tmp_path)) as journal:
        journal.create_run(tmp_path)
    command = f"{PROMPTGRAD} -C {tmp_path} runs > /dev/full"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: The output can't be used: No space left on device." in done.stderr


def test_the_same_name_twice_is_refused():
    done = promptgrad("run", "--set", "optimizer.epochs=1", "--set", "optimizer.epochs=2")
    assert done.returncode == 2
    assert "'optimizer.epochs' is given twice" in done.stderr


def test_set_names_a_field_that_is_unknown(tmp_path):
    write_project(tmp_path, "demo")
    done = promptgrad("run", tmp_path, "--set", "optimizer.epoch=1")
    assert done.returncode == 2
    assert "did you mean epochs?\n" in done.stderr


def test_init_writes_a_project_once(tmp_path):
    first = promptgrad("init", tmp_path / "mine")
    assert first.returncode == 0
    assert str(tmp_path / "mine" / "promptgrad.toml") in first.stdout
    assert promptgrad("init", tmp_path / "mine").returncode == 2
