import dspy

from engine import PromptGradConfig
from engine.learning.place import Place
from engine.learning.rollouts import RolloutRunner
from engine.learning.rule_tests import Change, RuleTester
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from tests.engine.desk import desk_model, desk_program, exact, tickets


def test_a_merged_rule_is_tested_where_the_rules_apply_that_it_replaces():
    drone = Rule(text="Tickets that mention drone go to aviation.", trigger="drone", predictor="self")
    visa = Rule(text="Tickets that mention visa go to legal.", trigger="visa", predictor="self")
    forgetful = Rule(text="Tickets that mention drone go to aviation. So it is.", trigger="drone")
    drones = [{"ticket": f"Case {n}: my drone is late.", "queue": "aviation"} for n in range(4)]
    visas = [{"ticket": f"Case {n}: my visa is late.", "queue": "legal"} for n in range(4)]
    runner = RolloutRunner(
        FrozenProgram(desk_program()),
        exact,
        desk_model().lm,
        adapter=dspy.JSONAdapter(),
        emit=lambda event: None,
    )
    validation = runner.items([*drones, *visas, *tickets(92, share=0.0)], "validation")
    config = PromptGradConfig(rule_validation_examples=10)
    tester = RuleTester(runner, validation, config, seed=1, emit=lambda event: None)
    before, after = LearnedState(RuleSet([drone, visa])), LearnedState(RuleSet([forgetful]))
    tested = tester.test(Change("merge", forgetful, before, after, Place(1, 1)))
    assert tested.verdict == "rejected"
    assert [validation.index(i) for i in validation if tested.evidence.deltas.get(i.key)] == [4, 5, 6, 7]
