"""The report's drawings: scores by epoch, and effects with their intervals, as inline SVG.

Every drawing has a name and a description for those who can't see it; all numbers stand beside it as text.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.journal.events import EpochFinished
from promptgrad_tui.report.elements import Markup, element, join
from promptgrad_tui.views.figures import epoch_name, score_text

_WIDTH, _HEIGHT = 720, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 96, 16, 40
_BAR_WIDTH, _BAR_HEIGHT = 200, 18


def epoch_chart(epochs: Sequence[EpochFinished]) -> Markup:
    """Return the validation score of each epoch with its interval, and the baseline as a dashed line."""
    plot = _Plot(len(epochs))
    points = " ".join(f"{plot.x(i):g},{plot.y(e.validation.score):g}" for i, e in enumerate(epochs))
    return element(
        "svg",
        element("title", "Validation score by epoch", id="chart-title"),
        element("desc", _description(epochs), id="chart-desc"),
        *(_grid_line(plot, quarter / 4) for quarter in range(5)),
        _baseline(plot, epochs[0]),
        element("polyline", points=points, class_="line"),
        *(_point(plot, index, epoch) for index, epoch in enumerate(epochs)),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_labelledby="chart-title",
        aria_describedby="chart-desc",
        class_="chart",
    )


class _Plot:
    def __init__(self, n: int) -> None:
        self.n = n

    def x(self, index: int) -> float:
        width = _WIDTH - _LEFT - _RIGHT
        return round(_LEFT + width * (index + 0.5) / self.n, 1)

    def y(self, score: float) -> float:
        return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - min(max(score, 0.0), 1.0)), 1)


def _description(epochs: Sequence[EpochFinished]) -> str:
    return "; ".join(f"{epoch_name(epoch)} {score_text(epoch.validation)}" for epoch in epochs) + "."


def _grid_line(plot: _Plot, score: float) -> Markup:
    y = plot.y(score)
    return join(
        element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid"),
        element("text", f"{score:.2f}", x=_LEFT - 8, y=y + 4, class_="tick end"),
    )


def _baseline(plot: _Plot, baseline: EpochFinished) -> Markup:
    y = plot.y(baseline.validation.score)
    return join(
        element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="baseline"),
        element(
            "text", f"baseline {baseline.validation.score:.2f}", x=_WIDTH - _RIGHT + 6, y=y + 4, class_="tick"
        ),
    )


def _point(plot: _Plot, index: int, epoch: EpochFinished) -> Markup:
    x, scores = plot.x(index), epoch.validation
    return join(
        element("line", x1=x, x2=x, y1=plot.y(scores.low), y2=plot.y(scores.high), class_="whisker"),
        *(
            element("line", x1=x - 6, x2=x + 6, y1=plot.y(bound), y2=plot.y(bound), class_="whisker")
            for bound in (scores.low, scores.high)
        ),
        element(
            "circle", cx=x, cy=plot.y(scores.score), r=5, class_="point" if epoch.epoch else "point base"
        ),
        element("text", epoch_name(epoch), x=x, y=_HEIGHT - _BOTTOM + 18, class_="tick middle"),
        element(
            "text",
            f"{epoch.n_rules} rule{'' if epoch.n_rules == 1 else 's'}" if epoch.epoch else "",
            x=x,
            y=_HEIGHT - _BOTTOM + 34,
            class_="tick middle",
        ),
    )


def reach(bounds: Sequence[float]) -> float:
    """Return a round number that no bound of several effects exceeds: the bars' common scale."""
    largest = max((abs(bound) for bound in bounds), default=0.0)
    return next((step for step in (0.1, 0.2, 0.3, 0.5, 0.75) if largest <= step), 1.0)


def effect_bar(delta: float, low: float, high: float, scale: float) -> Markup:
    """Return an effect and its interval on a scale of -`scale`..`scale`; the text beside it says the same."""

    def x(value: float) -> float:
        share = (min(max(value, -scale), scale) + scale) / (2 * scale)
        return round(4 + (_BAR_WIDTH - 8) * share, 1)

    middle = _BAR_HEIGHT / 2
    kind = "good" if low > 0 else "bad" if high < 0 else "open"
    return element(
        "svg",
        element("line", x1=x(0), x2=x(0), y1=1, y2=_BAR_HEIGHT - 1, class_="zero"),
        element("line", x1=x(low), x2=x(high), y1=middle, y2=middle, class_=f"effect {kind}"),
        element("circle", cx=x(delta), cy=middle, r=4, class_=f"effect {kind}"),
        viewBox=f"0 0 {_BAR_WIDTH} {_BAR_HEIGHT}",
        class_="bar",
        aria_hidden="true",
    )
