from __future__ import annotations

from pydantic import BaseModel

from engine.ground.score import Score
from engine.programs.formatting import ExampleFormatter, FieldFormatter, answer_line, as_text

EXAMPLE = {
    "id": "T-1",
    "queue": "billing",
    "ticket": "Where is\nmy invoice?",
    "_note": "private",
    "tags": ["a", "\u00e9"],
}


def test_a_failure_shows_inputs_then_what_was_expected_then_feedback() -> None:
    shown = FieldFormatter(["ticket"]).format_for_gradient(EXAMPLE, Score(0.0, False, "Wrong queue."))
    assert shown == (
        "ticket: Where is\nmy invoice?\n"
        "expected queue: billing\n"
        'expected tags: ["a", "é"]\n'
        "feedback: Wrong queue."
    )


def test_a_success_shows_inputs_and_outputs() -> None:
    shown = FieldFormatter(["ticket", "tags"]).format_context(EXAMPLE)
    assert shown == 'ticket: Where is\nmy invoice?\ntags: ["a", "é"]\nqueue: billing'


def test_without_feedback_there_is_no_line_for_it() -> None:
    assert "feedback" not in FieldFormatter(["ticket"]).format_for_gradient(EXAMPLE, Score(0.0, False))


def test_names_and_private_fields_are_never_shown() -> None:
    shown = FieldFormatter(["ticket"]).format_context(EXAMPLE)
    assert "T-1" not in shown
    assert "private" not in shown


def test_an_id_that_is_an_input_is_shown() -> None:
    assert FieldFormatter(["id"]).format_context({"id": 7, "name": "x"}) == "id: 7\nname: x"


def test_text_stays_as_it_is_and_data_becomes_one_line_of_json() -> None:
    assert as_text("a\nb") == "a\nb"
    assert as_text({"a": None, "b": True}) == '{"a": null, "b": true}'
    assert as_text(0.5) == "0.5"


def test_an_answer_is_one_line() -> None:
    assert answer_line({"queue": "billing", "urgent": True}) == "answer: queue = billing; urgent = true"
    assert answer_line(None) == "answer: none that could be read"


def test_what_has_both_methods_is_a_formatter() -> None:
    assert isinstance(FieldFormatter([]), ExampleFormatter)
    assert not isinstance(object(), ExampleFormatter)


def test_an_answer_of_models_is_shown_as_json():
    class Person(BaseModel):
        name: str

    assert answer_line({"people": [Person(name="Ada")]}) == 'answer: people = [{"name": "Ada"}]'
