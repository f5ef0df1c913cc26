"""TensorBoard scalars of a trial: one point an epoch, under `tensorboard/` in its directory."""

from dataclasses import asdict
from pathlib import Path

from tensorboard.summary import Writer

from trainers.checkpoint import HistoryRow


class TensorBoardLog:
    """Writes an event file. An epoch trained again after a kill writes the same values again."""

    def __init__(self, trial_dir: Path) -> None:
        self._writer = Writer(str(trial_dir / "tensorboard"))

    def epoch(self, row: HistoryRow) -> None:
        """Add the four curves' points of a finished epoch."""
        for name, value in asdict(row).items():
            if name != "epoch":
                self._writer.add_scalar(name, value, row.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
