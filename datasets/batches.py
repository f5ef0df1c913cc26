"""Batches for training and evaluation: uint8 images straight from the staged memory map."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from datasets.errors import DataError
from datasets.sampler import epoch_order

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]
"""Images uint8 [batch, height, width, 3] RGB and labels int8 [batch]."""


class Split(Protocol):
    """What batches need of a staged split."""

    @property
    def labels(self) -> npt.NDArray[np.int8]:
        """Codes 0 to 7, int8 [rows]."""

    def __len__(self) -> int: ...

    def gather(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the images at `indices`, uint8 [len(indices), height, width, 3]."""


class Subset:
    """Some rows of a split, as a split of its own: `rows` are their places there, int64 [count]."""

    def __init__(self, split: Split, rows: npt.NDArray[np.int64]) -> None:
        self._split = split
        self._rows = rows
        self._labels = split.labels[rows]

    @property
    def labels(self) -> npt.NDArray[np.int8]:
        """See `Split`."""
        return self._labels

    def __len__(self) -> int:
        return len(self._rows)

    def gather(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """See `Split`."""
        return self._split.gather(self._rows[indices])


def _num_steps(rows: int, batch_size: int) -> int:
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size} is below 1")
    return -(-rows // batch_size)


class TrainBatches:
    """Shuffled batches, addressed by (epoch, step); the last batch of an epoch may be smaller.

    The size of each batch is a multiple of `parts`: an epoch leaves out the last
    `len(split) % parts` images of its order, others each time. A split of fewer images than parts
    raises `DataError`.
    """

    def __init__(self, split: Split, batch_size: int, seed: int, parts: int = 1) -> None:
        if batch_size % parts:
            raise ValueError(f"batch_size {batch_size} is not a multiple of {parts}")
        self.images = len(split) - len(split) % parts
        if len(split) and not self.images:
            raise DataError(f"{len(split)} training images can't be cut into {parts} parts")
        self.steps_per_epoch = _num_steps(self.images, batch_size)
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        # One tuple, replaced whole: threads that ask at once see a pair that belongs together.
        self._latest: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def indices(self, epoch: int, step: int) -> npt.NDArray[np.int64]:
        """Return the rows of batch `step` (from 0) of `epoch` (from 0): int64 [batch]."""
        if not 0 <= step < self.steps_per_epoch:
            raise IndexError(f"step {step} is outside 0 to {self.steps_per_epoch - 1}")
        known, order = self._latest
        if known != epoch:
            order = epoch_order(self._seed, epoch, len(self._split))[: self.images]
            self._latest = (epoch, order)
        return order[step * self._batch_size : (step + 1) * self._batch_size]

    def batch(self, epoch: int, step: int) -> Batch:
        """Return batch `step` (from 0) of `epoch` (from 0), the same on every call."""
        indices = self.indices(epoch, step)
        return self._split.gather(indices), self._split.labels[indices]


class EvaluationBatches:
    """Batches in data set order; the last one may be smaller."""

    def __init__(self, split: Split, batch_size: int) -> None:
        self._split = split
        self.batch_size = batch_size
        self._steps = _num_steps(len(split), batch_size)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        if not 0 <= step < self._steps:
            raise IndexError(f"batch {step} is outside 0 to {self._steps - 1}")
        start = step * self.batch_size
        indices = np.arange(start, min(start + self.batch_size, len(self._split)))
        return self._split.gather(indices), self._split.labels[indices]
