"""Checkpoints: the whole state of a trial at one position, in one file.

It is one uncompressed `.npz`: every variable as an array, and a JSON record of the position, the
history and what the state belongs to. The zip's CRC-32 of each member is checked on reading, so a
file is either whole or passed over. Nothing in it is pickled. `checkpoint_store` has the files.
"""

import errno
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import DataError, FerOrchError

CHECKPOINT_VERSION = 1
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
    """Write one checkpoint file."""
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


def check_identity(called: str, found: Identity, wanted: Identity) -> None:
    """Raise `CheckpointMismatchError` where a checkpoint, called so, belongs to something else."""
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
