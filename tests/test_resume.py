"""Trials killed right after a checkpoint: where they go on from, and that nothing differs then."""

from pathlib import Path

import pytest

from tests.resuming import KILLED, assert_same_outcome, failure_of, finish, run
from trainers.checkpoint import Position
from trainers.entries import Restored, entries_in
from trainers.interruption import Cause
from trainers.result import TrialState

pytestmark = pytest.mark.slow


def restored(folder: Path) -> list[Position]:
    """Where each attempt at the trial began."""
    entries = entries_in(folder / "trial")
    return [Position(one.epoch, one.step) for one in entries if isinstance(one, Restored)]


@pytest.mark.parametrize("architecture", ["mobilenetv2", "densenet121"])
def test_killed_in_mid_epoch_twice_and_resumed_it_ends_with_the_same_bytes(
    architecture: str, small_shards: Path, tmp_path: Path
):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    model = f"architecture:{architecture}"
    whole = finish(small_shards, undisturbed, model)
    for moment in ("kill-saved:0-2", "kill-saved:1-2"):
        assert run(small_shards, disturbed, model, moment).returncode == KILLED
    result = finish(small_shards, disturbed, model)
    assert restored(disturbed) == [Position(), Position(0, 2), Position(1, 2)]
    assert_same_outcome(undisturbed, disturbed)
    assert whole.restarts == 0
    assert result.restarts_by_cause == {Cause.KILLED: 2}
    assert result.steps_repeated == 0
    assert result.notes == []
    (last,) = (disturbed / "trial" / "checkpoints").iterdir()
    assert last.name == "e000002-s000000000-a0003"


@pytest.mark.parametrize("place", [Position(0, 3), Position(1, 0)])
def test_killed_right_after_a_checkpoint_at_an_epochs_end(
    place: Position, small_shards: Path, undisturbed: Path, tmp_path: Path
):
    """Before the evaluation: nothing is left to fit, but the epoch's figures must not be lost.

    After it: the next epoch's figures must not begin with those of the one before.
    """
    killed = run(small_shards, tmp_path, "checkpoints:3", f"kill-saved:{place.epoch}-{place.step}")
    assert killed.returncode == KILLED
    result = finish(small_shards, tmp_path, "checkpoints:3")
    assert restored(tmp_path)[-1] == place
    assert result.restarts == 1
    assert_same_outcome(undisturbed, tmp_path)


def test_a_resume_under_other_conditions_says_so_in_the_result(small_shards: Path, tmp_path: Path):
    assert run(small_shards, tmp_path, "kill-saved:0-2").returncode == KILLED
    (note,) = finish(small_shards, tmp_path, "threads:2").notes
    assert "threads 1, now 2" in note


def test_a_loss_that_is_not_finite_ends_as_diverged_with_its_step(
    small_shards: Path, tmp_path: Path
):
    assert run(small_shards, tmp_path, "recipe:learning_rate=3e38").returncode == 1
    failure = failure_of(tmp_path)
    assert failure.state is TrialState.DIVERGED
    assert failure.epoch == 1
    assert failure.step
    assert "learning_rate" in failure.reason
