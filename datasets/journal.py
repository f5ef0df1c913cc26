"""What of a `prepare` is done already: one small file per finished shard, beside the shards.

A shard's entry is written after the shard. It is believed only while the shard's task is the same
and its file still has the recorded checksum, so a half-written or foreign shard is made anew.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from datasets.errors import DataError
from datasets.folder import Folder, write_bytes
from datasets.manifest import RequestValue, ShardEntry, shard_problem
from datasets.shard_writer import ShardOutcome, ShardTask, StoredAs, write_task
from datasets.sources import Rejected, SourceRow
from datasets.sources.parquet_images import ParquetImage

JOURNAL_NAME = ".prepare"
_REQUEST_FILE = f"{JOURNAL_NAME}/request.json"
_LOCK_NAME = "lock"
_DIGEST_BYTES = 32
_REQUEST = TypeAdapter(dict[str, RequestValue])


@contextmanager
def journal(dest: Folder, request: Mapping[str, RequestValue]) -> Iterator[bool]:
    """Keep a journal in `dest` for the time of a `prepare`, alone; yield whether it continues one.

    The journal of another request counts for nothing. It stays when the block raises, so that the
    same request can go on, and is removed when it ends well. Raises `DataError` if another process
    prepares `dest` at this moment.
    """
    try:
        lock = FileLock(dest.lock_file(f"{JOURNAL_NAME}/{_LOCK_NAME}"), timeout=0).acquire()
    except Timeout:
        raise DataError(
            f"another process prepares {dest} at this moment: wait for it, or choose another "
            "directory"
        ) from None
    with lock:
        continues = _is_of(dest, request)
        if not continues:
            for name in dest.names():
                if name.startswith(f"{JOURNAL_NAME}/") and name.endswith(".json"):
                    dest.remove(name)
            write_bytes(dest, _REQUEST_FILE, _REQUEST.dump_json(dict(request)) + b"\n")
        yield continues
        dest.remove_below(JOURNAL_NAME)


def write_or_recall(dest: Folder, task: ShardTask, stored: StoredAs, threads: int) -> ShardOutcome:
    """Return what became of `task`: as the journal of `dest` says, or by writing its shard now.

    Safe in any process, and any number of times. Raises as `write_task` does.
    """
    file = f"{JOURNAL_NAME}/{task.split}-{task.number:05d}.json"
    key = _task_key(task, stored)
    known = _read(dest, file)
    if known is not None and known.key == key and known.is_whole(dest):
        return known.outcome()
    outcome = write_task(dest, task, stored, threads)
    write_bytes(dest, file, _Entry.of(key, outcome).model_dump_json().encode() + b"\n")
    return outcome


class _Entry(BaseModel):
    """One finished task as its file holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    shard: ShardEntry | None
    digests: str
    """All row digests one after the other, in hexadecimal digits."""
    classes: dict[str, int]
    rejected: list[Rejected]

    @classmethod
    def of(cls, key: str, outcome: ShardOutcome) -> "_Entry":
        return cls(
            key=key,
            shard=outcome.entry,
            digests=b"".join(outcome.digests).hex(),
            classes=outcome.classes,
            rejected=list(outcome.rejected),
        )

    def outcome(self) -> ShardOutcome:
        joined = bytes.fromhex(self.digests)
        starts = range(0, len(joined), _DIGEST_BYTES)
        digests = tuple(joined[start : start + _DIGEST_BYTES] for start in starts)
        return ShardOutcome(self.shard, digests, self.classes, tuple(self.rejected))

    def is_whole(self, dest: Folder) -> bool:
        return self.shard is None or shard_problem(dest, self.shard) is None


def _read(dest: Folder, file: str) -> _Entry | None:
    try:
        return _Entry.model_validate_json(dest.read(file))
    except (OSError, ValidationError):
        return None


def _is_of(dest: Folder, request: Mapping[str, RequestValue]) -> bool:
    try:
        return _REQUEST.validate_json(dest.read(_REQUEST_FILE)) == dict(request)
    except (OSError, ValidationError):
        return False


def _task_key(task: ShardTask, stored: StoredAs) -> str:
    """Return a hash of all that decides a shard: its rows, and the state of their files."""
    digest = hashlib.sha256(repr(stored).encode())
    for row in task.rows:
        digest.update(repr((task.split, row, _state(row))).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _state(row: SourceRow) -> tuple[int, int] | None:
    """Return size and time of change of a row's file: one that was mended since counts anew."""
    file = row.image.file if isinstance(row.image, ParquetImage) else row.image
    if not isinstance(file, Path):
        return None
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns
