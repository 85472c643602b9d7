"""Finished runs to report on, from the scripted support desk, with data that would be markup if it could."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import PromptGradConfig
from engine.ground.model import RunModels
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.project.data import LoadedExample, load_examples
from engine.project.gates import Gates
from engine.release.run import execute
from engine.release.run_plan import RunPlan
from promptgrad_tui.report import RunReport, run_report
from tests.engine.desk import POLICY, Desk, desk_model, desk_program, exact, tickets
from tests.engine.project_folders import write_lines

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> & \u202egnp.exe | **bold** [a](b)"

TOML = """\
[program]
signature = "ticket -> queue"

[data]
train = "train.jsonl"
validation = "validation.jsonl"
test = "test.jsonl"
slice = "channel"

[metric]
kind = "exact_match"
field = "queue"

[model]
task = "demo"
"""


CHANNELS = ("chat", "<i>mail</i>")


def examples(
    root: Path, split: str, n: int, seed: int, channels: Sequence[str] = CHANNELS
) -> list[LoadedExample]:
    made: list[dict[str, Any]] = tickets(n, seed)
    for number, example in enumerate(made):
        example["channel"] = channels[number % len(channels)]
        example["ticket"] += f" {HOSTILE}" if number == 1 else ""
    return load_examples(write_lines(root / f"{split}.jsonl", made))


def reported(
    root: Path,
    *,
    desk: Desk | None = None,
    conditional: bool = False,
    test: int = 40,
    seed: int = 3,
    channels: Sequence[str] = CHANNELS,
) -> RunReport:
    """Run the desk in `root` and return the report."""
    (root / "promptgrad.toml").write_text(TOML)
    model = desk_model(desk)
    with Journal.open(journal_path(root)) as journal:
        record = journal.create_run(root)
        plan = RunPlan(
            run=record.id,
            project=root,
            name="desk",
            program=desk_program(),
            metric=exact,
            metric_name="exact",
            config=PromptGradConfig(
                seed=seed, verbose=False, epochs=2, batches_per_epoch=2, conditional_rules=conditional
            ),
            train=examples(root, "train", 40, 1, channels),
            validation=examples(root, "validation", 40, 2, channels),
            test=examples(root, "test", test, 3, channels) if test else [],
            models=RunModels(model, model),
            artifacts=root / "artifacts",
            gates=Gates(min_test_gain=0.2, slices={"chat": 0.6, "fax": 0.5}),
            slice_field="channel",
        )
        execute(plan, journal)
    return report_of(root)


def report_of(root: Path, until: int | None = None) -> RunReport:
    """The report of the last run in `root`, from its first `until` events."""
    with Journal.open(journal_path(root), read_only=True) as journal:
        record: RunRecord = journal.run("last")
        events = [event for _, event in journal.events(record.id)]
    if until is not None:
        record = RunRecord(record.id, record.project, record.created, {})
    return run_report(record, events[:until])


def spoiling(phrase: str = "parcel") -> Desk:
    """A desk that finds two rules and answers tickets of one kind wrongly once it has the first."""

    class Spoiling(Desk):
        def _queue(self, system: str, user: str) -> str:
            ticket = user.split("[[ ## ticket ## ]]")[1].split("Respond")[0]
            if (
                "Tickets that mention" in system
                and phrase in ticket
                and ticket.strip().endswith("7: my parcel is late.")
            ):
                return '{"queue": "spoilt"}'
            return super()._queue(system, user)

    phrases = list(POLICY)[:4]
    rules = [{"text": f"Tickets that mention {p} go to {POLICY[p]}.", "trigger": p} for p in phrases]
    return Spoiling(proposals=rules)
