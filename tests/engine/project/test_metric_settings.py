"""`[[metrics]]` in a project file: names, weights, minimums, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ground.errors import ProjectError
from engine.project.fingerprint import project_fingerprint
from engine.project.settings import Project, load_project

HEAD = '[program]\nsignature = "ticket -> queue, reply"\n[data]\ntrain = "t.jsonl"\n[model]\ntask = "demo"\n'
QUEUE = '[[metrics]]\nkind = "exact_match"\nfield = "queue"\nweight = 3\n'
REPLY = '[[metrics]]\nname = "reply"\nkind = "contains"\nfield = "reply"\nminimum = 0.4\n'


def written(folder: Path, text: str) -> Project:
    (folder / "promptgrad.toml").write_text(text)
    return load_project(folder)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ProjectError) as caught:
        written(folder, text)
    return caught.value.message


def test_several_metrics_are_read_and_their_sum_has_a_name(tmp_path: Path) -> None:
    project = written(tmp_path, HEAD + QUEUE + REPLY)
    assert project.weights == {"exact_match": 3.0, "reply": 1.0}
    assert project.optimized == "0.75 exact_match + 0.25 reply"
    assert [metric.field for metric in project.scoring] == ["queue", "reply"]
    assert project.metric.field == "queue", "the weightiest stands for all where one is asked for"
    assert project.gates.metrics == {"reply": 0.4}


def test_one_metric_is_what_it_was(tmp_path: Path) -> None:
    project = written(tmp_path, HEAD + '[metric]\nkind = "exact_match"\nfield = "queue"\n')
    assert (project.metrics, project.optimized, project.weights) == ((), "exact_match", {"exact_match": 1.0})
    assert project.gates.metrics == {}


def test_a_weight_of_zero_is_only_told(tmp_path: Path) -> None:
    project = written(tmp_path, HEAD + QUEUE + REPLY + "weight = 0\n")
    assert project.optimized == "1 exact_match"


def test_what_an_artifact_keeps_of_a_project_can_be_read_again(tmp_path: Path) -> None:
    project = written(tmp_path, HEAD + QUEUE + REPLY)
    again = Project.model_validate(project.model_dump(mode="json", exclude_unset=True))
    assert (again.metrics, again.gates, again.optimized) == (
        project.metrics,
        project.gates,
        project.optimized,
    )


def test_another_metric_is_another_measurement_and_another_minimum_is_not(tmp_path: Path) -> None:
    first = project_fingerprint(written(tmp_path, HEAD + QUEUE + REPLY))
    assert project_fingerprint(written(tmp_path, HEAD + QUEUE + REPLY.replace("0.4", "0.5"))) == first
    other = project_fingerprint(written(tmp_path, HEAD + QUEUE.replace("3", "2") + REPLY))
    assert {name for name in first if first[name] != other[name]} == {"metrics.exact_match.weight"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (QUEUE + QUEUE, "line 7: [metrics] two of them are called 'exact_match': give each a name"),
        (REPLY + "weight = 0\n", "[metrics] every weight is 0"),
        (QUEUE + REPLY + "weigth = 1\n", "line 16: metrics.1.weigth is unknown; did you mean weight?"),
        (QUEUE + REPLY.replace("0.4", "4"), "line 15: metrics.1.minimum = 4"),
        (QUEUE + REPLY + "tolerance = 1\n", "line 11: [metrics.1] tolerance has no effect with contains"),
        (QUEUE + REPLY.replace("weight", "x") + "weight = -1\n", "line 16: metrics.1.weight = -1"),
        (QUEUE + '[metric]\nkind = "contains"\nfield = "reply"\n', "can't be combined with [metric]"),
        ('[metrics]\nkind = "contains"\n', "metrics"),
        (
            QUEUE + "[gates.metrics]\nexact = 0.5\n",
            "names 'exact', which isn't a metric; there are exact_match",
        ),
        (QUEUE + "[gates]\nmin_macro_f1 = 0.5\n", "min_macro_f1 needs a metric with by_class = true"),
        (
            '[metric]\nkind = "contains"\nfield = "queue"\nby_class = true\n',
            "by_class has no effect with contains",
        ),
        (
            '[metric]\nkind = "exact_match"\nfield = "queue"\n[gates.metrics]\nqueue = 0.5\n',
            "there is one metric: set min_test_score",
        ),
        (
            '[metric]\nkind = "rubric"\nfield = "reply"\ncriteria = ["a"]\nscale = [1, 10]\n',
            "the scale of a rubric has whole numbers from 0 to 9",
        ),
        (
            '[[metrics]]\nkind = "rubric"\nfield = "reply"\ncriteria = ["a"]\nname = "one"\n'
            '[[metrics]]\nkind = "rubric"\nfield = "reply"\ncriteria = ["b"]\nname = "two"\n',
            "two of them ask the judge: put all criteria into one",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, HEAD + text)
