import numpy as np

from benchmarks.graded_evidence import accepted
from engine.ground.statistics import Stratum, paired_interval


def test_many_samples_at_once_are_tested_like_one():
    rng = np.random.default_rng(5)
    # A fixed share of improvements, clear of the bound: both draw their flips by chance.
    samples = np.stack([rng.permutation([1.0] * k + [-1.0] * 2 + [0.0] * (58 - k)) for k in range(18)])
    by_interval = [paired_interval([Stratum(1.0, list(sample))])[1] > 0 for sample in samples]
    assert list(accepted(samples)) == by_interval
    assert 0 < sum(by_interval) < len(samples)


def test_six_of_seven_changes_suffice_only_if_ties_are_won():
    unchanged = [0.0] * 53
    samples = np.array([[1.0] * 6 + [-1.0] + unchanged, [1.0001] * 6 + [-1.0] + unchanged])
    assert list(accepted(samples)) == [False, True]
