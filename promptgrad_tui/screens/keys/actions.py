"""Every action a person can take, once: keys, footer, palette, help and the page of keys are made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from textual.binding import Binding, BindingType

Scope: TypeAlias = Literal[
    "app",
    "table",
    "text",
    "start",
    "run",
    "batch",
    "detail",
    "review",
    "log",
    "try",
    "compare",
    "models",
    "project",
    "form",
    "picker",
    "judge",
    "labels",
]

SCOPES: dict[Scope, str] = {
    "app": "Everywhere",
    "start": "Start page",
    "run": "Run",
    "review": "Review",
    "batch": "Batch",
    "detail": "Details of a row",
    "log": "Log",
    "try": "Try",
    "compare": "Compare",
    "models": "Models",
    "project": "Project",
    "form": "Settings of a project",
    "picker": "Model of a project",
    "judge": "Grades for the judge",
    "labels": "Labels to look at",
    "table": "In a table",
    "text": "In a text",
}


@dataclass(frozen=True)
class Action:
    """One action: `name` is Textual's action string, `keys` what is bound to it, `label` a word or two.

    `help` is a sentence for the help and the page of keys; `footer` whether its key is shown below
    the screen; `keys_shown` how the keys are written where Textual's names don't read well; `anywhere`
    whether its key is heard before a box or a field that is typed into.
    """

    scope: Scope
    name: str
    keys: str
    label: str
    help: str
    footer: bool = False
    keys_shown: str = ""
    anywhere: bool = False

    @property
    def id(self) -> str:
        """The name that a keymap uses: `run.pause`."""
        return f"{self.scope}.{self.name.replace('(', '_').rstrip(')').replace(chr(39), '')}"

    @property
    def shown(self) -> str:
        """The keys as a person reads them."""
        return self.keys_shown or " ".join(key_text(key) for key in self.keys.split(","))


_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "greater_than_sign": ">",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "up": "\u2191",
    "down": "\u2193",
}


def key_text(key: str) -> str:
    """Return a key's name as it is written on a screen."""
    return _NAMES.get(key, key)


def _panes(scope: Scope, *panes: tuple[str, str], one: str = "pane") -> Iterator[Action]:
    """Yield the actions that go to each pane of a screen by its number, to the next and to the one before."""
    for number, (label, help_) in enumerate(panes, 1):
        yield Action(scope, f"pane({number})", str(number), label, help_)
    yield Action(scope, "next_pane", "tab,l", f"Next {one}", f"Go to the next {one}.")
    yield Action(scope, "previous_pane", "shift+tab,h", f"Previous {one}", f"Go to the previous {one}.")


def _moves(scope: Scope, verb: str) -> Iterator[Action]:
    """Yield the actions that move by a line or a page."""
    yield Action(scope, "up", "up,k", "Up", f"{verb} up.")
    yield Action(scope, "down", "down,j", "Down", f"{verb} down.")
    yield Action(scope, "page_up", "pageup,ctrl+b", "Page up", f"{verb} up by a page.")
    yield Action(scope, "page_down", "pagedown,ctrl+f", "Page down", f"{verb} down by a page.")


def _related(scope: Scope, *, footer: bool = False) -> Action:
    """Return the action that leads from a batch, a proposal, a test or a rule to the others."""
    text = "Go to what belongs to it: batch, proposal, test, rule."
    return Action(scope, "related", "greater_than_sign", "Related", text, footer, ">")


ACTIONS: tuple[Action, ...] = (
    Action("app", "help", "question_mark,f1", "Help", "Show the keys that are valid now.", True, "?"),
    Action("app", "search", "slash", "Search", "Search in the focused table or text.", keys_shown="/"),
    Action("app", "jump", "colon", "Jump", "Go to a row by its number or beginning.", keys_shown=":"),
    Action("app", "search_next", "n", "Next match", "Go to the next match."),
    Action("app", "search_previous", "N", "Previous match", "Go to the previous match."),
    Action("app", "copy_row", "y", "Copy", "Copy the row or the text to the clipboard."),
    Action("app", "change_theme", "T", "Theme", "Choose other colours."),
    Action("app", "leave_screen", "escape", "Back", "Go back to the previous screen."),
    Action("app", "leave", "q", "Quit", "Quit; asks first if a run or a download is in progress.", True),
    Action(
        "app",
        "quit_anywhere",
        "ctrl+q,ctrl+c",
        "Quit",
        "Same as q, also while you type; ctrl+c copies what is selected.",
        anywhere=True,
    ),
    Action("app", "suspend", "ctrl+z", "Suspend", "Go to the shell; the command fg brings the screen back."),
    Action(
        "app", "models", "M", "Models", "Show the models on this machine; hash, measure, free, pull.", True
    ),
    Action("app", "judge", "Y", "Judge", "Grade answers, to measure the judge; asks first."),
    Action("app", "command_palette", "ctrl+p", "Palette", "Find and run any action by its name.", True),
    Action("start", "new_run", "r", "Run", "Start a new run of this project; asks first.", True),
    Action(
        "start", "project", "p", "Project", "Change settings; see the data, the model and the cost.", True
    ),
    Action(
        "start", "demo", "D", "Demo", "Write the demo project into a new folder and run it; asks first.", True
    ),
    Action("start", "new_project", "i", "New", "Write a new project into a folder.", True),
    Action("start", "label", "e", "Name", "Give the run a name and a note.", True),
    Action("start", "delete", "delete", "Delete", "Delete the run; asks first."),
    Action("start", "try", "t", "Try", "Type inputs and see the answers with the rules of the run.", True),
    Action("start", "compare", "c", "Compare", "Compare the run with another, or with its baseline.", True),
    Action("start", "labels", "W", "Labels", "Show the labels of the run that are probably wrong."),
    *_panes(
        "run",
        ("Batches", "Focus the batches."),
        ("Gradients", "Focus the gradients."),
        ("Validation", "Focus the validation of rules."),
        ("Artifacts", "Focus the artifacts."),
        ("Scores", "Show only the chart of scores."),
    ),
    Action("run", "zoom", "z", "Zoom", "Show only the focused pane, or all of them.", True),
    Action("run", "pause", "space", "Pause", "Pause the run, or continue it.", True),
    Action("run", "stop", "x", "Stop", "Stop the run; asks first. It can be resumed.", True),
    Action("run", "resume", "R", "Resume", "Resume a run that ended early; asks first.", True),
    Action("run", "review", "v", "Review", "Review the rules one by one.", True),
    Action("run", "prompt", "p", "Prompt", "Show the instructions with the rules, as a diff."),
    Action(
        "run", "scores", "s", "Slices", "Show the scores of the result and each epoch, with slices.", True
    ),
    _related("run"),
    Action("run", "log", "L", "Log", "Show the events of the run, line by line."),
    Action("run", "try", "t", "Try", "Type inputs and see the answers with the rules.", True),
    Action(
        "run", "compare", "c", "Compare", "Compare the run, or the artifact under the cursor, with another."
    ),
    Action("run", "labels", "W", "Labels", "Show the labels that are probably wrong."),
    _related("detail", footer=True),
    Action("detail", "step(1)", "J", "Next", "Show the next row of the table.", True),
    Action("detail", "step(-1)", "K", "Previous", "Show the previous row of the table.", True),
    Action("log", "worker_output", "w", "Output", "Show the last output of the run's process.", True),
    _related("batch"),
    Action("batch", "failures", "f", "Failures", "Show only the failures, or all rollouts.", True),
    Action("review", "keep", "a", "Keep", "Keep the rule.", True),
    Action("review", "drop", "d", "Drop", "Drop the rule.", True),
    Action("review", "edit", "e", "Edit", "Edit the rule; the edit is tested before it counts.", True),
    Action("review", "edit_outside", "E", "Edit in $EDITOR", "Edit the rule in $EDITOR."),
    Action("review", "try_edit", "B", "Test", "Test the edit without applying it.", True),
    Action("review", "apply", "A", "Apply", "Apply all decisions; until then nothing changes.", True),
    Action(
        "review",
        "mark",
        "space",
        "Mark",
        "Mark the rule; keep, drop and merge then apply to all marked rules.",
        True,
    ),
    Action("review", "mark_open", "asterisk", "Mark open", "Mark all open rules, or none.", keys_shown="*"),
    Action("review", "merge", "m", "Merge", "Merge the marked rules, or the rule with the next one.", True),
    Action("review", "open", "enter", "Open", "Show what it changed, with both prompts and answers.", True),
    Action("review", "undo", "u", "Undo", "Undo the last decision.", True),
    Action("review", "redo", "U", "Redo", "Redo the last undone decision."),
    _related("review"),
    Action("review", "note", "i", "Note", "Write a note that stays with the rule.", True),
    Action("review", "next_undecided", "j", "Next open", "Go to the next open rule."),
    Action("review", "previous_undecided", "k", "Previous open", "Go to the previous open rule."),
    Action("review", "next_rule", "J,down", "Next", "Go to the next rule."),
    Action("review", "previous_rule", "K,up", "Previous", "Go to the previous rule."),
    Action("review", "first_rule", "home,g", "First", "Go to the first rule."),
    Action("review", "last_rule", "end,G", "Last", "Go to the last rule."),
    Action("review", "sort", "o", "Sort", "Sort by order of arrival, gain, or state."),
    Action("review", "filter", "slash", "Filter", "Show only the rules that contain a text."),
    Action("review", "try", "t", "Try", "Type inputs and see the answers with the rules as decided."),
    Action("review", "evidence_down", "pagedown,ctrl+f,ctrl+d", "Evidence down", "Scroll the evidence down."),
    Action("review", "evidence_up", "pageup,ctrl+b,ctrl+u", "Evidence up", "Scroll the evidence up."),
    Action(
        "try",
        "run",
        "enter,ctrl+r,ctrl+enter",
        "Answer",
        "Answer the input with and without the rules; ctrl+j inserts a line break.",
        True,
        "enter ctrl+r",
    ),
    Action("try", "save", "ctrl+s", "Save", "Save the input and the right answer for training.", True),
    Action("try", "cancel", "escape", "Cancel", "Cancel the answers in progress.", True),
    Action("try", "older", "up", "Older input", "Show the previous input."),
    Action("try", "newer", "down", "Newer input", "Show the next input."),
    Action(
        "compare",
        "filter(1)",
        "f",
        "Filter",
        "Go through the filters: all, fixed, broken, failing, same.",
        True,
    ),
    Action("compare", "filter(-1)", "F", "Filter back", "Go to the previous filter."),
    Action("compare", "split", "s", "Split", "Show the examples of the other held-out split.", True),
    Action("compare", "swap", "w", "Swap", "Exchange before and after.", True),
    Action("compare", "another", "c", "Another", "Compare with another run or artifact.", True),
    Action("compare", "reload", "f5", "Reload", "Read the measurements again."),
    *_panes(
        "compare",
        ("Examples", "Focus the list of examples."),
        ("Example", "Focus the example."),
        ("Scores", "Focus the scores, slices and rules."),
        ("Prompt", "Focus the prompt's diff."),
    ),
    Action("compare", "zoom", "z", "Zoom", "Show only the focused pane, or all of them."),
    Action("models", "hash", "H", "Hash", "Compute the model's exact revision; it is remembered.", True),
    Action(
        "models", "measure", "b", "Benchmark", "Measure its tokens per second; they are remembered.", True
    ),
    Action(
        "models", "pull", "P", "Pull", "Download a model; asks first, since this uses the internet.", True
    ),
    Action("models", "free", "X", "Free", "Take the model out of memory; nothing is deleted.", True),
    Action("models", "cancel", "x", "Cancel", "Cancel the work in progress; queued work starts then.", True),
    Action("models", "reload", "f5", "Reload", "Look for models again."),
    *_panes(
        "project",
        ("Settings", "Show the settings."),
        ("Data", "Show splits, slices and problems in the data."),
        ("Model", "Choose a model."),
        ("Estimate", "Show how many calls, tokens and minutes a run takes."),
        one="page",
    ),
    Action(
        "project",
        "save",
        "s,ctrl+s",
        "Save",
        "Save the changes; comments stay as they are.",
        True,
        "s ctrl+s",
    ),
    Action("project", "run", "r", "Run", "Save the changes and start a run; asks first.", True),
    Action(
        "project", "check", "b", "Benchmark", "Check everything and measure the model with a few calls.", True
    ),
    Action("project", "edit_outside", "E", "Editor", "Open the project file in $EDITOR.", True),
    Action("project", "undo_all", "Z", "Undo all", "Undo all changes; asks first if there are several."),
    Action("project", "leave_screen", "escape", "Back", "Go back; asks about unsaved changes."),
    Action("project", "leave", "q", "Quit", "Quit; asks about unsaved changes.", True),
    Action(
        "form", "next_choice", "space,right", "Next choice", "Select the next choice.", True, "space \u2192"
    ),
    Action(
        "form",
        "previous_choice",
        "left",
        "Previous choice",
        "Select the previous choice.",
        keys_shown="\u2190",
    ),
    Action("form", "undo", "u", "Undo", "Reset the field to the value in the file.", True),
    Action(
        "form",
        "unset",
        "d,delete",
        "Drop",
        "Remove the field from the file, so that its default applies.",
        True,
    ),
    Action(
        "form",
        "section(1)",
        "right_square_bracket",
        "Next section",
        "Go to the next section.",
        keys_shown="]",
    ),
    Action(
        "form",
        "section(-1)",
        "left_square_bracket",
        "Previous section",
        "Go to the previous section.",
        keys_shown="[",
    ),
    Action(
        "form",
        "accept",
        "ctrl+s,ctrl+j",
        "Accept",
        "Accept the typed value; on one line, enter does too.",
        True,
    ),
    Action("form", "cancel", "escape", "Cancel", "Discard the typed value.", True),
    Action("picker", "reflection", "w", "For gradients", "Use the model for gradients.", True),
    Action("judge", "grade('y')", "y", "Good", "The answer is good.", True),
    Action("judge", "grade('n')", "n", "Not good", "The answer isn't good.", True),
    *(
        Action("judge", f"grade({grade})", str(grade), f"Grade {grade}", f"Grade the answer with {grade}.")
        for grade in range(10)
    ),
    Action("judge", "undo", "u", "Undo", "Go back to the previous answer and remove its grade.", True),
    Action("judge", "skip", "s", "Skip", "Leave the answer without a grade; it is asked about again.", True),
    Action("labels", "correct", "C", "Correct", "Write another label into the file; asks first.", True),
    Action("labels", "drop", "d", "Drop", "Exclude the example from now on; asks first.", True),
    Action("labels", "undo", "u", "Undo", "Take the last correction or exclusion back.", True),
    Action("labels", "edit_outside", "E", "Editor", "Open the file in $EDITOR, at the line; so does enter."),
    *_moves("table", "Move"),
    Action("table", "first", "home,g", "First", "Go to the first row."),
    Action("table", "last", "end,G", "Last", "Go to the last row, and follow new ones."),
    Action("table", "open", "enter", "Open", "Open the row.", True),
    Action(
        "table", "sort(1)", "o", "Sort", "Sort by the next column; after the last one, in the original order."
    ),
    Action("table", "sort(0)", "O", "Reverse", "Reverse the order of the rows."),
    *_moves("text", "Scroll"),
    Action("text", "first", "home,g", "Top", "Go to the top."),
    Action("text", "last", "end,G", "Bottom", "Go to the bottom."),
)


def of_scope(*scopes: Scope) -> list[Action]:
    """Return the actions of some scopes, in their order."""
    return [action for action in ACTIONS if action.scope in scopes]


def key_of(action: str) -> str:
    """Return the key of an action, for a sentence that names it; `action` is an id like `models.hash`."""
    return next(each for each in ACTIONS if each.id == action).shown.split()[0]


def bindings(*scopes: Scope) -> list[BindingType]:
    """Return Textual's bindings for the actions of some scopes."""
    return [
        Binding(
            action.keys,
            action.name,
            action.label,
            show=action.footer,
            key_display=action.shown.split()[0],
            tooltip=action.help,
            id=action.id,
            priority=action.anywhere,
        )
        for action in of_scope(*scopes)
    ]
