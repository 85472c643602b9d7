import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import pytest

from engine.journal.journal import Journal, journal_path
from tests.engine.desk import POLICY, Desk, learned
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.desk_project import (
    PROMPTGRAD,
    last_events,
    outcome,
    promptgrad,
    promptgrad_process,
    result,
    started,
    wait_for,
    write_project,
)
from tests.promptgrad_tui.model_server import desk_server

KEYS = {
    *("run", "status", "reason", "model", "baseline", "optimized", "rules"),
    *("calls", "tokens", "seconds", "artifact"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One whole run: its project, what the command printed, and the calls that the model answered."""
    root = tmp_path_factory.mktemp("finished")
    with desk_server() as server:
        write_project(root, server.uri)
        done = promptgrad_process("run", root, "--json")
        yield root, done, server


@contextmanager
def busy_server(finished, kind):
    """A server that holds its answers in the midst of a run, after the run's first event of a kind."""
    root, _, _ = finished
    with desk_server() as server:
        server.answers = calls_until(last_events(root), kind) + 10
        yield server


def calls_until(events, kind):
    """How many calls a run had paid for at its first event of a kind."""
    before = itertools.takewhile(lambda event: event.kind != kind, events)
    return len({key for event in before for key in getattr(event, "completions", ())})


def test_json_is_one_object_on_stdout_and_progress_goes_to_stderr(finished):
    _, done, server = finished
    assert done.returncode == 0, done.stderr
    told = result(done)
    assert set(told) >= KEYS
    assert done.stdout.count("\n") == 1
    assert told["status"] == "improved"
    assert told["optimized"]["test"]["score"] > told["baseline"]["test"]["score"] + 0.2
    assert told["calls"] == server.calls
    assert told["model"]["uri"] == server.uri
    assert {"id", "text", "trigger", "action", "delta", "low", "high", "n", "epoch", "batch"} <= set(
        told["rules"][0]
    )
    assert "Epoch 1, batch 1" in done.stderr
    assert "accepted" in done.stderr


def test_a_run_without_json_ends_with_a_summary_on_stdout(finished):
    root, done, server = finished
    again = promptgrad("-C", root, "resume", "last")
    assert again.returncode == 0
    assert again.stdout.splitlines()[1] == "Improved"
    assert f"promptgrad predict {result(done)['artifact']} --input ticket=" in again.stdout
    assert server.calls == result(done)["calls"], "a finished run is not run again"


def test_lines_fit_a_narrow_terminal(finished):
    root, done, _ = finished
    told = promptgrad("-C", root, "show", "last").stdout + done.stderr
    long = [line for line in told.splitlines() if len(line) > 80 and str(root) not in line]
    assert long == []


def test_runs_lists_the_run(finished):
    root, done, _ = finished
    told = promptgrad("-C", root, "runs").stdout
    line = next(line for line in told.splitlines() if result(done)["run"] in line)
    assert "improved" in line
    assert f"{result(done)['optimized']['test']['score']:.3f}" in line


def test_show_tells_the_whole_story(finished):
    root, done, _ = finished
    told = promptgrad("-C", root, "show", "last").stdout
    for rule in result(done)["rules"]:
        assert told.count(rule["text"]) >= 4, "proposed, tested, in the prompt, kept"
    assert "Instructions, frozen" in told
    assert "Baseline:" in told
    assert "fixed" in told


def test_show_as_json(finished):
    root, done, _ = finished
    told = json.loads(promptgrad("-C", root, "show", result(done)["run"], "--json").stdout)
    assert told["summary"] == result(done)
    assert told["epochs"][0]["epoch"] == 0
    assert told["batches"][0]["validations"][0]["evidence"]["n"] == 15
    phrases = {rule["trigger"] for rule in result(done)["rules"]}
    assert learned(told["prompts"]["self"]["optimized"]) == phrases <= set(POLICY)
    assert learned(told["prompts"]["self"]["base"]) == set()


def test_events_are_json_lines(finished):
    root, _, _ = finished
    kinds = [
        json.loads(line)["kind"] for line in promptgrad("-C", root, "events", "last").stdout.splitlines()
    ]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert len(kinds) == len(last_events(root))


def test_events_stop_quietly_when_nobody_reads_on(finished):
    root, _, _ = finished
    command = f"{PROMPTGRAD} -C {root} events last | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_predict_answers_with_the_learned_rules(finished):
    _, done, _ = finished
    artifact, phrase = result(done)["artifact"], result(done)["rules"][0]["trigger"]
    told = promptgrad("predict", artifact, "--input", f"ticket=my {phrase} is late", "--json")
    assert result(told) == {"queue": POLICY[phrase]}
    assert promptgrad("predict", artifact, "--input", f"ticket=my {phrase} is late").stdout == (
        f"queue: {POLICY[phrase]}\n"
    )


def test_predict_names_the_inputs_that_it_needs(finished):
    _, done, _ = finished
    told = promptgrad("predict", result(done)["artifact"], "--input", "tiket=x")
    assert told.returncode == 2
    assert "--input ticket=" in told.stderr


def test_the_same_seed_gives_the_same_run(finished, tmp_path):
    _, done, server = finished
    other = write_project(tmp_path, server.uri)
    assert outcome(result(promptgrad("run", other, "--json"))) == outcome(result(done))


def test_quiet_says_nothing_on_the_way(tmp_path):
    with desk_server() as server:
        done = promptgrad("run", write_project(tmp_path, server.uri), "--quiet", "--json", "--seed", "4")
    assert done.stderr == ""
    assert result(done)["status"] == "improved"


def test_no_improvement_is_no_success(tmp_path):
    desk = Desk(proposals=[{"text": "Tickets that mention parcel go to nowhere.", "trigger": "parcel"}])
    with desk_server(desk) as server:
        done = promptgrad("run", write_project(tmp_path, server.uri), "--json")
    told = result(done)
    assert (done.returncode, told["status"], told["artifact"], told["rules"]) == (
        0,
        "no_improvement",
        None,
        [],
    )
    assert "no rules scored better" in told["reason"]


def test_a_budget_ends_a_run_and_a_larger_one_goes_on(finished, tmp_path):
    _, whole, _ = finished
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        first = promptgrad("run", project, "--json", "--max-calls", "110")
        assert result(first)["status"] == "budget"
        assert result(first)["calls"] == server.calls <= 110
        second = promptgrad("-C", project, "resume", "last", "--json", "--max-calls", "5000")
        assert outcome(result(second)) == outcome(result(whole))
        assert server.calls == result(whole)["calls"], "nothing is paid for twice"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_cleanly_and_resume_goes_on(finished, tmp_path, number):
    _, whole, _ = finished
    with busy_server(finished, "epoch") as server:
        project = write_project(tmp_path, server.uri)
        process = started("run", project, "--json")
        wait_for(project, "epoch", process)
        process.send_signal(number)
        process.send_signal(number)  # as `timeout` does: to the process, then to its group
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130
        assert json.loads(stdout)["status"] == "stopped"
        assert "resume" in stderr
        server.release()
        resumed = promptgrad("-C", project, "resume", "last", "--json")
        assert outcome(result(resumed)) == outcome(result(whole))


def test_an_interrupt_stops_a_run_whose_lines_nobody_reads_any_more(finished, tmp_path):
    with busy_server(finished, "epoch") as server:
        project = write_project(tmp_path, server.uri)
        process = started("run", project)
        process.stderr.close()
        wait_for(project, "epoch", process)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(PATIENCE_SECONDS) == 130
        finally:
            process.kill()
            process.stdout.close()


def test_a_second_interrupt_ends_at_once_and_the_story_can_be_told(finished, tmp_path):
    _, whole, _ = finished
    with busy_server(finished, "validation") as server:
        project = write_project(tmp_path, server.uri)
        process = started("run", project)
        wait_for(project, "validation", process)
        process.kill()
        process.communicate()
        told = promptgrad("-C", project, "show", "last").stdout
        assert "Interrupted" in told
        assert "accepted" in told
        assert "promptgrad -C" in told.splitlines()[-1]
        assert "interrupted" in promptgrad("-C", project, "runs").stdout
        server.release()
        resumed = promptgrad("-C", project, "resume", "last", "--json")
        assert outcome(result(resumed)) == outcome(result(whole))
        assert "Resumed" in resumed.stderr
        assert resumed.stderr.count("Baseline") == 0, "what was told before is not told again"


def test_a_model_that_goes_away_ends_the_run_with_3_and_resume_goes_on(finished, tmp_path):
    _, whole, _ = finished
    with busy_server(finished, "epoch") as server:
        project = write_project(tmp_path, server.uri)
        process = started("run", project, "--json")
        wait_for(project, "epoch", process)
        server.is_down = True
        server.release()
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 3
        assert json.loads(stdout)["status"] == "error"
        assert "error:" in stderr
        server.is_down = False
        resumed = promptgrad("-C", project, "resume", "last", "--json")
        assert outcome(result(resumed)) == outcome(result(whole))


def test_a_model_that_was_never_there(tmp_path):
    project = write_project(tmp_path, "gguf:missing.gguf")
    done = promptgrad("run", project, "--json")
    assert done.returncode == 3
    told = result(done)
    assert set(told) >= KEYS
    assert told["status"] == "error"
    assert "missing.gguf" in told["reason"]
    assert f"{told['run']}  error" in promptgrad("-C", project, "runs").stdout


def test_a_project_that_changed_since_is_not_resumed(tmp_path):
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        promptgrad("run", project, "--max-calls", "100")
        data = project / "data" / "train.jsonl"
        data.write_text(data.read_text().replace("parcel", "letter"))
        done = promptgrad("-C", project, "resume", "last")
    assert done.returncode == 2
    assert "data/train.jsonl" in done.stderr


def test_a_run_that_is_done_is_told_again_without_its_data_or_its_model(tmp_path):
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        first = promptgrad("run", project, "--json")
    (project / "data" / "train.jsonl").unlink()
    done = promptgrad("-C", project, "resume", "last", "--json")
    assert done.returncode == 0
    assert result(done) == result(first)
    assert f"Run {result(first)['run']} has finished: there is nothing left to do." in done.stderr


def test_a_run_that_asks_nothing_new_says_why_it_made_no_calls(tmp_path):
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        assert promptgrad("run", project, "--quiet").returncode == 0
        calls = server.calls
        again = promptgrad("run", project, "--quiet")
        assert server.calls == calls
    assert re.search(r"^0 calls, .*: an earlier run has paid for every answer$", again.stdout, re.MULTILINE)


def test_an_error_about_an_example_without_an_id_names_its_line(tmp_path):
    with desk_server() as server:
        project = write_project(tmp_path, server.uri)
        (project / "program.py").write_text(
            "import dspy\n"
            "class Careful(dspy.Module):\n"
            "    def __init__(self):\n"
            "        self.route = dspy.Predict('ticket -> queue')\n"
            "    def forward(self, ticket):\n"
            "        if 'unreadable' in ticket:\n"
            "            raise KeyError('nothing to read')\n"
            "        return self.route(ticket=ticket)\n"
            "def build():\n"
            "    return Careful()\n"
        )
        file = project / "promptgrad.toml"
        file.write_text(
            '[program]\npython = "program.py:build"\n' + file.read_text()[file.read_text().index("[data]") :]
        )
        with (project / "data" / "test.jsonl").open("a") as examples:
            examples.write('{"ticket": "an unreadable one", "queue": "general"}\n')
        done = promptgrad("run", project, "--json")
    assert done.returncode == 2
    reason = result(done)["reason"]
    assert re.search(
        r"raised KeyError on the example [0-9a-f]{16}: 'nothing to read' \(program.py, line 7\)", reason
    )
    assert f"The example is in {project / 'data' / 'test.jsonl'}, line 31." in reason


def test_a_run_is_named_by_a_part_of_its_id(finished):
    root, done, _ = finished
    name = result(done)["run"]
    assert promptgrad("-C", root, "events", name[-4:]).stdout
    missing = promptgrad("-C", root, "show", "nothing-like-it")
    assert missing.returncode == 2
    assert name in missing.stderr


def test_two_processes_on_one_run(finished, tmp_path):
    with busy_server(finished, "epoch") as server:
        project = write_project(tmp_path, server.uri)
        process = started("run", project)
        wait_for(project, "epoch", process)
        data = project / "data" / "train.jsonl"
        data.write_text(data.read_text().replace("parcel", "letter"))
        second = promptgrad("-C", project, "resume", "last")
        kinds = {event.kind for event in last_events(project)}
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 1
    assert str(process.pid) in second.stderr
    assert "run_finished" not in kinds, "the second process says nothing of a run that isn't its own"


def test_a_run_is_in_progress_while_its_model_loads(tmp_path):
    from promptgrad_tui.work.opening import open_project
    from promptgrad_tui.work.run.budget import Budget
    from promptgrad_tui.work.run.job import create_run, run_job

    with desk_server() as server, Journal.open(journal_path(tmp_path)) as journal:
        project = open_project(write_project(tmp_path, server.uri), {})
        record = create_run(journal, project, {}, None, Budget())
        seen = []
        run_job(journal, record, on_progress=lambda *_: seen.append(journal.run(record.id).status))
        assert set(seen) == {"running"}
        assert journal.run(record.id).status == "improved"


def test_the_worker_carries_out_a_run_and_obeys_the_journal(finished, tmp_path):
    _, whole, _ = finished
    from promptgrad_tui.work.opening import open_project
    from promptgrad_tui.work.run.budget import Budget
    from promptgrad_tui.work.run.job import create_run

    with busy_server(finished, "batch") as server, Journal.open(journal_path(tmp_path)) as journal:
        project = open_project(write_project(tmp_path, server.uri), {})
        run = create_run(journal, project, {}, None, Budget()).id
        command = [sys.executable, "-m", "promptgrad_tui.worker", str(tmp_path), run]
        worker = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait_for(tmp_path, "batch", worker)
        journal.send_command(run, "stop")
        assert worker.wait(PATIENCE_SECONDS) == 130, worker.stderr.read()
        assert journal.run(run).status == "stopped"
        server.release()
        assert subprocess.run(command).returncode == 0
        summary = journal.run(run).summary.model_dump(mode="json")
    assert outcome(summary) == outcome(result(whole))


@pytest.mark.parametrize("work", ["review", "edit"])
def test_a_stop_is_obeyed_while_the_model_of_a_review_or_an_edit_loads(finished, tmp_path, work):
    from engine.ground.errors import RunStoppedError
    from engine.journal.decisions import Decision, decision_key
    from promptgrad_tui.work.run.job import apply_review_job, try_edit_job

    root, _, server = finished
    project = shutil.copytree(root, tmp_path / "project")
    statuses = []
    with Journal.open(journal_path(project)) as journal:
        record = journal.run("last")
        rule = record.summary.rules[0].id
        journal.decide(record.id, decision_key(rule, 1), Decision(choice="drop").model_dump())
        edit = Decision(choice="edit", text="Send it to billing.", trigger="invoice")
        job = partial(try_edit_job, rule=rule, decision=edit) if work == "edit" else apply_review_job

        def stop(*_):
            statuses.append(journal.run(record.id).status)
            journal.send_command(record.id, "stop")

        before = journal.last_command(record.id)
        last, calls = journal.events(record.id)[-1], server.calls
        with pytest.raises(RunStoppedError):
            job(journal, record, on_progress=stop)
        with pytest.raises(RunStoppedError):
            job(journal, record, heard=before)  # as if the worker had been started before the stop
        assert set(statuses) == {"running"}
        assert server.calls == calls
        assert journal.events(record.id)[-1] == last
        assert journal.run(record.id).status == "improved"
