"""Tests that tell architectures apart: thin over statsmodels and SciPy.

p values are NaN where a test is not defined. The sources:

- Cochran's Q (Biometrika 37, 1950): `statsmodels.stats.contingency_tables.cochrans_q`
- McNemar's test, exact (Psychometrika 12, 1947): `statsmodels.stats.contingency_tables.mcnemar`
- Holm's correction (Scand. J. Stat. 6, 1979): `statsmodels.stats.multitest.multipletests`
- paired t test over seeds: `scipy.stats.ttest_rel`
- two proportions, unpaired: `statsmodels.stats.proportion.proportions_ztest`
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ALPHA = 0.05
# Accuracies are counts over images: smaller differences are rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class CochranQ:
    """All trials at once: `q` is chi-squared with `df` degrees of freedom where all are alike."""

    q: float
    df: int
    p: float


def cochran_q(correct: np.ndarray) -> CochranQ:
    """Are all trials right equally often? bool [N, T], one row an image, T at least 2.

    NaN where all trials are right on the same images: there is nothing to test then.
    """
    from statsmodels.stats.contingency_tables import cochrans_q

    if (correct == correct[:, :1]).all():
        return CochranQ(math.nan, correct.shape[1] - 1, math.nan)
    found = cochrans_q(correct.astype(int))
    return CochranQ(float(found.statistic), int(found.df), float(found.pvalue))


@dataclass(frozen=True)
class McNemar:
    """Images that only the one of two trials has right, the exact p, and p corrected by Holm."""

    only_first_right: int
    only_second_right: int
    p: float
    holm_p: float


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Exact p from the images that only the one or only the other has right; 1 without any.

    The images that both have right or both wrong do not enter the test.
    """
    from statsmodels.stats.contingency_tables import mcnemar

    return float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the same order. NaN stays NaN and does not count as a comparison."""
    from statsmodels.stats.multitest import multipletests

    adjusted = np.array(p_values, dtype=float)
    known = np.isfinite(adjusted)
    if known.any():
        adjusted[known] = multipletests(adjusted[known], alpha=ALPHA, method="holm")[1]
    return [float(value) for value in adjusted]


def seeds_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Paired t test over the accuracies of two architectures, one value a common seed.

    NaN for fewer than two seeds, and where the differences are all equal: their spread is what the
    test measures them by.
    """
    from scipy.stats import ttest_rel

    differences = np.subtract(first, second)
    if differences.size < 2 or np.ptp(differences) < _ROUNDING:
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nearly equal differences: SciPy warns of its precision
        return float(ttest_rel(first, second).pvalue)


def two_proportions_p(correct: tuple[int, int], totals: tuple[int, int]) -> float:
    """Unpaired z test of two accuracies with a pooled variance; NaN where both are 0 or 1."""
    from statsmodels.stats.proportion import proportions_ztest

    if sum(correct) in (0, sum(totals)):
        return math.nan
    return float(proportions_ztest(np.array(correct), np.array(totals))[1])
