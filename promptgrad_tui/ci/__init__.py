"""`promptgrad ci`: run if something has changed, test against the gates, compare."""

from __future__ import annotations

from promptgrad_tui.ci.pipeline import Files, run_pipeline

__all__ = ["Files", "run_pipeline"]
