from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.ground.errors import ProjectError
from promptgrad_tui.work.code.user_code import load_object, user_errors


def write(root: Path, **files: str) -> Path:
    """Write Python files; `a__b` becomes `a/b.py`."""
    for name, text in files.items():
        file = root / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def refused(root: Path, reference: str) -> str:
    with pytest.raises(ProjectError) as caught:
        load_object(root, reference)
    assert caught.value.hint
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.fixture(autouse=True)
def _forget_what_was_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_function_is_loaded_from_a_file(tmp_path: Path) -> None:
    write(tmp_path, desk_metric="def score(example, prediction):\n    return 0.5\n")
    assert load_object(tmp_path, "desk_metric.py:score")({}, {}) == 0.5


def test_a_file_is_run_once_and_its_neighbours_know_it_by_its_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        desk_metric="import desk_words\nLOADED = []\ndef score(e, p):\n    return desk_words.weight()\n",
        desk_words="import desk_metric\ndef weight():\n    return desk_metric.LOADED\n",
    )
    score = load_object(tmp_path, "desk_metric.py:score")
    assert score({}, {}) is load_object(tmp_path, "desk_metric.py:LOADED")


def test_a_file_in_a_folder_can_import_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, desk_parts__metric="from .words import VALUE\n", desk_parts__words="VALUE = 3\n")
    assert load_object(tmp_path, "desk_parts/metric.py:VALUE") == 3


def test_a_file_named_like_a_module_in_use_is_still_itself(tmp_path: Path) -> None:
    write(tmp_path, json="VALUE = 'mine'\n")
    assert load_object(tmp_path, "json.py:VALUE") == "mine"
    import json

    assert json.loads("1") == 1


def test_a_dataclass_in_user_code_finds_its_module(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom pydantic import BaseModel\n"
        "class Inner(BaseModel):\n    x: int\nclass Outer(BaseModel):\n    inner: Inner\n"
    )
    assert load_object(write(tmp_path, desk_types=text), "desk_types.py:Outer")(inner={"x": 1}).inner.x == 1


def test_our_public_names_are_ours_in_user_code(tmp_path: Path) -> None:
    from engine.ground.score import Score

    write(tmp_path, desk_own="from engine import Score as A\nfrom promptgrad_tui import Score as B\n")
    assert load_object(tmp_path, "desk_own.py:A") is Score
    assert load_object(tmp_path, "desk_own.py:B") is Score


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\nundefined_name\n", "broken.py, line 2: NameError: name 'undefined_name' is not defined"),
        ("def f(:\n", "broken.py, line 1: SyntaxError: invalid syntax"),
        ("def f():\n    return 1\n   x\n", "broken.py, line 3: IndentationError"),
        ("import no_such_package.part\n", "line 1: ModuleNotFoundError: No module named 'no_such_package'"),
        ("\nraise SystemExit(3)\n", "broken.py, line 2: SystemExit: 3"),
        ("import json\njson.loads('{')\n", "broken.py, line 2: JSONDecodeError"),
        ("1/0", "broken.py, line 1: ZeroDivisionError: division by zero.\n"),
    ],
)
def test_code_that_raises_is_told_with_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    message = refused(write(tmp_path, broken=text), "broken.py:score")
    assert told in message
    assert "Traceback" not in message


def test_a_missing_package_is_to_be_installed(tmp_path: Path) -> None:
    message = refused(write(tmp_path, broken="import no_such_package.part\n"), "broken.py:f")
    assert "Install no_such_package" in message


def test_an_error_in_a_neighbour_names_the_neighbour(tmp_path: Path) -> None:
    write(tmp_path, broken="import broken_inside\n", broken_inside="\n\n1/0\n")
    assert "broken_inside.py, line 3: ZeroDivisionError" in refused(tmp_path, "broken.py:f")


def test_a_broken_file_is_read_again_after_it_was_corrected(tmp_path: Path) -> None:
    refused(write(tmp_path, mended="1/0\n"), "mended.py:f")
    assert load_object(write(tmp_path, mended="f = 'now it works'\n"), "mended.py:f") == "now it works"


def test_a_missing_name_lists_what_there_is(tmp_path: Path) -> None:
    write(tmp_path, desk_names="from os import path\ndef score(e, p): ...\nclass Other: ...\n_private = 1\n")
    message = refused(tmp_path, "desk_names.py:scor")
    assert "desk_names.py defines no 'scor'." in message
    assert "Did you mean score? It defines score, Other." in message


def test_a_missing_file_lists_what_there_is(tmp_path: Path) -> None:
    write(tmp_path, scoring="")
    message = refused(tmp_path, "metric.py:score")
    assert "There is no file metric.py" in message
    assert "There is scoring.py." in message


def test_an_error_outside_of_the_projects_code_names_what_was_called(tmp_path: Path) -> None:
    with (
        pytest.raises(ProjectError, match=r"program\.py:build: TypeError"),
        user_errors(tmp_path, "program.py:build"),
    ):
        int("1", "2", "3")  # type: ignore[call-overload]


HOSTILE = """
from promptgrad_tui import PromptGradConfig, Score

import models
from models.words import WORD
from engine import rules
from models.errors import Outer


def score(example, prediction):
    from engine.rules import later
    import models.deep.inside

    assert models.deep.inside.HERE == "user" and later() == "user" and WORD == "user"
    assert Outer(inner={"x": 1}).inner.x == 1
    is_right = prediction.queue == example["queue"]
    return Score(float(is_right), is_right)
"""

FORWARD = """
from __future__ import annotations

from pydantic import BaseModel


class Outer(BaseModel):
    inner: Inner


class Inner(BaseModel):
    x: int
"""

RUN_AFTERWARDS = """
import builtins
import json
import sys
from pathlib import Path

python_import = builtins.__import__

import dspy

from engine.project.config import PromptGradConfig
from engine.learning.optimizer import PromptGradOptimizer
from engine.testing import scripted_model
from models import open_model
from models.settings import ModelSettings
from promptgrad_tui.work.code.user_code import load_object

metric = load_object(Path(sys.argv[1]), "metric.py:score")


RULE = {"text": "Parcels go to ship.", "trigger": "parcel"}


def answer(messages):
    system, user = messages[0]["content"], messages[-1]["content"]
    if "Find out why" in system + user:
        return json.dumps({"analysis": "a", "add": [RULE], "remove": []})
    return json.dumps({"queue": "ship" if RULE["text"] in system and "parcel" in user else "bill"})


model = scripted_model(answer)
examples = [{"ticket": f"parcel {n}", "queue": "ship"} for n in range(12)]
examples += [{"ticket": f"invoice {n}", "queue": "bill"} for n in range(12)]
config = PromptGradConfig(epochs=1, batches_per_epoch=1, seed=1, verbose=False, max_workers=2)
optimizer = PromptGradOptimizer(metric, config)
with dspy.context(lm=model.lm):
    program = optimizer.optimize(dspy.Predict("ticket -> queue"), examples)
print(program.signature.instructions)

from models.errors import ModelError

try:
    open_model(f"gguf:{sys.argv[2]}")
except ModelError as error:
    print(type(error).__module__)
from promptgrad_tui import Score, open_model as again
import models

assert builtins.__import__ is python_import
assert models.open_model is again
print(Score.__module__, again.__module__, metric.__globals__["models"].words.WORD)
"""


@pytest.mark.parametrize("has_init", [True, False])
def test_a_project_with_its_own_engine_and_models_works_and_so_do_we(tmp_path: Path, has_init: bool) -> None:
    write(
        tmp_path / "project",
        metric=HOSTILE,
        engine__rules="def later():\n    return 'user'\n",
        models__words="WORD = 'user'\n",
        models__errors=FORWARD,
        models__deep__inside="HERE = 'user'\n",
    )
    if has_init:
        write(tmp_path / "project", models____init__="", engine____init__="")
    script, no_model = tmp_path / "run.py", tmp_path / "no.gguf"
    script.write_text(RUN_AFTERWARDS, encoding="utf-8")
    no_model.write_bytes(b"no model at all")
    done = subprocess.run(
        [sys.executable, script, tmp_path / "project", no_model], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "- Parcels go to ship." in done.stdout
    assert done.stdout.splitlines()[-2:] == ["models.errors", "engine.ground.score models.opening user"]


LOAD = """
import sys
from pathlib import Path

from engine.ground.errors import ProjectError
from promptgrad_tui.work.code.user_code import load_object

root = Path(sys.argv[1])
print(load_object(root, "models/score.py:score")())
try:
    load_object(root, "broken.py:score")
except ProjectError as error:
    print(error.message)
"""


def test_a_folder_called_like_ours_is_loaded_and_its_faults_have_their_names(
    tmp_path: Path,
) -> None:
    write(
        tmp_path / "project",
        models__score="from .words import WORD\ndef score():\n    import models.words\n    return WORD\n",
        models__words="WORD = 'user'\n",
        broken="import models.missing\n",
    )
    script = tmp_path / "run.py"
    script.write_text(LOAD, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, tmp_path / "project"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "user",
        "broken.py, line 1: ModuleNotFoundError: No module named 'models.missing'.",
    ]
