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
        assert bound(durations, places) - 1e-9 <= ours <= 13 / 11 * best(durations, places) + 1e-9


def test_few_trials_start_longest_first():
    assert start_order([1.0, 3.0, 2.0], 4) == [1, 2, 0]
    assert start_order([1.0, 3.0, 2.0], 1) == [1, 2, 0]
    assert start_order([], 3) == []
