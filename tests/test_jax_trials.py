"""Trials on Keras' JAX backend, in processes in which TensorFlow can't be imported."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.jax_server import JaxServer, jax_server
from tests.resuming import (
    INTERRUPTED,
    KILLED,
    assert_same_outcome,
    checkpoint_of,
    finish,
    result_of,
    run,
)
from tests.small_net import STILL
from trainers.interruption import Cause

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[JaxServer]:
    with jax_server() as one:
        yield one


def test_interrupted_on_jax_it_ends_with_the_same_bytes(
    server: JaxServer, small_shards: Path, undisturbed_on_jax: Path, tmp_path: Path
):
    """Also where batches are not made ahead at first."""
    server.run(small_shards, tmp_path, "prefetch:0", "kill-step:4", code=KILLED)
    server.run(small_shards, tmp_path, "prefetch:0", "stop-step:5", code=INTERRUPTED)
    server.run(small_shards, tmp_path)
    assert_same_outcome(undisturbed_on_jax, tmp_path)
    assert result_of(tmp_path).restarts_by_cause == {Cause.KILLED: 1, Cause.STOPPED: 1}


@pytest.fixture(scope="module")
def undisturbed_on_jax(
    server: JaxServer, small_shards: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("jax")
    server.run(small_shards, folder)
    return folder


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


def test_one_trial_on_both_backends_ends_alike(
    server: JaxServer, small_shards: Path, tmp_path: Path
):
    """From one checkpoint, since each backend draws first weights of its own."""
    net = f"architecture:{STILL}"
    begun, other = tmp_path / "tensorflow", tmp_path / "jax"
    assert run(small_shards, begun, net, "stop-step:1").returncode == INTERRUPTED
    shutil.copytree(begun, other)
    assert run(small_shards, begun, net, "stop-step:2").returncode == INTERRUPTED
    server.run(small_shards, other, net, "stop-step:2", code=INTERRUPTED)
    one, two = checkpoint_of(begun), checkpoint_of(other)
    assert one.keys() == two.keys()
    for key, array in one.items():  # the same step from the same state
        np.testing.assert_allclose(two[key], array, rtol=1e-3, atol=1e-4 * np.abs(array).max())

    finish(small_shards, begun, net)
    server.run(small_shards, other, net)
    (probabilities, history), (on_jax, history_on_jax) = outcome(begun), outcome(other)
    assert not np.array_equal(on_jax, probabilities)  # they were two computations
    # Adam divides by the root of tiny squares: what differs in the last bit does not for long.
    np.testing.assert_allclose(on_jax, probabilities, atol=0.02)
    np.testing.assert_allclose(history_on_jax[0], history[0], rtol=1e-3)
    (note,) = result_of(other).notes
    assert "not bit-identical" in note
    assert "jaxlib" in note
