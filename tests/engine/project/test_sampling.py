from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from engine.project.sampling import draw_batch, stratified_split

categories = st.lists(st.sampled_from(["", "refund", "late", "rude", None]), max_size=60)


@given(categories, st.integers(0, 70), st.integers(0, 3), st.booleans(), st.sets(st.integers(0, 60)))
def test_a_batch_has_its_size_and_no_example_twice(known, size, seed, stratified, recent):
    batch = draw_batch(known, size, Random(seed), stratified, recent)
    assert len(batch) == len(set(batch)) == min(size, len(known))
    assert set(batch) <= set(range(len(known)))


@given(categories, st.integers(1, 20), st.integers(0, 3))
def test_every_failure_category_has_a_seat_the_most_frequent_first(known, size, seed):
    batch = draw_batch(known, size, Random(seed), stratified=True)
    failures = Counter(category for category in known if category)
    seated = {known[index] for index in batch if known[index]}
    assert len(seated) >= min(size, len(known), len(failures))
    if len(failures) > size:
        assert min(failures[name] for name in seated) >= max(
            failures[name] for name in failures if name not in seated
        )


def test_seats_are_proportional():
    known = [""] * 30 + ["refund"] * 15 + ["late"] * 15
    for seed in range(20):
        batch = draw_batch(known, 12, Random(seed), stratified=True)
        assert Counter(known[index] for index in batch) == {"": 6, "refund": 3, "late": 3}


def test_a_rare_failure_takes_its_seat_from_the_largest_share():
    known = [""] * 97 + ["refund", "late", "rude"]
    batch = draw_batch(known, 5, Random(0), stratified=True)
    assert Counter(known[index] for index in batch) == {"": 2, "refund": 1, "late": 1, "rude": 1}


def test_a_plain_batch_is_drawn_from_all_alike():
    known = [""] * 97 + ["refund", "late", "rude"]
    drawn = Counter(index for seed in range(300) for index in draw_batch(known, 10, Random(seed), False))
    assert max(drawn[97], drawn[98], drawn[99]) < 70
    assert len(drawn) == 100


def test_examples_just_used_come_last_but_do_come():
    assert set(draw_batch([None] * 10, 5, Random(0), True, recent=range(5))) == {5, 6, 7, 8, 9}
    assert set(draw_batch([None] * 10, 7, Random(0), True, recent=range(5))) > {5, 6, 7, 8, 9}


def test_recent_use_does_not_change_the_seats():
    known = [""] * 8 + ["late"] * 2
    batch = draw_batch(known, 5, Random(0), True, recent=[8, 9])
    assert sum(known[index] == "late" for index in batch) == 1


def test_equal_generators_draw_equal_batches():
    known = ["", "a", None, "b"] * 10
    assert draw_batch(known, 9, Random(4), True) == draw_batch(known, 9, Random(4), True)
    assert draw_batch(known, 9, Random(4), True) != draw_batch(known, 9, Random(5), True)


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=60), st.floats(0.05, 0.95), st.integers(0, 3))
def test_a_split_parts_the_examples_in_two_that_are_never_empty(labels, fraction, seed):
    kept, held_out = stratified_split(labels, fraction, Random(seed))
    assert kept
    assert held_out
    assert sorted(kept + held_out) == list(range(len(labels)))
    share = Counter(labels[index] for index in held_out)
    for label, count in Counter(labels).items():
        assert abs(share[label] - count * len(held_out) / len(labels)) < 1


def test_a_holdout_has_each_label_in_proportion():
    labels = ["billing"] * 50 + ["loyalty"] * 30 + ["other"] * 20
    _, held_out = stratified_split(labels, 0.2, Random(0))
    assert Counter(labels[index] for index in held_out) == {"billing": 10, "loyalty": 6, "other": 4}


def test_labels_that_all_differ_are_split_at_random():
    splits = {tuple(stratified_split(range(50), 0.2, Random(seed))[1]) for seed in range(5)}
    assert {len(split) for split in splits} == {10}
    assert len(splits) == 5


def test_a_single_example_is_kept():
    assert stratified_split(["a"], 0.2, Random(0)) == ([0], [])
