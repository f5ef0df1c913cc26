"""What is odd in one trial's answers, and a reader must be told: they look like results.

Below chance; one answer for nearly all images; expressions whose rows of the confusion matrix fit
better exchanged, as where labels do not mean what they were taken for.
"""

import math
from dataclasses import dataclass

import numpy as np

from datasets.labels import EXPRESSIONS
from orchestrator.report.formats import percent
from orchestrator.report.scores.statistics import Scores

# So large a part of the images with one answer is odd, unless nearly all have that expression.
_NEARLY_ALL = 0.95
# Below it labels and answers agree as much as by chance; 0 but for the sampling of images.
_LEAST_KAPPA = 0.02
# Standard errors by which each row must fit better: over all exchanges of eight that is beyond
# what answers by chance come to.
_BEYOND_NOISE = 4.0
# And this part of a row's images: less is no exchange, whatever its error.
_LEAST_GAIN = 0.1


@dataclass(frozen=True)
class Oddity:
    """`short` stands at a trial's row, `long`, a clause without its full stop, at the top."""

    short: str
    long: str


def oddities(scores: Scores) -> tuple[Oddity, ...]:
    """What is odd in a trial's answers; mostly nothing."""
    return (*_below_chance(scores), *_one_answer(scores), *_exchanges(scores))


def is_below_chance(scores: Scores) -> bool:
    """Whether always answering the commonest expression is better, beyond the interval.

    And not for the sake of the others: a trial that tells these apart agrees with the labels more
    than chance does (Cohen's kappa), though its accuracy is lower on data of mostly one expression.
    """
    commonest = max(one.support for one in scores.classes) / scores.total
    return scores.interval.high < commonest and not scores.kappa >= _LEAST_KAPPA


def _below_chance(scores: Scores) -> tuple[Oddity, ...]:
    if not is_below_chance(scores):
        return ()
    commonest = max(scores.classes, key=lambda one: one.support)
    return (
        Oddity(
            "below chance",
            f"its accuracy, {percent(scores.accuracy)} %, is below that of always answering "
            f"{commonest.expression}, {percent(commonest.support / scores.total)} %",
        ),
    )


def _one_answer(scores: Scores) -> tuple[Oddity, ...]:
    answer = max(scores.classes, key=lambda one: one.predicted)
    given, true = answer.predicted / scores.total, answer.support / scores.total
    if given < _NEARLY_ALL or true >= _NEARLY_ALL**2:
        return ()
    return (
        Oddity(
            "one answer for nearly all",
            f"{answer.expression} is its answer for {percent(given)} % of the images; "
            f"{percent(true)} % have it",
        ),
    )


def _exchanges(scores: Scores) -> tuple[Oddity, ...]:
    """Cycles of expressions whose images are, each row for itself, better told by another name."""
    from scipy.optimize import linear_sum_assignment

    counts = np.array(scores.confusion, dtype=float)
    support = counts.sum(axis=1)
    rates = counts / np.maximum(support, 1)[:, None]
    # Of two that fit as well, an expression keeps its own name.
    _, assigned = linear_sum_assignment(rates + 1e-9 * np.eye(len(rates)), maximize=True)
    found = []
    for cycle in _cycles(assigned.tolist()):
        if all(_fits_better(rates[row], row, int(assigned[row]), support[row]) for row in cycle):
            found.append(_exchange(cycle, assigned.tolist(), counts, support))
    return tuple(found)


def _cycles(assigned: list[int]) -> list[list[int]]:
    """The cycles of a permutation, without those of one."""
    seen: set[int] = set()
    cycles = []
    for start in range(len(assigned)):
        cycle, at = [], start
        while at not in seen:
            seen.add(at)
            cycle.append(at)
            at = assigned[at]
        if len(cycle) > 1:
            cycles.append(cycle)
    return cycles


def _fits_better(rates: np.ndarray, own: int, other: int, support: float) -> bool:
    """Whether a row has more of another answer than of its own, beyond noise: float [8] rates.

    The error is that of a difference of two shares of one multinomial sample.
    """
    gain = float(rates[other] - rates[own])
    if support == 0 or gain < _LEAST_GAIN:
        return False
    error = math.sqrt(max(float(rates[other] + rates[own]) - gain**2, 1 / support) / support)
    return gain > _BEYOND_NOISE * error


def _exchange(
    cycle: list[int], assigned: list[int], counts: np.ndarray, support: np.ndarray
) -> Oddity:
    total = support[cycle].sum()
    now = sum(counts[row, row] for row in cycle) / total
    then = sum(counts[row, assigned[row]] for row in cycle) / total
    if len(cycle) == 2:
        who = " and ".join(EXPRESSIONS[row] for row in cycle) + " fit better exchanged"
    else:
        pairs = (f"{EXPRESSIONS[row]} as {EXPRESSIONS[assigned[row]]}" for row in cycle)
        who = f"{', '.join(pairs)} fit better"
    return Oddity(
        who,
        f"{who}: {percent(float(then))} % of their images would be right, {percent(float(now))} % "
        "are; see whether the labels mean what they were taken for",
    )
