"""Child: one architecture trained for some steps, by bare Keras or as a trial of ours.

    python benchmarks/training_times.py bare|trial WORKDIR ARCHITECTURE [--epochs N]
        [--until training|first-step] [--deterministic] [--seed N] [--set KEY=VALUE]

Both train the demo's recipe on the same drawn faces, with all cores as threads. Prints `Figures`
as JSON. The bare run is a notebook's: Keras' defaults, arrays in memory; `--deterministic` makes
it repeat its bits, as a trial does. `--set` changes the recipe of a trial, or its
`prefetch_batches`. `--until` leaves out what follows: evaluations, or all steps but the first.
"""

import time

_START = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from contextlib import suppress  # noqa: E402
from dataclasses import asdict, dataclass, field, replace  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import numpy as np  # noqa: E402

from trainers.architectures import architecture  # noqa: E402
from trainers.costs import peak_memory_bytes  # noqa: E402
from trainers.recipe import RECIPES, Recipe  # noqa: E402

if TYPE_CHECKING:
    from trainers.result import TrialResult

RECIPE = RECIPES["demo"]
VALIDATION = 120


class Enough(Exception):  # noqa: N818  # no error
    """What was to be measured is over."""


@dataclass
class Times:
    """Moments, seconds since the process began."""

    until: str | None = None
    """`first-step` or `training`: the end of the measuring. `Enough` is raised there."""
    built: float = 0.0
    steps: list[float] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    """Steps done when an epoch's training was over."""

    def now(self) -> float:
        """This moment."""
        return time.perf_counter() - _START

    def step(self) -> None:
        """A step is done."""
        self.steps.append(self.now())
        if self.until == "first-step":
            raise Enough

    def epoch(self) -> None:
        """The training of an epoch is done."""
        self.epochs.append(len(self.steps))
        if self.until == "training":
            raise Enough


@dataclass(frozen=True)
class Figures:
    """What a run took."""

    first_step_s: float
    """From the model built to its first step done."""
    images_per_s: float
    """Of the steps after the first two of an epoch; NaN where there are none."""
    trained_s: float
    """From the start of the process to its last step."""
    peak_mib: float
    accuracy: float | None = None
    """Of a trial, on the validation images."""
    loss: float | None = None


def bare(work: Path, name: str, epochs: int, times: Times, *, deterministic: bool = False) -> None:
    """Train with `fit` alone."""
    import keras
    import tensorflow as tf

    from datasets.parallel import num_cores

    tf.config.threading.set_intra_op_parallelism_threads(num_cores())
    if deterministic:
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    with np.load(work / "images.npz") as stored:
        train = stored["images"], stored["labels"]
        validation = stored["validation_images"], stored["validation_labels"]
    row, size = architecture(name), RECIPE.image_size
    module = getattr(keras.applications, row.module)
    images = keras.Input((size, size, 3), dtype="uint8")
    pixels = module.preprocess_input(keras.ops.cast(images, "float32"))
    features = getattr(module, row.builder)(
        include_top=False, weights=None, input_tensor=pixels, pooling="avg"
    ).output
    model = keras.Model(images, keras.layers.Dense(8, activation="softmax")(features))
    times.built = times.now()
    optimizer = keras.optimizers.Adam(RECIPE.learning_rate)
    model.compile(optimizer, RECIPE.loss, metrics=["accuracy"])

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            times.step()

        def on_test_begin(self, logs: Any = None) -> None:
            times.epoch()

    model.fit(
        *train,
        batch_size=RECIPE.batch_size,
        epochs=epochs,
        validation_data=validation,
        validation_batch_size=RECIPE.evaluation_batch_size,
        verbose=0,
        callbacks=[Clock()],
    )


def trial(
    work: Path,
    name: str,
    epochs: int,
    times: Times,
    *,
    settings: Sequence[str] = (),
    seed: int = 0,
) -> "TrialResult":
    """Train as a worker does."""
    import tempfile

    from datasets.parallel import num_cores
    from trainers import backend
    from trainers.context import LocalContext
    from trainers.spec import TrialSpec
    from trainers.trial import run_trial

    backend.set_environment()
    chosen = dict(one.split("=", 1) for one in settings)
    ahead = int(chosen.pop("prefetch_batches", 2))
    folder = Path(tempfile.mkdtemp(dir=work)) / "trials" / f"{name}-s{seed}"
    spec = TrialSpec(
        name=f"{name}-s{seed}",
        architecture=name,
        seed=seed,
        recipe=Recipe.model_validate(RECIPE.model_dump() | {"epochs": epochs} | chosen),
        shards=str(work / "shards"),
        cache_dir=work / "cache",
        cache_mode="auto",
        trial_dir=folder,
        threads=num_cores(),
        prefetch_batches=ahead,
    )
    watch(times)
    return run_trial(spec, LocalContext(folder, spec.resilience))


def watch(times: Times) -> None:
    """Note when the model is built and each step is done, in the places where that happens."""
    from trainers import fitting, model

    build, end = model.build_model, fitting.StepCallback.on_train_batch_end
    fit = fitting.fit_epoch

    def timed_build(*args: Any, **options: Any) -> Any:
        built = build(*args, **options)
        times.built = times.now()
        return built

    def timed_end(*args: Any, **options: Any) -> None:
        end(*args, **options)
        times.step()

    def timed_fit(*args: Any, **options: Any) -> Any:
        logs = fit(*args, **options)
        times.epoch()
        return logs

    model.build_model = timed_build
    fitting.StepCallback.on_train_batch_end = timed_end
    fitting.fit_epoch = timed_fit


def figures(times: Times) -> Figures:
    """What the moments come to."""
    seconds, steps, begin = 0.0, 0, 0
    for end in times.epochs:
        seconds += times.steps[end - 1] - times.steps[begin + 1]
        steps += end - begin - 2
        begin = end
    return Figures(
        first_step_s=times.steps[0] - times.built,
        images_per_s=RECIPE.batch_size * steps / seconds if steps else math.nan,
        trained_s=times.steps[-1],
        peak_mib=peak_memory_bytes() / 2**20,
    )


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=("bare", "trial"))
    parser.add_argument("work", type=Path)
    parser.add_argument("architecture")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--until", choices=("training", "first-step"))
    parser.add_argument("--deterministic", action="store_true", help="the bare run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    chosen = parser.parse_args()
    if chosen.way == "trial" and chosen.deterministic:
        parser.error("--deterministic is for the bare run; a trial has --set deterministic=…")
    times, result = Times(chosen.until), None
    asked = chosen.work, chosen.architecture, chosen.epochs, times
    with suppress(Enough):
        if chosen.way == "bare":
            bare(*asked, deterministic=chosen.deterministic)
        else:
            result = trial(*asked, settings=chosen.set, seed=chosen.seed)
    found = figures(times)
    if result:
        found = replace(found, accuracy=result.accuracy, loss=result.loss)
    print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main()
