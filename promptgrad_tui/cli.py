"""The `promptgrad` command: the options before a subcommand, and how errors are shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from engine.ground.errors import PromptGradError
from promptgrad_tui import __version__
from promptgrad_tui.commands.artifacts.compile import compile_command
from promptgrad_tui.commands.artifacts.compress import compress_command
from promptgrad_tui.commands.artifacts.export import export_command
from promptgrad_tui.commands.artifacts.gate import gate_command
from promptgrad_tui.commands.artifacts.matrix import matrix_command
from promptgrad_tui.commands.artifacts.promote import promote_command
from promptgrad_tui.commands.artifacts.recheck import recheck_command
from promptgrad_tui.commands.artifacts.route import route_command
from promptgrad_tui.commands.artifacts.transfer import transfer_command
from promptgrad_tui.commands.check import check_command
from promptgrad_tui.commands.ci import ci_command
from promptgrad_tui.commands.compare import compare_command
from promptgrad_tui.commands.contest import contest_command
from promptgrad_tui.commands.data.group import data_command
from promptgrad_tui.commands.demo import demo_command
from promptgrad_tui.commands.doctor import doctor_command
from promptgrad_tui.commands.events import events_command
from promptgrad_tui.commands.help.command import help_command
from promptgrad_tui.commands.history import history_command
from promptgrad_tui.commands.init import init_command
from promptgrad_tui.commands.judge.group import judge_command
from promptgrad_tui.commands.labels.group import labels_command
from promptgrad_tui.commands.models.group import models_command
from promptgrad_tui.commands.pareto import pareto_command
from promptgrad_tui.commands.predict import predict_command
from promptgrad_tui.commands.report import report_command
from promptgrad_tui.commands.resume import resume_command
from promptgrad_tui.commands.rollback import rollback_command
from promptgrad_tui.commands.run import run_command
from promptgrad_tui.commands.runs.group import runs_command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.show import show_command
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.run.interrupts import EXIT_CODE

HELP = """Learn rules and demonstrations for a prompt on this machine, prove each addition before it is kept,
and save the result for the exact model it was proved on.

\b
First steps:
  promptgrad               open the full screen: runs, rules to review, the demo
  promptgrad demo          watch a whole run on the embedded model
  promptgrad init mine     write a commented project to start from
  promptgrad check mine    check everything before the first model call
  promptgrad run mine      learn rules and demonstrations

\b
Exit codes: 0 done, 1 the run failed, 2 usage, project or data,
3 model or connection, 130 interrupted.
"""


class Commands(click.Group):
    """A group of commands whose errors are sentences, and whose exit codes are those of the error tree."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; an error ends the process with its own exit code."""
        try:
            return super().invoke(ctx)
        except PromptGradError as error:
            if ctx.params.get("debug"):
                raise
            show_error(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(EXIT_CODE)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            show_error(_unexpected(error))
            ctx.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which a person needs them."""
        return list(self.commands)


@click.group(
    cls=Commands,
    help=HELP,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-C",
    "--project",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path.cwd,
    metavar="DIR",
    help="Work in the project in DIR instead of the current folder.",
)
@click.option("--debug", is_flag=True, help="Show a traceback if something goes wrong.")
@click.version_option(__version__, "--version", prog_name="promptgrad")
@click.pass_context
def promptgrad(ctx: click.Context, project: Path, debug: bool) -> None:
    """Take the options that come before a subcommand, or open the full screen."""
    ctx.obj = CommandContext(project, debug)
    if ctx.invoked_subcommand is not None:
        return
    from promptgrad_tui.commands.shared.full_screen import has_screen, open_screen, why_no_screen

    if has_screen():
        ctx.exit(open_screen(project, debug=debug))
    if reason := why_no_screen():
        click.echo(f"{reason}\n", err=True)
    click.echo(ctx.get_help())


for _command in (
    demo_command,
    init_command,
    check_command,
    run_command,
    resume_command,
    contest_command,
    runs_command,
    show_command,
    compare_command,
    pareto_command,
    report_command,
    events_command,
    predict_command,
    ci_command,
    export_command,
    gate_command,
    compile_command,
    compress_command,
    route_command,
    matrix_command,
    transfer_command,
    promote_command,
    rollback_command,
    history_command,
    recheck_command,
    judge_command,
    labels_command,
    data_command,
    models_command,
    doctor_command,
    help_command,
):
    promptgrad.add_command(_command)


def main() -> NoReturn:
    """Run the command line and end the process."""
    # A stream that was closed before the start (`>&-`) is None: what goes there is dropped.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open to the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - open to the end
    for stream in (sys.stdout, sys.stderr):
        # A terminal that can't show a character gets its code instead of an error.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    promptgrad(prog_name="promptgrad")
    sys.exit(0)


def show_error(error: PromptGradError) -> None:
    """Write an error and what to do about it to stderr."""
    terminal = Terminal.stderr()
    head, *rest = wrap(error.message, terminal.columns, "  ", "error: ")
    terminal.line(head.replace("error:", terminal.style("error:", fg="red", bold=True), 1))
    terminal.lines(rest)
    if error.hint:
        for line in wrap(error.hint, terminal.columns, "       ", " hint: "):
            terminal.line(terminal.style(line, fg="cyan"))


def _unexpected(error: Exception) -> PromptGradError:
    if isinstance(error, OSError) and error.strerror:
        return PromptGradError(
            f"{error.filename or 'The output'} can't be used: {error.strerror}.",
            hint="Fix that and try again; `promptgrad --debug ...` shows where it happened.",
        )
    return PromptGradError(
        f"Unexpected error: {type(error).__name__}: {error}",
        hint="Run it again as `promptgrad --debug ...` and report the output.",
    )
