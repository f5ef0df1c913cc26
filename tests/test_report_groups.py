"""The compact letter display: two names share a letter exactly where they don't differ."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.scores.groups import groups_of, letter, letters_by_name

NAMES = tuple("ABCDEFGH")


@given(
    st.integers(0, len(NAMES)).flatmap(
        lambda size: st.tuples(
            st.just(NAMES[:size]),
            st.sets(st.sampled_from(list(combinations(NAMES[:size], 2))))
            if size > 1
            else st.just(set()),
        )
    )
)
def test_two_share_a_letter_exactly_where_they_do_not_differ(case):
    names, pairs = case
    different = {frozenset(pair) for pair in pairs}
    groups = groups_of(names, different)
    letters = {name: set(own.split()) for name, own in letters_by_name(groups).items()}
    assert set(letters) == set(names)
    for one, other in combinations(names, 2):
        assert bool(letters[one] & letters[other]) != (frozenset((one, other)) in different)
    for group in groups:
        # No group could take another member, and members keep their order.
        assert list(group) == sorted(group)
        for other in set(names) - set(group):
            assert any(frozenset((other, member)) in different for member in group)


def test_order_and_letters():
    groups = groups_of("ABCD", {frozenset("AC"), frozenset("AD"), frozenset("BD")})
    assert groups == (("A", "B"), ("B", "C"), ("C", "D"))
    assert letters_by_name(groups) == {"A": "a", "B": "a b", "C": "b c", "D": "c"}
    assert groups_of("", set()) == ()
    assert groups_of("A", set()) == (("A",),)


@pytest.mark.parametrize(("number", "expected"), [(0, "a"), (25, "z"), (26, "a2"), (53, "b3")])
def test_letters_go_on_after_z(number, expected):
    assert letter(number) == expected
