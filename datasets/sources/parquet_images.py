"""Images in a Parquet file, one by one, in memory that does not grow with the file.

A row group may hold a whole data set (pandas writes up to a million rows into one), so it is never
read as a whole: a stream goes through it a few rows at a time. Rows are asked for in order, but by
several threads, so the last windows are kept.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import DataError
from datasets.git_lfs import is_pointer_file, pointer_error
from datasets.images import UnreadableImageError
from datasets.sources.paths import clean_text

_WINDOW_ROWS = 64
_WINDOWS = 3
_READ_BYTES = 1 << 20
# One lock for all streams: two threads that wait for one read the same rows only once.
_READING = Lock()

DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What reading a damaged Parquet file may raise."""


@dataclass(frozen=True, slots=True)
class ParquetImage:
    """One image of a Parquet file; picklable, nothing is read before the call."""

    file: Path
    group: int
    """Row group."""
    row: int
    """Row within its group."""
    column: str
    """Binary, or a struct of `bytes` and `path`."""

    def __call__(self) -> bytes:
        """Return the encoded image.

        Raises `UnreadableImageError` if the row has none, `DataError` if the file is damaged.
        """
        try:
            with _READING:
                changed_ns = self.file.stat().st_mtime_ns
                value = _stream(self.file, self.group, self.column, changed_ns).value(self.row)
                return _image_bytes(value)
        except DAMAGED as error:
            raise damaged_file(self.file, error) from error


def damaged_file(file: Path, error: Exception) -> DataError:
    """Return the error that names a Parquet file that can't be read."""
    if is_pointer_file(file):
        return pointer_error(file)
    reason = str(error).strip().split("\n")[0][:300]
    return DataError(
        f"{file} is damaged or no Parquet file ({reason}): download it again, or delete it"
    )


def image_paths(parquet: pq.ParquetFile, group: int, column: str) -> list[str | None] | None:
    """Return what a row group calls the files of its images; None where it does not.

    No bytes of images are read. A damaged column is none: what is damaged is told where images are
    read.
    """
    kind = parquet.schema_arrow.field(column).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return None
    try:
        table = parquet.read_row_group(group, columns=[f"{column}.path"], use_threads=False)
        paths = table.column(0).combine_chunks().flatten()[0].to_pylist()
    except DAMAGED:
        return None
    return [
        clean_text(path.replace("\\", "/")) if isinstance(path, str) else None for path in paths
    ]


def _image_bytes(value: pa.Scalar) -> bytes:
    path = None
    if value.is_valid and pa.types.is_struct(value.type):
        path, value = value.get("path"), value["bytes"]
    image = value.as_py()
    if isinstance(image, bytes):
        return image
    # Read on need only: in a damaged file a path may be no text.
    text = None if path is None else path.as_py()
    told = f", only its path {str(text)[:100]!r}" if text else ""
    raise UnreadableImageError(f"the row has no image{told}")


class _Stream:
    """The values of one column of one row group."""

    def __init__(self, file: Path, group: int, column: str) -> None:
        self._where = (file, group, column)
        self._start()

    def _start(self) -> None:
        self._batches = _batches(*self._where)
        self._windows: deque[tuple[int, pa.Array]] = deque(maxlen=_WINDOWS)
        self._read = 0

    def value(self, row: int) -> pa.Scalar:
        if self._windows and row < self._windows[0][0]:
            self._start()
        while row >= self._read:
            array = next(self._batches, None)
            if array is None:
                raise pa.ArrowInvalid(f"row group {self._where[1]} ends at row {self._read}")
            self._windows.append((self._read, array))
            self._read += len(array)
        first, array = next(one for one in reversed(self._windows) if one[0] <= row)
        return array[row - first]


def _batches(file: Path, group: int, column: str) -> Iterator[pa.Array]:
    # A buffer makes Arrow read a column piece by piece instead of whole.
    with pq.ParquetFile(file, buffer_size=_READ_BYTES, pre_buffer=False) as parquet:
        for batch in parquet.iter_batches(
            _WINDOW_ROWS, row_groups=[group], columns=[column], use_threads=False
        ):
            yield batch.column(0)


@lru_cache(maxsize=2)
def _stream(file: Path, group: int, column: str, changed_ns: int) -> _Stream:
    """Return the stream of a row group; `changed_ns` tells a file from its successor."""
    return _Stream(file, group, column)
