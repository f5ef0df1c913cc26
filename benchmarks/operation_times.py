"""Where the time of a training step goes on the CPU, by operation of TensorFlow.

    python benchmarks/operation_times.py ARCHITECTURE [--not-deterministic] [--steps 10]

The step of a trial (the demo's recipe, both cores, one batch of noise) without and under
TensorFlow's profiler. Prints the milliseconds of a step and, as Markdown, those inside each kind of
operation, added up over the threads that run operations: where only one runs at a time, they come
to the step's.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from datasets.labels import NUM_CLASSES
from datasets.parallel import num_cores
from trainers import backend
from trainers.architectures import ARCHITECTURES, architecture
from trainers.model import build_model, compile_model
from trainers.recipe import RECIPES

_ROWS = 12


def step_of(name: str, deterministic: bool) -> Callable[[], float]:
    """One step, traced; it returns the loss."""
    backend.configure(num_cores(), deterministic)
    import tensorflow as tf

    recipe = RECIPES["demo"].model_copy(update={"deterministic": deterministic})
    model = build_model(architecture(name), recipe, 0)
    compile_model(model, recipe)
    draw, batch, size = np.random.default_rng(0), recipe.batch_size, recipe.image_size
    images = tf.constant(draw.integers(0, 256, (batch, size, size, 3), dtype=np.uint8))
    labels = tf.constant(
        np.eye(NUM_CLASSES, dtype=np.float32)[draw.integers(0, NUM_CLASSES, batch)]
    )
    traced = tf.function(lambda: model.train_step((images, labels))["loss"], autograph=False)
    return lambda: float(traced())


def milliseconds(step: Callable[[], float], steps: int) -> float:
    """Of one step, the mean of so many."""
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    return 1000 * (time.perf_counter() - begin) / steps


def operations(folder: Path, steps: int) -> list[tuple[str, float, float]]:
    """Each kind of operation in a profile: milliseconds and number in a step, the longest first."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space: Any = xplane_pb2.XSpace()
    space.ParseFromString(next(folder.rglob("*.xplane.pb")).read_bytes())
    spent: Counter[str] = Counter()
    number: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                # An operation is called by its name in the graph and its kind, `name:Kind`.
                name, colon, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                own = colon and not name.endswith(":")  # `Class::Method` is the executor's
                if own and line.name.startswith("tf_Compute"):
                    spent[kind] += event.duration_ps
                    number[kind] += 1
    return [(kind, ps / 1e9 / steps, number[kind] / steps) for kind, ps in spent.most_common()]


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architecture", choices=ARCHITECTURES)
    parser.add_argument("--not-deterministic", action="store_true")
    parser.add_argument("--steps", type=int, default=10)
    chosen = parser.parse_args()
    step = step_of(chosen.architecture, not chosen.not_deterministic)
    import tensorflow as tf

    milliseconds(step, 3)  # the first traces
    alone = milliseconds(step, chosen.steps)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        profiled = milliseconds(step, chosen.steps)
        tf.profiler.experimental.stop()
        found = operations(Path(folder), chosen.steps)
    print(f"a step: {alone:.0f} ms; under the profiler {profiled:.0f} ms\n")
    print("| operation | ms a step | number |\n|---|--:|--:|")
    for kind, spent, number in found[:_ROWS]:
        print(f"| {kind} | {spent:.1f} | {number:.0f} |")
    print(f"| **all** | {sum(spent for _, spent, _ in found):.1f} | |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
