"""The result of a run, at its end and later."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engine.ground.errors import ArtifactError
from engine.ground.interval import Interval
from engine.journal.events import (
    Event,
    GateResult,
    KeptRule,
    MetricChange,
    RunSummary,
    SliceScores,
    SplitScores,
)
from engine.journal.journal import RunRecord
from engine.journal.narration import objectives_text
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import Rule
from promptgrad_tui.views.contest import contest_lines
from promptgrad_tui.views.demonstrations import demonstration_text, layer_scores
from promptgrad_tui.views.figures import (
    before_after_text,
    count_text,
    duration_text,
    effect_text,
    gain_text,
    score_text,
    slice_gain_text,
    tokens_text,
    value_text,
)
from promptgrad_tui.views.gates import gate_lines
from promptgrad_tui.views.labels.doubted import doubted_lines
from promptgrad_tui.views.metrics import metric_sentences, parts_of, tell_more
from promptgrad_tui.views.run.early_stops import EarlyStops
from promptgrad_tui.views.run.event_lines import EventLines
from promptgrad_tui.views.run.headline import headline_of
from promptgrad_tui.views.run.prompts import prompts_of
from promptgrad_tui.views.run.score_plot import score_plot
from promptgrad_tui.views.run.slices import hidden_text, shown_slices
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.views.sanitize import folder_option, one_line, pad, shown_path, visible, wrap
from promptgrad_tui.views.tables import table_lines
from promptgrad_tui.views.terminal import Terminal


def summary_lines(summary: RunSummary, story: RunStory, terminal: Terminal) -> list[str]:
    """Return the result of a run: scores, rules with their evidence, the scores by epoch, and the cost."""
    end = headline_of(summary.status, summary)
    lines = ["", terminal.toned(end.text, end.tone, bold=True)] if end else []
    lines += wrap(summary.reason[:1].upper() + summary.reason[1:], terminal.columns, "  ", "  ")
    if summary.reflection_moved:
        moved = f"The reflection model has changed: {summary.reflection_moved}"
        lines += wrap(one_line(moved), terminal.columns, "  ", "  ")
    if summary.contest is not None:
        lines += contest_lines(summary.contest, terminal)
    lines += _scores(summary.baseline, summary.optimized, terminal)
    lines += _metrics("validation", summary.validation_metrics, terminal)
    lines += _metrics("test", summary.metrics, terminal)
    lines += _slices("validation", summary.validation_slices, terminal)
    lines += _slices("test", summary.slices, terminal)
    lines += _gates(summary.gates, terminal)
    lines += _rules(summary.rules, terminal)
    lines += _demonstrations(summary.demonstrations, terminal)
    lines += _layers(summary, terminal)
    if summary.objectives is not None:
        lines += ["", *wrap(objectives_text(summary.objectives), terminal.columns, "  ")]
    lines += doubted_lines(story.doubted, terminal)
    lines += _plot(story)
    lines += _times(story, terminal)
    seconds = duration_text(summary.seconds)
    if summary.calls == 0 and summary.baseline.validation is not None:
        return [*lines, "", f"0 calls, {seconds}: an earlier run has paid for every answer"]
    lines += ["", f"{count_text(summary.calls, 'call')}, {seconds}", tokens_text(summary.tokens)]
    return lines + _saved(story)


def _saved(story: RunStory) -> list[str]:
    return [text] if (text := EarlyStops.of(story).text) else []


def next_lines(summary: RunSummary, project: Path, terminal: Terminal) -> list[str]:
    """Return the folder of a run's artifact, and what to type next in the current folder."""
    lines, commands = [], [command_text("show", summary.run, project)]
    if summary.withheld is not None:
        lines += [
            "",
            terminal.style("Withheld because a gate failed", bold=True),
            f"  {shown_path(summary.withheld)}",
        ]
    if summary.artifact is not None:
        artifact = shown_path(summary.artifact)
        lines += ["", terminal.style("Artifact", bold=True), f"  {artifact}"]
        inputs = " ".join(f'--input {name}="..."' for name in _inputs(summary.artifact))
        commands.append(f"promptgrad predict {shlex.quote(artifact)} {inputs}")
    if summary.status in ("budget", "stopped", "error"):
        commands.append(command_text("resume", summary.run, project))
    return [*lines, "", terminal.style("Next", bold=True), *(f"  {command}" for command in commands)]


def _inputs(artifact: str) -> list[str]:
    """Return the inputs of an artifact's program that none of its own steps produces."""
    from engine.release.manifest import load_manifest  # imports NumPy, which `show` and `runs` don't need

    try:
        structure = load_manifest(artifact).structure
    except ArtifactError:
        return ["FIELD"]
    steps = [step["fields"] for step in structure["predictors"].values()]
    made = {name for fields in steps for name, field in fields.items() if field["kind"] == "output"}
    return list(dict.fromkeys(name for fields in steps for name in fields if name not in made))


def run_lines(record: RunRecord, events: Iterable[Event], terminal: Terminal) -> list[str]:
    """Return the whole story of a run from its events alone, whether it ended or not."""
    printer = EventLines(terminal, in_full=True)
    known = list(events)
    story = RunStory.of(known)
    lines = [line for event in known for line in printer.lines(event)]
    if not known:
        lines = [terminal.style(f"Run {record.id}", bold=True), "  Nothing has happened yet."]
    lines += _prompts(story, terminal)
    if record.summary is not None:
        lines += summary_lines(record.summary, story, terminal)
        saved = record.summary.artifact
        lines += ["", f"Artifact: {shown_path(saved)}"] if saved else []
        return lines + _reviewed(story, terminal)
    return lines + _unfinished(record, story, terminal)


def _reviewed(story: RunStory, terminal: Terminal) -> list[str]:
    """Return the result of a finished run's latest review."""
    review = story.review
    if review is None:
        return []
    title = f"Review {review.number} applied: {count_text(len(review.rules), 'rule')} kept"
    scores = [("validation", review.validation), ("test", review.test)]
    scored = [f"  {name:<10}  {score_text(score)}" for name, score in scores if score is not None]
    rules = [row for rule in review.rules for row in _rule(rule, "  - ", terminal)]
    saved = [f"  Artifact: {shown_path(review.artifact)}"] if review.artifact else []
    return ["", terminal.style(title, bold=True), *scored, *rules, *saved]


def runs_lines(records: Sequence[RunRecord], terminal: Terminal) -> list[str]:
    """Return a table of runs, a line each."""
    rows = []
    for record in records:
        summary = record.summary
        scores = (
            [_change(record, "validation"), _change(record, "test"), str(record.n_rules)]
            if summary is not None and summary.baseline.validation is not None
            else ["-", "-", "-"]
        )
        is_reviewed = record.review is not None and record.status != "running"
        rows.append([record.id, "reviewed" if is_reviewed else record.status, *scores, one_line(record.name)])
    titles = ["RUN (UTC)", "STATUS", "VALIDATION", "TEST", "RULES", "NAME"]
    if not any(record.name for record in records):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    return table_lines(titles, rows, terminal, right=[4])


def command_text(command: str, run: str, project: Path) -> str:
    """Return what to type in the current folder for a command on a run of a project."""
    return f"promptgrad {folder_option(project)}{command} {run}"


def resume_hint(run: str, project: Path) -> str:
    """Return the sentence that says how to resume an interrupted run."""
    return f"Resume it with: {command_text('resume', run, project)}"


def _change(record: RunRecord, split: str) -> str:
    baseline = record.summary.baseline if record.summary else SplitScores()
    before, after = getattr(baseline, split), getattr(record.optimized, split)
    if before is None:
        return "-"
    return value_text(before.score) if after is None else before_after_text(before, after)


def _scores(baseline: SplitScores, optimized: SplitScores, terminal: Terminal) -> list[str]:
    if baseline.validation is None and baseline.test is None:
        return []
    head = ("", _split_name("validation", baseline.validation), _split_name("test", baseline.test))
    rows = [
        (name, _score(scores.validation), _score(scores.test))
        for name, scores in (("baseline", baseline), ("optimized", optimized))
    ]
    return ["", *table_lines(head, rows, terminal, indent=2)]


def _split_name(name: str, interval: Interval | None) -> str:
    return f"{name} (n = {interval.n})" if interval else f"{name} (none)"


def _score(interval: Interval | None) -> str:
    return score_text(interval) if interval else "-"


def _metrics(split: str, metrics: Mapping[str, MetricChange], terminal: Terminal) -> list[str]:
    if not tell_more(metrics):
        return []
    lines = ["", terminal.style(f"Metrics of the {split} split", bold=True)]
    if len(metrics) > 1:
        lines += wrap(f"optimized: {one_line(next(iter(metrics)))}", terminal.columns, " " * 13, "  ")
    for name, text in metric_sentences(parts_of(metrics)):
        lines += wrap(text, terminal.columns, "    ", f"  {name}: ")
    return lines


def _slices(split: str, slices: Mapping[str, SliceScores], terminal: Terminal) -> list[str]:
    lines = ["", terminal.style(f"Slices of the {split} split", bold=True)] if slices else []
    for name, scores in shown_slices(slices).items():
        lines += wrap(slice_gain_text(scores), terminal.columns, " " * 15, f"  {pad(one_line(name), 12)} ")
        for metric, text in metric_sentences(parts_of(scores.metrics)):
            lines += wrap(text, terminal.columns, " " * 17, f"{' ' * 15}{metric}: ")
    return [*lines, *([f"  {hidden}"] if (hidden := hidden_text(slices)) else [])]


def _gates(gates: Sequence[GateResult], terminal: Terminal) -> list[str]:
    return ["", terminal.style("Release gates", bold=True), *gate_lines(gates, terminal)] if gates else []


def _rules(rules: Sequence[KeptRule | Rule], terminal: Terminal) -> list[str]:
    if not rules:
        return []
    lines = ["", terminal.style(f"{count_text(len(rules), 'rule')} kept", bold=True)]
    for number, rule in enumerate(rules, 1):
        lines += _rule(rule, f"  {number:>2} ", terminal)
        lines += wrap(evidence_text(rule), terminal.columns, "     ")
    return lines


def _demonstrations(shown: Sequence[Demonstration], terminal: Terminal) -> list[str]:
    if not shown:
        return []
    lines = ["", terminal.style(f"{count_text(len(shown), 'demonstration')} kept", bold=True)]
    for number, one in enumerate(shown, 1):
        lines += wrap(demonstration_text(one), terminal.columns, "     ", f"  {number:>2} ")
    return lines


def _layers(summary: RunSummary, terminal: Terminal) -> list[str]:
    has_learned = bool(summary.rules or summary.demonstrations)
    result = summary.optimized.validation if has_learned else None
    rows = [(name, score_text(score)) for name, score in layer_scores(summary.layers, summary.base, result)]
    if not rows:
        return []
    return ["", *table_lines(("Layers", "validation"), rows, terminal, indent=2)]


def _rule(rule: KeptRule | Rule, first: str, terminal: Terminal) -> list[str]:
    """Return what a rule says, and the note that a person wrote on it."""
    indent = " " * len(first)
    lines = wrap(one_line(rule.text), terminal.columns, indent, first)
    return lines + (wrap(f"note: {one_line(rule.note)}", terminal.columns, indent) if rule.note else [])


def evidence_text(rule: KeptRule | Rule) -> str:
    """Return a rule's gain with its interval, and where it came from."""
    if isinstance(rule, KeptRule):
        delta, low, high, n, likelier = rule.delta, rule.low, rule.high, rule.n, rule.likelihood
    else:
        tested = rule.evidence
        delta, low, high, n, likelier = (
            (tested.delta, tested.low, tested.high, tested.n, tested.likelihood)
            if tested
            else (None, None, None, 0, None)
        )
    place = f"epoch {rule.epoch}, batch {rule.batch}"
    if delta is None:
        return f"not tested; {place}"
    text = f"{gain_text(delta, low, high)} on {count_text(n, 'example')}"
    if likelier is not None:
        gain = effect_text(likelier)
        text += f", {gain} in the probability of the right answers"
    return f"{text}; {place}"


def _plot(story: RunStory) -> list[str]:
    if len(story.epochs) < 2:
        return []
    return ["", "Validation score by epoch, with its 95 % interval (0 to 1)", *score_plot(story.epochs)]


def _times(story: RunStory, terminal: Terminal) -> list[str]:
    rows = [(work, duration_text(seconds), f"{share:.0%}") for work, seconds, share in story.times.rows()]
    if len(rows) < 2:
        return []
    return ["", *table_lines(("Where the time went", "", ""), rows, terminal, right=(1, 2), indent=2)]


def _prompts(story: RunStory, terminal: Terminal) -> list[str]:
    lines: list[str] = []
    prompts = prompts_of(story, story.best_rules)
    for name, (base, optimized) in prompts.items():
        of = f" of {name}" if len(prompts) > 1 else ""
        lines += ["", terminal.style(f"Instructions{of}, frozen", bold=True)]
        lines += [f"  {line}" for line in _kept_lines(base, terminal.columns - 2)]
        if optimized != base:
            lines += ["", terminal.style(f"Instructions{of} with the best rules", bold=True)]
            lines += [f"  {line}" for line in _kept_lines(optimized, terminal.columns - 2)]
    return lines


def _kept_lines(text: str, columns: int) -> list[str]:
    """Return a text's own lines, the long ones wrapped."""
    return [part for line in visible(text).split("\n") for part in wrap(line, columns, "  ", "")]


def _unfinished(record: RunRecord, story: RunStory, terminal: Terminal) -> list[str]:
    since = f", last event {time.strftime('%Y-%m-%d %H:%M', time.localtime(record.last_event))}"
    lines = ["", terminal.style(record.status.capitalize(), bold=True) + (since if record.last_event else "")]
    lines += _rules(story.best_rules, terminal)
    lines += _plot(story)
    lines += ["", f"{count_text(story.calls, 'call')} so far, {tokens_text(story.tokens)}", *_saved(story)]
    return lines if record.status == "running" else [*lines, resume_hint(record.id, Path(record.project))]
