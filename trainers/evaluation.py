"""Evaluation on the whole validation split: probabilities per image, scikit-learn's metrics.

scikit-learn takes a second to import, and is only when it is first needed: training starts sooner.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.batches import EvaluationBatches
from datasets.files import write_atomically
from datasets.labels import NUM_CLASSES

if TYPE_CHECKING:
    import keras

FloatArray = np.ndarray[Any, np.dtype[np.float32]]
IntArray = np.ndarray[Any, np.dtype[np.int8]]


@dataclass(frozen=True)
class Evaluation:
    """One model on one split. `probabilities` is float32 `[images, 8]`, in data set order.

    `images_per_s` is the model's own rate, without the first batch, which may trace its graph; None
    where there was no other.
    """

    labels: IntArray
    probabilities: FloatArray
    images_per_s: float | None = None

    @property
    def predicted(self) -> IntArray:
        """Each image's most probable expression (the lowest code on a tie), int8 `[images]`."""
        predicted: IntArray = self.probabilities.argmax(axis=1).astype(np.int8)
        return predicted

    @property
    def accuracy(self) -> float:
        """Fraction of images predicted right."""
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(self.labels, self.predicted))

    @property
    def loss(self) -> float:
        """Mean categorical cross-entropy, nats (`sklearn.metrics.log_loss`; NaN stays NaN)."""
        if not np.isfinite(self.probabilities).all():
            return float("nan")
        from sklearn.metrics import log_loss

        exact = self.probabilities.astype(np.float64)
        exact /= exact.sum(axis=1, keepdims=True)  # float32 rows add up to 1 only nearly
        return float(log_loss(self.labels, exact, labels=list(range(NUM_CLASSES))))

    def macro(self) -> tuple[float, float, float]:
        """Macro precision, recall and F1 over the expressions that occur; 0 where undefined."""
        from sklearn.metrics import precision_recall_fscore_support

        precision, recall, f1, _ = precision_recall_fscore_support(
            self.labels,
            self.predicted,
            labels=np.unique(self.labels),
            average="macro",
            zero_division=0,
        )
        return float(precision), float(recall), float(f1)


def evaluate(
    model: "keras.Model", batches: EvaluationBatches, on_batch: Callable[[], None] = lambda: None
) -> Evaluation:
    """Run the model over a split, in data set order; calls `on_batch` after each batch.

    The last batch is filled up to full size and cut again: one shape, one trace.
    """
    rows, labels, seconds = [], [], []
    for place in range(len(batches)):
        images, batch_labels = batches[place]
        missing = batches.batch_size - len(images)
        if missing:
            images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        begin = time.perf_counter()
        rows.append(np.asarray(model.predict_on_batch(images))[: len(batch_labels)])
        seconds.append(time.perf_counter() - begin)
        labels.append(batch_labels)
        on_batch()
    rated = sum(seconds[1:])
    rate = batches.batch_size * len(seconds[1:]) / rated if rated else None
    return Evaluation(np.concatenate(labels), np.concatenate(rows).astype(np.float32), rate)


def write_predictions(path: Path, image_ids: Sequence[str], evaluation: Evaluation) -> None:
    """Write `predictions.parquet`: one row per image, in data set order."""
    flat = pa.array(evaluation.probabilities.reshape(-1), pa.float32())
    table = pa.table(
        {
            "image_id": pa.array(list(image_ids), pa.string()),
            "label": pa.array(evaluation.labels, pa.int8()),
            "predicted": pa.array(evaluation.predicted, pa.int8()),
            "probabilities": pa.FixedSizeListArray.from_arrays(flat, NUM_CLASSES),
        }
    )
    write_atomically(path, lambda temporary: pq.write_table(table, temporary))
