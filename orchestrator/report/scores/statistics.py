"""Scores of one trial's predictions: thin over scikit-learn and SciPy, no formulae of our own.

All rates are fractions of 1. A rate that is not defined is NaN, never 0 by accident; the one
exception is written down: the precision of an expression that occurs but was never predicted is 0
(scikit-learn's `zero_division=0`), in its own row as in the macro figures, so that the one is the
mean of the other.
"""

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache

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
    """One expression of one trial. `support` images have it, `predicted` images were given it.

    `recall_interval` is Wilson's, 95 %.
    """

    expression: str
    support: int
    predicted: int
    correct: int
    precision: float
    recall: float
    f1: float
    recall_interval: Interval


@dataclass(frozen=True)
class Scores:
    """One trial on the whole validation split.

    Macro: unweighted over the expressions that occur; weighted: by the images that have each.
    `balanced_accuracy` is `macro_recall` by another name. `kappa` (Cohen's) is NaN
    where labels and predictions are all one expression. `confusion[label][predicted]` are images.
    """

    correct: int
    total: int
    accuracy: float
    interval: Interval
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    balanced_accuracy: float
    kappa: float
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[ClassScores, ...]


@lru_cache(maxsize=4096)  # a report states the same few hundred in several places
def wilson_interval(correct: int, total: int) -> Interval:
    """Wilson's score interval, 95 % (SciPy, `binomtest(...).proportion_ci(method="wilson")`)."""
    if total == 0:
        return Interval(math.nan, math.nan)
    from scipy.stats import binomtest

    bounds = binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def score(labels: np.ndarray, predicted: np.ndarray) -> Scores:
    """Score predictions. Both arrays: int [N], codes 0 to 7, N at least 1."""
    if labels.shape != predicted.shape or labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"labels {labels.shape} and predictions {predicted.shape} don't pair up")
    macro_precision, macro_recall, macro_f1 = _averages(labels, predicted, "macro")
    weighted_precision, weighted_recall, weighted_f1 = _averages(labels, predicted, "weighted")
    balanced_accuracy, kappa = _agreement(labels, predicted)
    correct, total = int(np.sum(labels == predicted)), int(labels.size)
    return Scores(
        correct=correct,
        total=total,
        accuracy=correct / total,
        interval=wilson_interval(correct, total),
        macro_precision=macro_precision,
        macro_recall=macro_recall,
        macro_f1=macro_f1,
        weighted_precision=weighted_precision,
        weighted_recall=weighted_recall,
        weighted_f1=weighted_f1,
        balanced_accuracy=balanced_accuracy,
        kappa=kappa,
        confusion=_confusion(labels, predicted),
        classes=_class_scores(labels, predicted),
    )


_CODES = list(range(len(EXPRESSIONS)))


def _averages(labels: np.ndarray, predicted: np.ndarray, kind: str) -> tuple[float, float, float]:
    """Precision, recall and F1 (scikit-learn), `macro` or `weighted`, over the labels that occur.

    An expression that the data do not have is no class of theirs: seven-class data, all predicted
    right, have a macro recall of 1.
    """
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average=kind, zero_division=0
    )
    return float(precision), float(recall), float(f1)


def _agreement(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Balanced accuracy and Cohen's kappa (scikit-learn)."""
    from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

    with warnings.catch_warnings():
        # Expressions that no image has, and a kappa that is not defined: told by the docstrings.
        warnings.simplefilter("ignore")
        balanced = float(balanced_accuracy_score(labels, predicted))
        return balanced, float(cohen_kappa_score(labels, predicted, labels=_CODES))


def _confusion(labels: np.ndarray, predicted: np.ndarray) -> tuple[tuple[int, ...], ...]:
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, predicted, labels=_CODES).tolist()
    return tuple(tuple(row) for row in counts)


def _class_scores(labels: np.ndarray, predicted: np.ndarray) -> tuple[ClassScores, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    count = len(EXPRESSIONS)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=_CODES, average=None, zero_division=np.nan
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
            recall_interval=wilson_interval(int(correct[code]), int(support[code])),
        )
        for code in range(count)
    )
