"""The order in which trials start."""

import itertools
import random

import pytest

from orchestrator.schedule import makespan, start_order

GRAHAM = [5, 5, 4, 4, 3, 3, 3]  # on three places longest first ends at 11, the best at 9


def bound(durations: list[float], places: int) -> float:
    return max(sum(durations) / places, *durations)


def best(durations: list[float], places: int) -> float:
    """The least end of all assignments."""
    ends = []
    for chosen in itertools.product(range(places), repeat=len(durations)):
        sums = [0.0] * places
        for place, duration in zip(chosen, durations, strict=True):
            sums[place] += duration
        ends.append(max(sums))
    return min(ends)


def test_it_finds_what_longest_first_misses():
    durations = [float(one) for one in GRAHAM]
    longest = sorted(range(7), key=lambda index: -durations[index])
    assert makespan(durations, longest, 3) == 11
    assert makespan(durations, start_order(durations, 3), 3) == 9 == best(durations, 3)


@pytest.mark.parametrize("places", [1, 2, 3])
def test_of_random_trials_it_is_never_worse_than_longest_first_nor_far_from_the_best(places: int):
    draw = random.Random(places)
    for _ in range(30):
        durations = [draw.uniform(1, 10) for _ in range(7)]
        order = start_order(durations, places)
        assert sorted(order) == list(range(7))
        longest = sorted(range(7), key=lambda index: -durations[index])
        ours = makespan(durations, order, places)
        assert ours <= makespan(durations, longest, places)
        assert bound(durations, places) - 1e-9 <= ours <= 1.03 * best(durations, places)


def test_places_interchange_what_multifit_leaves_uneven():
    durations = [19.0, 18, 17, 16, 15, 14, 9, 8, 2]  # multifit ends at 41 on three places
    order = start_order(durations, 3)
    assert makespan(durations, order, 3) == 40 == best(durations, 3)


@pytest.mark.parametrize(("trials", "places"), [(14, 4), (42, 4), (140, 8), (300, 64), (300, 2)])
def test_of_many_trials_the_places_end_together(trials: int, places: int):
    draw = random.Random(trials)
    durations = [draw.uniform(1, 8) for _ in range(trials)]
    order = start_order(durations, places)
    assert sorted(order) == list(range(trials))
    most = 1.01 * bound(durations, places)
    assert bound(durations, places) - 1e-9 <= makespan(durations, order, places) <= most


def test_few_trials_start_longest_first():
    assert start_order([1.0, 3.0, 2.0], 4) == [1, 2, 0]
    assert start_order([1.0, 3.0, 2.0], 1) == [1, 2, 0]
    assert start_order([], 3) == []
