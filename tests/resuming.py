"""Runs the small trial of `interrupted_trial` in processes of their own, and compares outcomes."""

import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.folder import LocalFolder
from trainers.checkpoint import read_checkpoint
from trainers.checkpoint_store import STATE_FILE, CheckpointStore
from trainers.result import (
    FAILURE_FILE,
    RESULT_FILE,
    TrialFailure,
    TrialResult,
    read_record,
)

INTERRUPTED, KILLED = 3, -9
_TIMEOUT_S = 600
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.warm_keras"])


@dataclass(frozen=True)
class Ended:
    """How a trial's process ended, and what it wrote to its standard error."""

    returncode: int | None
    stderr: str


class Running:
    """A trial's process."""

    def __init__(self, shards: Path, folder: Path, *moments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "stderr.txt"
        self._log.write_text("")
        words = (shards, folder, moments, self._log)
        self._process = PROCESSES.Process(target=_trial, args=words)
        self._process.start()

    def ended(self) -> Ended:
        """Wait for its end, however it ends."""
        self._process.join(_TIMEOUT_S)
        if self._process.is_alive():
            self.kill()
            raise TimeoutError(self._log.read_text())
        return Ended(self._process.exitcode, self._log.read_text())

    def kill(self) -> None:
        """End it, if it has not ended."""
        self._process.kill()


def run(shards: Path, folder: Path, *moments: str) -> Ended:
    """Run the trial's process to its end, however it ends."""
    return Running(shards, folder, *moments).ended()


def _trial(shards: Path, folder: Path, moments: tuple[str, ...], log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 2)
    from tests import interrupted_trial

    sys.exit(interrupted_trial.main(shards, folder, list(moments)))


def finish(shards: Path, folder: Path, *moments: str) -> TrialResult:
    """Run the trial's process, which must finish it."""
    done = run(shards, folder, *moments)
    assert done.returncode == 0, done.stderr
    return result_of(folder)


def result_of(folder: Path) -> TrialResult:
    """The result of a finished trial."""
    result = read_record(folder / "trial" / RESULT_FILE, TrialResult)
    assert result is not None
    return result


def failure_of(folder: Path) -> TrialFailure:
    """Why a trial is over without a result."""
    failure = read_record(folder / "trial" / FAILURE_FILE, TrialFailure)
    assert failure is not None
    return failure


def checkpoint_of(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a trial's newest checkpoint: weights, optimizer, metrics."""
    store = CheckpointStore(LocalFolder(folder / "trial" / "checkpoints"))
    with store.folder.local(f"{store.names()[0]}/{STATE_FILE}") as path:
        return read_checkpoint(path).arrays


def _weights(folder: Path) -> list[np.ndarray]:
    import keras

    return keras.models.load_model(folder / "trial" / "model.keras").get_weights()


def _probes(folder: Path) -> dict[str, bytes]:
    """The files of a trial's probes, but for what a killed writer left behind."""
    files = {path.name: path.read_bytes() for path in (folder / "trial" / "probes").glob("[!.]*")}
    assert len(files) == 9
    return files


def assert_same_outcome(one: Path, other: Path) -> None:
    """Weights, optimizer, metrics, history, predictions and probes are equal to the bit."""
    for name in ("history.csv", "predictions.parquet"):
        assert (one / "trial" / name).read_bytes() == (other / "trial" / name).read_bytes(), name
    assert _probes(one) == _probes(other)
    for left, right in zip(_weights(one), _weights(other), strict=True):
        assert left.tobytes() == right.tobytes()
    for name in ("accuracy", "loss", "macro_f1", "best_epoch"):
        assert getattr(result_of(one), name) == getattr(result_of(other), name), name
    # The last checkpoint's weights, optimizer and metric accumulators.
    assert (one / "state").read_bytes() == (other / "state").read_bytes()
