"""What a trained model costs to use: operations, latency, throughput, memory.

Measured after training, on the trial's own device and threads; it only reads the model. Trials that
run beside this one share the machine's memory bandwidth, so times are of the run as it was.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from trainers import backend
from trainers.model import count_macs

if TYPE_CHECKING:
    import keras

T = TypeVar("T")

_FLOPS_PER_MAC = 2
_RUNS = 20
_FEWEST_RUNS = 5
_LIMIT_S = 2.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one image: the median, and what nine of ten keep."""

    median_ms: float
    p90_ms: float


@dataclass(frozen=True)
class Costs:
    """Named as in `trainers.result.TrialResult`; None where it could not be measured."""

    gflops: float | None = None
    latency_ms: float | None = None
    latency_ms_p90: float | None = None
    throughput_images_per_s: float | None = None
    peak_memory_mb: float | None = None
    gpu_peak_memory_mb: float | None = None
    device_name: str | None = None


def count_costs(
    model: "keras.Model",
    latency: Latency | None,
    images_per_s: float | None,
    on_error: Callable[[str, Exception], None],
) -> Costs:
    """All costs of a model that has been trained in this process.

    What raises costs its own figure alone: `on_error` is told of its name, and it stays None.
    """

    def measured(name: str, measure: Callable[[], T]) -> T | None:
        try:
            return measure()
        except Exception as error:
            on_error(name, error)
            return None

    return Costs(
        gflops=measured("gflops", lambda: _FLOPS_PER_MAC * count_macs(model) / 1e9),
        latency_ms=latency.median_ms if latency else None,
        latency_ms_p90=latency.p90_ms if latency else None,
        throughput_images_per_s=images_per_s,
        peak_memory_mb=measured("peak_memory_mb", lambda: _mib(peak_memory_bytes())),
        gpu_peak_memory_mb=measured(
            "gpu_peak_memory_mb", lambda: _mib(backend.gpu_peak_memory_bytes())
        ),
        device_name=measured("device_name", backend.named_device),
    )


def time_latency(
    run: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> Latency:
    """Time `run`, which is warm: 20 times, or as often as two seconds allow, but 5 times."""
    seconds: list[float] = []
    while len(seconds) < _RUNS and (len(seconds) < _FEWEST_RUNS or sum(seconds) < _LIMIT_S):
        begin = clock()
        run()
        seconds.append(clock() - begin)
    median, p90 = np.percentile(seconds, [50, 90]) * 1e3
    return Latency(float(median), float(p90))


def peak_memory_bytes() -> int | None:
    """The largest resident size of this process so far; None where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as stream:
            for line in stream:
                # getrusage would also count the process that started this one, before its exec.
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) or None


def _mib(size: int | None) -> float | None:
    return None if size is None else size / 2**20
