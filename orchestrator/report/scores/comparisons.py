"""What comparing the trials of a run gives: pairs, groups, and the spread over seeds."""

from dataclasses import dataclass

from orchestrator.report.scores.groups import letters_by_name
from orchestrator.report.scores.paired_tests import ALPHA, CochranQ, McNemar
from orchestrator.report.scores.statistics import Interval


@dataclass(frozen=True)
class SeedPair:
    """Two architectures over the seeds that both finished; accuracies are fractions of 1.

    `accuracy_difference`, `first` less `second`, is the mean over the seeds, NaN where there are
    none. `p` is of the paired t test, `holm_p` its correction over all pairs; both NaN where it is
    not defined.
    """

    first: str
    second: str
    seeds: tuple[int, ...]
    accuracy_difference: float
    p: float
    holm_p: float

    @property
    def names(self) -> frozenset[str]:
        """Both architectures' ids."""
        return frozenset((self.first, self.second))


@dataclass(frozen=True)
class Pair:
    """Two architectures on the same images; differences are `first` less `second`, fractions of 1.

    Intervals: paired bootstrap, 95 %.
    """

    first: str
    second: str
    accuracy_difference: float
    accuracy_interval: Interval
    macro_f1_difference: float
    macro_f1_interval: Interval
    test: McNemar
    over_seeds: SeedPair

    @property
    def names(self) -> frozenset[str]:
        """Both architectures' ids."""
        return frozenset((self.first, self.second))

    @property
    def is_different(self) -> bool:
        """True when the corrected test says so; False does not say that the two are equal."""
        return self.test.holm_p < ALPHA


@dataclass(frozen=True)
class OverSeeds:
    """One architecture over its finished seeds: means and standard deviations (n - 1).

    Fractions of 1; a standard deviation is NaN for a single seed.
    """

    architecture: str
    seeds: tuple[int, ...]
    accuracy: float
    accuracy_sd: float
    macro_f1: float
    macro_f1_sd: float
    odd: tuple[str, ...] = ()
    """What is odd of its seeds, each: `seed 1: below chance` (`oddities`)."""


@dataclass(frozen=True)
class Comparisons:
    """All of it. Architectures are ids, the highest mean accuracy over seeds first.

    `architectures` are those compared image by image: their trials of `seed` on the same `images`.
    `pairs` holds each two of them once, `groups` the largest sets of which no two differ.
    `cochran` is None for fewer than two. `over_seeds` and `seed_pairs` hold every architecture with
    a finished trial. `left_out` says who is missing from `architectures` and why.
    """

    seed: int
    images: int
    architectures: tuple[str, ...]
    cochran: CochranQ | None
    pairs: tuple[Pair, ...]
    groups: tuple[tuple[str, ...], ...]
    over_seeds: tuple[OverSeeds, ...]
    seed_pairs: tuple[SeedPair, ...]
    left_out: tuple[str, ...] = ()

    @property
    def letters(self) -> dict[str, str]:
        """The letters of each compared architecture's groups."""
        return letters_by_name(self.groups)

    @property
    def many_seeds(self) -> bool:
        """True when an architecture has more than one seed."""
        return any(len(one.seeds) > 1 for one in self.over_seeds)

    def pair(self, one: str, other: str) -> Pair:
        """The pair of two compared architectures, whichever is first in it."""
        wanted = frozenset((one, other))
        return next(pair for pair in self.pairs if pair.names == wanted)

    def seed_pair(self, one: str, other: str) -> SeedPair:
        """The same of two architectures over seeds."""
        wanted = frozenset((one, other))
        return next(pair for pair in self.seed_pairs if pair.names == wanted)
