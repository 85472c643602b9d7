from __future__ import annotations

import pytest

from promptgrad_tui.views.run.partial_answer import PartialAnalysis, read_partial


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", PartialAnalysis(raw="")),
        ('{"anal', PartialAnalysis(raw='{"anal')),
        ('{"analysis": "The ti', PartialAnalysis("The ti")),
        ('{"analysis": "A \\"quoted\\" wo', PartialAnalysis('A "quoted" wo')),
        ('{"analysis": "All.", "add": [{"text": "One ru', PartialAnalysis("All.", ("One ru",))),
        (
            '{"analysis": "All.", "add": [{"text": "One.", "trigger": "o"}, {"text": "Tw',
            PartialAnalysis("All.", ("One.", "Tw")),
        ),
        ('```json\n{"analysis": "Fen', PartialAnalysis("Fen")),
        ("Let me think {of it", PartialAnalysis(raw="Let me think {of it")),
        ('{"analysis": 3, "add": "none"}', PartialAnalysis()),
        ("Is it {this}?", PartialAnalysis(raw="Is it {this}?")),
        ('Is it {this}?\n\n{"analysis": "It is', PartialAnalysis("It is")),
    ],
)
def test_an_answer_is_read_as_far_as_it_is_written(text: str, wanted: PartialAnalysis) -> None:
    assert read_partial(text) == wanted


def test_its_text_stands_in_the_order_in_which_it_is_written() -> None:
    assert read_partial('{"analysis": "All.", "add": [{"text": "One."}]}').text == "All.  + One."
