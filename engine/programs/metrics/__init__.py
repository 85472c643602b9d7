"""Ready-made metrics: each says what was expected and names the kind of failure."""

from __future__ import annotations

from engine.programs.metrics.kinds import OPTIONS, MetricKind, MetricOptions, built_in_metric
from engine.programs.metrics.texts import normalize

__all__ = ["OPTIONS", "MetricKind", "MetricOptions", "built_in_metric", "normalize"]
