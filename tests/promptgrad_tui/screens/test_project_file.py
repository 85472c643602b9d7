from __future__ import annotations

import resource
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import promptgrad_tui
from engine.ground.errors import ProjectError
from engine.project.toml_lines import Place
from promptgrad_tui.screens.project.file import UNSET, ProjectFile, edited, merged

TEMPLATE = (Path(promptgrad_tui.__file__).parent / "templates" / "promptgrad.toml").read_text()


def comments(text: str) -> list[str]:
    return [line[line.index("#") :] for line in text.splitlines() if "#" in line]


def test_a_value_is_changed_and_nothing_else() -> None:
    edits = {("optimizer", "batches_per_epoch"): 12}
    before, after = TEMPLATE.splitlines(), edited(TEMPLATE, edits).splitlines()
    assert [line for line in after if line not in before] == ["batches_per_epoch = 12"]
    assert len(after) == len(before)


def test_a_comment_beside_a_value_stays_in_its_column() -> None:
    after = edited(TEMPLATE, {("optimizer", "seed"): 1234})
    assert "seed = 1234                   # the same seed, model and data give the same run\n" in after
    longer = edited('a = "b"  # c\n', {("a",): "a long text"})
    assert longer == 'a = "a long text" # c\n'


def test_a_new_key_stands_below_the_comment_that_shows_it() -> None:
    after = edited(TEMPLATE, {("model", "temperature"): 0.2})
    assert "# temperature = 0.0\ntemperature = 0.2\n# max_tokens" in after


def test_a_new_key_that_no_comment_shows_stands_below_the_last_one() -> None:
    after = edited(TEMPLATE, {("optimizer", "max_workers"): 4})
    assert 'max_demonstrations = 60\nmax_workers = 4\n# rule_validation_mode = "auto"' in after


def test_a_key_with_a_comment_is_taken_out_by_making_it_one() -> None:
    after = edited(TEMPLATE, {("data", "slice"): UNSET, ("optimizer", "epochs"): UNSET})
    assert '# slice = "channel"                     # scores are also given for' in after
    assert "epochs = 3\n" not in after


def test_tables_lists_and_long_texts() -> None:
    values: dict[Place, Any] = {
        ("gates", "slices"): {"phone": 0.8, "a b": 1.0},
        ("gates", "must_pass"): ["t-1", 'quoted " id'],
        ("program", "instructions"): '"""Route it.\n  Twice: \\ \x07\n',
    }
    after = edited(TEMPLATE, values)
    assert comments(after) == comments(TEMPLATE)
    raw = tomllib.loads(after)
    assert raw["gates"]["slices"] == values["gates", "slices"]
    assert raw["gates"]["must_pass"] == values["gates", "must_pass"]
    assert raw["program"]["instructions"] == values["program", "instructions"]


def test_a_table_with_comments_keeps_them() -> None:
    fields = '[program.fields]\na = "1" # one\nb = "2"\n'
    text = f'{fields}[gates]\nmust_pass = [ # ids\n "a", # why a\n "b", # why b\n]\n'
    edits: dict[Place, Any] = {
        ("program", "fields"): {"a": "3", "c": "4"},
        ("gates", "must_pass"): ["b", "c"],
    }
    after = edited(text, edits)
    assert tomllib.loads(after) == {
        "program": {"fields": {"a": "3", "c": "4"}},
        "gates": {"must_pass": ["b", "c"]},
    }
    assert "# one" in after
    assert "# why b" in after


def test_other_ways_to_write_toml() -> None:
    text = 'optimizer.epochs = 3 # c\nmodel = {task = "demo"}\n'
    edits: dict[Place, Any] = {("optimizer", "seed"): 1, ("model", "seed"): 2, ("data", "train"): "x"}
    assert tomllib.loads(edited(text, edits)) == merged(tomllib.loads(text), edits)
    assert edited("", {("data", "train"): "x"}) == '[data]\ntrain = "x"\n'


def test_an_array_of_tables_where_a_table_belongs_is_refused() -> None:
    with pytest.raises(ProjectError, match=r"prevents changing optimizer\.epochs"):
        edited("[[optimizer]]\nepochs = 3\n", {("optimizer", "epochs"): 4})


def test_line_ends_stay_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "promptgrad.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TEMPLATE.replace("\n", "\r\n").encode())
    ProjectFile.read(path).save({("optimizer", "epochs"): 7, ("gates", "must_pass"): ["a"]})
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf# A PromptGrad project.")
    assert content.count(b"\n") == content.count(b"\r\n") == TEMPLATE.count("\n") + 1


places = st.sampled_from(
    [
        *(("optimizer", name) for name in ("epochs", "seed", "batch_size", "max_workers", "verbose")),
        *(("data", name) for name in ("train", "slice", "id")),
        ("name",),
        ("review",),
        ("program", "instructions"),
        ("program", "fields"),
        ("gates", "slices"),
    ]
)
texts = st.text(st.characters(codec="utf-8"), max_size=20).filter(lambda text: "\r" not in text)
values = st.one_of(
    texts,
    st.integers(-9, 9),
    st.booleans(),
    st.floats(0, 9),
    st.just(UNSET),
    st.lists(texts, max_size=2),
    st.dictionaries(texts, texts, max_size=2),
)


@given(st.dictionaries(places, values, max_size=5))
def test_whatever_is_set_is_what_the_file_says_then_and_no_comment_is_lost(edits: dict[Place, Any]) -> None:
    after = edited(TEMPLATE, edits)
    told = tomllib.loads(after)
    for place, value in edits.items():
        table = told.get(place[0], {}) if len(place) > 1 else told
        assert table.get(place[-1], UNSET if value != {} else {}) == value
    for comment in comments(TEMPLATE):
        assert comment in after


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "promptgrad.toml"
    path.write_text(TEMPLATE)
    file = ProjectFile.read(path)
    path.write_text("# another\n")
    assert not file.is_current()
    with pytest.raises(ProjectError, match="has changed on disk"):
        file.save({("optimizer", "epochs"): 7})
    assert path.read_text() == "# another\n"


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "promptgrad.toml"
    path.write_text(TEMPLATE)
    file = ProjectFile.read(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(ProjectError, match="can't be saved"):
            file.save({("optimizer", "epochs"): 7})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == TEMPLATE
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link_and_the_mode_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "shared.toml", tmp_path / "promptgrad.toml"
    target.write_text(TEMPLATE)
    target.chmod(0o640)
    link.symlink_to(target)
    ProjectFile.read(link).save({("optimizer", "epochs"): 7})
    assert link.is_symlink()
    assert "epochs = 7" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_no_toml_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "promptgrad.toml"
    path.write_text("a = 1\nb = \n")
    with pytest.raises(ProjectError, match="line 2"):
        ProjectFile.read(path)
