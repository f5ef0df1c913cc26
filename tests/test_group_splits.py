"""A made validation split keeps groups whole, and is as stratified as they allow."""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import ConfigError
from datasets.group_splits import GroupKey, validation_by_groups
from datasets.splits import held_out_count, validation_rows


def grouped(most: int = 25) -> st.SearchStrategy[tuple[list[int], list[GroupKey]]]:
    """Labels and the groups of images: from groups of one class to groups of all."""

    def rows(by_group: list[list[int]]) -> tuple[list[int], list[GroupKey]]:
        labels = [label for members in by_group for label in members]
        groups = [("group", f"g{n}") for n, members in enumerate(by_group) for _ in members]
        return labels, groups

    members = st.lists(st.integers(0, 7), min_size=1, max_size=12)
    return st.lists(members, min_size=1, max_size=most).map(rows)


FRACTIONS = st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5, 0.7])
SEEDS = st.integers(0, 2**64 - 1)


def held_groups(chosen: frozenset[int], groups: Sequence[GroupKey]) -> set[GroupKey]:
    return {groups[place] for place in chosen}


@given(data=grouped(), fraction=FRACTIONS, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_no_group_is_parted(data, fraction, seed) -> None:
    labels, groups = data
    chosen = validation_by_groups(labels, groups, fraction, seed)
    inside = held_groups(chosen, groups)
    assert chosen == {place for place, group in enumerate(groups) if group in inside}


@given(data=grouped(most=8), fraction=FRACTIONS, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_each_class_that_can_be_is_in_both_splits(data, fraction, seed) -> None:
    labels, groups = data
    classes = defaultdict(set)
    for label, group in zip(labels, groups, strict=True):
        classes[label].add(group)
    several = [members for members in classes.values() if len(members) > 1]
    names = sorted(set(groups))
    held = held_groups(validation_by_groups(labels, groups, fraction, seed), groups)

    def all_are_in_both(chosen: set[GroupKey]) -> bool:
        return all(members & chosen and members - chosen for members in several)

    ways = product([False, True], repeat=len(names))
    if any(all_are_in_both({n for n, out in zip(names, way, strict=True) if out}) for way in ways):
        assert all_are_in_both(held)
    elif several:
        assert any(members & held and members - held for members in several)


def test_where_classes_rule_each_other_out_most_are_in_both() -> None:
    # Three groups, three classes, each in two of the groups: two of the classes at most.
    labels = [0, 1, 1, 2, 2, 0]
    groups = [("group", name) for name in "aabbcc"]
    for seed in range(9):
        held = held_groups(validation_by_groups(labels, groups, 0.3, seed), groups)
        members = [{("group", name) for name in pair} for pair in ("ac", "ab", "bc")]
        assert sum(bool(one & held and one - held) for one in members) == 2


@given(data=grouped(), fraction=FRACTIONS, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_no_group_could_change_its_split_and_bring_the_shares_nearer(data, fraction, seed) -> None:
    labels, groups = data
    images = Counter(labels)
    held = held_groups(validation_by_groups(labels, groups, fraction, seed), groups)

    def counts(chosen: set[GroupKey]) -> Counter[int]:
        pairs = zip(labels, groups, strict=True)
        return Counter(label for label, group in pairs if group in chosen)

    def distance(found: Counter[int]) -> Fraction:
        wanted = {label: held_out_count(n, fraction) for label, n in images.items()}
        return sum(
            (Fraction(found[one] - wanted[one], n) ** 2 for one, n in images.items()), Fraction()
        )

    def in_both(found: Counter[int]) -> set[int]:
        return {one for one, n in images.items() if 0 < found[one] < n}

    here = counts(held)
    for group in set(groups):
        there = counts(held ^ {group})
        if in_both(here) <= in_both(there):
            assert distance(there) > distance(here) - Fraction(1, 10**6)


@given(labels=st.lists(st.integers(0, 7), max_size=100), fraction=FRACTIONS, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_groups_of_one_image_are_as_stratified_as_images(labels, fraction, seed) -> None:
    groups = [("group", str(place)) for place in range(len(labels))]
    chosen = validation_by_groups(labels, groups, fraction, seed)
    for label, count in Counter(labels).items():
        held = sum(labels[place] == label for place in chosen)
        assert held == held_out_count(count, fraction)


@given(data=grouped(), seed=SEEDS, shuffle=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_rows_does_not_matter(data, seed, shuffle) -> None:
    labels, groups = data
    order = list(range(len(labels)))
    shuffle.shuffle(order)
    other_groups = [groups[place] for place in order]
    other = validation_by_groups([labels[place] for place in order], other_groups, 0.2, seed)
    mine = validation_by_groups(labels, groups, 0.2, seed)
    assert held_groups(mine, groups) == held_groups(other, other_groups)


def faces(persons: int, images: int) -> tuple[list[int], list[GroupKey]]:
    rng = random.Random(0)
    rows = [
        (rng.randrange(7), ("group", f"S{p:03}")) for p in range(persons) for _ in range(images)
    ]
    return [label for label, _ in rows], [group for _, group in rows]


def test_the_seed_decides_and_nothing_else() -> None:
    labels, groups = faces(30, 10)
    by_seed = [held_groups(validation_by_groups(labels, groups, 0.2, s), groups) for s in range(20)]
    assert len(set(map(frozenset, by_seed))) == 20
    assert by_seed[3] == held_groups(validation_by_groups(labels, groups, 0.2, 3), groups)
    # Each person is held out by some seeds, about as often as the others.
    often = Counter(group for one in by_seed for group in one)
    assert len(often) > 27
    assert max(often.values()) <= 10
    # The very persons: a changed method would change people's splits.
    assert sorted(name for _, name in by_seed[0]) == SEED_0


SEED_0 = ["S001", "S013", "S021", "S022", "S023", "S029"]


def test_shares_of_many_persons_are_near_the_fraction() -> None:
    labels, groups = faces(120, 8)
    for fraction in (0.1, 0.2, 0.5):
        chosen = validation_by_groups(labels, groups, fraction, 1)
        for label, count in Counter(labels).items():
            held = sum(labels[place] == label for place in chosen)
            assert abs(held / count - fraction) < 0.03


def test_without_groups_the_split_is_what_it_always_was() -> None:
    rng = random.Random(0)
    labels = [min(rng.randrange(12), 7) for _ in range(5000)]
    asked = ((0.2, 0), (0.05, 7), (0.5, 2**40))
    digests = [
        hashlib.sha256(repr(sorted(validation_rows(labels, *one))).encode()).hexdigest()[:16]
        for one in asked
    ]
    assert digests == ["fa1369d13f725bbb", "3fe5259d228e5526", "0f4865b74969f950"]


def test_a_fraction_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"1\.0"):
        validation_by_groups([0, 1], [("group", "a"), ("group", "b")], 1.0, 0)
