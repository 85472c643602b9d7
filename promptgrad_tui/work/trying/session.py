"""What the Try worker holds: the programs, one model for both, and the examples that may grow. Needs DSPy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dspy

from engine.ground.errors import ModelUnavailableError, PromptGradError
from engine.journal.replay import cause_of
from engine.programs.faults import fault_of
from engine.programs.formatting import as_text
from engine.programs.program import run_program
from models import LocalModel
from promptgrad_tui.work.code.program import program_fields
from promptgrad_tui.work.code.user_code import user_errors
from promptgrad_tui.work.opening import open_project_model
from promptgrad_tui.work.predict.prediction import field_types, typed_inputs
from promptgrad_tui.work.trying.example import TrainingFile
from promptgrad_tui.work.trying.messages import (
    Answered,
    Cancelled,
    Described,
    Failed,
    Loading,
    Predict,
    Ready,
    Reply,
    Save,
    Saved,
    Side,
    Streamed,
    TriedRule,
    TryField,
    TrySource,
)
from promptgrad_tui.work.trying.programs import TriedPrograms
from promptgrad_tui.work.trying.streaming import StreamingEngine

Send = Callable[[Reply], None]


class TrySession:
    """Programs that answer inputs side by side; `send` takes replies from any thread."""

    def __init__(self, source: TrySource, send: Send, stack: ExitStack) -> None:
        """Build the programs; `stack` closes what is opened later.

        Raises:
            PromptGradError: something in the project or the artifact can't be used.
        """
        self._send = send
        self._stack = stack
        self._programs = TriedPrograms.of(source)
        self._fields = program_fields(self._programs.program)
        self._types = field_types(self._programs.program)
        self._inputs = self._training().inputs
        self._model: LocalModel | None = None
        self._modules: dict[Side, dspy.Module] = {}
        self._cancelled: set[int] = set()
        self._pool = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="try"))

    def describe(self) -> Described:
        """Return the fields of the program and of an example, and what the rules are."""
        training, programs = self._training(), self._programs
        descriptions = _descriptions(programs.program)
        return Described(
            sides=programs.sides,
            inputs=tuple(training.describe(name, descriptions.get(name, "")) for name in training.inputs),
            expected=self._expected(training),
            rules=len(programs.rules),
            demonstrations=len(programs.demonstrations),
            is_conditional=programs.selection is not None and programs.selection.rules is not None,
            nearest=programs.selection.nearest if programs.selection else 0,
            notes=programs.notes,
        )

    def open(self, log_file: Path) -> Ready:
        """Open the model, once.

        Raises:
            ModelError: it can't be opened.
            ArtifactError: the artifact was proved on another model.
        """
        project = self._programs.project
        model = open_project_model(
            project,
            project.model.task,
            log_file=log_file,
            on_progress=lambda text, share: self._send(Loading(text=text, share=share)),
        )
        self._model = self._stack.enter_context(model)
        self._modules = self._programs.modules(model.revision)
        return Ready(model=model.uri, revision=model.revision.short)

    def predict(self, request: Predict) -> None:
        """Answer with both programs at the same time, and send the results.

        Raises:
            DataError: an input is missing or of another type.
        """
        values = typed_inputs(request.inputs, self._programs.program, self._inputs)
        rules = tuple(self._programs.tried_rules(values))
        running = [
            self._pool.submit(self._answer, request.id, side, module, values, rules)
            for side, module in self._modules.items()
        ]
        for future in running:
            future.result()

    def cancel(self, request: int) -> None:
        """End a prediction, current or queued; callable from any thread."""
        self._cancelled.add(request)
        if self._model is not None:
            self._model.cancel()

    def save(self, request: Save) -> Saved:
        """Append an example to the training examples.

        Raises:
            DataError: it can't be one.
        """
        saved = self._training().save(request.inputs, request.expected)
        training = self._training()
        return Saved(where=saved.where, n=len(training), expected=self._expected(training))

    def _training(self) -> TrainingFile:
        return TrainingFile(self._programs.project, self._fields, self._types)

    def _expected(self, training: TrainingFile) -> tuple[TryField, ...]:
        return tuple(training.describe(name) for name in training.expected)

    def _answer(
        self,
        request: int,
        side: Side,
        module: dspy.Module,
        values: Mapping[str, Any],
        rules: tuple[TriedRule, ...],
    ) -> None:
        assert self._model is not None
        engine = StreamingEngine(
            self._model.lm.engine,
            lambda call, text: self._send(Streamed(id=request, side=side, call=call, text=text)),
            lambda: request in self._cancelled,
        )
        lm = engine.before(self._model.lm)
        started = time.perf_counter()
        try:
            with dspy.context(lm=lm, adapter=self._programs.adapter):
                prediction = self._called(module, values)
        except PromptGradError as error:
            if request in self._cancelled:
                self._send(Cancelled(id=request, side=side))
            else:
                self._send(
                    Failed(place="predict", id=request, side=side, message=error.message, hint=error.hint)
                )
            return
        self._send(
            Answered(
                id=request,
                side=side,
                fields={name: _plain(value) for name, value in prediction.items()},
                rules=rules if side == "optimized" else (),
                calls=engine.calls,
                tokens=engine.tokens,
                seconds=time.perf_counter() - started,
            )
        )

    def _called(self, module: dspy.Module, values: Mapping[str, Any]) -> dspy.Prediction:
        """Run a program; whatever it raises becomes an error that says whose fault it is."""
        section = self._programs.project.program
        try:
            return run_program(module, values)
        except Exception as error:
            cause = cause_of(error)
            if cause is None and section.python is not None and fault_of(error) != "answer":
                with user_errors(self._programs.project.root, section.python):
                    raise
            raise cause or ModelUnavailableError(
                f"The answer can't be read: {error}", hint="It counts as a failure; try another input."
            ) from error


def _descriptions(program: dspy.Module) -> dict[str, str]:
    """Return what the program's signatures say of their fields, where that is more than the name."""
    found = {
        name: str((info.json_schema_extra or {}).get("desc") or "")
        for _, step in program.named_predictors()
        for name, info in step.signature.fields.items()
    }
    return {name: text for name, text in found.items() if text != f"${{{name}}}"}


def _plain(value: Any) -> str:
    if hasattr(value, "model_dump"):
        return json.dumps(value.model_dump(mode="json"), ensure_ascii=False)
    return as_text(value)
