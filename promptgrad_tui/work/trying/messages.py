"""What the Try screen and its worker say to each other: one JSON object on a line, both ways.

The screen asks on the worker's standard input; closing it ends the worker. Needs neither DSPy nor a screen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from engine.ground.frozen_model import FrozenModel
from engine.journal.events import Tokens
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import Rule

Side: TypeAlias = Literal["base", "optimized"]
Place: TypeAlias = Literal["open", "predict", "cancel", "save"]


class _Message(FrozenModel):
    def line(self) -> bytes:
        """Return the message as it is sent."""
        return self.model_dump_json().encode() + b"\n"


class TrySource(FrozenModel):
    """What is tried: an artifact, or a project with what the screen brings; without that its base.

    `title` is where the rules come from, for a person. `overrides`, `config` (the fields of
    `PromptGradConfig`) and `program` (its digest) are those of the run that the rules come from.
    """

    project: Path
    title: str = ""
    artifact: Path | None = None
    rules: tuple[Rule, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()
    overrides: dict[str, str] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    program: str = ""


class Open(_Message):
    """The first request: build the programs and open the model."""

    kind: Literal["open"] = "open"
    source: TrySource


class Predict(_Message):
    """Answer these inputs with both programs; values that aren't text are JSON."""

    kind: Literal["predict"] = "predict"
    id: int
    inputs: dict[str, str]


class Cancel(_Message):
    """End a prediction, also one that still waits for its turn."""

    kind: Literal["cancel"] = "cancel"
    id: int


class Save(_Message):
    """Append an example to the project's training examples."""

    kind: Literal["save"] = "save"
    inputs: dict[str, str]
    expected: dict[str, str]


class TryField(FrozenModel):
    """An input, or a field that an example holds besides them.

    `type` is "text", or the name of the type that is written as JSON. `is_long` says that a line is too
    little for it, `choices` are all its values where there are few, `suggestion` is what it may begin with.
    """

    name: str
    type: str = "text"
    description: str = ""
    is_long: bool = False
    is_required: bool = True
    choices: tuple[str, ...] = ()
    suggestion: str = ""


class Described(_Message):
    """The programs are built, and answer on `sides`: what has learned nothing is the base alone.

    `expected` are the fields that a saved example needs besides its inputs. With `is_conditional` an input
    meets only the rules that fit it, with `nearest` only so many of the demonstrations.
    """

    kind: Literal["described"] = "described"
    sides: tuple[Side, ...]
    inputs: tuple[TryField, ...]
    expected: tuple[TryField, ...]
    rules: int
    demonstrations: int = 0
    is_conditional: bool = False
    nearest: int = 0
    notes: tuple[str, ...] = ()


class Loading(_Message):
    """What is being loaded; `share` of it (0..1) is done."""

    kind: Literal["loading"] = "loading"
    text: str
    share: float


class Ready(_Message):
    """The model is open: predictions can be asked for."""

    kind: Literal["ready"] = "ready"
    model: str
    revision: str


class Streamed(_Message):
    """A piece of an answer; `call` counts a program's calls of the model, from 1."""

    kind: Literal["streamed"] = "streamed"
    id: int
    side: Side
    call: int
    text: str


class TriedRule(FrozenModel):
    """A rule and what it had to do with an input: whether it was in the prompt, and how far its trigger fits.

    `overlap` is the share (0..1) of the trigger's words that the input has; it `fires` from a limit on.
    """

    text: str
    trigger: str
    overlap: float
    fires: bool
    in_prompt: bool


class Answered(_Message):
    """One program's whole answer, with what it took; a rule that was in its prompt is marked so."""

    kind: Literal["answered"] = "answered"
    id: int
    side: Side
    fields: dict[str, str]
    rules: tuple[TriedRule, ...]
    calls: int
    tokens: Tokens
    seconds: float


class Cancelled(_Message):
    """One program's answer was ended by a person."""

    kind: Literal["cancelled"] = "cancelled"
    id: int
    side: Side


class Saved(_Message):
    """An example is kept: its file and line, how many the file holds now, and what the next one needs."""

    kind: Literal["saved"] = "saved"
    where: str
    n: int
    expected: tuple[TryField, ...]


class Failed(_Message):
    """What was asked for can't be done: what happened, and what to do."""

    kind: Literal["failed"] = "failed"
    place: Place
    message: str
    hint: str = ""
    id: int = 0
    side: Side | None = None


Request: TypeAlias = Open | Predict | Cancel | Save
Reply: TypeAlias = Described | Loading | Ready | Streamed | Answered | Cancelled | Saved | Failed

REQUESTS: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])
REPLIES: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])
