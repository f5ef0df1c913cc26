"""The core promise: a trial killed in mid-epoch ends with the bytes of an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.prepare import synth
from trainers.books import Books
from trainers.checkpoint import Position
from trainers.entries import Restored
from trainers.interruption import Cause
from trainers.result import RESULT_FILE, TrialFailure, TrialResult, TrialState, read_record

SCRIPT = Path(__file__).parent / "trial_process.py"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "drawn"
    synth(path, train=84, validation=24, size=32, seed=0)  # 11 steps an epoch, the last of 4
    return path


def start(
    architecture: str, shards: Path, folder: Path, script: Path = SCRIPT
) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(script), architecture, str(shards), str(folder)],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
            stdout=log,
            stderr=log,
        )


def finish(architecture: str, shards: Path, folder: Path, script: Path = SCRIPT) -> TrialResult:
    code = start(architecture, shards, folder, script).wait(timeout=600)
    assert code == 0, (folder / "log.txt").read_text()
    result = read_record(folder / "trial" / RESULT_FILE, TrialResult)
    assert result is not None
    return result


def kill_when(
    condition: Callable[[Books], bool],
    architecture: str,
    shards: Path,
    folder: Path,
    script: Path = SCRIPT,
) -> Position:
    """Start the trial and kill it, not to be caught, once a condition holds."""
    process = start(architecture, shards, folder, script)
    deadline = time.monotonic() + 600
    (folder / "trial").mkdir(exist_ok=True)
    books = Books(folder / "trial")
    while not condition(books):
        assert process.poll() is None, (folder / "log.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = books.reached()
    books.close()
    return reached


def kill_at(position: Position, architecture: str, shards: Path, folder: Path) -> Position:
    return kill_when(lambda books: books.reached() >= position, architecture, shards, folder)


def weights(folder: Path) -> list[np.ndarray]:
    import keras

    return keras.models.load_model(folder / "trial" / "model.keras").get_weights()


def assert_same_bytes(one: Path, other: Path) -> None:
    for name in ("history.csv", "predictions.parquet"):
        assert (one / "trial" / name).read_bytes() == (other / "trial" / name).read_bytes(), name
    for left, right in zip(weights(one), weights(other), strict=True):
        assert left.tobytes() == right.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mobilenetv2", "densenet121"])
def test_killed_in_mid_epoch_twice_and_resumed_it_ends_with_the_same_bytes(
    architecture: str, shards: Path, tmp_path: Path
):
    undisturbed = finish(architecture, shards, tmp_path / "undisturbed")
    disturbed = tmp_path / "disturbed"
    first = kill_at(Position(0, 5), architecture, shards, disturbed)
    second = kill_at(Position(1, 7), architecture, shards, disturbed)
    result = finish(architecture, shards, disturbed)
    assert_same_bytes(tmp_path / "undisturbed", disturbed)
    assert result.accuracy == undisturbed.accuracy
    assert result.loss == undisturbed.loss
    assert undisturbed.restarts == 0
    assert result.restarts == 2
    # Checkpoints are at each third step: what came after the last one was done twice. One that was
    # still being written when the kill came does not count.
    least = sum(reached.step % 3 for reached in (first, second))
    assert result.steps_repeated in (least, least + 3, least + 6)
    assert result.restarts_by_cause == {Cause.KILLED: 2}
    assert result.notes == []
    assert not list((disturbed / "trial" / "checkpoints").glob("*.npz"))


@pytest.mark.slow
@pytest.mark.parametrize(("epoch", "step"), [(0, 11), (1, 0)])
def test_killed_right_after_a_checkpoint_at_an_epochs_end(
    epoch: int, step: int, shards: Path, tmp_path: Path
):
    """Before the evaluation: nothing is left to fit, but the epoch's figures must not be lost.

    After it: the next epoch's figures must not begin with those of the one before.
    """
    script = tmp_path / "each_eleven.py"
    script.write_text(SCRIPT.read_text().replace("checkpoint_steps=3", "checkpoint_steps=11"))
    finish("mobilenet", shards, tmp_path / "undisturbed", script)
    folder = tmp_path / "disturbed" / "trial" / "checkpoints"
    checkpoint = folder / f"e{epoch:06d}-s{step:09d}.npz"
    kill_when(lambda _: checkpoint.exists(), "mobilenet", shards, tmp_path / "disturbed", script)
    result = finish("mobilenet", shards, tmp_path / "disturbed", script)
    books = Books(tmp_path / "disturbed" / "trial")
    resumed = [entry for entry in books.entries() if isinstance(entry, Restored)][-1]
    books.close()
    assert (resumed.epoch, resumed.step) == (epoch, step)
    assert result.restarts == 1
    assert_same_bytes(tmp_path / "undisturbed", tmp_path / "disturbed")


@pytest.mark.slow
def test_a_resume_under_other_conditions_says_so_in_the_result(shards: Path, tmp_path: Path):
    checkpoints = tmp_path / "run" / "trial" / "checkpoints"
    kill_when(lambda _: any(checkpoints.glob("e*.npz")), "mobilenet", shards, tmp_path / "run")
    script = SCRIPT.read_text().replace("threads=1", "threads=2")
    changed = tmp_path / "changed.py"
    changed.write_text(script)
    subprocess.run(
        [sys.executable, str(changed), "mobilenet", str(shards), str(tmp_path / "run")],
        check=True,
        capture_output=True,
    )
    result = read_record(tmp_path / "run" / "trial" / RESULT_FILE, TrialResult)
    assert result is not None
    assert len(result.notes) == 1
    assert "threads 1, now 2" in result.notes[0]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_as_diverged_with_its_step(shards: Path, tmp_path: Path):
    wild = tmp_path / "wild.py"
    wild.write_text(
        SCRIPT.read_text().replace("image_size=32,", "image_size=32, learning_rate=3e38,")
    )
    done = subprocess.run(
        [sys.executable, str(wild), "mobilenet", str(shards), str(tmp_path / "run")],
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    failure = read_record(tmp_path / "run" / "trial" / "failure.json", TrialFailure)
    assert failure is not None
    assert failure.state is TrialState.DIVERGED
    assert failure.epoch == 1
    assert failure.step
    assert "learning_rate" in failure.reason
