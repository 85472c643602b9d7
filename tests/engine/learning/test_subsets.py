from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.learning.subsets import validation_subset


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 90), st.integers(0, 5))
def test_a_subset_has_its_size_no_example_twice_and_weights_that_sum_to_one(fires, n, seed):
    design = validation_subset(fires, n, Random(seed))
    indexes = [index for stratum in design.strata for index in stratum.indexes]
    assert len(indexes) == len(set(indexes)) == min(n, len(fires))
    assert sum(stratum.weight for stratum in design.strata) == pytest.approx(1)
    assert all(stratum.indexes for stratum in design.strata)


def test_a_narrow_trigger_gets_all_its_examples_with_their_true_share():
    fires = [index in (3, 17, 41) for index in range(60)]
    fired, rest = validation_subset(fires, 15, Random(0)).strata
    assert fired.indexes == (3, 17, 41)
    assert (fired.weight, rest.weight, len(rest.indexes)) == (pytest.approx(0.05), pytest.approx(0.95), 12)


def test_a_common_trigger_leaves_a_fifth_of_the_seats_to_the_rest():
    fired, rest = validation_subset([True] * 30 + [False] * 30, 15, Random(0)).strata
    assert (len(fired.indexes), len(rest.indexes)) == (12, 3)


def test_a_small_rest_gives_its_seats_back():
    fired, rest = validation_subset([True] * 58 + [False] * 2, 40, Random(0)).strata
    assert (len(fired.indexes), len(rest.indexes)) == (38, 2)


@pytest.mark.parametrize("fires", [[True] * 20, [False] * 20])
def test_a_trigger_that_fires_everywhere_or_nowhere_leaves_a_plain_sample(fires):
    (stratum,) = validation_subset(fires, 5, Random(0)).strata
    assert (stratum.weight, len(stratum.indexes)) == (1.0, 5)


def test_as_many_seats_as_examples_are_a_census():
    (stratum,) = validation_subset([True, False, False], 15, Random(0)).strata
    assert stratum.indexes == (0, 1, 2)


def test_rules_tested_with_equal_generators_share_most_of_their_examples():
    one = validation_subset([index < 4 for index in range(60)], 15, Random(9))
    other = validation_subset([8 <= index < 12 for index in range(60)], 15, Random(9))
    assert len(set(one.strata[1].indexes) & set(other.strata[1].indexes)) >= 9


def test_differences_go_to_the_stratum_of_their_example():
    design = validation_subset([True, False, False, False], 3, Random(0))
    fired, rest = design.stratify({0: 1.0, 1: 0.1, 2: 0.2, 3: 0.3})
    assert fired.deltas == (1.0,)
    assert rest.deltas == tuple(index / 10 for index in design.strata[1].indexes)


def test_a_drawn_example_without_a_difference_is_an_error():
    with pytest.raises(KeyError):
        validation_subset([True, False], 2, Random(0)).stratify({0: 1.0})


@pytest.mark.parametrize(("fires", "n"), [([], 5), ([True], 0)])
def test_nothing_can_not_be_drawn(fires, n):
    with pytest.raises(ValueError, match="Can't draw"):
        validation_subset(fires, n, Random(0))


@given(st.lists(st.booleans(), min_size=30, max_size=80), st.integers(30, 90), st.integers(0, 5))
def test_looks_grow_to_four_fifths_of_each_stratum(fires, n, seed):
    design = validation_subset(fires, n, Random(seed))
    looks = design.looks(Random(seed))
    assert len(looks) == 3
    for smaller, larger in zip(looks, [*looks[1:], design], strict=True):
        for small, large in zip(smaller.strata, larger.strata, strict=True):
            assert small.weight == large.weight
            assert 0 < len(small.indexes) <= len(large.indexes)
            assert set(small.indexes) <= set(large.indexes)
    for look, fifths in zip(looks, (2, 3, 4), strict=True):
        assert 0 <= len(look.indexes) - len(design.indexes) * fifths / 5 < len(design.strata)


def test_a_sample_of_fewer_than_thirty_has_no_looks():
    assert validation_subset([False] * 29, 29, Random(0)).looks(Random(0)) == []
