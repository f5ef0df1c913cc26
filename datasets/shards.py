"""Shard files of any format: the row that they hold and the table of formats."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from datasets import arrow_shards, tfrecord_shards
from datasets.errors import DataError
from datasets.folder import Place, as_folder
from datasets.manifest import Manifest, ShardEntry, ShardFormat, content_problem, damaged_shards
from datasets.shard_row import ShardRow

__all__ = ["FORMATS", "Format", "ShardRow", "read_checked"]


class Format(NamedTuple):
    """How a shard format is written and read."""

    suffix: str
    write_shard: Callable[[Path, Iterable[ShardRow]], None]
    """Write rows to a path. The same rows give the same bytes."""
    read_shard: Callable[[Path], Iterator[ShardRow]]


FORMATS: dict[ShardFormat, Format] = {
    "arrow": Format(".arrow", arrow_shards.write_shard, arrow_shards.read_shard),
    "tfrecord": Format(".tfrecord", tfrecord_shards.write_shard, tfrecord_shards.read_shard),
}


def read_checked(place: Place, manifest: Manifest, shard: ShardEntry) -> Iterator[ShardRow]:
    """Yield the rows of a shard after its size and sha256 have been compared with the manifest.

    Raises `DataError` that names the shard if it is damaged.
    """
    folder = as_folder(place)
    problem, rows = None, 0
    try:
        with folder.local(shard.file) as path:
            problem = content_problem(path, shard)
            if problem is None:
                for row in FORMATS[manifest.format].read_shard(path):
                    rows += 1
                    yield row
    except FileNotFoundError:
        problem = f"{shard.file}: missing"
    except OSError as error:
        problem = f"{shard.file}: {error.strerror or error}"
    if problem is not None:
        raise damaged_shards(folder, [problem])
    if rows != shard.rows:
        raise DataError(
            f"{folder}/{shard.file} holds {rows} rows, its manifest says {shard.rows}: "
            "delete the directory and prepare the data again"
        )
