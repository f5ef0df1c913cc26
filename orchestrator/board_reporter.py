"""The controller's side of the board: what Ray Train hears of a trial, the board is told.

It lives in the process of Train's controller, one for each trial that is started: it imports
nothing that is large.
"""

from typing import Any

import ray.train
from ray.train import UserCallback

from orchestrator.board import Row

CHECKPOINT_PATH = "checkpoint_path"
"""In Tune's figures: where Train has the checkpoint, named as Ray's own callback names it."""


class BoardReporter(UserCallback):  # type: ignore[misc]  # Ray's class has no types
    """Tells the board of each epoch, and of the checkpoint that Train has then."""

    def __init__(self, board: Any, trial: str) -> None:
        self._board = board
        self._trial = trial
        self._path: str | None = None

    def after_report(
        self, run_context: Any, metrics: list[Row], checkpoint: ray.train.Checkpoint | None
    ) -> None:
        """See `ray.train.UserCallback`; a report has a checkpoint, or is an epoch's figures."""
        if checkpoint is not None:
            self._path = checkpoint.path
            return
        path = {} if self._path is None else {CHECKPOINT_PATH: self._path}
        self._board.heard.remote(self._trial, metrics[0] | path)
