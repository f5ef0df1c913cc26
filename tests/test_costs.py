"""What a model costs: operations against published figures, times and memory measured or None."""

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.interrupted_trial import spec_of
from trainers import backend
from trainers.architectures import ARCHITECTURES, architecture
from trainers.backend import processor
from trainers.costs import count_costs, peak_memory_bytes, time_latency
from trainers.evaluation import evaluate
from trainers.examination import examine
from trainers.model import build_model, count_macs
from trainers.recipe import RECIPES

pytestmark = pytest.mark.slow  # it imports Keras

SMALL = RECIPES["demo"].model_copy(update={"image_size": 32})


def no_error(name: str, error: Exception) -> None:
    raise AssertionError(name) from error


def test_every_kind_of_layer_counts_one_multiply_add_a_weight_and_place():
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same"),  # 64 places, 3 * 3 * 3 * 4 weights
            layers.DepthwiseConv2D(3, strides=2, padding="same"),  # 16 places, 3 * 3 * 4
            layers.SeparableConv2D(5, 3, padding="same"),  # 16 places, 3 * 3 * 4 + 4 * 5
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(7),  # 80 * 7
        ]
    )
    expected = 64 * 108 + 16 * 36 + 16 * (36 + 20) + 80 * 7
    assert count_macs(model) == expected
    assert count_costs(model, None, None, no_error).gflops == 2 * expected / 1e9


def test_operations_are_those_of_the_trained_model_at_its_own_size():
    model = build_model(architecture("mobilenet"), SMALL, seed=0)
    gflops = count_costs(model, None, None, no_error).gflops
    # The image's area scales the convolutions; the head is left out of the table.
    table = 2 * ARCHITECTURES["mobilenet"].gmacs_224 * (32 / 224) ** 2
    assert gflops == pytest.approx(table, rel=0.01)


def test_what_is_not_measured_is_none(monkeypatch: pytest.MonkeyPatch):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    monkeypatch.setattr(backend, "named_device", lambda: None)
    monkeypatch.setattr(backend, "gpu_peak_memory_bytes", lambda: None)
    monkeypatch.setattr("trainers.costs.peak_memory_bytes", lambda: None)
    costs = count_costs(model, None, None, no_error)
    assert (costs.latency_ms, costs.latency_ms_p90, costs.throughput_images_per_s) == (None,) * 3
    assert (costs.peak_memory_mb, costs.gpu_peak_memory_mb, costs.device_name) == (None,) * 3


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("trainers.costs.count_macs", "gflops"),
        ("trainers.costs.peak_memory_bytes", "peak_memory_mb"),
        ("trainers.backend.gpu_peak_memory_bytes", "gpu_peak_memory_mb"),
        ("trainers.backend.named_device", "device_name"),
    ],
)
def test_a_cost_that_can_not_be_measured_costs_its_own_figure_and_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, name: str
):
    def no_answer(*_: object) -> None:
        raise RuntimeError("the driver does not answer\nand more")

    figures = {"count_macs": 1, "peak_memory_bytes": 1}
    for each, value in figures.items():
        monkeypatch.setattr(f"trainers.costs.{each}", lambda *_, value=value: value)
    monkeypatch.setattr("trainers.backend.gpu_peak_memory_bytes", lambda: 1)
    monkeypatch.setattr("trainers.backend.named_device", lambda: "a device")
    monkeypatch.setattr(target, no_answer)
    model = build_model(architecture("mobilenet"), SMALL, seed=0)
    examined = examine(model, spec_of(tmp_path / "shards", tmp_path), 10.0)
    assert examined.notes == (f"without {name}: RuntimeError: the driver does not answer",)
    costs = asdict(examined.costs)
    assert [each for each, value in costs.items() if value is None] == [name]
    assert examined.probes is not None


class Clock:
    """Stands still but for what each run takes."""

    def __init__(self, *seconds: float) -> None:
        self.now, self.runs, self._seconds = 0.0, 0, seconds

    def __call__(self) -> float:
        return self.now

    def run(self) -> None:
        self.now += self._seconds[self.runs % len(self._seconds)]
        self.runs += 1


def test_latency_is_the_median_of_twenty_runs_and_what_nine_of_ten_keep():
    clock = Clock(*(0.001 * number for number in range(1, 21)))
    latency = time_latency(clock.run, clock)
    assert clock.runs == 20
    assert latency.median_ms == pytest.approx(10.5)
    assert latency.p90_ms == pytest.approx(np.percentile(range(1, 21), 90))


@pytest.mark.parametrize(("seconds", "runs"), [(0.3, 7), (5.0, 5)])
def test_a_slow_model_is_timed_less_often(seconds: float, runs: int):
    clock = Clock(seconds)
    assert time_latency(clock.run, clock).median_ms == pytest.approx(seconds * 1e3)
    assert clock.runs == runs


class Batches:
    """Blank images; `len` batches of 4, the last one of 2."""

    batch_size = 4

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        size = 4 if place < self._count - 1 else 2
        return np.zeros((size, 2, 2, 3), np.uint8), np.zeros(size, np.int8)


@pytest.mark.parametrize(("batches", "rate"), [(1, None), (3, 8 / 0.5)])
def test_throughput_leaves_out_the_first_batch(
    batches: int, rate: float | None, monkeypatch: pytest.MonkeyPatch
):
    clock = Clock(100.0, 0.25, 0.25)

    def predict(images: np.ndarray) -> np.ndarray:
        clock.run()
        return np.full((len(images), 8), 0.125, np.float32)

    monkeypatch.setattr("trainers.evaluation.time", SimpleNamespace(perf_counter=clock))
    found = evaluate(SimpleNamespace(predict_on_batch=predict), Batches(batches))
    assert found.images_per_s == rate
    assert len(found.labels) == 4 * batches - 2


def test_peak_memory_is_this_processes_own_and_grows_with_it():
    script = (
        "from trainers.costs import peak_memory_bytes as peak\n"
        "before = peak()\n"
        "block = bytearray(200 << 20)\n"
        "del block\n"
        "print(before, peak())\n"
    )
    big = b"x" * (400 << 20)  # what getrusage would pass on to a child
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = map(int, done.stdout.split())
    assert 190 << 20 < after - before < 300 << 20
    assert after < len(big) < peak_memory_bytes()


def test_a_processor_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(processor, "processor_model", lambda: None)
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [])
    assert backend.named_device() is None
    assert backend.device_name()  # a general word, for comparing


@pytest.mark.parametrize(("value", "told"), [("0", "off"), ("FALSE", "off"), ("1", "on")])
def test_whether_onednn_is_used_is_among_the_versions(monkeypatch, value: str, told: str):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
    assert backend.versions()["oneDNN"] == told
    assert backend.keras_environment()["TF_ENABLE_ONEDNN_OPTS"] == value
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    assert backend.versions()["oneDNN"] == "on"
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert "oneDNN" not in backend.versions()
