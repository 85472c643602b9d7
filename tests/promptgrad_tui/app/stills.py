"""Stills: what each screen shows of one recorded run, kept as text beside the tests.

`pytest --renew-stills` writes them anew; look at the difference with `git diff` before it is kept.
"""

from __future__ import annotations

import difflib
import itertools
import re
import time
from pathlib import Path

from textual.pilot import Pilot

from engine.events import DataUsed, GateResult, Interval, SplitScores
from engine.manifest import PROGRAM, PROMPT, ArtifactManifest, ModelProved, file_digest
from engine.rules import Rule

from .driving import seen, until_true
from .recorded import BASE, RULES, RecordedRun

STILLS = Path(__file__).parent / "stills"
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_A_RUN_ID = "20260102-030405-abcd"
_FIRST_EVENT = 1_767_323_045.0
_PATIENCE_SECONDS = 20.0
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
        recorded.journal.close()
        for version in (1, 2):
            save_version(folder, self.run, version)

    async def check(self, pilot: Pilot[int], name: str) -> None:
        """Compare the screen with the still of that name and size.

        Raises:
            AssertionError: it looks otherwise, or there is no still of it.
        """
        width, height = pilot.app.size
        file = STILLS / f"{name}-{width}x{height}.txt"
        if self._renew:
            file.parent.mkdir(exist_ok=True)
            file.write_text(await self._at_rest(pilot), encoding="utf-8")
        wanted = file.read_text(encoding="utf-8") if file.exists() else ""
        try:
            await until_true(pilot, lambda _: self._plain(pilot) == wanted, seconds=_PATIENCE_SECONDS)
        except AssertionError:
            changes = difflib.unified_diff(
                wanted.splitlines(), self._plain(pilot).splitlines(), file.name, "now", lineterm=""
            )
            told = "\n".join(changes)
            raise AssertionError(f"{told}\nIf that is right: pytest --renew-stills") from None

    async def _at_rest(self, pilot: Pilot[int]) -> str:
        """Return the screen once it has stopped changing."""
        text, since = "", time.monotonic()
        while time.monotonic() - since < _REST_SECONDS:
            await pilot.pause(0.05)
            now = self._plain(pilot)
            if now != text:
                text, since = now, time.monotonic()
        return text

    def _plain(self, pilot: Pilot[int]) -> str:
        parent = str(self.folder.parent)
        text = seen(pilot).replace(parent, "/tmp/desk-".ljust(len(parent), "0"))
        return _RUN_ID.sub(_A_RUN_ID, text).rstrip("\n") + "\n"


def save_version(folder: Path, run: str, version: int) -> Path:
    """Save an artifact of the recorded program, `version` of which has that many rules, and return it."""
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
    )
    for name, content in {**files, "manifest.json": manifest.as_json().encode()}.items():
        (path / name).write_bytes(content)
    return path
