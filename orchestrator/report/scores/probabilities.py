"""Scores of a trial's probabilities: top-2, ROC-AUC, log loss, Brier score and calibration.

Thin over scikit-learn. The expected calibration error is Guo et al., "On Calibration of Modern
Neural Networks" (ICML 2017), equation 3, with their 15 bins of equal width, over scikit-learn's
`calibration_curve`. All are fractions of 1 but the log loss (nats) and the Brier score (0 to 2).
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np

from datasets.labels import EXPRESSIONS
from orchestrator.report.scores.statistics import Interval, wilson_interval

NUM_BINS = 15


@dataclass(frozen=True)
class Bin:
    """Images whose highest probability is above `low` and at most `high`.

    `confidence` is the mean of their highest probabilities, `accuracy` the share predicted right;
    NaN where `images` is 0.
    """

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class ProbabilityScores:
    """One trial on the whole validation split.

    `auc` holds each expression against the rest, NaN where no image or every image has it;
    `auc_macro`, the unweighted mean of those that are defined, is NaN where none is. `bins` are the
    reliability diagram's, empty ones too.
    """

    top2: float
    top2_interval: Interval
    auc_macro: float
    auc: tuple[float, ...]
    log_loss: float
    brier: float
    ece: float
    bins: tuple[Bin, ...]


def score_probabilities(
    labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray
) -> ProbabilityScores:
    """Score N images: int [N] codes, int [N] codes, float [N, 8] rows that nearly add up to 1.

    The rows are divided by their sums first (float32 rows add up to 1 only nearly), as the trial's
    own loss does.
    """
    from sklearn.metrics import brier_score_loss, log_loss, top_k_accuracy_score

    rows = probabilities.astype(np.float64)
    rows /= rows.sum(axis=1, keepdims=True)
    codes = list(range(len(EXPRESSIONS)))
    top2 = int(top_k_accuracy_score(labels, rows, k=2, labels=codes, normalize=False))
    auc = tuple(_auc(labels == code, rows[:, code]) for code in codes)
    bins = reliability_bins(labels == predicted, rows.max(axis=1))
    return ProbabilityScores(
        top2=top2 / labels.size,
        top2_interval=wilson_interval(top2, labels.size),
        auc_macro=_mean_of_defined(auc),
        auc=auc,
        log_loss=float(log_loss(labels, rows, labels=codes)),
        brier=float(brier_score_loss(labels, rows, labels=codes)),
        ece=expected_calibration_error(bins),
        bins=bins,
    )


def _auc(has: np.ndarray, probability: np.ndarray) -> float:
    """Area under the ROC curve of one expression against the rest: bool [N], float [N]."""
    from sklearn.metrics import roc_auc_score

    if has.all() or not has.any():
        return math.nan
    return float(roc_auc_score(has, probability))


def _mean_of_defined(values: tuple[float, ...]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def reliability_bins(correct: np.ndarray, confidence: np.ndarray) -> tuple[Bin, ...]:
    """Fifteen bins of equal width over bool [N] and float [N] (0 to 1)."""
    from sklearn.calibration import calibration_curve

    edges = np.linspace(0.0, 1.0, NUM_BINS + 1)
    confidence = confidence.clip(0.0, 1.0)
    # calibration_curve leaves empty bins out and gives no counts; it bins in the same way.
    images = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=NUM_BINS)
    accuracy, mean = (np.full(NUM_BINS, np.nan) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # all right or all wrong is fine here
        accuracy[images > 0], mean[images > 0] = calibration_curve(
            correct.astype(int), confidence, pos_label=1, n_bins=NUM_BINS, strategy="uniform"
        )
    return tuple(
        Bin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            images=int(images[place]),
            confidence=float(mean[place]),
            accuracy=float(accuracy[place]),
        )
        for place in range(NUM_BINS)
    )


def expected_calibration_error(bins: tuple[Bin, ...]) -> float:
    """Guo et al. 2017, equation 3: the mean gap of accuracy and confidence, by images."""
    filled = [one for one in bins if one.images]
    total = sum(one.images for one in filled)
    return sum(one.images * abs(one.accuracy - one.confidence) for one in filled) / total
