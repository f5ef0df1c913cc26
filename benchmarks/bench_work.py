"""What the parts of `bench.py` share: where things are made, drawn faces, trainings of children."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from children import figures_of
from measuring import say
from training_times import RECIPE, VALIDATION

from datasets.cache import stage
from datasets.labels import NUM_CLASSES
from datasets.prepare import synth
from trainers.backend import allocator_environment, keras_environment

BARE_STEPS = 8
"""Of bare runs whose first step and rate alone are asked for."""


@dataclass(frozen=True)
class Bench:
    """Where things are made, and what was found so far."""

    work: Path
    until: float = math.inf
    """When to end, by `time.monotonic`, what can be left out."""
    found: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """What each measurement gave, each time."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each took, the last time."""
    bare: dict[str, tuple[int, dict[str, float]]] = field(default_factory=dict)
    """Steps and figures of a bare run of an architecture, where one was measured already."""

    def in_time(self, seconds: float) -> bool:
        """Whether what takes so long would be done in time."""
        return time.monotonic() + seconds < self.until

    def measure(self, name: str, function: Callable[["Bench"], Any]) -> None:
        """Take a measurement, once more if there is one."""
        say(name)
        begin = time.monotonic()
        self.found[name].append(function(self))
        self.seconds[name] = time.monotonic() - begin

    def images(self, steps: int) -> Path:
        """Faces for so many steps of the demo's recipe: shards for a trial, arrays for bare Keras.

        Drawn once; in a folder of their own.
        """
        work, size = self.work / f"steps-{steps}", RECIPE.image_size
        if work.exists():
            return work
        work.mkdir(parents=True)
        synth(
            work / "shards",
            train=steps * RECIPE.batch_size,
            validation=VALIDATION,
            size=size,
            seed=0,
        )
        staged, one_hot = stage(work / "shards", work / "cache", size), np.eye(NUM_CLASSES)
        arrays = {}
        for prefix, images in (
            ("", staged.split("train")),
            ("validation_", staged.split("validation")),
        ):
            arrays[f"{prefix}images"] = images.gather(np.arange(len(images)))
            arrays[f"{prefix}labels"] = one_hot[images.labels].astype(np.float32)
        np.savez(work / "images.npz", **arrays)
        return work


def trained(
    way: str, work: Path, name: str, *words: object, environment: Mapping[str, str] | None = None
) -> dict[str, float]:
    """What `training_times.py` says of an architecture, `way` being `bare` or `trial`."""
    around = {**(worker_environment() if way == "trial" else {}), **(environment or {})}
    figures: dict[str, float] = figures_of(
        "training_times.py", way, work, name, *words, environment=around
    )
    return figures


def worker_environment() -> dict[str, str]:
    """The environment that `run-all` gives its workers."""
    return {**keras_environment(), **allocator_environment()}
