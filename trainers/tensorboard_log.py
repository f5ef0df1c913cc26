"""TensorBoard scalars of a trial: one point an epoch, under `tensorboard/` in its directory."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from trainers.checkpoint import HistoryRow

if TYPE_CHECKING:
    from tensorboard.summary import Writer

logger = logging.getLogger(__name__)


class TensorBoardLog:
    """Writes an event file. An epoch trained again after a kill writes the same values again.

    The curves are in `history.csv` too: what can't be written here is logged and left out.
    """

    def __init__(self, trial_dir: Path) -> None:
        self._folder = trial_dir / "tensorboard"

    @cached_property
    def _writer(self) -> "Writer":
        # Half a second of imports, which the first step need not wait for.
        from tensorboard.summary import Writer

        return Writer(str(self._folder))

    def epoch(self, row: HistoryRow) -> None:
        """Add the curves' points of a finished epoch."""
        with _tolerated():
            for name, value in row.figures().items():
                self._writer.add_scalar(name, value, row.epoch)
            self._writer.flush()

    def close(self) -> None:
        """Flush and close the event file, if there is one."""
        if "_writer" not in vars(self):
            return
        with _tolerated():
            self._writer.close()


@contextmanager
def _tolerated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.warning("TensorBoard's file can't be written: %s", error)
