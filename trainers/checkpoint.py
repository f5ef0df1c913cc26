"""Checkpoints: the whole state of a trial at one position, in one file.

A checkpoint is one uncompressed `.npz`: every variable as an array, and a JSON record of the
position, the history and what the state belongs to. It is written under another name and renamed,
and the zip's CRC-32 of each member is checked on reading, so a file is either whole or passed over.
Nothing in it is pickled.
"""

import errno
import json
import logging
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import DataError, FerOrchError
from datasets.folder import Place, as_folder

logger = logging.getLogger(__name__)

CHECKPOINT_VERSION = 1
_NAME = re.compile(r"e\d{6}-s\d{9}\.npz")
_LEFTOVER = re.compile(r"\.e.*\.tmp\.npz")
_ANY = re.compile(r"e.*\.(npz|damaged)|\.e.*\.tmp\.npz")
_META = "meta"

# A damaged file can cause others, as EINVAL for a place outside of it.
_STORAGE_ERRORS = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN, errno.EACCES}
    | {errno.ENOMEM, errno.EMFILE, errno.ENFILE}
)


class CheckpointMismatchError(FerOrchError):
    """A checkpoint belongs to another trial, data set or version; both sides are in the text."""


class DamagedCheckpointError(DataError):
    """A checkpoint file is not whole."""


@dataclass(frozen=True, order=True)
class Position:
    """Where training stands: `epoch` finished epochs, and `step` finished steps of the next one."""

    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class Identity:
    """What a checkpoint must belong to, or it is not used."""

    trial: str
    config_hash: str
    data_fingerprint: str
    version: int = CHECKPOINT_VERSION


@dataclass(frozen=True)
class HistoryRow:
    """One finished epoch; `epoch` counts from 1. Losses are in nats, accuracies fractions of 1.

    `selection_accuracy` is that on the part of training which is held out, None if there is none.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    selection_accuracy: float | None = None

    def figures(self) -> dict[str, float]:
        """What is known of it, by name, without the epoch."""
        named = asdict(self)
        del named["epoch"]
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Clock:
    """Seconds that led to the present weights; time that a kill threw away is not in it.

    `rated_*` leave out the first step of each attempt, which is spent on tracing.
    """

    train_s: float = 0.0
    rated_s: float = 0.0
    rated_images: int = 0
    evaluate_s: float = 0.0
    checkpoint_s: float = 0.0  # in which training stood still for its checkpoints


@dataclass(frozen=True)
class Machine:
    """What the bits depend on besides the configuration."""

    device: str
    threads: int
    versions: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a trial. `arrays` maps `model/0`, `optimizer/0`, `metrics/0`, … to values."""

    identity: Identity
    position: Position
    machine: Machine
    arrays: dict[str, np.ndarray[Any, Any]]
    history: tuple[HistoryRow, ...] = ()
    clock: Clock = field(default_factory=Clock)
    notes: tuple[str, ...] = ()


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write one checkpoint file; under another name first (see `datasets.folder.Folder.write`)."""
    record = {
        "identity": asdict(checkpoint.identity),
        "position": asdict(checkpoint.position),
        "machine": asdict(checkpoint.machine),
        "history": [asdict(row) for row in checkpoint.history],
        "clock": asdict(checkpoint.clock),
        "notes": list(checkpoint.notes),
        # A damaged directory of the zip can lose members without a word.
        "arrays": list(checkpoint.arrays),
    }
    meta = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
    np.savez(path, allow_pickle=False, **{_META: meta}, **checkpoint.arrays)


def read_checkpoint(path: Path, called: str | None = None) -> Checkpoint:
    """Read one checkpoint file; one that is not whole raises `DamagedCheckpointError`.

    `called` is its name for people, where `path` is a copy. Storage that does not answer raises
    `OSError`: the file may be whole.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        record = json.loads(arrays.pop(_META).tobytes())
        if list(arrays) != record["arrays"]:
            raise DamagedCheckpointError(f"{len(arrays)} arrays of {len(record['arrays'])}")
        return Checkpoint(
            identity=Identity(**record["identity"]),
            position=Position(**record["position"]),
            machine=Machine(**record["machine"]),
            arrays=arrays,
            history=tuple(HistoryRow(**row) for row in record["history"]),
            clock=Clock(**record["clock"]),
            notes=tuple(record["notes"]),
        )
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _STORAGE_ERRORS:
            raise
        # Damage shows in many ways: zip and zlib errors, an unknown method, a missing password.
        raise DamagedCheckpointError(
            f"checkpoint {called or path} is not whole: {error}"
        ) from error


class CheckpointStore:
    """The checkpoints of one trial in one folder; the newest `keep` stay.

    At least two are kept: should the newest be damaged, the one before it is used.
    """

    def __init__(self, place: Place, keep: int = 2) -> None:
        self.folder = as_folder(place)
        self.keep = max(2, keep)

    def names(self) -> list[str]:
        """Checkpoint files, newest position first."""
        return sorted((name for name in self.folder.names() if _NAME.fullmatch(name)), reverse=True)

    def newest_position(self) -> Position | None:
        """The position of the newest file by its name, whole or not; None where there is none."""
        for name in self.names():
            epoch, step = name.removeprefix("e").removesuffix(".npz").split("-s")
            return Position(int(epoch), int(step))
        return None

    def save(self, checkpoint: Checkpoint) -> str:
        """Write a checkpoint, then drop the oldest beyond `keep`; the name of its file."""
        name = self.write(checkpoint)
        self.prune(name)
        return name

    def write(self, checkpoint: Checkpoint) -> str:
        """Write a checkpoint; the name of its file."""
        position = checkpoint.position
        name = f"e{position.epoch:06d}-s{position.step:09d}.npz"
        self.folder.write(name, lambda path: write_checkpoint(path, checkpoint))
        return name

    def prune(self, name: str) -> None:
        """Keep a checkpoint and the newest before it, `keep` in all."""
        names = self.names()
        if name not in names:
            raise FileNotFoundError(f"{self.folder}/{name} is gone, though it was just written")
        place = names.index(name)
        # What lies ahead is of another past: training went back behind it.
        for other in names[:place] + names[place + self.keep :]:
            self.folder.remove(other)

    def newest(self, identity: Identity) -> Checkpoint | None:
        """The newest whole checkpoint; damaged ones are logged and passed over.

        One that belongs to something else raises `CheckpointMismatchError`: using it would give
        wrong numbers, and ignoring it would silently train again.
        """
        for name in self.names():
            called = f"{self.folder}/{name}"
            try:
                with self.folder.local(name) as path:
                    checkpoint = read_checkpoint(path, called)
            except DamagedCheckpointError as error:
                logger.warning("%s; using the one before it", error)
                # Kept for whoever wants to know why.
                self.folder.rename(name, name.removesuffix(".npz") + ".damaged")
                continue
            _check_identity(called, checkpoint.identity, identity)
            return checkpoint
        return None

    def clear(self) -> None:
        """Remove all checkpoints, once the trial's result is written."""
        self._remove(_ANY)

    def sweep(self) -> None:
        """Remove what killed writers left behind; for the one process that owns the trial."""
        self._remove(_LEFTOVER)

    def _remove(self, pattern: re.Pattern[str]) -> None:
        for name in self.folder.names():
            if pattern.fullmatch(name):
                self.folder.remove(name)


def _check_identity(called: str, found: Identity, wanted: Identity) -> None:
    differing = [
        f"{name}: checkpoint {value!r}, this trial {asdict(wanted)[name]!r}"
        for name, value in asdict(found).items()
        if value != asdict(wanted)[name]
    ]
    if differing:
        raise CheckpointMismatchError(
            f"checkpoint {called} belongs to something else ({'; '.join(differing)}); "
            "name another --run-dir, or remove the file to train this trial anew"
        )
