"""A run's scores in columns, with bars: of its result, each epoch and each review, then those of slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.ground.interval import Interval
from engine.journal.events import EpochFinished, SliceScores
from engine.journal.narration import EPOCH_OUTCOMES
from promptgrad_tui.views.demonstrations import layer_scores
from promptgrad_tui.views.figures import count_text, effect_text, epoch_name, score_text, value_text
from promptgrad_tui.views.labels.doubted import doubted_screen_lines
from promptgrad_tui.views.metrics import metric_lines, metric_sentences, parts_of
from promptgrad_tui.views.run.slices import hidden_text, shown_slices
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.text_blocks import heading
from promptgrad_tui.views.toned_lines import Line, Tone, fitted, line, score_bar

_NAME, _SCORE, _GAIN, _WRONG = 13, 20, 24, 14
_NARROWEST_BAR, _WIDEST_BAR = 8, 50
_NOTE = 28


def score_lines(story: RunStory, columns: int) -> list[Line]:
    """Return the scores of each split, and of each slice of it before and after."""
    lines = _lanes(story, columns) + _validation(story, columns) + _test(story, columns)
    rows: list[tuple[str, Interval, str, Tone]] = [
        (name, score, "", "accent") for name, score in layers_of(story)
    ]
    if rows:
        lines += _split("What each layer brings, validation", rows, columns)
    if (summary := story.summary) is not None:
        lines += metric_lines("validation", summary.validation_metrics, columns)
        lines += metric_lines("test", summary.metrics, columns)
        lines += slice_gain_lines("validation", summary.validation_slices, columns)
        lines += slice_gain_lines("test", summary.slices, columns)
    lines += doubted_screen_lines(story.doubted, columns)
    lines += _slices_of_epoch(story.epochs, columns)
    return lines[1:] or [line("  The baseline is being scored.", "dim")]


def layers_of(story: RunStory) -> list[tuple[str, Interval]]:
    """Return the validation scores of the base and of each combination of layers, if compared."""
    best = story.best_epoch
    result = best.validation if best is not None and best.epoch else None
    return list(layer_scores(story.layers, story.base, result))


def _lanes(story: RunStory, columns: int) -> list[Line]:
    """Return the lanes of a contest that have ended, the best first."""
    ended = [(lane, lane.validation) for lane in story.lanes if lane.validation is not None]
    rows: list[tuple[str, Interval, str, Tone]] = [
        (f"{lane.method} {lane.number}", score, count_text(lane.calls, "call"), "accent")
        for lane, score in sorted(ended, key=lambda pair: -pair[1].score)
    ]
    return _split("Methods and seeds, validation", rows, columns) if rows else []


def _validation(story: RunStory, columns: int) -> list[Line]:
    best = story.best_epoch
    rows: list[tuple[str, Interval, str, Tone]] = []
    for epoch in story.epochs:
        tone: Tone = "bad" if epoch.outcome == "rolled_back" else "good" if epoch is best else "accent"
        rows.append((epoch_name(epoch), epoch.validation, _note(epoch), tone))
    for review in story.reviews:
        if review.validation is not None:
            note = count_text(len(review.rules), "rule")
            rows.append((f"Review {review.number}", review.validation, note, "accent"))
    return _split("Validation", rows, columns)


def _note(epoch: EpochFinished) -> str:
    outcome = EPOCH_OUTCOMES.get(epoch.outcome, "")
    rules = count_text(epoch.n_rules, "rule") if epoch.epoch else ""
    return ", ".join(part for part in (rules, outcome) if part)


def _test(story: RunStory, columns: int) -> list[Line]:
    rows: list[tuple[str, Interval, str, Tone]] = []
    if (summary := story.summary) is not None:
        for name, scores in (("Baseline", summary.baseline), ("Optimized", summary.optimized)):
            if scores.test is not None:
                note = count_text(len(summary.rules), "rule") if name == "Optimized" else ""
                rows.append((name, scores.test, note, "good" if name == "Optimized" else "accent"))
    for review in story.reviews:
        if review.test is not None:
            note = count_text(len(review.rules), "rule")
            rows.append((f"Review {review.number}", review.test, note, "accent"))
    return _split("Test", rows, columns)


def _split(title: str, rows: Sequence[tuple[str, Interval, str, Tone]], columns: int) -> list[Line]:
    if not rows:
        return []
    width = max(_NAME, *(len(name) + 2 for name, *_ in rows))
    bar = columns - 2 - width - _SCORE - 2 - _NOTE
    bar = min(bar, _WIDEST_BAR) if bar >= _NARROWEST_BAR else 0
    lines = heading(f"{title}, n = {rows[0][1].n}")
    for name, score, note, tone in rows:
        drawn = (*score_bar(score.score, score.low, score.high, bar, tone), ("  ", "")) if bar else ()
        lines.append(
            (
                *_cell(f"  {name}", width + 2, "dim"),
                *_cell(score_text(score), _SCORE + 2),
                *drawn,
                (note, "dim"),
            )
        )
    return lines


def slice_gain_lines(split: str, slices: Mapping[str, SliceScores], columns: int) -> list[Line]:
    """Return each slice of a split before and after; nothing where there are no slices."""
    if not slices:
        return []
    lines = heading(f"Slices of the {split} split")
    shown = shown_slices(slices)
    name = max(_NAME, *(len(name) + 2 for name in shown))
    bar = min(columns - 2 - name - 16 - _GAIN - _WRONG, _WIDEST_BAR)
    for slice_name, scores in shown.items():
        tone: Tone = "bad" if scores.gain.high < 0 else "good" if scores.gain.low > 0 else ""
        after = scores.optimized
        drawn = score_bar(after.score, after.low, after.high, bar) if bar >= _NARROWEST_BAR else ()
        lines.append(
            (
                *_cell(f"  {slice_name}", name + 2, "dim"),
                *_cell(f"{value_text(scores.baseline.score)} \u2192 {value_text(after.score)}", 16),
                *_cell(effect_text(scores.gain), _GAIN, tone),
                *_cell(f"{scores.failures} of {scores.gain.n} wrong", _WRONG),
                *drawn,
            )
        )
        for metric, text in metric_sentences(parts_of(scores.metrics)):
            lines += [line(row, "dim") for row in wrap(text, columns, "      ", f"    {metric}: ")]
    if hidden := hidden_text(slices):
        lines.append(line(f"  {hidden}", "dim"))
    return lines


def _slices_of_epoch(epochs: Iterable[EpochFinished], columns: int) -> list[Line]:
    lines: list[Line] = []
    for epoch in reversed(list(epochs)):
        if epoch.slices:
            lines += heading(f"Slices after {epoch_name(epoch).lower()}")
        for name, scores in shown_slices(epoch.slices).items():
            score = scores.score
            bar = min(columns - 2 - _NAME - _SCORE - 2 - _NOTE, _WIDEST_BAR)
            drawn = score_bar(score.score, score.low, score.high, bar) if bar >= _NARROWEST_BAR else ()
            wrong = f"  {scores.failures} of {score.n} wrong"
            lines.append(
                (
                    *_cell(f"  {name}", _NAME + 2, "dim"),
                    *_cell(score_text(score), _SCORE + 2),
                    *drawn,
                    (wrong, "dim"),
                )
            )
        if hidden := hidden_text(epoch.slices):
            lines.append(line(f"  {hidden}", "dim"))
    return lines


def _cell(text: str, columns: int, tone: Tone = "") -> Line:
    return fitted(line(text, tone), columns)
