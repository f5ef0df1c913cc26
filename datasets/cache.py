"""The staging cache: a data set decoded once per node, memory-mapped by every trial there.

One directory per content, image size and kind under the cache directory: `train.arrow`,
`validation.arrow`, and `cache.json`, written last, without which the rest counts as not there.
The directory is built under another name and renamed, under a lock that other processes wait for.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import pyarrow as pa
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from datasets.errors import DataError
from datasets.files import write_text
from datasets.images import ImageHWC, UnreadableImageError, decoder_name, load_stored
from datasets.manifest import SPLITS, Manifest, SplitName, read_manifest
from datasets.parallel import num_cores, ordered_map
from datasets.shards import ShardRow, read_checked
from datasets.staged import ROWS_PER_BATCH, DecodedSplit, EncodedSplit, StagedSplit

__all__ = ["StagedData", "StagedSplit", "stage"]

CacheMode = Literal["auto", "decoded", "encoded"]
Kind = Literal["decoded", "encoded"]
Progress = Callable[[int, int], None]

CACHE_FILE = "cache.json"
# Left free on the disk besides the cache itself: checkpoints and logs go there too.
_SPARE_BYTES = 256 * 2**20


class _CacheRecord(BaseModel):
    """`cache.json`: what the directory holds. Another record means: build it again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    fingerprint: str
    image_size: int
    kind: Kind
    decoder: str
    bytes: dict[SplitName, int]


@dataclass(frozen=True)
class StagedData:
    """A data set on this node's disk, ready to gather from."""

    manifest: Manifest
    mode: Kind
    splits: dict[SplitName, StagedSplit]

    def split(self, name: SplitName) -> StagedSplit:
        """One split, in data set order."""
        return self.splits[name]


@dataclass(frozen=True)
class _Place:
    """One cache directory, there or to be built."""

    shards: Path
    manifest: Manifest
    cache_dir: Path
    image_size: int
    kind: Kind

    @property
    def directory(self) -> Path:
        return self.cache_dir / f"{self.manifest.fingerprint[:24]}-{self.image_size}-{self.kind}"

    def load(self, image: bytes) -> ImageHWC:
        """Pixels of stored bytes, uint8 [size, size, 3]."""
        stored = self.manifest
        return load_stored(image, stored.encoding, stored.image_size, self.image_size)

    def needed_bytes(self) -> int:
        """Disk that the directory takes: pixels, or the encoded bytes as they are."""
        if self.kind == "encoded":
            return sum(shard.bytes for shard in self.manifest.shards)
        rows = sum(shard.rows for shard in self.manifest.shards)
        return rows * self.image_size * self.image_size * 3


def stage(
    shards: Path,
    cache_dir: Path,
    image_size: int,
    *,
    mode: CacheMode = "auto",
    progress: Progress | None = None,
) -> StagedData:
    """Open the node's cache of a data set at `image_size` pixels; build it where it is not whole.

    `auto` decodes where the disk has room and keeps the encoded bytes otherwise; the images are the
    same to the byte. Each shard's checksum is verified on the way. `progress(done, total)` counts
    rows. Damaged shards, a full disk and images larger than the stored ones raise `DataError`.
    """
    manifest = read_manifest(shards)
    if image_size > manifest.image_size:
        raise DataError(
            f"{shards} holds images of {manifest.image_size} pixels, {image_size} are asked for: "
            "prepare the data again with a larger --size, or lower recipe.image_size"
        )
    place = partial(_Place, shards, manifest, cache_dir, image_size)
    if mode != "auto":
        return _open_or_build(place(mode), progress)
    decoded = place("decoded")
    if _is_whole(decoded) or _has_room(decoded):
        return _open_or_build(decoded, progress)
    return _open_or_build(place("encoded"), progress)


def _open_or_build(place: _Place, progress: Progress | None) -> StagedData:
    if not _is_whole(place):
        _make_directory(place.cache_dir)
        with FileLock(place.directory.with_suffix(".lock")):
            if not _is_whole(place):  # another process may have built it while we waited
                _build(place, progress)
    return StagedData(
        place.manifest, place.kind, {split: _open_split(place, split) for split in SPLITS}
    )


def _open_split(place: _Place, split: SplitName) -> StagedSplit:
    path = place.directory / f"{split}.arrow"
    if place.kind == "decoded":
        return DecodedSplit(path, place.image_size)
    return EncodedSplit(path, place.image_size, place.load)


def _record(place: _Place, directory: Path) -> _CacheRecord:
    return _CacheRecord(
        fingerprint=place.manifest.fingerprint,
        image_size=place.image_size,
        kind=place.kind,
        decoder=decoder_name(),
        bytes={split: (directory / f"{split}.arrow").stat().st_size for split in SPLITS},
    )


def _is_whole(place: _Place) -> bool:
    """True when the record is there and says what the directory really holds."""
    try:
        text = (place.directory / CACHE_FILE).read_text(encoding="utf-8")
        return _CacheRecord.model_validate_json(text) == _record(place, place.directory)
    except (OSError, UnicodeDecodeError, ValidationError):
        return False


def _has_room(place: _Place) -> bool:
    _make_directory(place.cache_dir)
    return place.needed_bytes() + _SPARE_BYTES <= shutil.disk_usage(place.cache_dir).free


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"the cache directory {path} can't be made ({error.strerror}): set data.cache_dir to a "
            "folder on a local disk that you may write to"
        ) from error


def _build(place: _Place, progress: Progress | None) -> None:
    """Write the directory under another name, then rename it: it is there whole or not at all."""
    if not _has_room(place):
        free = shutil.disk_usage(place.cache_dir).free
        raise DataError(
            f"{place.cache_dir} has {free / 2**30:.1f} GiB free, the {place.kind} cache needs "
            f"{(place.needed_bytes() + _SPARE_BYTES) / 2**30:.1f}: set data.cache_dir to a larger "
            "disk" + (", or data.cache_mode to encoded" if place.kind == "decoded" else "")
        )
    shutil.rmtree(place.directory, ignore_errors=True)
    for left_behind in place.cache_dir.glob(f".{place.directory.name}.*"):
        shutil.rmtree(left_behind, ignore_errors=True)  # by a killed process; we hold the lock
    building = place.cache_dir / f".{place.directory.name}.{uuid.uuid4().hex}"
    try:
        building.mkdir()
        _write_splits(place, building, progress)
        write_text(building / CACHE_FILE, _record(place, building).model_dump_json() + "\n")
        building.rename(place.directory)
    except OSError as error:
        raise DataError(
            f"the cache in {place.cache_dir} can't be written ({error}): free some disk, or set "
            "data.cache_dir to another one"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_splits(place: _Place, directory: Path, progress: Progress | None) -> None:
    total = sum(shard.rows for shard in place.manifest.shards)
    done = 0
    for split in SPLITS:
        path = directory / f"{split}.arrow"
        schema = _schema(place)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            rows = _staged_rows(place, split)
            while chunk := list(islice(rows, ROWS_PER_BATCH)):
                columns = [
                    pa.array(values, field.type)
                    for values, field in zip(zip(*chunk, strict=True), schema, strict=True)
                ]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
        _flush(path)


def _schema(place: _Place) -> pa.Schema:
    pixels = place.image_size * place.image_size * 3
    return pa.schema(
        [
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("label", pa.int8(), nullable=False),
            pa.field("image", pa.binary(pixels) if place.kind == "decoded" else pa.binary(), False),
        ]
    )


def _staged_rows(place: _Place, split: SplitName) -> Iterator[ShardRow]:
    """The split's rows as they are staged; decoding runs in threads, a bounded way ahead."""
    shards = place.manifest.of_split(split)
    rows = chain.from_iterable(
        read_checked(place.shards, place.manifest, shard) for shard in shards
    )
    if place.kind == "encoded":
        yield from rows
        return
    threads = num_cores()
    with ThreadPoolExecutor(threads, thread_name_prefix="stage") as pool:
        yield from ordered_map(partial(_decoded, place), rows, pool, threads)


def _decoded(place: _Place, row: ShardRow) -> ShardRow:
    try:
        return row._replace(image=place.load(row.image).tobytes())
    except UnreadableImageError as error:
        raise DataError(
            f"image {row.image_id} in {place.shards} can't be decoded ({error}): prepare the data "
            "again"
        ) from error


def _flush(path: Path) -> None:
    with path.open("rb") as stream, suppress(OSError):
        os.fsync(stream.fileno())
