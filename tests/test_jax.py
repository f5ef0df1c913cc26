"""Trials on Keras' JAX backend, in processes in which TensorFlow can't be imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from datasets.folder import LocalFolder
from tests.resuming import INTERRUPTED, KILLED, assert_same_outcome, finish, result_of, run
from tests.small_net import STILL
from trainers.checkpoint import CheckpointStore, read_checkpoint

pytest.importorskip("jax")

ROOT = Path(__file__).parent.parent
ON_JAX = os.environ | {"KERAS_BACKEND": "jax"}
TRIAL = """
import sys
from pathlib import Path
sys.modules["tensorflow"] = None  # an import of it fails, as where it is not installed
from tests import interrupted_trial
sys.exit(interrupted_trial.main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
"""


def python(code: str, *words: object) -> "subprocess.CompletedProcess[str]":
    """Run code in a process whose Keras computes with JAX."""
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, env=ON_JAX, capture_output=True, text=True, timeout=600, check=False
    )


def run_on_jax(shards: Path, folder: Path, *moments: str, code: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    done = python(TRIAL, shards, folder, *moments)
    assert done.returncode == code, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["kill-step:4", "stop-step:5"])
def test_interrupted_on_jax_it_ends_with_the_same_bytes(
    moment: str, small_shards: Path, undisturbed_on_jax: Path, tmp_path: Path
):
    code = INTERRUPTED if moment.startswith("stop") else KILLED
    run_on_jax(small_shards, tmp_path, moment, code=code)
    run_on_jax(small_shards, tmp_path)
    assert_same_outcome(undisturbed_on_jax, tmp_path)
    assert result_of(tmp_path).restarts == 1


@pytest.fixture(scope="module")
def undisturbed_on_jax(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jax")
    run_on_jax(small_shards, folder)
    return folder


@pytest.mark.slow
def test_a_result_names_what_computed_it(undisturbed_on_jax: Path):
    result = result_of(undisturbed_on_jax)
    assert {"jax", "jaxlib"} <= result.versions.keys()
    assert "tensorflow" not in result.versions
    assert result.latency_ms is not None
    assert result.gflops is not None
    assert result.notes == []


def outcome(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the last model, float32 [images, 8], and the history's numbers."""
    table = pq.read_table(folder / "trial" / "predictions.parquet")
    history = np.loadtxt(folder / "trial" / "history.csv", delimiter=",", skiprows=1)
    return np.array(table["probabilities"].to_pylist(), dtype=np.float32), history


def checkpoint(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of the newest checkpoint: weights, optimizer, metrics."""
    store = CheckpointStore(LocalFolder(folder / "trial" / "checkpoints"))
    with store.folder.local(store.names()[0]) as path:
        return read_checkpoint(path).arrays


@pytest.mark.slow
def test_one_trial_on_both_backends_ends_alike(small_shards: Path, tmp_path: Path):
    """From one checkpoint, since each backend draws first weights of its own."""
    net = f"architecture:{STILL}"
    begun, other = tmp_path / "tensorflow", tmp_path / "jax"
    assert run(small_shards, begun, net, "stop-step:1").returncode == INTERRUPTED
    shutil.copytree(begun, other)
    assert run(small_shards, begun, net, "stop-step:2").returncode == INTERRUPTED
    run_on_jax(small_shards, other, net, "stop-step:2", code=INTERRUPTED)
    one, two = checkpoint(begun), checkpoint(other)
    assert one.keys() == two.keys()
    for key, array in one.items():  # the same step from the same state
        np.testing.assert_allclose(two[key], array, rtol=1e-3, atol=1e-4 * np.abs(array).max())

    finish(small_shards, begun, net)
    run_on_jax(small_shards, other, net)
    (probabilities, history), (on_jax, history_on_jax) = outcome(begun), outcome(other)
    assert not np.array_equal(on_jax, probabilities)  # they were two computations
    # Adam divides by the root of tiny squares: what differs in the last bit does not for long.
    np.testing.assert_allclose(on_jax, probabilities, atol=0.02)
    np.testing.assert_allclose(history_on_jax[0], history[0], rtol=1e-3)
    (note,) = result_of(other).notes
    assert "not bit-identical" in note
    assert "jaxlib" in note


def test_several_gpus_are_refused():
    said = python("from trainers import backend; backend.configure(1, True, 2)")
    assert "set resources.gpus_per_trial=1, or KERAS_BACKEND=tensorflow" in said.stderr
    said = python("from trainers import backend; backend.configure(1, True, 1)")
    assert "JAX sees none: install jax[cuda12]" in said.stderr


@pytest.mark.slow
def test_a_run_on_jax(small_shards: Path, tmp_path: Path):
    words = ["run-all", "--preset", "demo", "--only", "mobilenet", "--data", small_shards]
    sizes = [
        "--set",
        "recipe.image_size=32",
        "--set",
        "recipe.epochs=1",
        "--set",
        "recipe.batch_size=10",
    ]
    code = "import sys; from orchestrator.cli import main; sys.exit(main())"
    done = python(code, *words, *sizes, "--run-dir", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    log = tmp_path / "trials" / "mobilenet-s0" / "log.txt"
    assert "tensorflow" not in log.read_text()
    result = (tmp_path / "trials" / "mobilenet-s0" / "result.json").read_text()
    assert '"jaxlib"' in result
