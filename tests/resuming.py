"""Runs the small trial of `interrupted_trial` in processes of their own, and compares outcomes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from trainers.result import RESULT_FILE, TrialResult, read_record

SCRIPT = Path(__file__).parent / "interrupted_trial.py"
INTERRUPTED, KILLED = 3, -9


def run(shards: Path, folder: Path, *moments: str) -> subprocess.CompletedProcess[str]:
    """Run the trial's process to its end, however it ends."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(shards), str(folder), *moments],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


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
