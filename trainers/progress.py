"""`progress.json`: where a running trial is, rewritten at most once a second."""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from datasets.files import write_text
from trainers.checkpoint import Position
from trainers.result import PROGRESS_FILE, Phase, TrialProgress

_INTERVAL_S = 1.0
_BEGINNING = Position()


class ProgressWriter:
    """Turns positions into records; a change of phase or epoch is written at once.

    `stood` is shown until it is known where the trial goes on.
    """

    def __init__(
        self, directory: Path, trial: str, epochs: int, stood: Position = _BEGINNING
    ) -> None:
        self._path = directory / PROGRESS_FILE
        self._trial = trial
        self._epochs = epochs
        self._steps_per_epoch = 0
        self._accuracy: float | None = None
        self._phase: Phase = "starting"
        self._position = stood
        self._rate_from: tuple[float, Position] | None = None
        self._written_at = 0.0

    def plan(self, steps_per_epoch: int) -> None:
        """Set the length of an epoch, once the data is open."""
        self._steps_per_epoch = steps_per_epoch

    def phase(self, phase: Phase, position: Position | None = None) -> None:
        """Enter a phase; the rate is measured anew."""
        self._phase = phase
        self._position = position or self._position
        self._rate_from = None
        self._write(time.monotonic())

    def epoch(self, position: Position, accuracy: float) -> None:
        """Note a finished epoch and its validation accuracy."""
        self._accuracy = accuracy
        self._position = position
        self._write(time.monotonic())

    def step(self, position: Position) -> None:
        """Note a finished step."""
        now = time.monotonic()
        self._position = position
        if self._phase != "training" or self._rate_from is None:
            # The first step includes tracing: the rate counts from its end.
            self._phase = "training"
            self._rate_from = (now, position)
        if now - self._written_at >= _INTERVAL_S:
            self._write(now)

    def _steps_done(self, position: Position) -> int:
        return position.epoch * self._steps_per_epoch + position.step

    def _rate(self, now: float) -> float | None:
        if self._rate_from is None:
            return None
        since, position = self._rate_from
        steps = self._steps_done(self._position) - self._steps_done(position)
        return steps / (now - since) if steps and now > since else None

    def _write(self, now: float) -> None:
        rate = self._rate(now)
        left = self._epochs * self._steps_per_epoch - self._steps_done(self._position)
        record = TrialProgress(
            trial=self._trial,
            phase=self._phase,
            epoch=self._position.epoch,
            epochs=self._epochs,
            step=self._position.step,
            steps_per_epoch=self._steps_per_epoch,
            steps_per_s=rate,
            accuracy=self._accuracy,
            seconds_left=left / rate if rate else None,
            updated_at=time.time(),
            host=socket.gethostname(),
            pid=os.getpid(),
        )
        with suppress(OSError):  # a full disk must not end a trial for the sake of its table
            write_text(self._path, record.model_dump_json(indent=2) + "\n")
        self._written_at = now
