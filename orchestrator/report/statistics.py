"""Scores of one trial's predictions: thin over scikit-learn and SciPy, no formulae of our own.

All rates are fractions of 1. A rate that is not defined is NaN, never 0 by accident; the one
exception is written down: the precision of an expression that occurs but was never predicted is 0
(scikit-learn's `zero_division=0`), in its own row as in the macro figures, so that the one is the
mean of the other.
"""

import math
from dataclasses import dataclass

import numpy as np

from datasets.labels import EXPRESSIONS

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a proportion; NaN on both sides where nothing was counted."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"interval upside down: {self.low} to {self.high}")

    def overlaps(self, other: "Interval") -> bool:
        """True when the two share a point. Not a test: overlapping intervals can still differ."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class ClassScores:
    """One expression of one trial. `support` images have it, `predicted` images were given it."""

    expression: str
    support: int
    predicted: int
    correct: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Scores:
    """One trial on the whole validation split. Macro: unweighted over the eight expressions."""

    correct: int
    total: int
    accuracy: float
    interval: Interval
    macro_precision: float
    macro_recall: float
    macro_f1: float
    classes: tuple[ClassScores, ...]


def wilson_interval(correct: int, total: int) -> Interval:
    """Wilson's score interval, 95 % (SciPy, `binomtest(...).proportion_ci(method="wilson")`)."""
    if total == 0:
        return Interval(math.nan, math.nan)
    from scipy.stats import binomtest

    bounds = binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def score(labels: np.ndarray, predicted: np.ndarray) -> Scores:
    """Score predictions. Both arrays: int [N], codes 0 to 7, N at least 1."""
    from sklearn.metrics import precision_recall_fscore_support

    if labels.shape != predicted.shape or labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"labels {labels.shape} and predictions {predicted.shape} don't pair up")
    codes = list(range(len(EXPRESSIONS)))
    macro_precision, macro_recall, macro_f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=codes, average="macro", zero_division=0
    )
    correct, total = int(np.sum(labels == predicted)), int(labels.size)
    return Scores(
        correct=correct,
        total=total,
        accuracy=correct / total,
        interval=wilson_interval(correct, total),
        macro_precision=float(macro_precision),
        macro_recall=float(macro_recall),
        macro_f1=float(macro_f1),
        classes=_class_scores(labels, predicted),
    )


def _class_scores(labels: np.ndarray, predicted: np.ndarray) -> tuple[ClassScores, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    count = len(EXPRESSIONS)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=list(range(count)), average=None, zero_division=np.nan
    )
    given = np.bincount(predicted, minlength=count)
    correct = np.bincount(labels[labels == predicted], minlength=count)
    # The convention of the macro figures: it occurs, but was never predicted.
    precision = np.where((given == 0) & (support > 0), 0.0, precision)
    return tuple(
        ClassScores(
            expression=EXPRESSIONS[code],
            support=int(support[code]),
            predicted=int(given[code]),
            correct=int(correct[code]),
            precision=float(precision[code]),
            recall=float(recall[code]),
            f1=float(f1[code]),
        )
        for code in range(count)
    )
