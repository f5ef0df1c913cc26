"""A validation split for sources that have none: stratified, seeded, the same on every run."""

from collections import defaultdict
from collections.abc import Sequence

from datasets.errors import ConfigError
from datasets.sampler import keyed_permutation


def validation_rows(labels: Sequence[int], fraction: float, seed: int) -> frozenset[int]:
    """Return the positions of `labels` that go to validation.

    Of each class with n rows, `round(n * fraction)` are chosen, but at least one (of two and more)
    and never all: each class that can be is in both splits. Raises `ConfigError` for a fraction
    outside 0 to 1.
    """
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"validation fraction {fraction}: give a number between 0 and 1")
    by_label: dict[int, list[int]] = defaultdict(list)
    for position, label in enumerate(labels):
        by_label[label].append(position)
    chosen: set[int] = set()
    for label, positions in by_label.items():
        count = min(max(round(len(positions) * fraction), 1), len(positions) - 1)
        order = keyed_permutation((seed, label), len(positions))
        chosen.update(positions[place] for place in order[:count].tolist())
    return frozenset(chosen)
