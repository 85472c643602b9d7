from __future__ import annotations

import re
from dataclasses import asdict, fields, replace

import pytest

from engine.ground.errors import ConfigError, ProjectError
from engine.project.config import PromptGradConfig

DEFAULTS = {
    "epochs": 3,
    "batches_per_epoch": 3,
    "batch_size": 10,
    "max_workers": 10,
    "num_val_runs": 1,
    "verbose": True,
    "seed": None,
    "val_holdout_fraction": 0.2,
    "max_local_rules": 15,
    "merge_threshold": 8,
    "early_stop_patience": 2,
    "rollback_threshold": 0.05,
    "failure_threshold": 0.5,
    "validate_rules": True,
    "rule_validation_examples": 15,
    "rule_validation_min_delta": 0.01,
    "rule_validation_mode": "delta",
    "rule_selection_mode": "default",
    "rule_pruning_strategy": "rollback",
    "conditional_rules": False,
    "rule_trigger_top_k": 5,
    "rule_trigger_min_overlap": 0.1,
    "stratified_sampling": True,
    "gradient_consensus": True,
    "gradient_samples": 3,
    "gradient_temperature_base": 0.7,
    "gradient_temperature_step": 0.15,
    "gradient_max_tokens": 4000,
    "gradient_failure_display_limit": 5,
    "base_prompt_source": "module",
}
"""The API reference's table."""

OUR_OWN = {
    "max_demonstrations": 0,
    "conditional_demonstrations": 0,
    "sources": ("failure_analysis",),
    "convergence_window": 0,
    "convergence_threshold": 0.01,
    "futility_stopping": False,
    "rule_validation_signal": "score",
}
"""What the reference doesn't have; by default it changes nothing."""


def test_names_and_defaults_are_those_of_the_reference() -> None:
    assert asdict(PromptGradConfig()) == DEFAULTS | OUR_OWN
    assert {field.name for field in fields(PromptGradConfig)} == {*DEFAULTS, *OUR_OWN}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, 0) for name, default in DEFAULTS.items() if type(default) is int),
        ("rule_validation_examples", 1),
        ("convergence_window", 1),
        ("val_holdout_fraction", 0.0),
        ("val_holdout_fraction", 1.0),
        ("rollback_threshold", -0.1),
        ("failure_threshold", 1.5),
        ("rule_validation_min_delta", 2),
        ("rule_trigger_min_overlap", 1.1),
        ("gradient_temperature_base", 3.0),
        ("gradient_temperature_step", -0.1),
        ("rule_validation_mode", "bayes"),
        ("rule_selection_mode", "best"),
        ("rule_pruning_strategy", "oldest"),
        ("base_prompt_source", ""),
        ("seed", "abc"),
        ("epochs", 1.5),
        ("failure_threshold", float("nan")),
        ("verbose", "perhaps"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_field_and_value(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{field} = {re.escape(repr(value))}: ") as caught:
        PromptGradConfig(**{field: value})
    assert isinstance(caught.value, ProjectError)
    assert isinstance(caught.value, ValueError)


def test_an_error_names_the_range() -> None:
    with pytest.raises(ConfigError, match="greater than or equal to 1"):
        PromptGradConfig(epochs=-1)
    with pytest.raises(ConfigError, match="'delta' or 'auto'"):
        PromptGradConfig(rule_validation_mode="x")


def test_all_wrong_fields_are_told_together_and_an_unknown_one_too() -> None:
    with pytest.raises(ConfigError) as caught:
        PromptGradConfig(epochs=0, batch_size=0, epoch=1)
    assert all(f"{name} = " in str(caught.value) for name in ("epochs", "batch_size", "epoch"))


def test_a_configuration_is_compared_by_value_and_never_changed() -> None:
    config = PromptGradConfig(epochs=2)
    assert config == PromptGradConfig(epochs=2) != PromptGradConfig()
    assert replace(config, seed=7) == PromptGradConfig(epochs=2, seed=7)
    with pytest.raises(AttributeError):
        config.epochs = 3  # type: ignore[misc]
    with pytest.raises(ConfigError):
        replace(config, epochs=0)
