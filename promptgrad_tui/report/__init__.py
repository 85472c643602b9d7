"""Reports: a run as one file to keep, to send and to print."""

from __future__ import annotations

from promptgrad_tui.report.html import html_report
from promptgrad_tui.report.markdown import markdown_report
from promptgrad_tui.report.view import RunReport, run_report

__all__ = ["RunReport", "html_report", "markdown_report", "run_report"]
