"""TensorBoard scalars of a trial: one point an epoch, under `tensorboard/` in its directory."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorboard.summary import Writer

from trainers.checkpoint import HistoryRow

logger = logging.getLogger(__name__)


class TensorBoardLog:
    """Writes an event file. An epoch trained again after a kill writes the same values again.

    The curves are in `history.csv` too: what can't be written here is logged and left out.
    """

    def __init__(self, trial_dir: Path) -> None:
        self._writer = Writer(str(trial_dir / "tensorboard"))

    def epoch(self, row: HistoryRow) -> None:
        """Add the curves' points of a finished epoch."""
        with _tolerated():
            for name, value in row.figures().items():
                self._writer.add_scalar(name, value, row.epoch)
            self._writer.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        with _tolerated():
            self._writer.close()


@contextmanager
def _tolerated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.warning("TensorBoard's file can't be written: %s", error)
