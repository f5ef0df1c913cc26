"""The files of a staging cache: one Arrow IPC file per split, and `cache.json`, written last.

Columns: `image_id` string, `label` int8, `image`. Decoded, an image is a fixed-size binary of uint8
[height, width, 3]; encoded, it is the bytes of the shard. The files depend on the content alone,
not on the format of the shards.
"""

import contextlib
import hashlib
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from datasets.files import write_atomically, write_text
from datasets.manifest import Encoding, SplitName, file_sha256
from datasets.shard_row import ShardRow

INDEX_NAME = "cache.json"
CACHE_VERSION = 1

Mode = Literal["decoded", "encoded"]
DecodedRow = tuple[str, int, npt.NDArray[np.uint8]]
"""image_id, label, uint8 [height, width, 3]."""

_BATCH_BYTES = 16 << 20
_ENCODED_ROWS_PER_BATCH = 256


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CacheKey(_Frozen):
    """What a cache is made of: equal keys mean equal pixels."""

    cache_version: int = CACHE_VERSION
    fingerprint: str
    image_size: int
    """Height and width that `gather` returns, pixels."""
    stored_size: int
    """Height and width of the shards' images, pixels."""
    encoding: Encoding
    mode: Mode
    decoder: str | None
    """The libraries that made the pixels; None where the cache holds none."""

    @property
    def directory_name(self) -> str:
        """Return the name of the cache's own directory."""
        return f"{self.fingerprint[:16]}-{self.image_size}-{self.mode}"


class CacheFile(_Frozen):
    """One file of the cache, as it was when it was written."""

    rows: int
    bytes: int
    mtime_ns: int
    sha256: str


class CacheIndex(_Frozen):
    """`cache.json`: says that the cache is complete, and of what."""

    key: CacheKey
    files: dict[SplitName, CacheFile]


def split_path(directory: Path, split: SplitName) -> Path:
    """Return the Arrow file of a split."""
    return directory / f"{split}.arrow"


def write_decoded(path: Path, rows: Iterable[DecodedRow], image_size: int) -> CacheFile:
    """Write decoded rows to `path` atomically, in batches of one reused buffer of 16 MiB."""
    row_bytes = image_size * image_size * 3
    image_type = pa.binary(row_bytes)
    pixels = np.empty((max(1, _BATCH_BYTES // row_bytes), image_size, image_size, 3), np.uint8)
    return _write(path, image_type, _decoded_batches(rows, pixels, image_type))


def _decoded_batches(
    rows: Iterable[DecodedRow], pixels: npt.NDArray[np.uint8], image_type: pa.DataType
) -> Iterator[tuple[list[str], list[int], pa.Array]]:
    remaining = iter(rows)
    while True:
        names: list[str] = []
        labels: list[int] = []
        for place, (name, label, image) in enumerate(islice(remaining, len(pixels))):
            pixels[place] = image
            names.append(name)
            labels.append(label)
        if not names:
            return
        buffers = [None, pa.py_buffer(pixels[: len(names)])]
        yield names, labels, pa.Array.from_buffers(image_type, len(names), buffers)


def write_encoded(path: Path, rows: Iterable[ShardRow]) -> CacheFile:
    """Write rows as they are stored in the shards to `path`, atomically."""
    image_type = pa.large_binary()

    def batches() -> Iterator[tuple[list[str], list[int], pa.Array]]:
        remaining = iter(rows)
        while chunk := list(islice(remaining, _ENCODED_ROWS_PER_BATCH)):
            names = [row.image_id for row in chunk]
            labels = [row.label for row in chunk]
            yield names, labels, pa.array([row.image for row in chunk], image_type)

    return _write(path, image_type, batches())


def _write(
    path: Path,
    image_type: pa.DataType,
    batches: Iterable[tuple[list[str], list[int], pa.Array]],
) -> CacheFile:
    columns = (("image_id", pa.string()), ("label", pa.int8()), ("image", image_type))
    schema = pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])
    digest, num_rows = hashlib.sha256(), 0

    def write(temporary: Path) -> None:
        nonlocal num_rows
        with (
            _HashingFile(temporary, digest) as stream,
            pa.ipc.new_file(pa.PythonFile(stream, "w"), schema) as writer,
        ):
            for names, labels, images in batches:
                arrays = [pa.array(names, pa.string()), pa.array(labels, pa.int8()), images]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
                num_rows += len(names)

    write_atomically(path, write)
    status = path.stat()
    return CacheFile(
        rows=num_rows,
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        sha256=digest.hexdigest(),
    )


class _HashingFile(io.FileIO):
    """A file that hashes what is written: a decoded cache is too large to be read again for it."""

    def __init__(self, path: Path, digest: "hashlib._Hash") -> None:
        super().__init__(path, "wb")
        self._digest = digest

    def write(self, data: "pa.Buffer | bytes") -> int:
        view = memoryview(data).cast("B")
        self._digest.update(view)
        done = 0
        while done < len(view):  # A raw file may take less than it is given.
            done += super().write(view[done:])
        return done


def write_index(directory: Path, index: CacheIndex) -> None:
    """Write `cache.json` atomically."""
    write_text(directory / INDEX_NAME, index.model_dump_json(indent=1) + "\n")


def read_index(directory: Path) -> CacheIndex | None:
    """Return `cache.json`, or None if there is none or it is damaged: the cache is not complete."""
    try:
        return CacheIndex.model_validate_json((directory / INDEX_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def is_untouched(directory: Path, index: CacheIndex) -> bool:
    """Say whether every file of the cache is as it was written.

    Size and time of change decide; where only the time differs (a copied cache), the content's
    sha256 does, and the new time is noted. Hashing always would cost each process of a run half a
    minute for AffectNet's 43 GB.
    """
    files = dict(index.files)
    for split, file in index.files.items():
        path = split_path(directory, split)
        try:
            status = path.stat()
            if status.st_size != file.bytes:
                return False
            if status.st_mtime_ns != file.mtime_ns:
                if file_sha256(path) != file.sha256:
                    return False
                files[split] = file.model_copy(update={"mtime_ns": status.st_mtime_ns})
        except OSError:
            return False
    if files != index.files:
        _note_times(directory, index.model_copy(update={"files": files}))
    return True


def _note_times(directory: Path, index: CacheIndex) -> None:
    # A read-only cache is hashed by every process instead.
    with contextlib.suppress(OSError):
        write_index(directory, index)
