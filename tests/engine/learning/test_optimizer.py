import json
import logging

import dspy
import pytest
from dspy.lm15 import ContextLengthError

from engine import ParsedRule, PromptGradConfig, PromptGradOptimizer, Score
from engine.ground.errors import (
    ConfigError,
    DataError,
    ModelUnavailableError,
    ProjectError,
    UnreadableAnswersError,
)
from engine.ground.examples import Item
from engine.journal.events import AnalysisFinished, Notice, RulesChanged
from engine.learning.analysis.gradients import Batch
from engine.learning.optimizer import OptimizationSession
from engine.learning.place import Place
from engine.learning.rollouts import Rollout
from engine.learning.session_inputs import SessionExamples, SessionFollowers, SessionModels
from engine.testing import scripted_model
from tests.engine.desk import BASE, POLICY, Desk, desk_model, desk_program, exact, learned, tickets


def optimize(desk=None, *, config=None, program=None, train=None, validation=None, **options):
    options.setdefault("metric", exact)
    metric = options.pop("metric")
    values = {"epochs": 2, "seed": 1, "verbose": False, **(config or {})}
    optimizer = PromptGradOptimizer(metric, PromptGradConfig(**values), **options)
    with dspy.context(lm=desk_model(desk).lm, adapter=dspy.JSONAdapter()):
        return optimizer.optimize(
            program or desk_program(),
            tickets(60, 1) if train is None else train,
            tickets(60, 2) if validation is None else validation,
        )


def instructions(module):
    return module.signature.instructions


def events_of(script, *, program=None, **config):
    """What happens in an optimization by a model that answers from `script`."""
    optimizer = PromptGradOptimizer(exact, PromptGradConfig(**{"seed": 1, "verbose": False, **config}))
    events = []
    session = OptimizationSession(
        optimizer,
        program or desk_program(),
        SessionExamples(tickets(60, 1), tickets(60, 2)),
        SessionModels(scripted_model(script).lm),
        SessionFollowers(events.append),
    )
    try:
        session.run()
    finally:
        session.close()
    return events


def test_it_learns_the_hidden_policy():
    assert learned(instructions(optimize())) == set(POLICY)


def test_the_base_instructions_stay_word_for_word():
    assert instructions(optimize()).startswith(BASE)


def test_the_given_module_is_left_alone():
    program = desk_program()
    optimize(program=program)
    assert program.signature.instructions == BASE


def test_the_state_loads_into_plain_dspy(tmp_path):
    optimized = optimize()
    optimized.save(tmp_path / "state.json", save_program=False)
    plain = dspy.Predict("ticket -> queue")
    plain.load(tmp_path / "state.json")
    assert plain.signature.instructions == instructions(optimized)


def test_custom_base_instructions_replace_the_modules():
    optimized = optimize(base_prompt_source="Send each ticket somewhere.")
    assert instructions(optimized).startswith("Send each ticket somewhere.\n")


def test_without_validation_examples_some_are_held_out():
    optimizer = PromptGradOptimizer(exact, PromptGradConfig(seed=1, verbose=False, val_holdout_fraction=0.5))
    with dspy.context(lm=desk_model().lm):
        optimized = optimizer.optimize(desk_program(), tickets(80, 1))
    assert learned(instructions(optimized)) == set(POLICY)


def test_compile_is_a_teleprompter_with_a_dspy_style_metric():
    examples = [dspy.Example(**ticket).with_inputs("ticket") for ticket in tickets(60, 1)]
    optimizer = PromptGradOptimizer(
        lambda example, prediction, trace=None: example["queue"] == prediction.queue,
        PromptGradConfig(seed=1, verbose=False),
    )
    with dspy.context(lm=desk_model().lm):
        optimized = optimizer.compile(desk_program(), trainset=examples, valset=examples[:30])
    assert isinstance(optimizer, dspy.teleprompt.Teleprompter)
    assert len(learned(instructions(optimized))) >= 4


def test_compile_refuses_what_it_has_no_use_for():
    optimizer = PromptGradOptimizer(exact)
    with pytest.raises(TypeError, match="teacher"):
        optimizer.compile(desk_program(), trainset=[], teacher=desk_program())


def test_a_rule_that_breaks_examples_is_not_kept():
    bad = {"text": "Tickets that mention voucher go to loyalty. Spoil.", "trigger": "voucher"}
    assert instructions(optimize(Desk(proposals=[bad], break_with="Spoil"))) == BASE


def test_a_rule_acceptor_has_the_first_word():
    def no_drones(rule: ParsedRule) -> bool:
        return "drone" not in rule.text

    assert learned(instructions(optimize(rule_acceptor=no_drones))) == set(POLICY) - {"drone"}


def test_an_example_formatter_writes_what_an_analysis_sees():
    class Shouting:
        def format_for_gradient(self, example, score):
            return f"FAILED {example['ticket']}"

        def format_context(self, example):
            return f"FINE {example['ticket']}"

    desk = Desk()
    optimize(desk, example_formatter=Shouting())
    analyses = [prompt[-1]["content"] for prompt in desk.prompts if "`analysis`" in prompt[0]["content"]]
    assert analyses
    assert all("FAILED Case" in analysis for analysis in analyses)
    assert any("FINE Case" in analysis for analysis in analyses)


class BrokenFormatter:
    def format_for_gradient(self, example, score):
        return example["no such field"]

    def format_context(self, example):
        return ""


class SilentFormatter:
    def format_for_gradient(self, example, score):
        return None

    def format_context(self, example):
        return ""


@pytest.mark.parametrize(
    ("formatter", "problem"),
    [
        (BrokenFormatter(), r"formatter raised KeyError: 'no such field' \(test_optimizer.py, line \d+\)"),
        (SilentFormatter(), "formatter returned NoneType, not text"),
        (object(), "isn't an example formatter"),
    ],
)
def test_an_example_formatter_that_fails_is_named(formatter, problem):
    with pytest.raises(ProjectError, match=problem):
        optimize(example_formatter=formatter)


def test_a_rule_acceptor_that_fails_is_named():
    def acceptor(rule):
        raise LookupError("what rule?")

    problem = r"rule acceptor raised LookupError: what rule\? \(test_optimizer.py, line \d+\)"
    with pytest.raises(ProjectError, match=problem):
        optimize(rule_acceptor=acceptor)


def test_progress_is_printed_where_no_logging_is_set_up(monkeypatch, capsys):
    logger = logging.getLogger("promptgrad")
    monkeypatch.setattr(logger, "propagate", False)  # pytest has set up logging
    optimize(config={"verbose": True, "epochs": 1})
    assert capsys.readouterr().err.startswith("Baseline: 0.")
    assert logger.handlers == []


def test_a_quoted_training_example_is_no_rule():
    story = "my drone fell into the sea and the shop says that it was my own fault"
    train = [{"ticket": f"{story} {number}", "queue": "aviation"} for number in range(20)]
    desk = Desk(proposals=[{"text": f"When {story} it goes to aviation.", "trigger": "drone"}])
    assert instructions(optimize(desk, train=train)) == BASE
    assert not any(story in prompt[0]["content"] for prompt in desk.prompts)


@pytest.mark.parametrize(
    "answer", ["", "nonsense", '{"analysis": 1}', '{"analysis": "a", "add": 3, "remove": []}']
)
def test_an_analysis_that_cant_be_read_is_ignored(answer):
    desk = Desk()

    def script(messages):
        return answer if "`analysis`" in messages[0]["content"] else desk.answer(messages)

    optimizer = PromptGradOptimizer(exact, PromptGradConfig(epochs=1, seed=1, verbose=False))
    with dspy.context(lm=scripted_model(script).lm):
        optimized = optimizer.optimize(desk_program(), tickets(30, 1), tickets(30, 2))
    assert instructions(optimized) == BASE


def test_a_task_answer_that_cant_be_read_is_a_failure_and_not_the_end(caplog):
    caplog.set_level(logging.INFO, "promptgrad")
    seen = []

    def metric(example, prediction):
        seen.append(example["ticket"])
        return Score(1.0, True)

    optimizer = PromptGradOptimizer(metric, PromptGradConfig(epochs=1, seed=1))

    def answer(messages):
        ticket = messages[-1]["content"]
        return json.dumps({"queue": "general"}) if "parcel" in ticket else "no json at all"

    validation = [example["ticket"] for example in tickets(10, 2)]
    readable = [ticket for ticket in validation if "parcel" in ticket]
    with dspy.context(lm=scripted_model(answer).lm):
        optimized = optimizer.optimize(desk_program(), tickets(20, 1), tickets(10, 2))
    assert instructions(optimized) == BASE
    assert 0 < len(readable) < len(validation)
    assert set(readable) <= set(seen)
    assert all("parcel" in ticket for ticket in seen), "no metric scores an answer that can't be read"
    baseline = next(message for message in caplog.messages if message.startswith("Baseline: "))
    assert baseline.startswith(f"Baseline: {len(readable) / len(validation):.3f}")


def test_a_run_in_which_no_answer_can_be_read_ends_and_says_so():
    seen = []

    def metric(example, prediction):
        seen.append(prediction)
        return Score(1.0, True)

    optimizer = PromptGradOptimizer(metric, PromptGradConfig(epochs=1, seed=1, verbose=False))
    with (
        dspy.context(lm=scripted_model(lambda messages: "no json at all").lm),
        pytest.raises(UnreadableAnswersError, match="Not one of 10 answers could be read"),
    ):
        optimizer.optimize(desk_program(), tickets(20, 1), tickets(10, 2))
    assert seen == []


def test_a_model_that_is_down_is_not_a_wrong_answer():
    def down(messages):
        raise ConnectionError("connection refused")

    optimizer = PromptGradOptimizer(exact, PromptGradConfig(seed=1, verbose=False))
    with dspy.context(lm=scripted_model(down).lm), pytest.raises(ModelUnavailableError, match="refused"):
        optimizer.optimize(desk_program(), tickets(20, 1), tickets(10, 2))


def test_without_a_model_it_says_how_to_configure_one():
    with dspy.context(lm=None), pytest.raises(ProjectError, match="No model"):
        PromptGradOptimizer(exact).optimize(desk_program(), tickets(4), tickets(4, 2))


def test_no_examples_are_an_error():
    with pytest.raises(DataError, match="0 training"):
        optimize(train=[], validation=tickets(5))


def test_a_program_that_raises_names_the_example():
    class Broken(dspy.Module):
        def __init__(self):
            super().__init__()
            self.step = desk_program()

        def forward(self, ticket):
            raise RuntimeError("no idea")

    with pytest.raises(ProjectError, match=r"RuntimeError on the example [12]-\d+: no idea"):
        optimize(program=Broken())


@pytest.mark.parametrize(("made", "kind"), [(lambda answer: None, "NoneType"), (str, "str")])
def test_a_program_that_returns_no_prediction_is_told_so(made, kind):
    class Forgetful(dspy.Module):
        def __init__(self):
            super().__init__()
            self.step = desk_program()

        def forward(self, ticket):
            return made(self.step(ticket=ticket))

    with pytest.raises(ProjectError, match=rf"returned {kind} on the example [12]-\d+, and not a prediction"):
        optimize(program=Forgetful())


class TwoSteps(dspy.Module):
    """Names the topic, then routes by it."""

    def __init__(self):
        super().__init__()
        self.name = dspy.Predict(dspy.Signature("ticket -> topic", "Name the topic."))
        self.route = dspy.Predict(dspy.Signature("ticket, topic -> queue", "Route the ticket."))

    def forward(self, ticket):
        return self.route(ticket=ticket, topic=self.name(ticket=ticket).topic)


def two_step_script(messages):
    desk = Desk(
        proposals=[
            {"text": "Tickets that mention drone go to aviation.", "trigger": "drone", "predictor": "route"},
            {"text": "Topics are short.", "trigger": "", "predictor": "nobody"},
        ]
    )
    if "`topic` (str)" in messages[0]["content"].split("output fields")[1]:
        return '{"topic": "things"}'
    return desk.answer(messages)


def test_a_rule_belongs_to_the_step_it_corrects():
    model = scripted_model(two_step_script)
    optimizer = PromptGradOptimizer(exact, PromptGradConfig(epochs=1, seed=1, verbose=False))
    with dspy.context(lm=model.lm):
        optimized = optimizer.optimize(TwoSteps(), tickets(40, 1), tickets(40, 2))
    assert learned(optimized.route.signature.instructions) == {"drone"}
    assert optimized.name.signature.instructions == "Name the topic."


def test_an_analysis_of_several_steps_sees_what_each_saw_and_said():
    model = scripted_model(two_step_script)
    optimizer = PromptGradOptimizer(exact, PromptGradConfig(epochs=1, seed=1, verbose=False))
    with dspy.context(lm=model.lm):
        optimizer.optimize(TwoSteps(), tickets(40, 1), tickets(40, 2))
    analyses = [r.messages[-1].text for r in model.requests if "[[ ## failures ## ]]" in r.messages[-1].text]
    assert "step name: saw ticket = Case" in analyses[0]
    assert "step route: saw ticket = Case" in analyses[0]
    assert "answer: topic = things" in analyses[0]


def test_custom_base_instructions_for_several_steps_are_refused():
    with pytest.raises(ConfigError, match="2 predictors"):
        optimize(program=TwoSteps(), base_prompt_source="One text.")


def test_the_same_seed_gives_the_same_rules_with_any_number_of_threads():
    one = instructions(optimize(config={"max_workers": 1, "batch_size": 5}))
    many = instructions(optimize(config={"max_workers": 16, "batch_size": 5}))
    assert one == many


def test_an_analysis_sees_the_most_frequent_kind_of_failure_first():
    def batch(types):
        items = [Item(str(number), "train", {}, {}) for number, _ in enumerate(types)]
        rollouts = [Rollout(str(n), Score(0.0, False, "", kind), None, "") for n, kind in enumerate(types)]
        return Batch(Place(1, 1), items, rollouts)

    failures = batch(["b", "a", "c", "c", "a", "c"]).failures(0.5)
    assert [rollout.score.error_type for _, rollout in failures] == ["c", "c", "c", "a", "a", "b"]


def test_many_passes_are_never_hotter_than_a_model_takes():
    found = events_of(Desk().answer, epochs=1, gradient_samples=12)
    heat = {event.temperature for event in found if isinstance(event, AnalysisFinished)}
    assert max(heat) == 2.0
    assert min(heat) == 0.7


def test_rules_that_dont_fit_a_merging_stay_apart():
    wordings = (
        "Tickets that ask about a drone go to aviation.",
        "If a customer wants to know about their drone, choose aviation.",
    )
    desk = Desk(proposals=[{"text": text, "trigger": "drone"} for text in wordings])

    def script(messages):
        if "the merged rule" in messages[0]["content"]:
            raise ContextLengthError("900 tokens don't fit")
        return desk.answer(messages)

    found = events_of(script, epochs=1, merge_threshold=1, validate_rules=False)
    notices = [event.text for event in found if isinstance(event, Notice)]
    assert any("similar rules stay apart: 900 tokens don't fit" in text for text in notices)
    assert len([event for event in found if isinstance(event, RulesChanged)][-1].rules) == 2


def test_a_removal_removes_the_rule_of_the_step_that_it_names():
    def script(messages):
        proposals = [
            {"text": "Be brief.", "trigger": "", "predictor": "name"},
            {"text": "Be brief.", "trigger": "", "predictor": "route"},
        ]
        if "`topic` (str)" in messages[0]["content"].split("output fields")[1]:
            return '{"topic": "things"}'
        return Desk(proposals=proposals, removals=(2,)).answer(messages)

    found = events_of(script, program=TwoSteps(), epochs=1, batches_per_epoch=2, validate_rules=False)
    left = next(event for event in found if isinstance(event, RulesChanged) and event.reason == "removed")
    assert [rule.predictor for rule in left.rules] == ["name"]


def test_greedy_selection_keeps_nothing_that_gains_nothing():
    proposals = [{"text": "Tickets that mention zeppelin go to aviation.", "trigger": "zeppelin"}]
    config = {"epochs": 1, "rule_validation_min_delta": 0.0, "rule_selection_mode": "greedy"}
    rules = [e for e in events_of(Desk(proposals=proposals).answer, **config) if isinstance(e, RulesChanged)]
    assert rules == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"config": {"epochs": 2}}, "config is of type dict"),
        ({"rule_acceptor": 3}, "rule acceptor is 3, which can't be called"),
    ],
)
def test_what_cannot_serve_is_refused_when_the_optimizer_is_made(options, problem):
    with pytest.raises(ProjectError, match=problem):
        PromptGradOptimizer(exact, **options)


@pytest.mark.parametrize("program", [3, dspy.Signature("ticket -> queue"), lambda ticket: ticket])
def test_what_is_no_module_is_refused(program):
    with pytest.raises(ProjectError, match="The program is of type"):
        optimize(program=program)


def test_an_example_without_an_input_is_refused():
    examples = [{"id": "a", "tickt": "My drone is late.", "queue": "aviation"}]
    with pytest.raises(
        DataError, match="train example a has no input of the program; its fields are id, tickt"
    ):
        optimize(train=examples)
