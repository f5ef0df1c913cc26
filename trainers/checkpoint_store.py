"""The checkpoints of one trial: a folder each, whole or passed over.

checkpoints/e000002-s000000120-a0003/
  state.npz       the state after 2 epochs and 120 steps, see `trainers.checkpoint`
  COMPLETE        written last: the size and the CRC-32 of each file, and the figures so far

`a0003` says which attempt wrote it. An attempt that was cut off and does not know of it may write
on for a while: under names of its own, which count for less than those of the attempts after it.
"""

import json
import logging
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from datasets.folder import Place, as_folder, write_bytes
from trainers.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    Identity,
    Position,
    check_identity,
    read_checkpoint,
    write_checkpoint,
)

logger = logging.getLogger(__name__)

STATE_FILE = "state.npz"
MARKER_FILE = "COMPLETE"
DAMAGED_FILE = "DAMAGED"
"""What the marker is called once its checkpoint was found damaged."""

KEEP = 2
"""Should the newest be damaged, the one before it is used."""

_NAME = re.compile(r"e(\d{6,})-s(\d{9,})-a(\d{4,})")
_OLD = re.compile(r"e(\d{6})-s(\d{9})\.npz")
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, order=True)
class CheckpointName:
    """The name of a checkpoint; of two the greater is to be gone on from."""

    attempt: int
    position: Position

    def __str__(self) -> str:
        where = self.position
        return f"e{where.epoch:06d}-s{where.step:09d}-a{self.attempt:04d}"

    @classmethod
    def parse(cls, text: str) -> "CheckpointName | None":
        """The name that a text is; None if it is none."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        epoch, step, attempt = map(int, found.groups())
        return cls(attempt, Position(epoch, step))


@dataclass(frozen=True)
class Marker:
    """What `COMPLETE` holds: of each file its bytes and its CRC-32; and the figures so far."""

    files: dict[str, tuple[int, int]]
    figures: dict[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> "Marker | None":
        """A marker from its content; None where that is none."""
        try:
            record = json.loads(data)
            files = {name: (int(size), int(crc)) for name, (size, crc) in record["files"].items()}
            return cls(files, dict(record["figures"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def content(self) -> bytes:
        """As it is written."""
        return json.dumps({"files": self.files, "figures": self.figures}).encode()


def figures_of(checkpoint: Checkpoint) -> dict[str, float]:
    """Where a checkpoint stands, and the figures of the last epoch that it has finished."""
    last = checkpoint.history[-1].figures() if checkpoint.history else {}
    return {"epoch": checkpoint.position.epoch, "step": checkpoint.position.step} | last


class CheckpointStore:
    """The checkpoints in one folder; what is written here is called attempt `attempt`'s."""

    def __init__(self, place: Place, attempt: int = 0) -> None:
        self.folder = as_folder(place)
        self.attempt = attempt

    def names(self) -> list[CheckpointName]:
        """Those that have their marker, the one to go on from first."""
        return self._marked(self.folder.names())

    @staticmethod
    def _marked(files: list[str]) -> list[CheckpointName]:
        there = set(files)
        marked = (CheckpointName.parse(one.partition("/")[0]) for one in there if _is_marker(one))
        found = (name for name in marked if name and f"{name}/{STATE_FILE}" in there)
        return sorted(found, reverse=True)

    def newest_position(self) -> Position | None:
        """The position of the first of `names`; None where there is none."""
        return next((name.position for name in self.names()), None)

    def last_attempt(self) -> int:
        """The greatest number of an attempt that has begun to write here; 0 where none has."""
        begun = (CheckpointName.parse(one.partition("/")[0]) for one in self.folder.names())
        return max((name.attempt for name in begun if name), default=0)

    def whole(self) -> Iterator[tuple[CheckpointName, Marker]]:
        """Those whose files have the sizes that their markers tell, the one to go on from first.

        What is in the files is checked when one is read.
        """
        stamps = self.folder.stamps()
        for name in self._marked(list(stamps)):
            marker = Marker.parse(self.folder.read(f"{name}/{MARKER_FILE}"))
            if marker is not None and all(
                f"{name}/{file}" in stamps and stamps[f"{name}/{file}"].size == size
                for file, (size, _) in marker.files.items()
            ):
                yield name, marker

    def save(self, checkpoint: Checkpoint) -> CheckpointName:
        """Write a checkpoint, then drop what `prune` drops."""
        name = self.write(checkpoint)
        self.prune(name)
        return name

    def write(self, checkpoint: Checkpoint) -> CheckpointName:
        """Write a checkpoint: its marker appears when all is there."""
        name = CheckpointName(self.attempt, checkpoint.position)
        measured: list[tuple[int, int]] = []

        def write(path: Path) -> None:
            write_checkpoint(path, checkpoint)
            measured.append(_measured(path))

        self.folder.write(f"{name}/{STATE_FILE}", write)
        marker = Marker({STATE_FILE: measured[-1]}, figures_of(checkpoint))
        write_bytes(self.folder, f"{name}/{MARKER_FILE}", marker.content(), anew=True)
        return name

    def prune(self, name: CheckpointName) -> None:
        """Keep a checkpoint and the one before it, and what a later attempt has written."""
        names = self.names()
        if name not in names:
            raise FileNotFoundError(f"{self.folder}/{name} is gone, though it was just written")
        for other in names[names.index(name) + KEEP :]:
            self.remove(other)

    def remove(self, name: CheckpointName) -> None:
        """Remove a checkpoint; without its marker first, so that it is never half there."""
        self.folder.remove(f"{name}/{MARKER_FILE}")
        self.folder.remove_below(str(name))

    def newest(self, identity: Identity) -> Checkpoint | None:
        """The newest whole checkpoint; damaged ones are logged and passed over.

        One that belongs to something else raises `CheckpointMismatchError`: using it would give
        wrong numbers, and ignoring it would silently train again.
        """
        for name in self.names():
            try:
                with self.folder.local(f"{name}/{STATE_FILE}") as path:
                    return self.read(name, path, identity)
            except DamagedCheckpointError as error:
                logger.warning("%s; using the one before it", error)
                # Kept for whoever wants to know why.
                self.folder.rename(f"{name}/{MARKER_FILE}", f"{name}/{DAMAGED_FILE}")
        return None

    def read(self, name: CheckpointName, path: Path, identity: Identity) -> Checkpoint:
        """The checkpoint of a name whose state lies at `path` on this machine.

        One that is not whole raises `DamagedCheckpointError`; else see `newest`.
        """
        called = f"{self.folder}/{name}"
        marker = Marker.parse(self.folder.read(f"{name}/{MARKER_FILE}"))
        if marker is None or marker.files.get(STATE_FILE) != _measured(path):
            raise DamagedCheckpointError(f"checkpoint {called} is not what its marker tells")
        checkpoint = read_checkpoint(path, called)
        check_identity(called, checkpoint.identity, identity)
        return checkpoint

    def adopt(self) -> None:
        """Take over the checkpoints of runs from before: one file each, of no attempt."""
        for old in self.folder.names():
            if found := _OLD.fullmatch(old):
                name = CheckpointName(0, Position(*map(int, found.groups())))
                with self.folder.local(old) as path:
                    marker = Marker({STATE_FILE: _measured(path)})
                self.folder.rename(old, f"{name}/{STATE_FILE}")
                write_bytes(self.folder, f"{name}/{MARKER_FILE}", marker.content())

    def sweep(self) -> None:
        """Remove what killed writers left behind; for the one process that owns the trial."""
        self.adopt()
        files = self.folder.names()
        kept = {str(name) for name in self._marked(files)}
        kept |= {one.partition("/")[0] for one in files if one.endswith(f"/{DAMAGED_FILE}")}
        for name in {one.partition("/")[0] for one in files} - kept:
            if CheckpointName.parse(name):
                self.folder.remove_below(name)

    def clear(self, keep: int = 0) -> None:
        """Remove all checkpoints but so many of the newest."""
        for name in self.names()[keep:]:
            self.remove(name)
        self.sweep()


def _is_marker(file: str) -> bool:
    return file.endswith(f"/{MARKER_FILE}")


def _measured(path: Path) -> tuple[int, int]:
    """The bytes of a file, and their CRC-32."""
    size = crc = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return size, crc
