"""`progress.json` of a trial that goes on."""

from pathlib import Path

from trainers.checkpoint import Position
from trainers.progress import ProgressWriter
from trainers.result import PROGRESS_FILE, TrialProgress, read_record


def test_until_it_is_restored_a_trial_is_shown_where_it_stood(tmp_path: Path):
    def shown() -> Position:
        record = read_record(tmp_path / PROGRESS_FILE, TrialProgress)
        assert record is not None
        return Position(record.epoch, record.step)

    progress = ProgressWriter(tmp_path, "mobilenet-s0", epochs=3, stood=Position(2, 7))
    progress.phase("staging")
    assert shown() == Position(2, 7)
    progress.phase("compiling", Position(2, 4))
    assert shown() == Position(2, 4)
