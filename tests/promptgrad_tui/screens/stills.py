"""Stills: what each screen shows of one recorded run, kept as text beside the tests.

`pytest --renew-stills` writes them anew; look at the difference with `git diff` before it is kept.
"""

from __future__ import annotations

import difflib
import itertools
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from textual.pilot import Pilot

from engine.journal.events import Event, RolloutFinished
from engine.journal.replay import Replay
from engine.programs.judge import Judge
from engine.project.settings import load_project
from engine.release.manifest import load_manifest
from engine.release.sealed_test import TestSplit, measure_test_split
from engine.testing import ScriptedModel, scripted_revision
from promptgrad_tui.work.measure.measuring import Setting
from promptgrad_tui.work.run.planning import load_parts
from tests.promptgrad_tui.queue_desk import QueueDesk
from tests.promptgrad_tui.screens.driving import seen, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun

STILLS = Path(__file__).parent / "stills"
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_CUT_RUN_ID = re.compile(r"\d{8}-[\da-f-]*(?=[╭│╰])")
"""One of which a box before it has left the beginning."""
_A_RUN_ID = "20260102-030405-abcd"
_FIRST_EVENT = 1_767_323_045.0
_PATIENCE_SECONDS = 60.0
_REST_SECONDS = 0.5


class Stills:
    """The recorded run, and what its screens looked like when a person last said that they are right.

    The run is finished, its times are fixed, and `artifacts/` holds two versions of its program. `folder`
    always has a name of the same length, so that lines with a path in them break at the same place.
    """

    def __init__(self, folder: Path, *, renew: bool) -> None:
        self.folder = folder
        self._renew = renew
        clock = itertools.count(_FIRST_EVENT, 0.1)
        recorded = RecordedRun(folder, clock=lambda: next(clock))
        recorded.write()
        self.run = recorded.run
        (saved,) = (folder / "artifacts").glob("*/*/v1")
        save_reviewed(saved, dict.fromkeys(("data.test", "metric.field"), "sha256:another"))
        measure_elsewhere(recorded, saved, lambda: next(clock))
        recorded.journal.close()

    async def check(self, pilot: Pilot[int], name: str, *, varying: str = "") -> None:
        """Compare the screen with the still of that name and size.

        Rows in which the pattern `varying` is found are others each time, with a duration for instance: of
        these it is compared only that they are there.

        Raises:
            AssertionError: it looks otherwise, or there is no still of it.
        """
        width, height = pilot.app.size
        file = STILLS / f"{name}-{width}x{height}.txt"
        if self._renew:
            file.parent.mkdir(exist_ok=True)
            file.write_text(await self._at_rest(pilot, varying), encoding="utf-8")
        wanted = file.read_text(encoding="utf-8") if file.exists() else ""
        try:
            await until_true(
                pilot, lambda _: self._plain(pilot, varying) == wanted, seconds=_PATIENCE_SECONDS
            )
        except AssertionError:
            changes = difflib.unified_diff(
                wanted.splitlines(), self._plain(pilot, varying).splitlines(), file.name, "now", lineterm=""
            )
            told = "\n".join(changes)
            raise AssertionError(f"{told}\nIf that is right: pytest --renew-stills") from None

    async def _at_rest(self, pilot: Pilot[int], varying: str) -> str:
        """Return the screen once it has stopped changing."""
        text, since = "", time.monotonic()
        while time.monotonic() - since < _REST_SECONDS:
            await pilot.pause(0.05)
            now = self._plain(pilot, varying)
            if now != text:
                text, since = now, time.monotonic()
        return text

    def _plain(self, pilot: Pilot[int], varying: str) -> str:
        parent = str(self.folder.parent)
        text = seen(pilot).replace(parent, "/tmp/desk-".ljust(len(parent), "0"))
        text = _CUT_RUN_ID.sub(lambda cut: _A_RUN_ID[: len(cut[0])], _RUN_ID.sub(_A_RUN_ID, text))
        if varying:
            text = "\n".join("~" if re.search(varying, row) else row for row in text.split("\n"))
        return "\n".join(row.rstrip() for row in text.rstrip("\n").split("\n")) + "\n"


def save_reviewed(artifact: Path, stale: Mapping[str, str]) -> None:
    """Save, as the version after an artifact, what a review left of the run: one rule, too few for the gate.

    It is made to be one of a project that was other than it is now in `stale`.
    """
    before = load_manifest(artifact)
    with tempfile.TemporaryDirectory() as elsewhere:
        reviewed = RecordedRun(Path(elsewhere) / "desk")
        reviewed.write()
        for rule in reviewed.accepted_rules()[1:]:
            reviewed.journal.decide(reviewed.run, f"review/1/{rule.id}", {"choice": "drop"})
        saved = reviewed.apply_review().artifact
        assert saved is not None
        second = artifact.with_name("v2")
        shutil.copytree(saved, second)
        reviewed.journal.close()
    manifest = load_manifest(second)
    details = {**manifest.details, "fingerprint": {**manifest.details["fingerprint"], **stale}}
    same_run = {"run": before.run, "created": before.created, "details": details}
    (second / "manifest.json").write_bytes(manifest.model_copy(update=same_run).as_json().encode())


def measure_elsewhere(recorded: RecordedRun, artifact: Path, clock: Callable[[], float]) -> None:
    """Measure the rules of an artifact on another revision of the model, as `promptgrad transfer` does."""
    manifest, project = load_manifest(artifact), load_project(recorded.folder)
    parts = load_parts(project)
    model = ScriptedModel(QueueDesk().model().engine, scripted_revision("another desk"))
    journal, run = recorded.journal, "measured-elsewhere"

    def emit(event: Event) -> None:
        if not isinstance(event, RolloutFinished):
            journal.append(run, event.model_copy(update={"time": clock()}))

    replay = Replay(journal, run)
    setting = Setting(
        artifact=artifact,
        project=project,
        parts=parts,
        manifest=manifest,
        model=model,
        journal=journal,
        run=run,
        replay=replay,
        judge=Judge(replay.lm(model)),
        base=parts.program,
    )
    with closing(setting.runner_of(parts.program, emit)) as runner:
        measure_test_split(
            journal,
            run,
            TestSplit(parts.splits.test, project.data.slice),
            runner,
            manifest.state,
            place="transfer",
            purpose="transfer",
            program=manifest.program,
            model=model,
            emit=emit,
        )
