"""Staging: shards become a cache on the node's own disk, once, whoever comes first.

A cache is complete when its `cache.json`, written last, matches; anything else is built anew. The
shards' checksums are verified while they are read, so a damaged shard never becomes a cache.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from filelock import FileLock

from datasets.cache_format import (
    CacheFile,
    CacheIndex,
    CacheKey,
    DecodedRow,
    Mode,
    is_untouched,
    read_index,
    split_path,
    write_decoded,
    write_encoded,
    write_index,
)
from datasets.errors import ConfigError, DataError
from datasets.folder import Folder, Place, as_folder
from datasets.images import UnreadableImageError, decoder_name, load_stored
from datasets.manifest import SPLITS, Manifest, ShardEntry, SplitName, read_manifest
from datasets.parallel import num_cores, ordered_map
from datasets.shards import ShardRow, read_checked
from datasets.staged import StagedData, StagedSplit, open_staged
from datasets.units import data_size

__all__ = ["CacheMode", "Room", "StagedData", "StagedSplit", "needed_bytes", "room", "stage"]

CacheMode = Literal["auto", "decoded", "encoded"]
Progress = Callable[[int, int], None]
"""Called with (images done, images in all), while a cache is built."""

# Left free beside the cache: checkpoints and logs go to the same disk.
_SPARE_BYTES = 256 << 20


def stage(
    shards: Place,
    cache_dir: Path,
    image_size: int,
    *,
    mode: CacheMode = "auto",
    progress: Progress | None = None,
) -> StagedData:
    """Return the data set of `shards` as a memory-mapped cache under `cache_dir`.

    The first process of a node builds the cache under a lock; others wait, then open it. Images
    come out as `image_size` by `image_size` pixels, resized down if the shards hold larger ones.
    `auto` decodes where the disk has room and keeps the images encoded elsewhere; the pixels are
    the same.

    Raises `DataError` for shards that are absent or damaged (the damaged one is named), for an
    `image_size` above theirs, and for a disk that is too small or can't be written; `ConfigError`
    for an unknown mode or an `image_size` below 1.
    """
    if mode not in get_args(CacheMode):
        raise ConfigError(f"unknown cache mode {mode!r}: use {', '.join(get_args(CacheMode))}")
    folder = as_folder(shards)
    manifest = read_manifest(folder)
    _check_size(folder, manifest, image_size)
    keys = _keys(manifest, image_size, mode)
    # Before the lock: a cache that is there needs no right to write.
    staged = _open_first(cache_dir, keys, manifest)
    if staged is not None:
        return staged
    try:
        # For this user alone: others on the machine could put other pixels there.
        cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One lock for all modes: who waits must not take the disk that the other one is filling
        # for too small, and build an encoded cache beside it.
        with FileLock(cache_dir / f".{manifest.fingerprint[:16]}-{image_size}.lock"):
            staged = _open_first(cache_dir, keys, manifest)
            return staged or _Build(folder, cache_dir, manifest, progress).run(keys)
    except OSError as error:
        raise DataError(
            f"can't stage {folder} in {cache_dir} ({error.strerror or error}): set data.cache_dir "
            "to a folder on a local disk that you may write to and that has room"
        ) from error


def needed_bytes(manifest: Manifest, image_size: int, mode: Mode) -> int:
    """Return about how many bytes a cache takes on the disk, a little over rather than under."""
    if mode == "encoded":
        return sum(shard.bytes for shard in manifest.shards) * 101 // 100
    rows = sum(shard.rows for shard in manifest.shards)
    return rows * (image_size * image_size * 3 + 256)


@dataclass(frozen=True)
class Room:
    """Bytes that a cache finds on its disk, and that it needs there: 0 once it is complete."""

    free: int
    needed: int = 0


def room(manifest: Manifest, cache_dir: Path, image_size: int, mode: CacheMode) -> Room:
    """Return the room for the smallest cache that `stage` would do with. Raises `OSError`.

    What a build that was cut off holds is counted as free, since the next one removes it; caches of
    other data are not.
    """
    keys = _keys(manifest, image_size, mode)
    if _open_first(cache_dir, keys, manifest) is not None:
        return Room(_free_bytes(cache_dir))
    held = sum(_held_bytes(cache_dir / key.directory_name) for key in keys)
    return Room(_free_bytes(cache_dir) + held, _room_needed(manifest, keys[-1]))


def _room_needed(manifest: Manifest, key: CacheKey) -> int:
    return needed_bytes(manifest, key.image_size, key.mode) + _SPARE_BYTES


def _check_size(shards: Folder, manifest: Manifest, image_size: int) -> None:
    if image_size < 1:
        raise ConfigError(f"image size {image_size}: give at least 1 pixel")
    if image_size > manifest.image_size:
        raise DataError(
            f"{shards} holds images of {manifest.image_size} pixels, {image_size} are asked for: "
            f"prepare the data again with --size {image_size}, or lower recipe.image_size"
        )


def _keys(manifest: Manifest, image_size: int, mode: CacheMode) -> tuple[CacheKey, ...]:
    """The caches that `mode` allows, the one to prefer first, the smallest last."""
    modes: tuple[Mode, ...] = ("decoded", "encoded") if mode == "auto" else (mode,)
    return tuple(_key(manifest, image_size, one) for one in modes)


def _key(manifest: Manifest, image_size: int, mode: Mode) -> CacheKey:
    return CacheKey(
        fingerprint=manifest.fingerprint,
        image_size=image_size,
        stored_size=manifest.image_size,
        encoding=manifest.encoding,
        mode=mode,
        decoder=decoder_name() if mode == "decoded" else None,
    )


def _open_first(
    cache_dir: Path, keys: tuple[CacheKey, ...], manifest: Manifest
) -> StagedData | None:
    """Open the first complete cache of `keys`, or return None."""
    for key in keys:
        directory = cache_dir / key.directory_name
        index = read_index(directory)
        if index is not None and index.key == key and is_untouched(directory, index):
            staged = open_staged(directory, key, manifest)
            if staged is not None:
                return staged
    return None


def _free_bytes(directory: Path) -> int:
    return shutil.disk_usage(directory).free


def _held_bytes(directory: Path) -> int:
    held = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):  # another process has just removed it
                held += os.lstat(os.path.join(folder, name)).st_size
    return held


def _affordable(cache_dir: Path, keys: tuple[CacheKey, ...], manifest: Manifest) -> CacheKey:
    """Return the first of `keys` for which the disk has room. Raises `DataError` if none fits."""
    free = _free_bytes(cache_dir)
    for key in keys:
        needed = _room_needed(manifest, key)
        if needed <= free:
            return key
    smaller = "" if keys[-1].mode == "encoded" else ", or set data.cache_mode to encoded"
    raise DataError(
        f"{cache_dir} has {data_size(free)} free, the {keys[-1].mode} cache needs "
        f"{data_size(needed)}: free some, or set data.cache_dir to a larger disk{smaller}"
    )


@dataclass
class _Build:
    """Builds one cache; the caller holds the lock."""

    shards: Folder
    cache_dir: Path
    manifest: Manifest
    progress: Progress | None
    done: int = 0

    def run(self, keys: tuple[CacheKey, ...]) -> StagedData:
        """Build the first of `keys` for which there is room, and open it."""
        for key in keys:
            # What a killed process left takes room. Who has mapped such a file keeps it.
            shutil.rmtree(self.cache_dir / key.directory_name, ignore_errors=True)
        key = _affordable(self.cache_dir, keys, self.manifest)
        directory = self.cache_dir / key.directory_name
        directory.mkdir()
        try:
            files = {split: self._split_file(directory, split, key) for split in SPLITS}
            write_index(directory, CacheIndex(key=key, files=files))
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)  # A full disk must not stay full.
            raise
        staged = open_staged(directory, key, self.manifest)
        if staged is None:
            raise DataError(f"the cache just built in {directory} can't be read: check that disk")
        return staged

    def _split_file(self, directory: Path, split: SplitName, key: CacheKey) -> CacheFile:
        path = split_path(directory, split)
        rows = self._rows(split)
        if key.mode == "encoded":
            return write_encoded(path, (row for _, row in rows))
        return write_decoded(path, _decoded(rows, key), key.image_size)

    def _rows(self, split: SplitName) -> Iterator[tuple[ShardEntry, ShardRow]]:
        total = sum(shard.rows for shard in self.manifest.shards)
        for shard in self.manifest.of_split(split):
            for row in read_checked(self.shards, self.manifest, shard):
                yield shard, row
            self.done += shard.rows
            if self.progress is not None:
                self.progress(self.done, total)


def _decoded(rows: Iterator[tuple[ShardEntry, ShardRow]], key: CacheKey) -> Iterator[DecodedRow]:
    """Decode rows in threads, in order, a bounded number ahead."""

    def decode(item: tuple[ShardEntry, ShardRow]) -> DecodedRow:
        shard, row = item
        try:
            pixels = load_stored(row.image, key.encoding, key.stored_size, key.image_size)
        except UnreadableImageError as error:
            raise DataError(
                f"{shard.file}, image {row.image_id}: {error}: prepare the data again"
            ) from error
        return row.image_id, row.label, pixels

    threads = num_cores()
    with ThreadPoolExecutor(threads, thread_name_prefix="stage") as pool:
        yield from ordered_map(decode, rows, pool, threads)
