import json
import re
import sqlite3
import threading

import pytest

from engine.journal.journal import Journal, journal_path
from engine.project.settings import load_project
from promptgrad_tui.views.estimate import calls_text
from promptgrad_tui.work.check.estimate import Sizes, planned_calls
from tests.engine.desk import Desk
from tests.models.ollama.ollama_server import OllamaServer
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server


@pytest.fixture
def server():
    with desk_server() as running:
        yield running


def findings(done):
    """The (level, subject) pairs that were told, in order."""
    return re.findall(r"^(ok|warn|fail) +(\S+(?: \S+)?)  ", done.stdout, re.MULTILINE)


def test_a_sound_project_is_told_what_it_will_cost(server, tmp_path):
    done = promptgrad("check", write_project(tmp_path, server.uri))
    assert done.returncode == 0, done.stdout
    assert "90 of 90 examples count as right" in done.stdout
    assert "30 train, 30 validation, 30 test" in done.stdout
    assert re.search(r"[\d,]+ to [\d,]+ calls", done.stdout)
    assert re.search(r"tokens and\s+(about \d+|a few)", done.stdout)
    assert ("ok", "answers") in findings(done)
    assert "none of 18 repeated answers changed by itself" in " ".join(done.stdout.split())
    assert server.calls == 9 + 18, "the answers of the probe, and each again alone and with others"
    assert not journal_path(tmp_path).exists(), "nothing is begun"


@pytest.mark.parametrize(
    ("most", "level", "text"),
    [
        (9, "ok", "each prompt shows the 4 demonstrations most like its input"),
        (0, "warn", "nothing to pick from"),
    ],
)
def test_demonstrations_picked_for_each_input_are_said_to_share_no_prompt(
    server, tmp_path, most, level, text
):
    root = write_project(tmp_path, server.uri, conditional_demonstrations=4, max_demonstrations=most)
    report = json.loads(promptgrad("check", root, "--json").stdout)
    (found,) = [one for one in report["findings"] if one["field"] == "optimizer.conditional_demonstrations"]
    assert (found["level"], found["subject"]) == (level, "estimate")
    assert text in found["text"]
    assert (report["rate"]["picked_tokens"] > 40) is (most > 0)


def test_a_server_with_one_slot_is_told_what_would_bring_more(tmp_path, monkeypatch):
    desk, all_asked = Desk(), threading.Event()

    def answer(body):
        # The first call is alone. Then the first of eight gets no answer before the others wait behind it.
        assert len(server.chats) == 1 or all_asked.wait(PATIENCE_SECONDS)
        return desk.answer(body["messages"])

    def before_chat(number):
        if number == 9:
            all_asked.set()

    with OllamaServer(slots=1, default_answer=answer, before_chat=before_chat) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        root = write_project(tmp_path, "ollama:qwen3:4b")
        told = result(promptgrad("check", root, "--json"))
        alone = result(promptgrad("check", root, "--json", "--set", "optimizer.max_workers=1"))
    [queue] = [finding for finding in told["findings"] if finding["subject"] == "queue"]
    assert (queue["level"], queue["field"]) == ("warn", "model.search")
    assert "ollama:qwen3:4b has 1 slot" in queue["text"]
    assert "up to 10 are asked for" in queue["text"]
    assert "OLLAMA_NUM_PARALLEL=4" in queue["advice"]
    assert 'search = "in_process"' in queue["advice"]
    assert "queue" not in {finding["subject"] for finding in alone["findings"]}


def test_answers_that_change_by_themselves_are_counted(tmp_path):
    class Moody(Desk):
        """Answers otherwise each second time that it is asked about a ticket with a parcel."""

        def answer(self, messages):
            again = sum(messages == before for before in self.prompts)
            said = super().answer(messages)
            is_moody = "parcel" in messages[-1]["content"].split("[[ ## ticket ## ]]")[1]
            return json.dumps({"queue": "press"}) if is_moody and again % 2 else said

    with desk_server(Moody()) as server:
        project = write_project(tmp_path, server.uri)
        told = result(promptgrad("check", project, "--json"))
    asked = [json.loads(line)["ticket"] for line in (project / "data/train.jsonl").open()][:9]
    parcels = sum("parcel" in ticket for ticket in asked)
    assert (told["rate"]["repeated"], told["rate"]["changed"]) == (18, parcels)
    last = told["findings"][-1]
    assert (last["level"], last["subject"]) == ("warn", "answers")
    assert last["text"] == (
        f"{parcels} of 18 repeated answers changed by themselves: "
        f"about {round(100 * parcels / 18)} in 100 here"
    )


def test_a_run_lies_between_the_least_and_the_most(server, tmp_path):
    project = write_project(tmp_path, server.uri)
    told = result(promptgrad("check", project, "--json", "--no-model"))
    sizes, config = Sizes(**told["sizes"]), load_project(project).optimizer
    calls = planned_calls(config, sizes)
    assert told["findings"][-1]["text"] == calls_text(calls)
    assert calls.least <= result(promptgrad("run", project, "--json", "-q"))["calls"] <= calls.many


def test_fields_that_hold_nothing_are_named_with_their_line(server, tmp_path):
    file = write_project(tmp_path, server.uri) / "data" / "train.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[16]["queue"], rows[20]["queue"], rows[3]["ticket"] = None, " ", ""
    file.write_text("\n".join(json.dumps(row) for row in rows))
    told = result(promptgrad("check", tmp_path, "--no-model", "--json"))
    warned = [finding["text"] for finding in told["findings"] if "is empty in" in finding["text"]]
    assert warned == [
        f"The field 'ticket' is empty in {file}, line 4.",
        f"The field 'queue' is empty in {file}, line 17, and in 1 more.",
    ]


def test_a_field_of_two_kinds_is_named_with_a_line_of_each(server, tmp_path):
    data = write_project(tmp_path, server.uri) / "data"
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    rows[4]["queue"], rows[5]["queue"], rows[6]["queue"] = 7, 7.5, None
    (data / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    told = result(promptgrad("check", tmp_path, "--no-model", "--json"))
    warned = [finding["text"] for finding in told["findings"] if "a number in" in finding["text"]]
    first = data / "train.jsonl"
    assert warned == [f"The field 'queue' is text in {first}, line 1, and a number in {first}, line 5."]


def test_the_check_for_programs(server, tmp_path):
    done = promptgrad("check", write_project(tmp_path, server.uri), "--json", "--json-progress")
    told = result(done)
    assert [split["name"] for split in told["splits"]] == ["train", "validation", "test"]
    assert [split["examples"] for split in told["splits"]] == [30, 30, 30]
    assert told["models"][0]["uri"] == server.uri
    assert told["models"][0]["role"] == "task"
    assert told["rate"]["measured"]["calls"] == 8
    assert told["rate"]["measured"]["prompt_tokens"] > 20
    assert {finding["level"] for finding in told["findings"]} <= {"ok", "warn"}
    assert "Loading DSPy" in done.stderr


def test_the_check_for_programs_without_a_model_asks_none(server, tmp_path):
    project = write_project(tmp_path, "gguf:missing.gguf")
    told = result(promptgrad("check", project, "--json", "--no-model"))
    sizes = {"train": 30, "validation": 30, "test": 30, "predictors": 1, "also": 0, "judgements": 0}
    assert told["sizes"] == sizes
    assert told["models"] == []
    assert server.calls == 0


def test_slices_and_a_split_without_a_file(server, tmp_path):
    project = write_project(tmp_path, server.uri)
    text = (project / "promptgrad.toml").read_text()
    text = text.replace('validation = "data/validation.jsonl"\n', "").replace(
        "[metric]", 'slice = "queue"\n[metric]'
    )
    (project / "promptgrad.toml").write_text(text)
    _, validation, test = result(promptgrad("check", project, "--json", "--no-model"))["splits"]
    assert validation["origin"] == "held out of train"
    assert (validation["examples"], sum(test["slices"].values())) == (6, 30)
    assert set(test["slices"]) > {"general"}


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ('task = "demo"', 'task = "gguf:missing.gguf"', "model.task"),
        ("data/test.jsonl", "data/none.jsonl", "data.test"),
        ('field = "queue"', 'field = "gone"', "metric.field"),
        ("[model]", "[gates]\nmust_pass = ['no-such']\n[model]", "gates.must_pass"),
        ("[model]", "[gates]\nslices = {a = 1}\n[model]", "gates.slices"),
        ("signature = ", "signature = 'ticket' #", "program.signature"),
    ],
)
def test_a_failure_names_the_field_that_it_is_about(tmp_path, before, after, field):
    project = write_project(tmp_path, "demo")
    text = (project / "promptgrad.toml").read_text()
    (project / "promptgrad.toml").write_text(text.replace(before, after))
    failure = result(promptgrad("check", project, "--json", "--no-probe"))["findings"][-1]
    assert (failure["level"], failure["field"]) == ("fail", field)


def test_a_metric_that_refuses_what_is_expected_is_told(server, tmp_path):
    project = write_project(tmp_path, server.uri)
    text = (project / "promptgrad.toml").read_text()
    pattern = 'kind = "regex"\npattern = "^(general|legal)$"'
    (project / "promptgrad.toml").write_text(text.replace('kind = "exact_match"', pattern))
    done = promptgrad("check", project, "--no-probe")
    assert done.returncode == 0
    assert ("warn", "metric") in findings(done)


def test_an_example_in_two_splits_ends_the_check(server, tmp_path):
    project = write_project(tmp_path, server.uri)
    first = (project / "data" / "train.jsonl").read_text().splitlines()[0]
    with (project / "data" / "test.jsonl").open("a") as file:
        file.write(json.dumps({**json.loads(first), "id": "again"}) + "\n")
    done = promptgrad("check", project)
    assert done.returncode == 2
    assert findings(done)[-1] == ("fail", "data")


def test_a_prompt_that_does_not_fit_names_the_example(server, tmp_path):
    project = write_project(tmp_path, server.uri)
    text = (project / "promptgrad.toml").read_text()
    (project / "promptgrad.toml").write_text(text.replace("[optimizer]", "context_length = 128\n[optimizer]"))
    done = promptgrad("check", project, "--no-probe")
    assert done.returncode == 2
    told = "".join(done.stdout.split())  # long paths are broken into lines
    assert re.search(r"of128\(.*line\d+\)", told)


def test_a_model_that_is_not_there(tmp_path):
    done = promptgrad("check", write_project(tmp_path, "gguf:missing.gguf"))
    assert done.returncode == 3
    assert findings(done)[-1] == ("fail", "model")


def test_a_bad_project_file_ends_the_check_with_its_line(tmp_path):
    project = write_project(tmp_path, "demo", epochs=0)
    done = promptgrad("check", project)
    assert done.returncode == 2
    assert findings(done) == [("fail", "project")]
    assert re.search(r"line\s+\d+", done.stdout)


@pytest.fixture
def healthy_machine(monkeypatch):
    """A machine on which llama.cpp and the demo model work: neither is what these tests are about."""
    told = {
        "library": {"features": "AVX2 = 1", "amx_works": True, "gpu": False},
        "demo": {"revision": "0" * 12, "load_seconds": 0.1, "answer_seconds": 0.1},
    }
    monkeypatch.setattr("promptgrad_tui.work.machine.doctor._native", lambda part: told[part])


def test_the_doctor_finds_a_healthy_machine(healthy_machine, tmp_path):
    done = promptgrad("-C", tmp_path, "doctor")
    assert done.returncode == 0, done.stdout
    assert {subject for _, subject in findings(done)} >= {"python", "packages", "llama.cpp", "disk"}


def test_the_doctor_says_what_a_broken_compiler_costs(monkeypatch, tmp_path):
    library = {"features": "AVX2 = 1 | AMX_INT8 = 1", "amx_works": False, "gpu": False}
    demo = {"revision": "0" * 12, "load_seconds": 0.1, "answer_seconds": 0.1}
    monkeypatch.setattr("promptgrad_tui.work.machine.doctor._native", {"library": library, "demo": demo}.get)
    done = promptgrad("-C", tmp_path, "doctor")
    assert done.returncode == 0
    assert ("warn", "llama.cpp") in findings(done)
    assert "CXXFLAGS" in done.stdout
    assert "-mno-avx512fp16" in done.stdout


def test_the_doctor_finds_a_damaged_journal(healthy_machine, tmp_path):
    path = journal_path(tmp_path)
    with Journal.open(path) as journal:
        for _ in range(200):
            journal.create_run(tmp_path, {"padding": "x" * 500})
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    done = promptgrad("-C", tmp_path, "doctor")
    assert done.returncode == 1
    assert ("fail", "journal") in findings(done)


def test_the_doctor_survives_a_llama_cpp_that_kills_its_process(monkeypatch, tmp_path):
    monkeypatch.setattr("promptgrad_tui.work.machine.doctor.sys.executable", "/bin/false")
    done = promptgrad("-C", tmp_path, "doctor")
    assert done.returncode == 1
    assert ("fail", "llama.cpp") in findings(done)
    assert ("warn", "demo model") in findings(done)


def test_models_lists_the_projects_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but not really")
    done = promptgrad("-C", tmp_path, "models")
    assert done.returncode == 0
    assert f"gguf:{tmp_path}/broken.gguf" in done.stdout
    assert "can't be used" in done.stdout


def metric_findings(folder, uri, code, **fields):
    """What is told of a project whose metric is `code`, about the metric."""
    project = write_project(folder, uri)
    file = project / "promptgrad.toml"
    text = file.read_text().replace('kind = "exact_match"\nfield = "queue"', 'python = "metric.py:score"')
    file.write_text(text)
    (project / "metric.py").write_text(code)
    done = promptgrad("check", project, "--no-model", "--json")
    told = [(f["level"], f["text"]) for f in result(done)["findings"] if f["subject"] == "metric"]
    return done.returncode, told


EXACT = "example['queue'] == prediction.queue"


@pytest.mark.parametrize(
    ("code", "level", "text"),
    [
        (
            f"def score(example, prediction):\n    return True if {EXACT} else None\n",
            "fail",
            "returned None (NoneType), which isn't a score, on the example",
        ),
        (
            f"def score(example, prediction):\n    return {EXACT} and len(prediction.queue) / "
            "len(prediction.queue) if prediction.queue else 1 / 0\n",
            "fail",
            "It was tried on an empty answer; a run would end there.",
        ),
        (
            "def score(example, prediction):\n    return True\n",
            "warn",
            "wrong and empty answers that were tried count as right too",
        ),
        (
            "import itertools\nturns = itertools.count()\n"
            f"def score(example, prediction):\n    return ({EXACT}) * (0.6 + next(turns) % 2 / 10)\n",
            "warn",
            "it scored one answer twice, once 0.",
        ),
        (
            f"import sys\ndef score(example, prediction):\n    return True if {EXACT} else sys.exit(1)\n",
            "warn",
            "The metric called sys.exit(1). That was on",
        ),
    ],
)
def test_a_metric_is_tried_on_wrong_and_empty_answers_and_twice(tmp_path, server, code, level, text):
    exit_code, told = metric_findings(tmp_path, server.uri, code)
    assert [one for one, said in told if text in said] == [level]
    assert (exit_code != 0) is (level == "fail")


def test_half_an_answer_that_counts_as_right_is_a_matter_of_the_threshold(tmp_path, server):
    project = write_project(tmp_path, server.uri)
    file = project / "promptgrad.toml"
    file.write_text(
        file.read_text().replace("-> queue", "-> queue: list[str]").replace("exact_match", "set_f1")
    )
    for split in (project / "data").iterdir():
        rows = [json.loads(line) for line in split.read_text().splitlines()]
        lines = [json.dumps({**row, "queue": [row["queue"], "all"]}) for row in rows]
        split.write_text("\n".join(lines))
    told = result(promptgrad("check", project, "--no-model", "--json"))["findings"]
    (found,) = [one for one in told if "count as right too" in one["text"]]
    assert "They score up to 0.5: raise the score" in found["advice"]
    assert "[metric] threshold" in found["advice"]


def test_a_search_that_never_ends_is_found(tmp_path, server, monkeypatch):
    monkeypatch.setattr("promptgrad_tui.work.check.metric_trial._LIMIT_SECONDS", 0.2)
    code = f"""import re
def score(example, prediction):
    if {EXACT}:
        return True
    return bool(re.match(r"^(a+)+$", "a" * 60 + "!"))
"""
    _, told = metric_findings(tmp_path, server.uri, code)
    assert [one for one, said in told if "The metric took too long. That was on" in said] == ["warn"]


def typed_findings(folder, uri, output, golds, metric='kind = "exact_match"'):
    project = write_project(folder, uri)
    file = project / "promptgrad.toml"
    text = file.read_text().replace("ticket -> queue", f"ticket -> queue: {output}")
    file.write_text(text.replace('kind = "exact_match"', metric))
    for split in ("train", "validation", "test"):
        path = project / "data" / f"{split}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for number, row in enumerate(rows):
            row["queue"] = golds[number % len(golds)]
        path.write_text("\n".join(json.dumps(row) for row in rows))
    told = result(promptgrad("check", project, "--no-model", "--json"))["findings"]
    return [finding["text"] for finding in told if "The program's queue is" in finding["text"]]


@pytest.mark.parametrize(
    ("output", "golds", "wrong"),
    [
        ("Literal['positive', 'negative']", ["positive", "Positive"], "'Positive' as in"),
        ("bool", [True, "yes"], "'yes' as in"),
        ("int", [4, "4 pieces"], "'4 pieces' as in"),
        ("list[str]", [["a", "b"], "a, b"], "'a, b' as in"),
    ],
)
def test_expected_values_that_the_type_cannot_hold_are_named_with_their_line(
    tmp_path, server, output, golds, wrong
):
    (told,) = typed_findings(tmp_path, server.uri, output, golds)
    assert wrong in told
    assert told.endswith("train.jsonl, line 2, nor what 44 other examples expect")


def test_an_expected_value_is_fine_where_the_metric_takes_what_the_type_holds(tmp_path, server):
    kind = 'kind = "normalized_match"'
    assert typed_findings(tmp_path, server.uri, "Literal['positive']", ["Positive"], kind) == []
    assert typed_findings(tmp_path, server.uri, "int", [4]) == []


def test_class_numbers_with_names_in_the_parquet_file_are_found(tmp_path, server):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    project = write_project(tmp_path, server.uri)
    features = {
        "queue": {"names": ["general", "legal"], "_type": "ClassLabel"},
        "ticket": {"dtype": "string"},
    }
    schema = arrow.schema([("ticket", arrow.string()), ("queue", arrow.int64())]).with_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    rows = [{"ticket": f"Case {number}: a visa", "queue": number % 2} for number in range(30)]
    parquet.write_table(arrow.Table.from_pylist(rows, schema), project / "data" / "train.parquet")
    file = project / "promptgrad.toml"
    file.write_text(file.read_text().replace("data/train.jsonl", "data/train.parquet"))
    told = result(promptgrad("check", project, "--no-model", "--json"))["findings"]
    assert any("metadata calls 'general'" in finding["text"] for finding in told)
