"""In which order trials start, so that the last of them ends early: multifit scheduling.

Longest first (Graham 1969, "Bounds on multiprocessing timing anomalies") ends at most a third after
the best order there is; multifit (Coffman, Garey and Johnson 1978, "An application of bin-packing
to multiprocessor scheduling") at most 13/11 (Yue 1990). The better of both is taken, so that no run
ends later than longest first would have it.
"""

from collections.abc import Sequence

_HALVINGS = 20  # of the span between bound and longest first: one millionth of it is left


def start_order(durations: Sequence[float], places: int) -> list[int]:
    """Return the order in which trials of known durations start, as indices into `durations`.

    All `places` are free at first, and each trial takes the one that falls free next. Durations
    have one unit, whichever.
    """
    longest_first = sorted(range(len(durations)), key=lambda index: -durations[index])
    if places < 2 or len(durations) <= places:
        return longest_first
    fitted = _multifit(durations, longest_first, places)
    if fitted is None:
        return longest_first
    order = _order_of(durations, fitted)
    if makespan(durations, order, places) < makespan(durations, longest_first, places):
        return order
    return longest_first


def makespan(durations: Sequence[float], order: Sequence[int], places: int) -> float:
    """When the last trial ends, in the unit of `durations`, if they start in `order`."""
    free_at = [0.0] * places
    for index in order:
        free_at[free_at.index(min(free_at))] += durations[index]
    return max(free_at)


def _multifit(
    durations: Sequence[float], longest_first: Sequence[int], places: int
) -> list[list[int]] | None:
    """The trials of each place for the least end at which they were seen to fit; None if none."""
    low = max(sum(durations) / places, *durations)
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


def _first_fit(
    durations: Sequence[float], longest_first: Sequence[int], places: int, end: float
) -> list[list[int]] | None:
    """Each trial into the first place that has time for it until `end`; None if one has none."""
    taken = [0.0] * places
    packed: list[list[int]] = [[] for _ in range(places)]
    for index in longest_first:
        fitting = (place for place in range(places) if taken[place] + durations[index] <= end)
        place = next(fitting, None)
        if place is None:
            return None
        taken[place] += durations[index]
        packed[place].append(index)
    return packed


def _order_of(durations: Sequence[float], packed: Sequence[Sequence[int]]) -> list[int]:
    """By the moment at which each starts: the place that falls free then is the one it is for."""
    starts: dict[int, float] = {}
    for trials in packed:
        now = 0.0
        for index in trials:
            starts[index] = now
            now += durations[index]
    return sorted(starts, key=lambda index: (starts[index], -durations[index]))
