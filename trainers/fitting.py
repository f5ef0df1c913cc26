"""One epoch through `model.fit`, from any step, with checkpoints on the way.

Imports Keras: import this module only after `trainers.backend.configure`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from datasets.batches import TrainBatches
from datasets.errors import FerOrchError
from datasets.labels import NUM_CLASSES
from trainers import backend
from trainers.cadence import Cadence
from trainers.checkpoint import Clock, Position
from trainers.interruption import Cause, TrialInterrupted
from trainers.state import Arrays, restore_metrics

# Looking at the loss waits for the device, and asking for a notice may wait for Ray: not each step.
CHECK_EVERY_STEPS = 10


class DivergedError(FerOrchError):
    """The training loss is no longer a finite number."""

    def __init__(self, loss: float, position: Position) -> None:
        super().__init__(
            f"the loss became {loss} in epoch {position.epoch + 1} by step {position.step}; "
            "a lower recipe.learning_rate often helps"
        )
        self.position = position


class EpochFeed(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of one epoch from `first_step` on: uint8 images and one-hot float32 labels."""

    def __init__(self, batches: TrainBatches, epoch: int, first_step: int) -> None:
        super().__init__()
        self._batches = batches
        self._epoch = epoch
        self._first_step = first_step
        self._one_hot = np.eye(NUM_CLASSES, dtype=np.float32)

    def __len__(self) -> int:
        """Batches left in the epoch."""
        return self._batches.steps_per_epoch - self._first_step

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        images, labels = self._batches.batch(self._epoch, self._first_step + place)
        return images, self._one_hot[labels]


@dataclass
class Cursor:
    """Where a trial stands while it trains. `metrics` are restored at the next epoch's begin."""

    position: Position
    clock: Clock
    metrics: Arrays | None = None
    warm: bool = False  # true after the first step of this attempt, which traces the graph


class StepCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Moves the cursor, keeps books and progress, and calls `save` where a checkpoint is due.

    Raises `TrialInterrupted` after a checkpoint when `interruption` names a cause; it is told
    whether it is time to ask the machine too.
    """

    def __init__(
        self,
        cursor: Cursor,
        *,
        batches: TrainBatches,
        cadence: Cadence,
        save: Callable[[], None],
        on_step: Callable[[Position], None],
        interruption: Callable[[bool], Cause | None],
    ) -> None:
        super().__init__()
        self._cursor = cursor
        self._batches = batches
        self._cadence = cadence
        self._save = save
        self._on_step = on_step
        self._interruption = interruption
        self._since = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """`fit` has just reset the metrics: put back what a checkpoint held."""
        if self._cursor.metrics is not None:
            restore_metrics(self.model, self._cursor.metrics)
            self._cursor.metrics = None
        self._since = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """One step is done."""
        cursor = self._cursor
        cursor.position = replace(cursor.position, step=cursor.position.step + 1)
        step = cursor.position.step
        self._time_step(self._batches.indices(cursor.position.epoch, step - 1).size)
        self._on_step(cursor.position)
        look = step % CHECK_EVERY_STEPS == 0
        cause = self._interruption(look)
        due = cause is not None or self._cadence.due(step)
        if look or due:
            check_finite(dict(logs or {}), cursor.position)
        if due:
            self._save()
            self._since = time.perf_counter()
        if cause is not None:
            raise TrialInterrupted(cause)

    def _time_step(self, images: int) -> None:
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        clock = self._cursor.clock
        if self._cursor.warm:
            clock = replace(
                clock,
                rated_s=clock.rated_s + seconds,
                rated_images=clock.rated_images + images,
            )
        self._cursor.warm = True
        self._cursor.clock = replace(clock, train_s=clock.train_s + seconds)


def check_finite(logs: dict[str, float], position: Position) -> None:
    """Raise `DivergedError` when the running mean of the loss is NaN or infinite."""
    loss = float(logs.get("loss", 0.0))
    if not math.isfinite(loss):
        raise DivergedError(loss, position)


def fit_epoch(
    model: keras.Model,
    batches: TrainBatches,
    cursor: Cursor,
    callback: StepCallback,
    replicas: backend.Replicas,
    *,
    ahead: int = 2,
) -> dict[str, float]:
    """Train the rest of the cursor's epoch; returns `loss` and `accuracy` over the whole epoch.

    `ahead` batches are made before they are asked for.
    """
    epoch = cursor.position.epoch
    if cursor.position.step == batches.steps_per_epoch:
        return _finished_epoch(model, cursor)
    feed = EpochFeed(batches, epoch, cursor.position.step)
    with replicas.scope(), replicas.batches(feed, ahead) as dataset:
        history = model.fit(
            dataset,
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=len(feed),
            shuffle=False,
            verbose=0,
            callbacks=[callback],
        ).history
    logs = {name: float(values[-1]) for name, values in history.items()}
    check_finite(logs, cursor.position)
    return logs


def _finished_epoch(model: keras.Model, cursor: Cursor) -> dict[str, float]:
    """The figures of an epoch whose last step was done before a restart; `fit` wants a step."""
    if cursor.metrics is not None:
        restore_metrics(model, cursor.metrics)
        cursor.metrics = None
    return {name: float(value) for name, value in model.get_metrics_result().items()}
