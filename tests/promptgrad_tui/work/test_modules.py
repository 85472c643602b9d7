"""`[program] module`: programs of several steps from a signature, refused names, and their export."""

from __future__ import annotations

from pathlib import Path

import dspy
import pytest

from engine.ground.errors import ProjectError
from engine.testing import scripted_model
from promptgrad_tui.work.code.program import build_program
from promptgrad_tui.work.opening import open_project
from tests.engine.programs.test_modules import TICKET, script
from tests.engine.project_folders import TOML, write_project


def project(root: Path, module: str, signature: str = "ticket -> queue"):
    toml = TOML.replace('signature = "ticket -> queue"', f'signature = "{signature}"\nmodule = "{module}"')
    return open_project(write_project(root, toml), {})


@pytest.mark.parametrize("module", ["refine", "meta_prompting"])
def test_a_project_names_it(module: str, tmp_path: Path) -> None:
    program = build_program(project(tmp_path, module))
    model = scripted_model(script)
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        assert program(ticket=TICKET).queue == "music"


def test_a_name_that_its_steps_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="adds a field 'draft'"):
        build_program(project(tmp_path, "refine", "ticket, draft -> queue"))
