"""In which order trials start, so that the last of them ends early: multiprocessor scheduling.

Longest first (Graham 1969, "Bounds on multiprocessing timing anomalies") ends at most a third after
the best order there is; multifit (Coffman, Garey and Johnson 1978, "An application of bin-packing
to multiprocessor scheduling") at most 13/11 (Yue 1990). What each gives is improved by interchange
(Finn and Horowitz 1979, "A linear time approximation algorithm for multiprocessor scheduling"), and
the better is taken, so that no run ends later than longest first would have it.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

_HALVINGS = 20  # of the span between bound and longest first: one millionth of it is left
_PAIRS_OF = 12  # trials of a place, at most: one that has more gives one at a time
_ENOUGH = 1e-3  # of the bound: what an interchange must gain, and what is near enough

_Packed = list[list[int]]
"""The trials of each place, as indices."""


def start_order(durations: Sequence[float], places: int) -> list[int]:
    """Return the order in which trials of known durations start, as indices into `durations`.

    All `places` are free at first, and each trial takes the one that falls free next. Durations
    have one unit, whichever.
    """
    longest_first = sorted(range(len(durations)), key=lambda index: -durations[index])
    if places < 2 or len(durations) <= places:
        return longest_first
    packings = [_in_turn(durations, longest_first, places)]
    if fitted := _multifit(durations, longest_first, places):
        packings.append(fitted)
    for packed in packings:
        _interchange(durations, packed)
    orders = [longest_first, *(_order_of(durations, packed) for packed in packings)]
    return min(orders, key=lambda order: makespan(durations, order, places))


def makespan(durations: Sequence[float], order: Sequence[int], places: int) -> float:
    """When the last trial ends, in the unit of `durations`, if they start in `order`."""
    packed = _in_turn(durations, order, places)
    return max(sum(durations[index] for index in trials) for trials in packed)


def _in_turn(durations: Sequence[float], order: Sequence[int], places: int) -> _Packed:
    """Each trial to the place that falls free next."""
    free_at = [0.0] * places
    packed: _Packed = [[] for _ in range(places)]
    for index in order:
        place = free_at.index(min(free_at))
        free_at[place] += durations[index]
        packed[place].append(index)
    return packed


def _multifit(
    durations: Sequence[float], longest_first: Sequence[int], places: int
) -> _Packed | None:
    """The trials of each place for the least end at which they were seen to fit; None if none."""
    low = _bound(durations, places)
    high = makespan(durations, longest_first, places)
    found = None
    for _ in range(_HALVINGS):
        end = (low + high) / 2
        packed = _first_fit(durations, longest_first, places, end)
        if packed is None:
            low = end
        else:
            found, high = packed, end
    return found


def _bound(durations: Sequence[float], places: int) -> float:
    """What no order ends before."""
    return max(sum(durations) / places, *durations)


def _first_fit(
    durations: Sequence[float], longest_first: Sequence[int], places: int, end: float
) -> _Packed | None:
    """Each trial into the first place that has time for it until `end`; None if one has none."""
    taken = [0.0] * places
    packed: _Packed = [[] for _ in range(places)]
    for index in longest_first:
        fitting = (place for place in range(places) if taken[place] + durations[index] <= end)
        place = next(fitting, None)
        if place is None:
            return None
        taken[place] += durations[index]
        packed[place].append(index)
    return packed


def _interchange(durations: Sequence[float], packed: _Packed) -> None:
    """Let the place that ends last change trials with another while both then end earlier."""
    bound = _bound(durations, len(packed))
    ends = [sum(durations[index] for index in trials) for trials in packed]
    found = True
    while found and max(ends) > (1 + _ENOUGH) * bound:
        last = ends.index(max(ends))
        found = False
        for other in sorted(range(len(packed)), key=ends.__getitem__):
            ahead = ends[last] - ends[other]
            change = _change(durations, packed[last], packed[other], ahead, _ENOUGH * bound)
            if change:
                found = True
                given, taken = change
                packed[last] = [one for one in packed[last] if one not in given] + taken
                packed[other] = [one for one in packed[other] if one not in taken] + given
                for place in (last, other):
                    ends[place] = sum(durations[index] for index in packed[place])
                break


def _change(
    durations: Sequence[float], mine: list[int], theirs: list[int], ahead: float, least: float
) -> tuple[list[int], list[int]] | None:
    """What a place that ends `ahead` after another gives it and takes from it.

    Of a few trials each those that bring the two nearest to each other; None where the later of
    both would not end earlier by `least`.
    """
    best, found = ahead / 2 - least, None
    for taken in _few(theirs):
        time_taken = sum(durations[index] for index in taken)
        for given in _few(mine):
            less = sum(durations[index] for index in given) - time_taken
            if abs(ahead / 2 - less) < best:
                best, found = abs(ahead / 2 - less), (list(given), list(taken))
    return found


def _few(trials: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """None of them, each one and, unless they are many, each two."""
    for number in range(3 if len(trials) <= _PAIRS_OF else 2):
        yield from combinations(trials, number)


def _order_of(durations: Sequence[float], packed: _Packed) -> list[int]:
    """By the moment at which each starts: the place that falls free then is the one it is for."""
    starts: dict[int, float] = {}
    for trials in packed:
        now = 0.0
        for index in sorted(trials, key=lambda index: -durations[index]):
            starts[index] = now
            now += durations[index]
    return sorted(starts, key=lambda index: (starts[index], -durations[index]))
