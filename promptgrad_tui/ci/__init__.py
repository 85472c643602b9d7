"""`promptgrad ci`: a run where something has changed, put to its gates and compared with what is current."""

from __future__ import annotations

from promptgrad_tui.ci.pipeline import Files, run_pipeline

__all__ = ["Files", "run_pipeline"]
