"""Reads `predictions.parquet`: labels, predicted labels, image ids and probabilities.

Labels and predicted labels must be whole, or nothing can be said of the trial. Image ids and
probabilities may be missing or damaged: what needs them is left out, and `problems` says why.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets.labels import EXPRESSIONS

# Rows of float32 softmax outputs add up to 1 within 1e-6; of half precision, within 1e-2.
SUM_TOLERANCE = 1e-2


@dataclass(frozen=True, eq=False)
class Predictions:
    """One trial's predictions, N images in the order of the file.

    `labels` and `predicted` are int64 [N], codes 0 to 7; `image_ids` are str [N]; `probabilities`
    are float32 [N, 8] whose rows add up to 1 nearly.
    """

    labels: np.ndarray
    predicted: np.ndarray
    image_ids: np.ndarray | None
    probabilities: np.ndarray | None
    problems: tuple[str, ...] = ()


def read_predictions(path: Path) -> Predictions:
    """Read the file; `ValueError` says why its labels or predicted labels can't be used."""
    labels, predicted = (_codes(path, name) for name in ("label", "predicted"))
    problems: list[str] = []
    ids = _optional(path, _image_ids, problems, "it is not compared image by image")
    rows = _optional(
        path, _probabilities, problems, "no calibration, log loss, ROC-AUC and top-2 accuracy"
    )
    if rows is not None and (strange := _not_the_most_probable(predicted, rows)):
        problems.append(
            f"{path.name}: predicted is not the most probable expression in {strange:,} of "
            f"{predicted.size:,} rows"
        )
    return Predictions(labels, predicted, ids, rows, tuple(problems))


def _optional(
    path: Path, read: Callable[[Path], np.ndarray], problems: list[str], cost: str
) -> np.ndarray | None:
    try:
        return read(path)
    except ValueError as error:
        problems.append(f"{path.name}: {error}: {cost}")
        return None


def _column(path: Path, name: str) -> pa.Array:
    """One column in one piece, without gaps, at least one row."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            column = file.read(columns=[name]).column(name).combine_chunks()
    except FileNotFoundError:
        raise ValueError("the file is missing") from None
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"damaged: {reason.replace(str(path), path.name)}") from error
    if len(column) == 0:
        raise ValueError("it holds no rows")
    if column.null_count:
        raise ValueError(f"{name} has gaps")
    return column


def _codes(path: Path, name: str) -> np.ndarray:
    """int64 [N], 0 to 7."""
    column = _column(path, name)
    if not pa.types.is_integer(column.type):
        raise ValueError(f"{name} holds {column.type}, not whole numbers")
    codes: np.ndarray = column.to_numpy(zero_copy_only=False).astype(np.int64)
    strange = codes[(codes < 0) | (codes >= len(EXPRESSIONS))]
    if strange.size:
        raise ValueError(f"{name} holds {int(strange[0])}, outside 0 to {len(EXPRESSIONS) - 1}")
    return codes


def _image_ids(path: Path) -> np.ndarray:
    """Str [N]."""
    column = _column(path, "image_id")
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise ValueError(f"image_id holds {column.type}, not texts")
    ids: np.ndarray = column.to_numpy(zero_copy_only=False)
    return ids


def _probabilities(path: Path) -> np.ndarray:
    """float32 [N, 8], each row probabilities."""
    column, count = _column(path, "probabilities"), len(EXPRESSIONS)
    kind = column.type
    if not (pa.types.is_fixed_size_list(kind) and kind.list_size == count):
        raise ValueError(f"probabilities holds {kind}, not lists of {count}")
    if not pa.types.is_floating(kind.value_type):
        raise ValueError(f"probabilities holds {kind}, not fractions")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    rows: np.ndarray = flat.astype(np.float32).reshape(-1, count)
    if not np.isfinite(rows).all():
        raise ValueError("probabilities are not finite in every row")
    if rows.min() < 0 or np.abs(rows.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise ValueError("probabilities don't add up to 1 in every row")
    return rows


def _not_the_most_probable(predicted: np.ndarray, rows: np.ndarray) -> int:
    """How many images were given an expression that another one beats."""
    if predicted.shape[0] != rows.shape[0]:
        return int(predicted.size)
    own = np.take_along_axis(rows, predicted[:, None], axis=1)[:, 0]
    return int(np.sum(own < rows.max(axis=1)))
