"""Whether a directory of shards is what its manifest says, down to each row."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import NamedTuple

from datasets.errors import DataError
from datasets.folder import Folder, Place, as_folder
from datasets.labels import EXPRESSIONS
from datasets.manifest import (
    SPLITS,
    Manifest,
    ShardEntry,
    content_fingerprint,
    content_problem,
    damaged_shards,
    row_digest,
)
from datasets.parallel import num_cores, ordered_map, process_pool
from datasets.shards import FORMATS

# Below it, starting processes takes longer than they save.
_WORTH_PROCESSES_BYTES = 200 << 20


class _Read(NamedTuple):
    """What a shard holds, or why it can't be read."""

    problem: str | None
    digests: tuple[bytes, ...] = ()
    classes: tuple[tuple[str, int], ...] = ()


def verify(
    place: Place, manifest: Manifest, progress: Callable[[int, int], None] | None = None
) -> None:
    """Read every shard: its size, sha256, number of rows and each TFRecord's CRC; then the whole.

    The class counts and the fingerprint are counted anew from the rows. `progress(done, total)`
    counts images. Raises `DataError` that names every damaged shard.
    """
    folder = as_folder(place)
    total = manifest.num_rows
    done = 0
    problems: list[str] = []
    digests: list[bytes] = []
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    workers = num_cores()
    with _pool(manifest, workers) as pool:
        read = partial(_read, folder, manifest)
        found = _found(ordered_map(read, manifest.shards, pool, workers, ahead=2))
        for shard, one in zip(manifest.shards, found, strict=True):
            if one.problem is not None:
                problems.append(one.problem)
            digests += one.digests
            counts[shard.split].update(dict(one.classes))
            done += shard.rows
            if progress is not None:
                progress(done, total)
    if problems:
        raise damaged_shards(folder, problems)
    _compare_whole(folder, manifest, counts, digests)


def _found(results: Iterator[_Read]) -> Iterator[_Read]:
    try:
        yield from results
    except BrokenProcessPool as error:
        raise DataError(
            "a process that reads shards was killed, for want of memory perhaps: free some, and "
            "give the same command again"
        ) from error


def _pool(manifest: Manifest, workers: int) -> Executor:
    if sum(shard.bytes for shard in manifest.shards) < _WORTH_PROCESSES_BYTES:
        return ThreadPoolExecutor(workers)
    return process_pool(workers)


def _read(folder: Folder, manifest: Manifest, shard: ShardEntry) -> _Read:
    digests, labels = [], []
    try:
        with folder.local(shard.file) as path:
            problem = content_problem(path, shard)
            if problem is not None:
                return _Read(problem)
            for row in FORMATS[manifest.format].read_shard(path):
                labels.append(row.label)
                digests.append(row_digest(shard.split, row.image_id, row.label, row.image))
    except FileNotFoundError:
        return _Read(f"{shard.file}: missing")
    except (DataError, OSError, ValueError) as error:
        return _Read(f"{shard.file}: {error}")
    if len(labels) != shard.rows:
        return _Read(f"{shard.file}: {len(labels)} rows, expected {shard.rows}")
    strange = [label for label in labels if not 0 <= label < len(EXPRESSIONS)]
    if strange:
        return _Read(f"{shard.file}: label {strange[0]}, expected 0 to {len(EXPRESSIONS) - 1}")
    counts = Counter(EXPRESSIONS[label] for label in labels)
    return _Read(None, tuple(digests), tuple(counts.items()))


def _compare_whole(
    folder: Folder, manifest: Manifest, counts: dict[str, Counter[str]], digests: list[bytes]
) -> None:
    for split, expected in manifest.classes.items():
        found = {name: counts[split][name] for name in EXPRESSIONS}
        if found != {name: expected.get(name, 0) for name in EXPRESSIONS}:
            raise DataError(
                f"{folder}: the shards of {split} hold {found}, the manifest says {expected}: "
                "delete the directory and prepare the data again"
            )
    fingerprint = content_fingerprint(manifest.image_size, manifest.encoding, digests)
    if fingerprint != manifest.fingerprint:
        raise DataError(
            f"{folder}: the rows give fingerprint {fingerprint[:16]}…, the manifest says "
            f"{manifest.fingerprint[:16]}…: delete the directory and prepare the data again"
        )
