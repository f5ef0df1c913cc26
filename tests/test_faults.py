"""Faults of disk, memory, code and cache: a resumed trial, or one clear failure of it alone."""

import errno
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resuming import KILLED, Running, assert_same_outcome, failure_of, finish, run
from trainers.checkpoint_store import MARKER_FILE, STATE_FILE
from trainers.interruption import Cause
from trainers.result import FAILURE_FILE
from trainers.watchdog import HUNG_EXIT_CODE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def hanging(
    small_shards: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, Path]]:
    """A trial that hangs beside the other tests, and its folder: its watchdog waits 25 seconds."""
    folder = tmp_path_factory.mktemp("hanging")
    trial = Running(small_shards, folder, "hang-step:5")
    yield trial, folder
    trial.kill()


def checkpoints(folder: Path) -> list[Path]:
    """The states of those that are whole."""
    marked = sorted((folder / "trial" / "checkpoints").glob(f"e*/{MARKER_FILE}"))
    return [marker.with_name(STATE_FILE) for marker in marked]


def inside_an_array(checkpoint: Path) -> int:
    """The place of a byte of the largest array: between arrays are bytes that mean nothing."""
    with zipfile.ZipFile(checkpoint) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    return largest.header_offset + largest.file_size // 2


@pytest.mark.parametrize(
    ("moment", "cause"), [("fail-step:4", Cause.FAILED), ("memory-step:4", Cause.OUT_OF_MEMORY)]
)
def test_an_error_is_tried_again_and_charged_to_its_cause(
    moment: str, cause: Cause, small_shards: Path, undisturbed: Path, tmp_path: Path
):
    assert run(small_shards, tmp_path, moment).returncode == 1
    result = finish(small_shards, tmp_path)
    assert result.restarts_by_cause == {cause: 1}
    assert not (tmp_path / "trial" / FAILURE_FILE).exists()
    assert_same_outcome(undisturbed, tmp_path)


def test_storage_that_fails_for_a_while_costs_no_restart(
    small_shards: Path, undisturbed: Path, tmp_path: Path
):
    result = finish(small_shards, tmp_path, f"disk-error:{errno.ENOSPC}:4")
    assert result.restarts == 0
    assert_same_outcome(undisturbed, tmp_path)


def test_storage_that_stays_full_ends_the_trial_with_the_reason_and_it_can_go_on(
    small_shards: Path, undisturbed: Path, tmp_path: Path
):
    full = (f"disk-error:{errno.ENOSPC}:1000", "stop-step:3")
    assert run(small_shards, tmp_path, *full).returncode == 1
    failure = failure_of(tmp_path)
    assert "No space left on device" in failure.reason
    assert "StorageError" in failure.reason
    finish(small_shards, tmp_path)
    assert_same_outcome(undisturbed, tmp_path)


def test_a_cache_that_is_written_to_is_built_anew_and_nothing_learned_from_it_stays(
    small_shards: Path, undisturbed: Path, tmp_path: Path
):
    spoiled = run(small_shards, tmp_path, "spoil-cache:3")
    assert spoiled.returncode == 1
    assert "was written to while it trained" in failure_of(tmp_path).reason
    finish(small_shards, tmp_path)
    assert_same_outcome(undisturbed, tmp_path)


def test_a_cache_that_is_removed_in_mid_run_disturbs_nobody(
    small_shards: Path, undisturbed: Path, tmp_path: Path
):
    result = finish(small_shards, tmp_path, "remove-cache:3")
    assert result.restarts == 0
    assert_same_outcome(undisturbed, tmp_path)


def test_a_cache_that_is_cut_short_kills_the_process_and_is_built_anew(
    small_shards: Path, undisturbed: Path, tmp_path: Path
):
    assert run(small_shards, tmp_path, "cut-cache:3").returncode != 0
    finish(small_shards, tmp_path)
    assert_same_outcome(undisturbed, tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    damage: str, small_shards: Path, undisturbed: Path, tmp_path: Path
):
    assert run(small_shards, tmp_path, "kill-step:6").returncode == KILLED
    newest = checkpoints(tmp_path)[-1]
    data = bytearray(newest.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[inside_an_array(newest)] ^= 1
    newest.write_bytes(data)
    done = run(small_shards, tmp_path)
    assert done.returncode == 0, done.stderr
    assert newest.parent.name in done.stderr
    assert_same_outcome(undisturbed, tmp_path)


def test_without_any_whole_checkpoint_it_begins_anew_and_ends_the_same(
    small_shards: Path, undisturbed: Path, tmp_path: Path
):
    assert run(small_shards, tmp_path, "kill-step:6").returncode == KILLED
    for path in checkpoints(tmp_path):
        path.write_bytes(b"")
    finish(small_shards, tmp_path)
    assert_same_outcome(undisturbed, tmp_path)


def test_a_clock_that_is_set_back_changes_nothing(
    small_shards: Path, undisturbed: Path, tmp_path: Path
):
    assert run(small_shards, tmp_path, "kill-step:5").returncode == KILLED
    result = finish(small_shards, tmp_path, "clock-back:86400")
    assert result.seconds_lost >= 0
    assert_same_outcome(undisturbed, tmp_path)


def test_a_hung_trial_ends_and_is_resumed(
    hanging: tuple[Running, Path], small_shards: Path, undisturbed: Path
):
    trial, folder = hanging
    hung = trial.ended()
    assert hung.returncode == HUNG_EXIT_CODE, hung.stderr
    result = finish(small_shards, folder)
    assert result.restarts_by_cause == {Cause.HUNG: 1}
    assert_same_outcome(undisturbed, folder)
