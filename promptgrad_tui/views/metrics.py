"""Each of several metrics before and after: as cells of a table, as sentences, as lines of a screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.ground.interval import Interval
from engine.ground.score import MetricScore
from engine.journal.events import MetricChange, MetricFigures
from promptgrad_tui.views.figures import before_after_text, effect_text, gain_text, score_text
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.text_blocks import heading
from promptgrad_tui.views.toned_lines import Line, Tone

METRIC_COLUMNS = ("metric", "baseline", "optimized", "gain", "std", "min", "wrong now")
_BY_CLASS: Mapping[str, str] = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
_CHANGE, _GAIN, _WRONG = 16, 25, 16


def tell_more(metrics: Mapping[str, MetricChange]) -> bool:
    """Whether metrics say more than a score does: there are several, or one is summarized by class."""
    return len(metrics) > 1 or any(by_class(change) for change in metrics.values())


def parts_of(metrics: Mapping[str, MetricChange]) -> dict[str, MetricChange]:
    """Return the metrics without the sum of them, which comes first."""
    return dict(list(metrics.items())[1:]) if len(metrics) > 1 else dict(metrics)


def by_class(change: MetricChange) -> dict[str, tuple[Interval, Interval]]:
    """Return the figures by class before and after, by what they are called; empty where there are none."""
    pairs = {
        title: (getattr(change.baseline, name), getattr(change.optimized, name))
        for name, title in _BY_CLASS.items()
    }
    return {title: pair for title, pair in pairs.items() if None not in pair}


def metric_rows(metrics: Mapping[str, MetricChange]) -> Iterator[tuple[str, ...]]:
    """Yield each metric, what is optimized first, and its figures by class, as cells of `METRIC_COLUMNS`."""
    for number, (name, change) in enumerate(metrics.items()):
        after, gain = change.optimized, change.gain
        yield (
            f"{name} (optimized)" if number == 0 and len(metrics) > 1 else name,
            score_text(change.baseline.score),
            score_text(after.score),
            effect_text(gain),
            f"{after.std:.3f}",
            f"{after.min:.2f}",
            wrong_text(after),
        )
        for title, (before, now) in by_class(change).items():
            yield (
                f"{name}, {title}",
                score_text(before),
                score_text(now),
                gain_text(now.score - before.score),
                "",
                "",
                "",
            )


def metric_sentences(metrics: Mapping[str, MetricChange]) -> Iterator[tuple[str, str]]:
    """Yield each metric's name with what became of it, in a line's length."""
    for name, change in metrics.items():
        after, gain = change.optimized, change.gain
        scores = before_after_text(change.baseline.score, after.score)
        effect = effect_text(gain)
        spread = f"{wrong_text(after)}, std {after.std:.3f}, min {after.min:.2f}"
        yield one_line(name), f"{scores}, {effect}, {spread}"
        for title, (before, now) in by_class(change).items():
            yield f"{one_line(name)}, {title}", f"{before.score:.3f} -> {score_text(now)}"


def metric_lines(split: str, metrics: Mapping[str, MetricChange], columns: int) -> list[Line]:
    """Return each metric on a split before and after, as lines of a screen; nothing for a single score."""
    if not tell_more(metrics):
        return []
    rows: list[Line] = []
    for name, change in metrics.items():
        after, gain = change.optimized, change.gain
        tone: Tone = "bad" if gain.high < 0 else "good" if gain.low > 0 else ""
        spread = f"std {after.std:.3f}, min {after.min:.2f}"
        rows += _row(
            name, before_after_text(change.baseline.score, after.score), columns, tone, gain, after, spread
        )
        for title, (before, now) in by_class(change).items():
            rows += _row(f"{name}, {title}", before_after_text(before, now), columns)
    return heading(f"Metrics of the {split} split") + rows


def wrong_text(figures: MetricFigures) -> str:
    """Return how many answers a metric counts as wrong."""
    return f"{figures.failures} of {figures.score.n} wrong"


def metric_facts(metrics: Mapping[str, MetricScore]) -> Iterator[tuple[str, str, Tone]]:
    """Yield each metric's score of one answer, and its tone."""
    for name, score in metrics.items():
        yield one_line(name), f"{score.value:.2f}", "good" if score.is_success else "bad"


def _row(
    name: str,
    change: str,
    columns: int,
    tone: Tone = "",
    gain: Interval | None = None,
    after: MetricFigures | None = None,
    spread: str = "",
) -> list[Line]:
    """Return a metric's name on a line, and its figures below, on as many lines as there have to be."""
    effect = effect_text(gain) if gain else ""
    cells: list[tuple[str, Tone, int]] = [(change, "", _CHANGE), (effect, tone, _GAIN)]
    cells += [(wrong_text(after), "", _WRONG), (spread, "dim", len(spread))] if after else []
    rows: list[list[tuple[str, Tone]]] = []
    used = columns
    for text, own, width in cells:
        if used + width > columns:
            rows.append([("    ", "")])
            used = 4
        rows[-1].append((f"{text:<{width}}", own))
        used += width
    return [((f"  {one_line(name)}", "dim"),), *map(tuple, rows)]
