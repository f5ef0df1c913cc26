"""A validation split that keeps groups whole: images of one person, or frames of one sequence.

The method: groups are put in an order that the seed draws. First, for each class that can be in
both splits, one group with it goes to validation, and one stays in training. Then each group in
turn changes its split if that brings the class shares of validation nearer to the fraction, again
and again until none does. Shares are compared by the sum of their squared distances over the
classes, each class counting the same. All of it is done in whole numbers: no machine rounds
otherwise.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from datasets.sampler import keyed_permutation
from datasets.splits import check_fraction, held_out_count

GroupKey = tuple[str, str]
"""What is the same for images of one group and for no others: a kind and a name."""

_Tally = Mapping[int, int]
"""Images by label, of one group."""

# Beside the labels, which key the permutations of `validation_rows`.
_ORDER_KEY = 1 << 16
# A share of 1 as a whole number: shares of classes of a million images can still be told apart.
_WHOLE = 1 << 40


def validation_by_groups(
    labels: Sequence[int], groups: Sequence[GroupKey], fraction: float, seed: int
) -> frozenset[int]:
    """Return the positions of `labels` that go to validation, whole groups only.

    `groups` has the group of each position. The result depends on the images of each group, on
    their names and on `seed`, never on the order of the rows. Each class of two groups or more is
    in both splits (where few groups hold many classes, one class's place in both can rule out
    another's: then the one with fewer groups goes first). No single group could change its split
    and bring the shares nearer to `fraction`. Empty where no class can be in both and the groups
    are too large. Raises `ConfigError` for a fraction outside 0 to 1.
    """
    check_fraction(fraction)
    tallies: dict[GroupKey, Counter[int]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        tallies[group][label] += 1
    names = sorted(tallies)
    order = keyed_permutation((seed, _ORDER_KEY), len(names))
    names = [names[place] for place in order.tolist()]
    chosen = _chosen([tallies[name] for name in names], Counter(labels), fraction)
    validation = {names[place] for place in chosen}
    return frozenset(place for place, group in enumerate(groups) if group in validation)


def _chosen(groups: Sequence[_Tally], images: _Tally, fraction: float) -> set[int]:
    """Return the places of the groups that go to validation; `groups` are in the seed's order."""
    both, first = _in_both(groups)
    balance = _Balance(images, fraction, both)
    chosen = set(first)
    for place in first:
        balance.move(groups[place], 1)
    moved = True
    while moved:  # It ends: every move brings a whole number, the distance, nearer to 0.
        moved = False
        for place, tally in enumerate(groups):
            direction = -1 if place in chosen else 1
            if balance.is_nearer(tally, direction):
                balance.move(tally, direction)
                chosen ^= {place}
                moved = True
    return chosen


@dataclass
class _Balance:
    """How many images of each class validation has, and how far that is from what it should."""

    images: _Tally
    """Of both splits."""
    fraction: float
    both: frozenset[int]
    """Classes that must stay in both splits."""
    held: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._wanted = {
            label: held_out_count(count, self.fraction) for label, count in self.images.items()
        }
        self._weights = {label: _WHOLE // count**2 + 1 for label, count in self.images.items()}

    def is_nearer(self, tally: _Tally, direction: int) -> bool:
        """Say whether a group should come (1) or go (-1)."""
        change = 0
        for label, count in tally.items():
            before = self.held[label]
            after = before + direction * count
            if label in self.both and not 0 < after < self.images[label]:
                return False
            wanted = self._wanted[label]
            change += self._weights[label] * ((after - wanted) ** 2 - (before - wanted) ** 2)
        return change < 0

    def move(self, tally: _Tally, direction: int) -> None:
        for label, count in tally.items():
            self.held[label] += direction * count


def _in_both(groups: Sequence[_Tally]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the classes that can be in both splits, and groups that hold out some of each.

    All images of a class are never in those groups. Classes in few groups come first.
    """
    members: dict[int, set[int]] = defaultdict(set)
    for place, tally in enumerate(groups):
        for label in tally:
            members[label].add(place)
    both: list[int] = []
    chosen: frozenset[int] = frozenset()
    for label in sorted(members, key=lambda one: (len(members[one]), one)):
        found = _some_of_each([*(members[one] for one in both), members[label]], frozenset())
        if found is not None:
            both.append(label)
            chosen = found
    return frozenset(both), chosen


def _some_of_each(classes: Sequence[set[int]], taken: frozenset[int]) -> frozenset[int] | None:
    """Return groups, with all `taken`, that are some but not all of each class's; None: no such.

    Tries all there is to try. That is quick: only classes of two or three groups each can rule
    each other out, as long as there are eight of them.
    """
    if any(members <= taken for members in classes):
        return None
    lacking = next((members for members in classes if not members & taken), None)
    if lacking is None:
        return taken
    tries: Iterable[frozenset[int]] = (taken | {place} for place in sorted(lacking))
    found = (_some_of_each(classes, one) for one in tries)
    return next((one for one in found if one is not None), None)
