"""What Tune hears of a trial: each epoch once and in order, whatever the board has heard."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.plan import Resources
from orchestrator.ray_environment import prepare_environment

prepare_environment()

import ray  # noqa: E402
from ray import tune  # noqa: E402

from orchestrator.board import Row  # noqa: E402
from orchestrator.run_store import RunStore  # noqa: E402
from orchestrator.train_run import TrainRun  # noqa: E402
from orchestrator.trial_driver import TrialDrivers  # noqa: E402
from tests.interrupted_trial import spec_of  # noqa: E402
from tests.made_up_runs import finish  # noqa: E402
from tests.test_checkpoint import made_up  # noqa: E402
from trainers.checkpoint import HistoryRow  # noqa: E402
from trainers.checkpoint_store import CheckpointStore  # noqa: E402
from trainers.home import CHECKPOINT_DIR  # noqa: E402
from trainers.interruption import STOP_FILE  # noqa: E402
from trainers.spec import TrialSpec  # noqa: E402
from trainers.writing import write_history  # noqa: E402

NAME = "resnet50-s0"


def row(epoch: int) -> HistoryRow:
    return HistoryRow(epoch, 2.0 / epoch, 0.1 * epoch, 3.0 / epoch, 0.05 * epoch)


def figures(epoch: int, **more: object) -> Row:
    return {"epoch": epoch} | row(epoch).figures() | more


@dataclass
class Board:
    """A board that has heard these epochs; a question to one that is gone raises."""

    heard: list[Row] = field(default_factory=list)
    is_gone: bool = False

    @property
    def rows(self) -> "Board":
        return self

    def remote(self, trial: str, epoch: int, patience_s: float) -> list[Row]:
        if self.is_gone:
            raise ray.exceptions.RayActorError
        return [row for row in self.heard if row["epoch"] > epoch]


@dataclass(frozen=True)
class Trained(TrainRun):
    """A Train run in which a trial trains to these epochs, of which some are heard of."""

    epochs: Sequence[int] = ()
    heard: Sequence[int] = ()
    result: bool = True
    error: Exception | None = None

    def fit(self, spec: TrialSpec) -> None:
        for epoch in self.epochs:
            write_history(spec.trial_dir, [row(one) for one in range(1, epoch + 1)])
            if epoch in self.heard:
                self.board.heard.append(figures(epoch, checkpoint_path=f"at {epoch}"))
        if self.result:
            finish(RunStore(spec.run_dir), NAME, macro_f1=0.75)
            write_history(spec.trial_dir, [row(one) for one in range(1, self.epochs[-1] + 1)])
        if self.error:
            raise self.error


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """What Tune is told."""
    rows: list[Row] = []
    monkeypatch.setattr(tune, "report", rows.append)
    monkeypatch.setattr(ray, "get", lambda asked, timeout: asked)
    return rows


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    place = tmp_path / "trials" / NAME
    place.mkdir(parents=True)
    return replace(spec_of(tmp_path / "shards", tmp_path), name=NAME, trial_dir=place)


def drive(spec: TrialSpec, board: Board | None = None, **trained: Any) -> None:
    board = board or Board()
    root = spec.run_dir
    run = Trained(Resources(1, 0, 1), 2, root / STOP_FILE, board, **trained)
    TrialDrivers(root, [spec], 1, run, board).drive({"trial": NAME})


def epochs(told: list[Row]) -> list[int]:
    return [one["epoch"] for one in told]


@pytest.mark.parametrize("heard", [(1, 2, 3), (1, 2), (2,), ()])
def test_each_epoch_is_told_once_and_in_order(
    heard: Sequence[int], spec: TrialSpec, told: list[Row]
):
    drive(spec, epochs=(1, 2, 3), heard=heard)
    assert epochs(told) == [1, 2, 3]
    for one in told:
        assert one.items() >= figures(one["epoch"]).items()


def test_the_last_epoch_comes_with_the_result(spec: TrialSpec, told: list[Row]):
    drive(spec, epochs=(1, 2), heard=(1, 2))
    assert "macro_f1" not in told[0]
    assert told[-1]["macro_f1"] == 0.75
    assert told[-1]["checkpoint_path"] == "at 2"


def test_the_last_epoch_comes_with_the_last_checkpoint(spec: TrialSpec, told: list[Row]):
    name = CheckpointStore(spec.trial_dir / CHECKPOINT_DIR, attempt=3).save(made_up(2, 0))
    drive(spec, epochs=(1, 2))
    assert told[-1]["checkpoint_path"] == str(spec.trial_dir / CHECKPOINT_DIR / str(name))


def test_epochs_of_an_earlier_command_are_told_too(spec: TrialSpec, told: list[Row]):
    write_history(spec.trial_dir, [row(1), row(2)])
    drive(spec, epochs=(3, 4), heard=(3, 4))
    assert epochs(told) == [1, 2, 3, 4]


def test_a_trial_that_was_finished_is_told_and_not_trained(spec: TrialSpec, told: list[Row]):
    finish(RunStore(spec.run_dir), NAME)
    write_history(spec.trial_dir, [row(1), row(2)])
    drive(spec, error=AssertionError("it was trained"))
    assert epochs(told) == [1, 2]
    assert "macro_f1" in told[-1]


def test_a_board_that_is_gone_costs_no_epoch(spec: TrialSpec, told: list[Row]):
    drive(spec, Board(is_gone=True), epochs=(1, 2, 3))
    assert epochs(told) == [1, 2, 3]


def test_what_a_trial_that_failed_had_finished_is_told(spec: TrialSpec, told: list[Row]):
    failure = ray.train.TrainingFailedError()
    with pytest.raises(ray.train.TrainingFailedError):
        drive(spec, epochs=(1, 2), heard=(1, 2), result=False, error=failure)
    assert epochs(told) == [1, 2]
