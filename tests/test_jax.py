"""Trials on Keras' JAX backend, in processes in which TensorFlow can't be imported."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest

from datasets.batches import TrainBatches
from datasets.errors import ConfigError
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
from tests.test_sampler import Numbered
from trainers.backend import on_jax
from trainers.backend.ahead import THREAD_NAME

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


@pytest.mark.slow
def test_one_trial_on_both_backends_ends_alike(small_shards: Path, tmp_path: Path):
    """From one checkpoint, since each backend draws first weights of its own."""
    net = f"architecture:{STILL}"
    begun, other = tmp_path / "tensorflow", tmp_path / "jax"
    assert run(small_shards, begun, net, "stop-step:1").returncode == INTERRUPTED
    shutil.copytree(begun, other)
    assert run(small_shards, begun, net, "stop-step:2").returncode == INTERRUPTED
    run_on_jax(small_shards, other, net, "stop-step:2", code=INTERRUPTED)
    one, two = checkpoint_of(begun), checkpoint_of(other)
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


def configured(gpus: float, gpus_seen: int = 1, **environment: str) -> dict[str, str]:
    """The environment that `configure` leaves in a process with this one."""
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(on_jax, "_gpus", return_value=["a GPU"] * gpus_seen),
    ):
        on_jax.configure(1, False, gpus)
        return dict(os.environ)


@pytest.mark.parametrize(
    ("gpus", "least", "most"), [(1, 0.9, 0.98), (0.5, 0.45, 0.49), (0.3333, 0.3, 0.33)]
)
def test_a_trial_may_take_the_memory_of_its_part_of_a_gpu(gpus: float, least: float, most: float):
    found = configured(gpus)
    assert least < float(found["XLA_CLIENT_MEM_FRACTION"]) < most
    assert found["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


@pytest.mark.parametrize("name", ["XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"])
def test_a_limit_that_the_user_sets_is_kept(name: str):
    found = configured(0.5, **{name: "0.2"})
    assert found[name] == "0.2"
    assert sum("MEM_FRACTION" in key for key in found) == 1  # XLA refuses two


def test_jaxlib_knows_the_limit_by_this_name():
    from jaxlib.xla_client import generate_pjrt_gpu_plugin_options

    with mock.patch.dict(os.environ, configured(0.5), clear=True):
        options = generate_pjrt_gpu_plugin_options()
    assert options["memory_fraction"] == pytest.approx(0.46)
    assert options["preallocate"] is False


def test_without_a_gpu_there_is_no_limit():
    assert not [key for key in configured(0) if "MEM_FRACTION" in key]
    with pytest.raises(ConfigError, match="JAX sees none"):
        configured(0.5, gpus_seen=0)


class Feed:
    """Twelve batches, each its number; `broken` can't be made. Notes what was made, and where."""

    def __init__(self, broken: int | None = None) -> None:
        self.broken = broken
        self.made: list[int] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return 12

    def __getitem__(self, place: int) -> int:
        if place >= len(self):
            raise IndexError(place)
        self.threads.add(threading.current_thread().name)
        if place == self.broken:
            raise OSError(f"batch {place} is gone")
        self.made.append(place)
        return place


def makers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith(THREAD_NAME)]


@pytest.mark.parametrize("ahead", [0, 1, 4, 50])
def test_batches_are_made_ahead_in_their_order(ahead: int):
    feed = Feed()
    with on_jax.Replicas().batches(feed, ahead) as batches:
        rest = iter(batches)
        taken = [next(rest), next(rest)]
        wanted = min(2 + ahead, 12)
        end = time.monotonic() + 20
        while len(feed.made) < wanted and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)
        assert feed.made == list(range(wanted))  # and no more
        assert [*taken, *rest] == list(range(12))
    assert feed.made == list(range(12))
    assert (threading.current_thread().name in feed.threads) == (ahead == 0)
    assert len(feed.threads) == 1
    assert makers() == []


@pytest.mark.parametrize("ahead", [0, 1, 4, 50])
def test_a_batch_that_can_not_be_made_fails_in_its_place(ahead: int):
    with on_jax.Replicas().batches(Feed(broken=5), ahead) as batches:
        rest = iter(batches)
        assert [next(rest) for _ in range(5)] == list(range(5))
        with pytest.raises(OSError, match="batch 5 is gone"):
            next(rest)
        assert makers() == []


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_who_stops_early_leaves_no_thread(taken: int):
    feed = Feed()
    with on_jax.Replicas().batches(feed, 2) as batches:
        for _ in range(taken):
            next(batches)
        assert len(makers()) == min(taken, 1)
    assert makers() == []
    assert len(feed.made) <= taken + 2


def test_an_epoch_that_is_interrupted_leaves_no_thread():
    from trainers.checkpoint import Clock, Position
    from trainers.fitting import Cursor, fit_epoch

    class Model:
        def fit(self, batches: object, **_: object) -> None:
            images, labels = next(iter(batches))  # type: ignore[call-overload]
            assert images.shape == (5, 2, 2, 3)
            assert labels.shape == (5, 8)
            assert makers()
            raise KeyboardInterrupt

    cursor = Cursor(Position(), Clock())
    with pytest.raises(KeyboardInterrupt) as caught:
        fit_epoch(Model(), TrainBatches(Numbered(60), 5, 0), cursor, None, on_jax.Replicas())
    assert caught.traceback  # it holds on to the batches, which does not matter
    assert makers() == []


@pytest.mark.slow
def test_batches_made_ahead_change_no_byte(
    small_shards: Path, undisturbed_on_jax: Path, tmp_path: Path
):
    run_on_jax(small_shards, tmp_path, "prefetch:0")
    assert_same_outcome(undisturbed_on_jax, tmp_path)


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
    assert "keras_backend: jax\n" in (tmp_path / "run.yaml").read_text()
    elsewhere = [sys.executable, "-m", "orchestrator", *words, *sizes, "--run-dir", tmp_path]
    refused = subprocess.run(
        list(map(str, elsewhere)),
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "set KERAS_BACKEND=jax, or name another --run-dir" in refused.stderr
    assert "starting Ray" not in refused.stdout
