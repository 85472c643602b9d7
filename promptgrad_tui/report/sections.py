"""The sections of the HTML report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from engine.ground.interval import Interval
from engine.journal.events import KeptRule, SliceScores, SplitScores, ValidationFinished
from promptgrad_tui.report.elements import Content, Markup, element, join
from promptgrad_tui.report.figures import effect_bar, epoch_chart, reach
from promptgrad_tui.report.tables import table
from promptgrad_tui.report.view import RunReport
from promptgrad_tui.views.comparison.changes import CHANGES, ExampleChange
from promptgrad_tui.views.diff import line_diff
from promptgrad_tui.views.figures import (
    count_text,
    duration_text,
    epoch_name,
    gain_text,
    score_text,
    slice_text,
)
from promptgrad_tui.views.gates import GATE_COLUMNS, gate_cells
from promptgrad_tui.views.run.event_lines import model_text

_SIGNS = {"+": ("ins", "added: "), "-": ("del", "removed: "), " ": ("span", "")}


def result(report: RunReport) -> Iterable[Markup]:
    """Yield the scores, what the openings of the test split mean for them, and the gates."""
    summary = report.summary
    if summary is None or summary.baseline.validation is None:
        yield element("p", "Nothing was scored on held-out examples to the end.")
        return
    yield table(
        "Mean scores with their 95 % intervals (0 to 1)",
        ("", "validation", "test"),
        [
            ("Baseline", *_both(summary.baseline)),
            ("Optimized", *_both(summary.optimized)),
            *([("Gain", "", _gain(report.story.test.gain))] if report.story.test else []),
        ],
    )
    for told in filter(None, (report.opening, report.reviewed)):
        yield element("p", told, class_="note")
    if report.gates:
        yield table(
            "Release gates",
            GATE_COLUMNS,
            [(*gate_cells(gate)[:3], _verdict(gate.passed), gate.detail) for gate in report.gates],
        )


def _both(scores: SplitScores) -> tuple[str, str]:
    return _score(scores.validation), _score(scores.test)


def _score(interval: Interval | None) -> str:
    return f"{score_text(interval)}, n = {interval.n}" if interval else "not scored"


def _gain(interval: Interval) -> str:
    return gain_text(interval.score, interval.low, interval.high)


def _verdict(passed: bool) -> Markup:
    return element("span", "\u2713 passed" if passed else "\u2717 failed", class_="good" if passed else "bad")


def epochs(report: RunReport) -> Iterable[Markup]:
    """Yield the score by epoch as a drawing and as a table."""
    epochs = report.story.epochs
    yield element("figure", epoch_chart(epochs))
    yield table(
        f"Scores on {count_text(epochs[0].validation.n, 'validation example')}",
        ("epoch", "score and 95 % interval", "rules", "outcome"),
        [
            (epoch_name(e), score_text(e.validation), str(e.n_rules), e.outcome.replace("_", " "))
            for e in epochs
        ],
    )
    if epochs[0].slices:
        yield table(
            f"Scores on the validation split by {_slice_field(report)} and epoch",
            (_slice_field(report), *map(epoch_name, epochs)),
            [(name, *(slice_text(epoch.slices[name]) for epoch in epochs)) for name in epochs[0].slices],
        )


def rules(report: RunReport) -> Iterable[Markup]:
    """Yield the final rules with their evidence, then every other test."""
    tests = [test.evidence for test in report.tests if test.evidence]
    scale = reach([bound for test in tests for bound in (test.low, test.high, test.delta)])
    if report.rules:
        bars = f"Bars reach from -{scale:g} to +{scale:g}; the line is the 95 % interval."
        yield element("p", f"{report.acceptance} {bars}".strip(), class_="note")
        yield table(
            f"{count_text(len(report.rules), 'rule')} of the final program",
            ("", "rule", "effect on the mean score", "fixed / broke", "from"),
            [_rule_row(report, number, rule, scale) for number, rule in enumerate(report.rules, 1)],
        )
    else:
        yield element("p", "No rule was kept.")
    if report.not_kept:
        yield table(
            f"{count_text(len(report.not_kept), 'other test')}",
            ("what was tested", "effect on the mean score", "fixed / broke", "verdict"),
            [_test_row(test, scale) for test in report.not_kept],
        )


def _rule_row(report: RunReport, number: int, rule: KeptRule, scale: float) -> tuple[Content, ...]:
    test = report.test_of(rule)
    return (
        str(number),
        element(
            "div",
            element("strong", rule.text),
            element("span", f"Applies to: {rule.trigger}", class_="detail") if rule.trigger else None,
            element("span", f"Note: {rule.note}", class_="detail") if rule.note else None,
            element("span", f"Corrects the step {rule.predictor}", class_="detail")
            if len(report.prompts) > 1
            else None,
            class_="long",
        ),
        _effect(test, scale),
        f"{len(test.fixed)} / {len(test.broken)}" if test else "",
        element("span", f"epoch {rule.epoch}, batch {rule.batch}", class_="number"),
    )


def _test_row(test: ValidationFinished, scale: float) -> tuple[Content, ...]:
    action = "" if test.action == "add" else f"{test.action}: "
    return (
        element("div", f"{action}{test.rule.text}", class_="long"),
        _effect(test, scale),
        f"{len(test.fixed)} / {len(test.broken)}",
        join(test.verdict.replace("_", " "), element("span", test.reason, class_="detail")),
    )


def _effect(test: ValidationFinished | None, scale: float) -> Markup:
    if test is None or test.evidence is None:
        return Markup("not tested")
    found = test.evidence
    return join(
        effect_bar(found.delta, found.low, found.high, scale),
        element("span", gain_text(found.delta, found.low, found.high), class_="number"),
        element("span", f"on {count_text(found.n, 'example')}", class_="detail"),
    )


def slices(report: RunReport) -> Iterable[Markup]:
    """Yield the scores of each slice, those of the test split first."""
    bounds = [
        b for split in report.slices.values() for s in split.values() for b in (s.gain.low, s.gain.high)
    ]
    scale = reach(bounds)
    for split, scored in report.slices.items():
        yield table(
            f"Scores on the {split} split by {_slice_field(report)}",
            (_slice_field(report), "n", "baseline", "optimized", "gain", "wrong now"),
            [_slice_row(name, scores, scale) for name, scores in scored.items()],
        )


def _slice_field(report: RunReport) -> str:
    return report.examples.slice_field or "slice"


def _slice_row(name: str, scores: SliceScores, scale: float) -> tuple[Content, ...]:
    return (
        name,
        str(scores.optimized.n),
        score_text(scores.baseline),
        score_text(scores.optimized),
        join(
            effect_bar(scores.gain.score, scores.gain.low, scores.gain.high, scale),
            element("span", _gain(scores.gain), class_="number"),
        ),
        str(scores.failures),
    )


def examples(report: RunReport) -> Iterable[Markup]:
    """Yield each held-out example with both answers, and the filters that scripts make work."""
    counts = Counter(change.change for change in report.changes)
    yield element(
        "p", f"What the rules did to each of {count_text(len(report.changes), f'{report.split} example')}."
    )
    yield element(
        "fieldset",
        element("legend", "Show"),
        _filter("all", "all", len(report.changes)),
        *(_filter(name, f"{name}: {words}", counts[name]) for name, words in CHANGES.items()),
        element("p", "", id="shown", role="status"),
        id="filters",
        hidden=True,
    )
    rows = [_example_row(change, bool(report.slices)) for change in report.changes]
    columns = ("example", *(("slice",) if report.slices else ()), "fields", "before", "now", "change")
    yield table("Examples before and after", columns, [], rows=rows, name="changes")


def _filter(value: str, words: str, count: int) -> Markup:
    box = element("input", type="radio", name="change", value=value, checked=value == "all")
    return element("label", box, f" {words} ({count})")


def _example_row(change: ExampleChange, sliced: bool) -> Markup:
    fields = [join(element("dt", name), element("dd", value)) for name, value in change.fields.items()]
    tone = {"fixed": "good", "broken": "bad", "failing": "bad", "same": ""}[change.change]
    mark = {"fixed": "\u2713 ", "broken": "\u2717 ", "failing": "\u2717 ", "same": ""}[change.change]
    return element(
        "tr",
        element("th", change.name, scope="row"),
        element("td", change.slice) if sliced else None,
        element("td", element("dl", *fields) if fields else "no longer in the project's files"),
        _answer(change.before.score, change.before.text, ""),
        _answer(change.after.score, change.after.text, change.after.feedback),
        element("td", element("span", f"{mark}{change.change}", class_=tone)),
        data_change=change.change,
    )


def _answer(score: float, text: str, feedback: str) -> Markup:
    return element(
        "td",
        element("span", text, class_="answer"),
        element("span", f"score {score:.2f}", class_="detail"),
        element("span", feedback, class_="detail") if feedback else None,
    )


def prompt(report: RunReport) -> Iterable[Markup]:
    """Yield each predictor's instructions as a diff against the frozen ones."""
    for name, (before, after) in report.prompts.items():
        if len(report.prompts) > 1:
            yield element("h3", f"Step {name}")
        lines = [
            element(_SIGNS[sign][0], element("span", _SIGNS[sign][1], class_="hidden"), f"{sign} {line}\n")
            for sign, line in line_diff(before, after)
        ]
        yield element(
            "pre", *lines, tabindex="0", role="region", aria_label=f"Instructions of {name}, as a diff"
        )


def cost(report: RunReport) -> Iterable[Markup]:
    """Yield what the run used."""
    tokens = report.tokens
    rows = [
        ("Calls of the model", f"{report.calls:,}"),
        ("Prompt tokens", f"{tokens.prompt:,}"),
        ("of these reused, not evaluated again", f"{tokens.reused:,}"),
        ("Answer tokens", f"{tokens.completion:,}"),
    ]
    if report.summary:
        rows.append(("Time", duration_text(report.summary.seconds)))
    yield table("What the run used", ("", "amount"), rows)


def origin(report: RunReport) -> Iterable[Markup]:
    """Yield what the run depends on."""
    started = report.story.started
    assert started is not None
    rows: list[tuple[Content, ...]] = [
        ("Run", report.record.id),
        ("Program", started.program),
        ("Model", model_text(started.model)),
        ("Model's revision", started.model.revision),
        ("Model that writes rules", model_text(started.reflection)),
        ("Seed", str(started.seed)),
        *(
            (f"Data, {name}", f"{count_text(data.n, 'example')}, {data.digest}")
            for name, data in started.data.items()
        ),
        *((f"Version of {name}", value) for name, value in started.versions.items()),
    ]
    if report.summary and report.summary.artifact:
        rows.append(("Artifact", report.summary.artifact))
    if report.summary and report.summary.withheld:
        rows.append(("Artifact, withheld because a gate failed", report.summary.withheld))
    yield table("The run and all that it depends on", ("", "value"), rows)
    yield table(
        "Configuration",
        ("field", "value"),
        [(name, str(value)) for name, value in started.config.items()],
    )
