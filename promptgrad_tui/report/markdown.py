"""A run's report as Markdown, for pull requests and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from engine.journal.events import KeptRule, ValidationFinished
from engine.journal.learning_events import LayerTested
from engine.journal.narration import objectives_text
from promptgrad_tui.report.view import RunReport
from promptgrad_tui.views.comparison.changes import CHANGES
from promptgrad_tui.views.contest import contest_tables, problems, title
from promptgrad_tui.views.demonstrations import demonstration_text
from promptgrad_tui.views.figures import (
    count_text,
    duration_text,
    effect_text,
    epoch_name,
    slice_text,
    tokens_text,
)
from promptgrad_tui.views.gates import gate_table
from promptgrad_tui.views.labels.doubted import DOUBT_ADVICE, DOUBT_COLUMNS, doubt_row
from promptgrad_tui.views.markdown import diff_block, escaped, interval_text, table
from promptgrad_tui.views.metrics import METRIC_COLUMNS, metric_rows, parts_of
from promptgrad_tui.views.pareto import HEAD, NOTE, dominated_texts, on_front, rows
from promptgrad_tui.views.run.event_lines import model_text
from promptgrad_tui.views.run.slices import hidden_text, shown_slices

_MOST_CHANGES = 20


def markdown_report(report: RunReport, *compared: str) -> str:
    """Return the report; `compared` are further blocks that come after scores, gates and slices."""
    return "\n\n".join((*_verdict(report), *compared, *_details(report))) + "\n"


def _verdict(report: RunReport) -> Iterator[str]:
    yield f"# {escaped(report.title)}"
    yield escaped(report.reason)
    yield from _contest(report)
    yield from _scores(report)
    yield from _metrics(report)
    yield from _gates(report)
    yield from _slices(report)


def _details(report: RunReport) -> Iterator[str]:
    yield from _slices_by_epoch(report)
    yield from _rules(report)
    yield from _layers(report)
    yield from _pareto(report)
    yield from _changes(report)
    yield from _labels(report)
    yield from _prompts(report)
    yield f"## Cost\n\n{count_text(report.calls, 'call')}; {tokens_text(report.tokens)}{_time(report)}."
    if report.early_stops.tests:
        yield f"{report.early_stops.text}."
    started = report.story.started
    if started is not None:
        yield f"Run `{report.record.id}`, seed {started.seed}, on {escaped(model_text(started.model))}."
    summary = report.summary
    if summary and summary.artifact:
        yield f"Artifact: {_place(report, summary.artifact)}"
    elif summary and summary.withheld:
        yield f"Withheld because a gate failed: {_place(report, summary.withheld)}"


def _contest(report: RunReport) -> Iterator[str]:
    if report.contest is None:
        return
    yield f"## {title(report.contest)}"
    for caption, head, cells in contest_tables(report.contest):
        yield caption
        yield table(head, [[escaped(cell) for cell in row] for row in cells])
    yield from map(escaped, problems(report.contest))


def _scores(report: RunReport) -> Iterator[str]:
    summary = report.summary
    if summary is None or summary.baseline.validation is None:
        yield "Nothing was scored on held-out examples to the end."
        return
    rows = [
        ["baseline", interval_text(summary.baseline.validation), interval_text(summary.baseline.test)],
        ["optimized", interval_text(summary.optimized.validation), interval_text(summary.optimized.test)],
    ]
    test = report.story.test
    if test is not None:
        gain = escaped(effect_text(test.gain))
        rows.append(["gain", "", gain])
    yield "## Scores\n\nMeans with their 95 % intervals."
    yield table(["", "validation", "test"], rows)
    for text in filter(None, (report.opening, report.reviewed, report.judge)):
        yield escaped(text)


def _gates(report: RunReport) -> Iterator[str]:
    if not report.gates:
        return
    yield "## Gates"
    yield gate_table(report.gates)


def _metrics(report: RunReport) -> Iterator[str]:
    for split, metrics in report.metrics.items():
        yield f"## Metrics of the {split} split"
        yield table(METRIC_COLUMNS, [[*map(escaped, row)] for row in metric_rows(metrics)])


def _slices(report: RunReport) -> Iterator[str]:
    for split, slices in report.slices.items():
        rows = [
            [
                escaped(name),
                interval_text(scores.baseline),
                interval_text(scores.optimized),
                escaped(effect_text(scores.gain)),
                str(scores.failures),
            ]
            for name, scores in shown_slices(slices).items()
        ]
        yield f"## Slices of the {split} split"
        yield table(["slice", "baseline", "optimized", "gain", "wrong now"], rows)
        parts = [
            [escaped(name), *map(escaped, row)]
            for name, scores in slices.items()
            for row in metric_rows(parts_of(scores.metrics))
        ]
        if parts:
            yield f"### Metrics by slice, {split} split"
            yield table(["slice", *METRIC_COLUMNS], parts)
        if hidden := hidden_text(slices):
            yield f"{escaped(hidden.partition(';')[0])}; the HTML report has all."


def _slices_by_epoch(report: RunReport) -> Iterator[str]:
    epochs = report.story.epochs
    if not epochs or not epochs[0].slices:
        return
    shown = shown_slices(report.slices.get("validation", {})) or epochs[0].slices
    yield "## Validation slices by epoch"
    yield table(
        ["slice", *map(epoch_name, epochs)],
        [
            [escaped(name), *(escaped(slice_text(epoch.slices[name])) for epoch in epochs)]
            for name in list(epochs[0].slices)
            if name in shown
        ],
    )


def _rules(report: RunReport) -> Iterator[str]:
    yield "## Rules"
    if not report.rules:
        yield "No rule was kept."
    else:
        yield table(
            ["rule", "applies to", "effect", "n", "fixed", "broke"],
            [_rule_row(rule, report.test_of(rule)) for rule in report.rules],
        )
        if report.acceptance:
            yield report.acceptance
    if report.not_kept:
        verdicts = Counter(test.verdict.replace("_", " ") for test in report.not_kept)
        yield "Other tests: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) + "."


def _layers(report: RunReport) -> Iterator[str]:
    """Yield the demonstrations, what each layer brings, and the sets that were tested."""
    if report.demonstrations:
        yield "## Demonstrations"
        rows = [[escaped(demonstration_text(one)), escaped(one.source)] for one in report.demonstrations]
        yield table(["shown in the prompt", "source"], rows)
    if report.layers:
        yield "## What each layer brings"
        yield table(["", "validation"], [[name, interval_text(score)] for name, score in report.layers])
    if report.sets:
        yield "## Sets that were tested"
        yield table(
            ["set", "source", "effect", "n", "fixed", "broke", "verdict"], list(map(_set_row, report.sets))
        )


def _pareto(report: RunReport) -> Iterator[str]:
    """Yield the candidates that are worth their cost, and what dominates the others."""
    if report.summary and report.summary.objectives:
        yield escaped(objectives_text(report.summary.objectives)) + "."
    if len(report.placed) < 2:
        return
    yield f"## Score against cost\n\n{NOTE}"
    yield table(HEAD, [[escaped(cell) for cell in row] for row in rows(on_front(report.placed))])
    for text in dominated_texts(report.placed):
        yield escaped(text)


def _set_row(test: LayerTested) -> list[str]:
    found = test.evidence
    return [
        escaped(f"remove: {test.title}" if test.action == "remove" else test.title),
        escaped(test.source),
        escaped(effect_text(found)),
        str(found.n),
        str(len(test.fixed)),
        str(len(test.broken)),
        test.verdict.replace("_", " "),
    ]


def _rule_row(rule: KeptRule, test: ValidationFinished | LayerTested | None) -> list[str]:
    evidence = test.evidence if test else None
    if test is None or evidence is None:
        return [_rule_text(rule), escaped(rule.trigger) or "every input", "not tested", "", "", ""]
    return [
        _rule_text(rule),
        escaped(rule.trigger) or "every input",
        escaped(effect_text(evidence)),
        str(evidence.n),
        str(len(test.fixed)),
        str(len(test.broken)),
    ]


def _rule_text(rule: KeptRule) -> str:
    return escaped(f"{rule.text} (note: {rule.note})" if rule.note else rule.text)


def _changes(report: RunReport) -> Iterator[str]:
    if not report.changes:
        return
    counts = report.counts
    yield f"## Examples of the {report.split} split"
    yield table(
        ["", "examples"], [[f"{name}: {words}", str(counts[name])] for name, words in CHANGES.items()]
    )
    broken = [change.name for change in report.changes if change.change == "broken"]
    if broken:
        more = f" and {len(broken) - _MOST_CHANGES} more" if len(broken) > _MOST_CHANGES else ""
        yield "Broken: " + ", ".join(map(escaped, broken[:_MOST_CHANGES])) + more + "."


def _labels(report: RunReport) -> Iterator[str]:
    labels = report.story.doubted
    if labels:
        yield "## Labels to look at"
        yield f"Probably wrong. {DOUBT_ADVICE}"
        rows = [list(map(escaped, doubt_row(number, label))) for number, label in enumerate(labels, 1)]
        yield table(list(DOUBT_COLUMNS), rows)


def _prompts(report: RunReport) -> Iterator[str]:
    for name, (before, after) in report.prompts.items():
        yield "## Prompt" if len(report.prompts) == 1 else f"## Prompt of {escaped(name)}"
        yield diff_block(before, after)


def _place(report: RunReport, artifact: str) -> str:
    """Return an artifact's path, relative to its project's folder."""
    path = Path(artifact)
    root = report.record.project
    return escaped(str(path.relative_to(root) if path.is_relative_to(root) else path))


def _time(report: RunReport) -> str:
    return f"; {duration_text(report.summary.seconds)}" if report.summary else ""
