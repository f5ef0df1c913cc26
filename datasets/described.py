"""What an audit keeps of every image: a digest of its pixels, its hashes, its fine descriptor."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.errors import ConfigError, DataError
from datasets.folder import Place, as_folder
from datasets.images import ImageHWC, UnreadableImageError, load_stored
from datasets.manifest import SPLITS, Manifest, ShardEntry, SplitName
from datasets.near_duplicates import PackedHashes, pack
from datasets.parallel import ordered_map, process_pool
from datasets.perceptual_hash import (
    HASH_BITS,
    THUMBNAIL,
    VIEWS,
    Fine,
    Floats,
    fine_descriptors,
    hashes,
    thumbnail,
)
from datasets.shards import ShardRow, read_checked
from datasets.turned_copies import SIDE, Greys, Turned, grey, turned_of
from datasets.turned_copies import VIEWS as TURNED_VIEWS

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

_DIGEST_BYTES = 32


class ImagesOfShard(NamedTuple):
    """The rows of one shard, in order."""

    image_ids: list[str]
    labels: npt.NDArray[np.int8]
    digests: npt.NDArray[np.uint8]
    """uint8 [rows, 32]: sha256 of the decoded pixels."""
    hashes: PackedHashes
    """uint8 [views, rows, 12]."""
    fine: Fine
    """int8 [rows, 32, 32]."""
    turned: Turned | None = None
    """Of the slower look, if that was asked for."""


@dataclass(frozen=True)
class DescribedImages:
    """All rows of a directory of shards, in the order of its manifest; about 1.2 kB each."""

    image_ids: list[str]
    labels: npt.NDArray[np.int8]
    splits: npt.NDArray[np.int8]
    """int8 [rows]: position in `SPLITS`."""
    digests: npt.NDArray[np.uint8]
    hashes: PackedHashes
    fine: Fine
    shards: tuple[ShardEntry, ...]
    turned: Turned | None = None
    """Of the slower look, if that was asked for."""

    def place(self, row: int) -> tuple[ShardEntry, int]:
        """Return the shard of a row and its number there, from 0."""
        for shard in self.shards:
            if row < shard.rows:
                return shard, row
            row -= shard.rows
        raise IndexError(f"row {row} lies behind the last shard")

    def split(self, row: int) -> SplitName:
        """Return the split of a row."""
        return SPLITS[int(self.splits[row])]


def describe_images(
    place: Place,
    manifest: Manifest,
    *,
    workers: int,
    thorough: bool = False,
    progress: Progress | None = None,
) -> DescribedImages:
    """Decode every image of the shards in `workers` processes and describe it.

    `thorough` adds what the look for turned copies needs, which takes 2 ms an image.
    The result does not depend on the number of workers. Raises `DataError` that names the shard
    if one is damaged or holds an image that can't be decoded, `ConfigError` for no workers.
    """
    if workers < 1:
        raise ConfigError(f"workers {workers}: give at least 1")
    total = sum(shard.rows for shard in manifest.shards)
    described = _empty(manifest, total, thorough)
    start = 0
    for part in _parts(place, manifest, workers, thorough):
        end = start + len(part.image_ids)
        described.image_ids.extend(part.image_ids)
        described.labels[start:end] = part.labels
        described.digests[start:end] = part.digests
        described.hashes[:, start:end] = part.hashes
        described.fine[start:end] = part.fine
        if described.turned is not None and part.turned is not None:
            described.turned.greys[start:end] = part.turned.greys
            described.turned.hashes[:, start:end] = part.turned.hashes
        start = end
        if progress is not None:
            progress(end, total)
    return described


def _empty(manifest: Manifest, total: int, thorough: bool) -> DescribedImages:
    turned = Turned(
        np.empty((total, SIDE, SIDE), np.uint8),
        np.empty((len(TURNED_VIEWS), total, HASH_BITS // 8), np.uint8),
    )
    splits = [np.full(s.rows, SPLITS.index(s.split), np.int8) for s in manifest.shards]
    return DescribedImages(
        [],
        np.empty(total, np.int8),
        np.concatenate(splits),
        np.empty((total, _DIGEST_BYTES), np.uint8),
        np.empty((len(VIEWS), total, HASH_BITS // 8), np.uint8),
        np.empty((total, THUMBNAIL, THUMBNAIL), np.int8),
        tuple(manifest.shards),
        turned if thorough else None,
    )


def _parts(
    place: Place, manifest: Manifest, workers: int, thorough: bool
) -> Iterator[ImagesOfShard]:
    describe = partial(describe_shard, place, manifest, thorough)
    if workers == 1:
        yield from map(describe, manifest.shards)
        return
    pool = process_pool(workers)
    try:
        yield from ordered_map(describe, manifest.shards, pool, workers, ahead=2)
    except BrokenProcessPool as error:
        raise DataError(
            "a process that decodes images was killed, for want of memory perhaps: give the same "
            "command again; --workers 1 takes the least memory"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def describe_shard(
    place: Place, manifest: Manifest, thorough: bool, shard: ShardEntry
) -> ImagesOfShard:
    """Describe the images of one shard. Raises `DataError` that names it, as `describe_images`."""
    image_ids: list[str] = []
    labels: list[int] = []
    digests: list[bytes] = []
    thumbnails: list[Floats] = []
    greys: list[Greys] = []
    for row in read_checked(place, manifest, shard):
        pixels_HWC = decoded(row, place, manifest, shard)
        image_ids.append(row.image_id)
        labels.append(row.label)
        digests.append(hashlib.sha256(pixels_HWC.tobytes()).digest())
        thumbnails.append(thumbnail(pixels_HWC))
        if thorough:
            greys.append(grey(pixels_HWC))
    stacked = np.stack(thumbnails)
    return ImagesOfShard(
        image_ids,
        np.array(labels, np.int8),
        np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST_BYTES),
        pack(hashes(stacked)),
        fine_descriptors(stacked),
        turned_of(np.stack(greys)) if thorough else None,
    )


def decoded(row: ShardRow, place: Place, manifest: Manifest, shard: ShardEntry) -> ImageHWC:
    """Return the pixels of a row. Raises `DataError` that names the shard and the image."""
    size = manifest.image_size
    try:
        return load_stored(row.image, manifest.encoding, size, size)
    except UnreadableImageError as error:
        raise DataError(
            f"{as_folder(place)}/{shard.file}: image {row.image_id!r} can't be decoded ({error}): "
            "delete the directory and prepare the data again"
        ) from error
