"""Predictions of trials that nobody trained, in the contract's columns."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.labels import EXPRESSIONS


def write_predictions(
    path: Path,
    labels: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray | None = None,
) -> None:
    """`predictions.parquet`; probabilities that agree with the predicted labels unless given."""
    count = labels.size
    if probabilities is None:
        probabilities = np.full((count, len(EXPRESSIONS)), 0.05, dtype=np.float32)
        probabilities[np.arange(count), predicted] = 0.65
    flat = pa.array(probabilities.reshape(-1), type=pa.float32())
    table = pa.table(
        {
            "image_id": pa.array([f"image-{index:05d}" for index in range(count)]),
            "label": pa.array(labels.astype(np.int8)),
            "predicted": pa.array(predicted.astype(np.int8)),
            "probabilities": pa.FixedSizeListArray.from_arrays(flat, len(EXPRESSIONS)),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def probabilities_for(predicted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random float32 [N, 8] whose rows add up to 1 and are highest at the predicted label."""
    rows = rng.dirichlet(np.full(len(EXPRESSIONS), 0.5), predicted.size)
    every = np.arange(predicted.size)
    highest = rows.argmax(axis=1)
    rows[every, highest], rows[every, predicted] = rows[every, predicted], rows.max(axis=1)
    return rows.astype(np.float32)


def predictions_with_counts(correct: Sequence[int], support: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions: `correct[code]` hits among `support` images of each expression."""
    codes = np.arange(len(EXPRESSIONS))
    labels = np.repeat(codes, support)
    within = np.tile(np.arange(support), len(codes))
    wrong = (labels + 1 + within % (len(codes) - 1)) % len(codes)
    return labels, np.where(within < np.asarray(correct)[labels], labels, wrong)
