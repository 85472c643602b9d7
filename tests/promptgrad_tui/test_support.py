"""Resolutions by policies, from grades to release: a judge measured on 40 labels, and a gate on that."""

from __future__ import annotations

from pathlib import Path

from engine.project.judge_labels import load_labels
from engine.release.manifest import load_manifest
from tests.promptgrad_tui.desk_project import promptgrad, result
from tests.promptgrad_tui.model_server import desk_server
from tests.promptgrad_tui.support_project import SupportDesk, examples, labels, write_support


def measured(project: Path) -> dict:
    return result(promptgrad("-C", project, "judge", "check", "--json"))


def test_forty_answers_are_graded_and_half_of_them_are_good() -> None:
    made = labels()
    assert (len(made), sum(label.grade for label in made)) == (40, 20)
    assert len({label.key for label in made}) == 40
    tickets = [row["ticket_text"] for split in ("train", "validation", "test") for row in examples(split)]
    assert len(set(tickets)) == 60


def test_a_good_judge_agrees_a_run_uses_it_and_what_it_proved_is_released(tmp_path) -> None:
    with desk_server(SupportDesk()) as server:
        project = write_support(tmp_path, server.uri)
        told = measured(project)
        kappa = told["agreement"]["kappa"]
        assert (kappa["n"], told["lost"]) == (40, 0)
        # It knows the policies as well as the person: an answer that meets one of two criteria isn't good.
        assert (kappa["score"], told["worst"]) == (1.0, [])
        run = result(promptgrad("run", project, "--json", "-q"))
    assert run["status"] == "improved"
    assert [rule["text"] for rule in run["rules"]] == [SupportDesk.RULE]
    assert (run["baseline"]["test"]["score"], run["optimized"]["test"]["score"]) == (0.0, 1.0)
    manifest = load_manifest(run["artifact"])
    assert manifest.details["judge_agreement"]["kappa"] == kappa
    gates = {gate["gate"]: gate for gate in run["gates"]}
    assert gates["min_judge_agreement"]["value"] == kappa["score"]
    assert f"on {kappa['n']} labels" in gates["min_judge_agreement"]["detail"]


def test_a_judge_that_agrees_badly_proves_nothing(tmp_path) -> None:
    with desk_server(SupportDesk(errs=2)) as server:
        project = write_support(tmp_path, server.uri)
        told = measured(project)
        kappa = told["agreement"]["kappa"]
        assert kappa["low"] < kappa["score"] < 0.4
        assert told["worst"], "the answers to read first"
        run = result(promptgrad("run", project, "--json", "-q"))
    failed = [gate["gate"] for gate in run["gates"] if not gate["passed"]]
    assert run["artifact"] is None
    assert not run["rules"] or "min_judge_agreement" in failed
    shown = " ".join(promptgrad("-C", project, "show", "last").stdout.split())
    assert "The judge agrees badly with the labels: kappa" in shown


def test_another_judge_has_to_be_measured_again(tmp_path) -> None:
    with desk_server(SupportDesk()) as server, desk_server(SupportDesk(), name="other") as other:
        project = write_support(tmp_path, server.uri)
        measured(project)
        write_support(project, server.uri, judge=other.uri)
        run = result(promptgrad("run", project, "--json", "-q"))
    failed = {gate["gate"]: gate["detail"] for gate in run["gates"] if not gate["passed"]}
    assert "never compared with labels" in failed["min_judge_agreement"]


def test_a_run_that_is_cut_short_pays_for_no_judgement_twice(tmp_path) -> None:
    with desk_server(SupportDesk()) as server:
        project = write_support(tmp_path, server.uri)
        cut = result(promptgrad("run", project, "--json", "-q", "--max-calls", "60"))
        assert cut["status"] == "budget"
        before = server.calls
        assert before <= 60
        done = result(promptgrad("-C", project, "resume", "last", "--json", "-q", "--max-calls", "100000"))
        assert done["optimized"]["test"]["score"] == 1.0
        assert done["calls"] - cut["calls"] == server.calls - before


def test_grades_are_data_of_the_project(tmp_path) -> None:
    project = write_support(tmp_path, "demo")
    assert load_labels(project) == labels()
