"""Stills: what each screen shows of one recorded run, kept as text beside the tests.

`pytest --renew-stills` writes them anew; look at the difference with `git diff` before it is kept.
"""

from __future__ import annotations

import difflib
import itertools
import re
import time
from collections.abc import Mapping
from pathlib import Path

from textual.pilot import Pilot

from engine.ground.interval import Interval
from engine.journal.events import DataUsed, GateResult, ModelUsed, SplitScores, TestFinished, TestOpened
from engine.journal.journal import Journal
from engine.programs.rules import Rule
from engine.project.fingerprint import project_fingerprint
from engine.project.settings import load_project
from engine.release.manifest import PROGRAM, PROMPT, ArtifactManifest, ModelProved, file_digest, load_manifest
from tests.promptgrad_tui.screens.driving import seen, until_true
from tests.promptgrad_tui.screens.recorded import BASE, RULES, RecordedRun

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
        now = project_fingerprint(load_project(folder))
        save_version(
            folder, self.run, 1, now | {"data.test": "sha256:another", "metric.field": "sha256:another"}
        )
        proved = save_version(folder, self.run, 2, now)
        write_transfer(recorded.journal, proved, time=next(clock))
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


def write_transfer(journal: Journal, artifact: Path, *, time: float) -> None:
    """Note that the rules of an artifact were measured on another revision of the model."""
    manifest = load_manifest(artifact)
    run, data = "measured-elsewhere", manifest.data["test"]
    model = ModelUsed(uri="gguf:/models/larger.gguf", revision="sha256:" + "b7e2a90c41d8" * 5)
    rules = manifest.state.digest
    journal.append(
        run,
        TestOpened(
            id="transfer/opened",
            time=time,
            data=data,
            opening=1,
            purpose="transfer",
            program=manifest.program,
            rules=rules,
            model=model,
        ),
    )
    journal.append(
        run,
        TestFinished(
            id="transfer",
            time=time,
            baseline=Interval(score=0.6, n=40, low=0.45, high=0.75),
            optimized=Interval(score=0.7, n=40, low=0.55, high=0.85),
            gain=Interval(score=0.1, n=40, low=-0.05, high=0.25),
        ),
    )


def save_version(folder: Path, run: str, version: int, fingerprint: Mapping[str, str] | None = None) -> Path:
    """Save an artifact of the recorded program, `version` of which has that many rules, and return it.

    `fingerprint` is what the project was when it was measured.
    """
    digest = "sha256:" + "3fa9c1d2e4b5" * 5
    path = folder / "artifacts" / "desk" / digest.removeprefix("sha256:")[:12] / f"v{version}"
    path.mkdir(parents=True)
    rules = tuple(
        Rule(text=text, trigger=trigger, predictor="predict", epoch=1, batch=number)
        for number, (text, trigger) in enumerate(RULES[:version], 1)
    )
    instructions = "\n".join([BASE, "", *(f"- {rule.text}" for rule in rules)])
    files = {PROGRAM: b"{}", PROMPT: instructions.encode()}
    test = 0.5 + 0.1 * version
    manifest = ArtifactManifest(
        name="desk",
        program="sha256:" + "1" * 64,
        structure={},
        model=ModelProved(uri="demo", digest=digest, template_digest=None, verified=True, revision={}),
        adapter="JSONAdapter",
        base_instructions={"predict": BASE},
        instructions={"predict": instructions},
        rules=rules,
        baseline=SplitScores(test=Interval(score=0.5, n=40, low=0.35, high=0.65)),
        optimized=SplitScores(test=Interval(score=test, n=40, low=test - 0.15, high=test + 0.15)),
        gates=(
            GateResult(
                gate="min_test_gain",
                value=0.1 * version,
                comparison="at least",
                bound=0.15,
                passed=version > 1,
            ),
        ),
        test_opening=version,
        metric="exact_match on queue",
        data={"test": DataUsed(n=40, digest="sha256:2")},
        config={},
        seed=7,
        run=run,
        created=f"2026-01-02T03:04:0{version}+00:00",
        versions={},
        files={name: file_digest(content) for name, content in files.items()},
        details={"fingerprint": dict(fingerprint)} if fingerprint is not None else {},
    )
    for name, content in {**files, "manifest.json": manifest.as_json().encode()}.items():
        (path / name).write_bytes(content)
    return path
