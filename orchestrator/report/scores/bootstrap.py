"""Paired bootstrap over images: 95 % percentile intervals of differences between trials.

The method is the percentile interval of Efron and Tibshirani, "An Introduction to the Bootstrap"
(1993), section 13.3, the same that `scipy.stats.bootstrap(..., paired=True, method="percentile")`
computes. All trials share one set of resamples, so that a difference is taken over the same
images; each resample is a row of image counts, and one matrix product scores all trials.
"""

from dataclasses import dataclass

import numpy as np

from datasets.labels import EXPRESSIONS
from orchestrator.report.scores.statistics import CONFIDENCE, Interval

NUM_RESAMPLES = 10_000
# Fixed, so that equal predictions give equal intervals; the resamples depend on nothing else but
# the number of images.
SEED = 20_260
# Resamples at once: bounds the memory at 8 MB of counts for 4,000 images.
_BATCH = 500


@dataclass(frozen=True, eq=False)
class Resampled:
    """Scores of T trials on R resamples of their images: float [R, T] each, fractions of 1."""

    accuracy: np.ndarray
    macro_f1: np.ndarray


def resample(
    labels: np.ndarray, predicted: np.ndarray, resamples: int = NUM_RESAMPLES
) -> Resampled:
    """Draw the images with replacement: int [N] labels, int [T, N] predicted labels.

    The products are of whole numbers below 2**24 in float32, hence exact: the same bytes on every
    processor and number of threads.
    """
    from threadpoolctl import threadpool_limits

    trials, images = predicted.shape
    features = _features(labels, predicted)
    generator = np.random.default_rng(SEED)
    accuracy, macro_f1 = (np.empty((resamples, trials)) for _ in range(2))
    occurring = np.unique(labels)
    # BLAS threads spin where they wait: beside other processes that costs more than it saves.
    with threadpool_limits(1, "blas"):
        for start in range(0, resamples, _BATCH):
            rows = min(_BATCH, resamples - start)
            counts = _image_counts(generator, rows, images) @ features
            place = slice(start, start + rows)
            accuracy[place], macro_f1[place] = _scored(counts.astype(np.float64), trials, occurring)
    return Resampled(accuracy, macro_f1)


def _features(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """What each image counts towards: float32 [N, 8 + 16 T].

    Eight columns for its label, then for each trial eight for a hit and eight for its prediction.
    """
    one_hot = np.eye(len(EXPRESSIONS), dtype=np.float32)
    columns = [one_hot[labels]]
    for row in predicted:
        columns += [one_hot[row] * (row == labels)[:, None], one_hot[row]]
    return np.concatenate(columns, axis=1)


def _image_counts(generator: np.random.Generator, rows: int, images: int) -> np.ndarray:
    """How often each image is in each resample: float32 [rows, images]."""
    drawn = generator.integers(0, images, (rows, images))
    drawn += images * np.arange(rows)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=rows * images)
    return counts.reshape(rows, images).astype(np.float32)


def _scored(
    counts: np.ndarray, trials: int, occurring: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and macro F1, float [rows, T] each, from the counts [rows, 8 + 16 T].

    F1 is 2 TP / (support + predicted), and 0 where an expression is in neither, as scikit-learn's
    `f1_score(average="macro", zero_division=0)` over the codes that occur in all the images.
    """
    count = len(EXPRESSIONS)
    support = counts[:, None, :count]
    by_trial = counts[:, count:].reshape(len(counts), trials, 2, count)
    hits, given = by_trial[:, :, 0], by_trial[:, :, 1]
    whole = support + given
    f1 = np.divide(2 * hits, whole, out=np.zeros_like(hits), where=whole > 0)
    return hits.sum(axis=2) / support.sum(axis=2), f1[..., occurring].mean(axis=2)


def difference_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    """95 % percentile interval of `first - second`, float [R] each over the same resamples."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(first - second, [tail, 100 - tail])
    return Interval(float(low), float(high))
