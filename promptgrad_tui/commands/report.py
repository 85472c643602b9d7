"""`promptgrad report`: a run as one file to keep and to send."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.journal import reading
from promptgrad_tui.commands.shared.options import RUN_HELP
from promptgrad_tui.commands.shared.paths import OUTPUT_FILE
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "report",
    short_help="Write a run's report as one file.",
    epilog=RUN_HELP,
    cls=Command,
    examples=["promptgrad report last --html report.html", "promptgrad report last --markdown report.md"],
)
@click.argument("run")
@click.option("--html", type=OUTPUT_FILE, metavar="FILE", help="Write one self-contained HTML file.")
@click.option("--markdown", type=OUTPUT_FILE, metavar="FILE", help="Write Markdown.")
@click.pass_obj
def report_command(context: CommandContext, run: str, html: Path | None, markdown: Path | None) -> None:
    """Write the report of a RUN: scores, rules with their evidence, slices, examples, prompt, cost.

    The HTML file needs no network and no other file, and reads well in print and in a screen reader.
    It contains the examples and answers of the test split: be careful whom you send it to.
    """
    from promptgrad_tui.report import html_report, markdown_report, run_report
    from promptgrad_tui.views.output_file import write_output

    if html is None and markdown is None:
        raise click.UsageError("Give --html FILE, --markdown FILE or both.")
    with reading(context) as journal:
        record = journal.run(run)
        report = run_report(record, (event for _, event in journal.events(record.id)))
    for file, write in ((html, html_report), (markdown, markdown_report)):
        if file is not None:
            write_output(file, write(report))
            Terminal.stderr().line(f"Wrote {file}")
