"""Staged data: the rows of a cache directory, gathered straight from the memory map."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.errors import DataError
from datasets.parallel import num_cores

ImagesBHWC = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

# All record batches of a staged file hold this many rows, the last one fewer: row i lies in batch
# i // ROWS_PER_BATCH, found by arithmetic. 256 images of 224 pixels are 38 MB.
ROWS_PER_BATCH = 256


class StagedSplit(ABC):
    """One split on local disk, memory-mapped, in data set order."""

    def __init__(self, path: Path, image_size: int) -> None:
        self._size = image_size
        # Kept: the views below point into its pages.
        self._source = pa.memory_map(str(path))
        try:
            reader = pa.ipc.open_file(self._source)
            self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        except pa.ArrowInvalid as error:
            raise DataError(f"{path} is not a whole Arrow file: {error}") from error
        columns = [batch.column(1).to_numpy() for batch in self._batches]
        self.labels: npt.NDArray[np.int8] = (
            np.concatenate(columns) if columns else np.empty(0, np.int8)
        )
        """Codes 0 to 7, int8 [rows]."""

    @property
    def image_ids(self) -> list[str]:
        """The images' names, in data set order."""
        return [name for batch in self._batches for name in batch.column(0).to_pylist()]

    def __len__(self) -> int:
        return len(self.labels)

    def gather(self, indices: Indices) -> ImagesBHWC:
        """The images at `indices`, in their order: uint8 RGB [len(indices), size, size, 3]."""
        images = np.empty((len(indices), self._size, self._size, 3), np.uint8)
        self._fill(images, np.asarray(indices))
        return images

    @abstractmethod
    def _fill(self, images: ImagesBHWC, indices: Indices) -> None:
        """Write the images at `indices` into `images`."""


class DecodedSplit(StagedSplit):
    """Pixels on disk: a gather is a copy out of the page cache."""

    def __init__(self, path: Path, image_size: int) -> None:
        super().__init__(path, image_size)
        self._pixels = [self._view(batch) for batch in self._batches]

    def _view(self, batch: Any) -> ImagesBHWC:
        column = batch.column(2)
        values = np.frombuffer(column.buffers()[1], np.uint8)
        per_image = self._size * self._size * 3
        start = column.offset * per_image
        rows = values[start : start + len(column) * per_image]
        return rows.reshape(len(column), self._size, self._size, 3)

    def _fill(self, images: ImagesBHWC, indices: Indices) -> None:
        for place, row in enumerate(indices.tolist()):
            images[place] = self._pixels[row // ROWS_PER_BATCH][row % ROWS_PER_BATCH]


class EncodedSplit(StagedSplit):
    """Encoded bytes on disk: a gather decodes them in a pool of threads."""

    def __init__(
        self, path: Path, image_size: int, decode: Callable[[bytes], npt.NDArray[np.uint8]]
    ) -> None:
        super().__init__(path, image_size)
        self._decode = decode
        self._pool = ThreadPoolExecutor(num_cores(), thread_name_prefix="decode")

    def _fill(self, images: ImagesBHWC, indices: Indices) -> None:
        def fill(place: int) -> None:
            row = int(indices[place])
            column = self._batches[row // ROWS_PER_BATCH].column(2)
            images[place] = self._decode(column[row % ROWS_PER_BATCH].as_py())

        for _ in self._pool.map(fill, range(len(indices))):
            pass
