"""A validation split for sources that have none: stratified, seeded, the same on every run."""

from collections import defaultdict
from collections.abc import Sequence

from datasets.errors import ConfigError
from datasets.sampler import keyed_permutation


def validation_rows(labels: Sequence[int], fraction: float, seed: int) -> frozenset[int]:
    """Return the positions of `labels` that go to validation.

    Of each class `held_out_count` rows are chosen: each class that can be is in both splits.
    Raises `ConfigError` for a fraction outside 0 to 1.
    """
    check_fraction(fraction)
    by_label: dict[int, list[int]] = defaultdict(list)
    for position, label in enumerate(labels):
        by_label[label].append(position)
    chosen: set[int] = set()
    for label, positions in by_label.items():
        count = held_out_count(len(positions), fraction)
        order = keyed_permutation((seed, label), len(positions))
        chosen.update(positions[place] for place in order[:count].tolist())
    return frozenset(chosen)


def held_out_count(rows: int, fraction: float) -> int:
    """Return how many of a class's rows are held out: at least one (of two and more), never all."""
    return min(max(round(rows * fraction), 1), rows - 1)


def check_fraction(fraction: float) -> None:
    """Raise `ConfigError` for a fraction outside 0 to 1."""
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"validation fraction {fraction}: give a number between 0 and 1")
