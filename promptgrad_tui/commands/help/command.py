"""`promptgrad help`: a command's help, a page of the documents, or a word of the glossary."""

from __future__ import annotations

import difflib

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "help",
    cls=Command,
    short_help="Show help on a command, a topic or a word.",
    examples=["promptgrad help data", "promptgrad help models pull", "promptgrad help rollout"],
)
@click.argument("topic", nargs=-1)
@click.pass_context
def help_command(ctx: click.Context, topic: tuple[str, ...]) -> None:
    """Show the help on a command, a page of the documents, or what a word means; without TOPIC, a list.

    Where a command and a page have the same name, the page comes first: the command's own help is
    `promptgrad COMMAND --help`.
    """
    from promptgrad_tui.commands.help.pages import TOPICS, page_lines, topic_lines, word_lines

    terminal = Terminal.stdout()
    if not topic:
        terminal.lines(topic_lines(terminal))
        return
    name = " ".join(topic)
    lines = page_lines(name, terminal) or _command_lines(ctx, topic) or word_lines(name, terminal)
    if not lines:
        parent = ctx.parent.command if ctx.parent else None
        known = [*TOPICS, *(parent.commands if isinstance(parent, click.Group) else ())]
        near = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean {near[0]}?" if near else " `promptgrad help` lists the topics."
        raise click.UsageError(f"There is no help on {name!r}.{hint}")
    terminal.lines(lines)


def _command_lines(ctx: click.Context, names: tuple[str, ...]) -> list[str]:
    """Return a command's help; nothing where there is no such command."""
    parent = ctx.parent
    assert parent is not None
    command: click.Command = parent.command
    for name in names:
        found = command.get_command(parent, name) if isinstance(command, click.Group) else None
        if found is None:
            return []
        parent = click.Context(found, parent=parent, info_name=name)
        command = found
    return command.get_help(parent).splitlines()
