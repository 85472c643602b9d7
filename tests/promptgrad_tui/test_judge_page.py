"""The page about judges: its project file can be read, and each of its commands works, in order."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from engine.project.judge_labels import load_labels, save_labels
from promptgrad_tui.cli import promptgrad as command
from tests.promptgrad_tui.desk_project import promptgrad, result
from tests.promptgrad_tui.model_server import desk_server
from tests.promptgrad_tui.support_project import SupportDesk, labels, write_support

PAGE = (Path(__file__).parents[2] / "docs" / "judge.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    typed = [line for block in blocks("sh") for line in block.splitlines()]
    assert [line.split("  ")[0].split(" -")[0] for line in typed] == [
        "promptgrad check",
        "promptgrad judge label",
        "promptgrad judge check",
        "promptgrad run",
        "promptgrad show last",
    ]
    with desk_server(SupportDesk()) as server, desk_server(SupportDesk(), name="larger") as larger:
        project = write_support(tmp_path, "demo", labelled=False)
        text = blocks("toml")[0].replace("gguf:models/small.gguf", server.uri)
        (project / "promptgrad.toml").write_text(text.replace("gguf:models/larger.gguf", larger.uri))
        for line in typed:
            _, *arguments = shlex.split(line)
            keys = "n" * 40 if "label" in arguments else None
            done = CliRunner().invoke(command, ["-C", str(project), *arguments], input=keys)
            assert done.exit_code == 0, f"{line}\n{done.output}"
            if "label" in arguments:
                assert [label.grade for label in load_labels(project)] == [0] * 40
                save_labels(project, [*load_labels(project), *labels()])
        shown = result(promptgrad("-C", project, "show", "last", "--json"))
    gates = {gate["gate"]: gate["passed"] for gate in shown["summary"]["gates"]}
    assert gates == {"min_test_gain": True, "min_judge_agreement": True}


def test_the_line_of_data_is_one() -> None:
    (line,) = blocks("json")
    assert set(json.loads(line)) == {"id", "policy_context", "ticket_text"}


def test_the_parts_of_the_page_are_where_its_links_lead() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
