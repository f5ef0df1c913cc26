"""One shard from source rows: a task that depends on nothing but itself.

Which rows a shard holds is planned before any image is opened, so the output does not depend on
who writes a shard, in which order, or how many write at once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from datasets.errors import ConfigError
from datasets.folder import Folder
from datasets.images import Bounds, UnreadableImageError, read_image_file, store_image
from datasets.labels import EXPRESSIONS
from datasets.manifest import (
    Encoding,
    ShardEntry,
    ShardFormat,
    SplitName,
    row_digest,
    shard_entry,
)
from datasets.parallel import ordered_map
from datasets.shards import FORMATS, ShardRow
from datasets.sources import Box, Rejected, SourceRow

SMALLEST_SIZE = 8
LARGEST_SIZE = 2048
LARGEST_MARGIN = 2.0


@dataclass(frozen=True)
class StoredAs:
    """How images and rows are stored."""

    image_size: int
    """Height and width, pixels."""
    encoding: Encoding
    format: ShardFormat
    margin: float = 0.0
    """Added to each side of a face's box, as a fraction of its width or height."""

    def __post_init__(self) -> None:
        if not SMALLEST_SIZE <= self.image_size <= LARGEST_SIZE:
            raise ConfigError(
                f"image size {self.image_size}: use {SMALLEST_SIZE} to {LARGEST_SIZE} pixels"
            )
        if not 0.0 <= self.margin <= LARGEST_MARGIN:
            raise ConfigError(f"margin {self.margin}: give a fraction from 0 to {LARGEST_MARGIN}")
        for name, value, known in (
            ("encoding", self.encoding, ("jpeg", "png", "raw")),
            ("format", self.format, tuple(FORMATS)),
        ):
            if value not in known:
                raise ConfigError(f"unknown {name} {value!r}: use one of {', '.join(known)}")


@dataclass(frozen=True)
class ShardTask:
    """The rows of one shard; picklable."""

    split: SplitName
    number: int
    rows: tuple[SourceRow, ...]

    def file(self, stored: StoredAs) -> str:
        """Return the path of the shard, relative to the manifest."""
        return f"{self.split}/{self.number:05d}{FORMATS[stored.format].suffix}"


class ShardOutcome(NamedTuple):
    """What became of a task's rows."""

    entry: ShardEntry | None
    """None: every row was rejected, so there is no file."""
    digests: tuple[bytes, ...]
    """`row_digest` of every row of the shard, in order."""
    classes: dict[str, int]
    rejected: tuple[Rejected, ...]


def write_task(dest: Folder, task: ShardTask, stored: StoredAs, threads: int) -> ShardOutcome:
    """Read, convert and write the rows of `task` to their shard under `dest`, atomically.

    A row whose image can't be used is left out and returned as rejected. Raises `OSError` if the
    shard can't be written.
    """
    digests: list[bytes] = []
    rejected: list[Rejected] = []
    labels: list[int] = []

    def kept() -> Iterator[ShardRow]:
        for row, image in _stored_images(task.rows, stored, threads):
            if isinstance(image, str):
                rejected.append(Rejected(row.origin, image))
                continue
            labels.append(row.label)
            digests.append(row_digest(task.split, row.image_id, row.label, image))
            yield ShardRow(row.image_id, row.label, image)

    entry = write_shard(dest, task.file(stored), task.split, stored.format, kept())
    counts = Counter(EXPRESSIONS[label] for label in labels)
    classes = {name: counts[name] for name in EXPRESSIONS if counts[name]}
    return ShardOutcome(entry, tuple(digests), classes, tuple(rejected))


def write_shard(
    dest: Folder, file: str, split: SplitName, format: ShardFormat, rows: Iterable[ShardRow]
) -> ShardEntry | None:
    """Write rows to a shard of `dest`, atomically; None, and no file, if there are no rows."""
    remaining = iter(rows)
    first = next(remaining, None)
    if first is None:
        dest.remove(file)
        return None
    entry: ShardEntry | None = None

    def write(path: Path) -> None:
        nonlocal entry
        written = _Counted(chain([first], remaining))
        FORMATS[format].write_shard(path, written)
        entry = shard_entry(file, split, written.count, path)

    dest.write(file, write)
    return entry


@dataclass
class _Counted:
    """Rows that are counted as they pass."""

    rows: Iterable[ShardRow]
    count: int = 0

    def __iter__(self) -> Iterator[ShardRow]:
        for row in self.rows:
            self.count += 1
            yield row


def _stored_images(
    rows: Sequence[SourceRow], stored: StoredAs, threads: int
) -> Iterator[tuple[SourceRow, bytes | str]]:
    """Yield each row with the bytes to store, or with the reason why there are none."""

    def convert(row: SourceRow) -> bytes | str:
        try:
            image = read_image_file(row.image) if isinstance(row.image, Path) else row.image()
            bounds = None if row.box is None else _with_margin(row.box, stored.margin)
            return store_image(image, stored.image_size, stored.encoding, bounds)
        except UnreadableImageError as error:
            return str(error)

    if threads == 1:
        yield from ((row, convert(row)) for row in rows)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="prepare") as pool:
        yield from zip(rows, ordered_map(convert, rows, pool, threads), strict=True)


def _with_margin(box: Box, margin: float) -> Bounds:
    across, down = box.width * margin, box.height * margin
    return (
        box.left - across,
        box.top - down,
        box.left + box.width + across,
        box.top + box.height + down,
    )
