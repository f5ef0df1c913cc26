"""Keras' JAX backend: memory of a GPU, batches made ahead, a run through Ray."""

import csv
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import pytest

from datasets.batches import TrainBatches
from datasets.errors import ConfigError
from tests.test_sampler import Numbered
from tests.whole_runs import TRIALS, Run
from trainers.backend import on_jax
from trainers.backend.ahead import THREAD_NAME

ROOT = Path(__file__).parent.parent
ON_JAX = os.environ | {"KERAS_BACKEND": "jax"}


def python(code: str, *words: object) -> "subprocess.CompletedProcess[str]":
    """Run code in a process whose Keras computes with JAX."""
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, env=ON_JAX, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.slow
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
        end = time.monotonic() + 120
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


@pytest.mark.slow
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
def test_a_run_on_jax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of two trials; the storage of the first is broken, which is nothing of the second's."""
    run, patience = Run(tmp_path / "run"), ("--set", "resilience.storage_minutes=0")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    broken = run.trial(TRIALS[0])
    broken.mkdir(parents=True)
    (broken / "checkpoints").write_text("no folder")
    run.finish(*patience, code=1)
    with (run.folder / "report" / "results.csv").open() as stream:
        rows = {row["architecture"]: row for row in csv.DictReader(stream)}
    failed, finished = (rows[trial.removesuffix("-s0")] for trial in TRIALS)
    assert (failed["status"], finished["status"]) == ("failed", "finished")
    assert "StorageError" in failed["reason"]
    assert "tensorflow" not in (run.trial(TRIALS[1]) / "log.txt").read_text()
    assert "jaxlib" in run.result(TRIALS[1]).versions
    assert "keras_backend: jax\n" in (run.folder / "run.yaml").read_text()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    said = run.finish(*patience, code=2)
    assert "set KERAS_BACKEND=jax, or name another --run-dir" in said
    assert "starting Ray" not in said
