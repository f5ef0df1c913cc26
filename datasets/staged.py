"""Staged data: images gathered straight from the memory map of the cache."""

import mmap
import os
import weakref
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.cache_format import CacheKey, Mode, split_path
from datasets.images import load_stored
from datasets.manifest import SPLITS, Manifest, SplitName
from datasets.parallel import num_cores

Indices = npt.NDArray[np.int64]
ImagesBHWC = npt.NDArray[np.uint8]
"""uint8 [batch, height, width, 3] RGB."""


class _Images(Protocol):
    """Images by row number; the caller has checked the numbers."""

    def gather(self, indices: Indices) -> ImagesBHWC:
        """Return the images at `indices`, in that order."""


class StagedSplit:
    """The rows of one split, in data set order."""

    def __init__(self, path: Path, key: CacheKey) -> None:
        """Map `path`. Raises `OSError`, `ValueError` or `pa.ArrowException` if it is damaged."""
        self._path = path
        # Kept open: it leads to the mapped file also when another one has taken its name.
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        self._at_mapping = os.fstat(self._descriptor)
        flat = _mapped(self._descriptor)
        self._table = pa.ipc.open_file(pa.py_buffer(flat)).read_all()
        self.labels: npt.NDArray[np.int8] = self._table.column("label").to_numpy()
        """Codes 0 to 7, int8 [rows]."""
        self._images = _images(flat, self._table.column("image"), key)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def image_ids(self) -> list[str]:
        """The name of each row."""
        names: list[str] = self._table.column("image_id").to_pylist()
        return names

    def changed_file(self) -> Path | None:
        """Return the mapped file if it was written to since, whose pixels may be others by now.

        That a file was removed, or that another has its name, does not touch what is mapped.
        """
        before, now = self._at_mapping, os.fstat(self._descriptor)
        same = (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        return None if same else self._path

    def gather(self, indices: npt.NDArray[np.integer[Any]]) -> ImagesBHWC:
        """Return the images at `indices` [batch], in that order: uint8 [batch, height, width, 3].

        The result is contiguous and the caller's own. Raises `IndexError` for a row outside 0 to
        `len(self) - 1`. Threads may call at once.
        """
        rows = np.asarray(indices)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise IndexError(f"indices of shape {rows.shape} and type {rows.dtype}: give integers")
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} are not in 0 to {len(self) - 1}")
        return self._images.gather(rows.astype(np.int64, copy=False))


@dataclass(frozen=True)
class StagedData:
    """A data set on this node's own disk, ready for batches; `cache.stage` makes it."""

    manifest: Manifest
    mode: Mode
    """decoded: pixels in the memory map; encoded: decoded on each gather, to the same pixels."""
    image_size: int
    """Height and width of the gathered images, pixels."""
    directory: Path
    """Where the cache lies."""
    splits: dict[SplitName, StagedSplit]

    def split(self, name: SplitName) -> StagedSplit:
        """Return a split. Raises `KeyError` for another name than train and validation."""
        return self.splits[name]

    def changed_file(self) -> Path | None:
        """Return a mapped file that was written to since; see `StagedSplit.changed_file`."""
        found = (split.changed_file() for split in self.splits.values())
        return next((path for path in found if path is not None), None)


def open_staged(directory: Path, key: CacheKey, manifest: Manifest) -> StagedData | None:
    """Open a cache, or return None if its files can't be read or hold another number of rows."""
    try:
        splits = {split: StagedSplit(split_path(directory, split), key) for split in SPLITS}
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None
    if any(len(splits[split]) != manifest.rows(split) for split in SPLITS):
        return None
    return StagedData(manifest, key.mode, key.image_size, directory, splits)


def _mapped(descriptor: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ), np.uint8)


def _images(flat: npt.NDArray[np.uint8], column: Any, key: CacheKey) -> _Images:
    base = flat.ctypes.data
    if key.mode == "decoded":
        return _DecodedImages(flat, _fixed_starts(column, base), key.image_size)
    return _EncodedImages(flat, *_variable_bounds(column, base), key)


def _fixed_starts(column: Any, base: int) -> Indices:
    """Return the byte at which each row of a fixed-size column begins: int64 [rows]."""
    width = column.type.byte_width
    starts = [
        chunk.buffers()[1].address - base + width * np.arange(len(chunk), dtype=np.int64)
        for chunk in column.chunks
    ]
    return np.concatenate(starts)


def _variable_bounds(column: Any, base: int) -> tuple[Indices, Indices]:
    """Return the bytes at which each row of a large-binary column begins and ends."""
    starts, ends = [], []
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        bounds = np.frombuffer(offsets, np.int64)[: len(chunk) + 1] + (data.address - base)
        starts.append(bounds[:-1])
        ends.append(bounds[1:])
    return np.concatenate(starts), np.concatenate(ends)


class _DecodedImages:
    """Rows copied out of the map by one indexing operation: no Python object per image."""

    def __init__(self, flat: npt.NDArray[np.uint8], starts: Indices, size: int) -> None:
        self._starts = starts
        self._size = size
        # Row n of this view is what begins at byte n: a view only, it costs nothing.
        self._windows = np.lib.stride_tricks.sliding_window_view(flat, size * size * 3)

    def gather(self, indices: Indices) -> ImagesBHWC:
        rows: ImagesBHWC = self._windows[self._starts[indices]]
        return rows.reshape(len(indices), self._size, self._size, 3)


class _EncodedImages:
    """Rows decoded on each gather, by the caller and a pool of threads."""

    def __init__(
        self, flat: npt.NDArray[np.uint8], starts: Indices, ends: Indices, key: CacheKey
    ) -> None:
        self._flat = flat
        self._starts = starts
        self._ends = ends
        self._key = key

    @cached_property
    def _helpers(self) -> int:
        # When it is first asked for: a trial has its own cores by then.
        return num_cores() - 1

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._helpers, thread_name_prefix="decode")

    def gather(self, indices: Indices) -> ImagesBHWC:
        key = self._key
        images_BHWC = np.empty((len(indices), key.image_size, key.image_size, 3), np.uint8)
        places = iter(range(len(indices)))  # each is given out once, whichever thread asks

        def fill() -> None:
            for place in places:
                row = indices[place]
                data = self._flat[self._starts[row] : self._ends[row]]
                load_stored(data, key.encoding, key.stored_size, key.image_size, images_BHWC[place])

        # A task for each thread and not for each image, of which a small one costs no more.
        helpers = min(self._helpers, len(indices) - 1)
        helping = [self._pool.submit(fill) for _ in range(helpers)]
        try:
            fill()
        finally:
            wait(helping)  # They write into the images.
        for one in helping:
            one.result()  # Taking it raises what its thread raised.
        return images_BHWC
