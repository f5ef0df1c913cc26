"""A trial that is interrupted at any moment ends with the bytes of an undisturbed one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.interrupted_trial import EPOCHS, STEPS_PER_EPOCH
from tests.resuming import INTERRUPTED, KILLED, assert_same_outcome, finish, result_of, run
from trainers.books import Books
from trainers.interruption import Cause

pytestmark = pytest.mark.slow

ALL_STEPS = range(1, EPOCHS * STEPS_PER_EPOCH + 1)
RESULT_FILES = ("history.csv", "predictions.parquet", "model.keras", "probes.json", "result.json")
MOMENTS = (
    *(f"kill-step:{step}" for step in ALL_STEPS),
    *(f"stop-step:{step}" for step in ALL_STEPS),
    *(f"kill-evaluate:{epoch + 1}" for epoch in range(EPOCHS)),
    *(f"kill-checkpoint:{number}" for number in range(1, 5)),
    *(f"kill-marker:{number}" for number in (1, 4)),
    *(f"kill-result:{name}" for name in RESULT_FILES),
)


def interrupt_and_resume(shards: Path, folder: Path, moment: str) -> int:
    """The trial interrupted at a moment and resumed in a new process; returns the first's code."""
    first = run(shards, folder, moment)
    finish(shards, folder)
    return first.returncode


@pytest.fixture(scope="module")
def disturbed(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every moment's trial, interrupted and resumed; two at a time."""
    root = tmp_path_factory.mktemp("disturbed")
    folders = {moment: root / moment.replace(":", "-") for moment in MOMENTS}
    with ThreadPoolExecutor(max_workers=2) as pool:
        codes = pool.map(
            lambda moment: interrupt_and_resume(small_shards, folders[moment], moment), MOMENTS
        )
        for moment, code in zip(MOMENTS, codes, strict=True):
            assert code == (INTERRUPTED if moment.startswith("stop") else KILLED), moment
    return folders


@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_at_any_moment_it_ends_with_the_same_bytes(
    moment: str, undisturbed: Path, disturbed: dict[str, Path]
):
    assert_same_outcome(undisturbed, disturbed[moment])
    result = result_of(disturbed[moment])
    stopped = moment.startswith("stop")
    assert result.restarts_by_cause == {Cause.STOPPED if stopped else Cause.KILLED: 1}
    if stopped:
        assert result.steps_repeated == 0


def test_a_kill_repeats_at_most_the_steps_since_the_last_checkpoint(disturbed: dict[str, Path]):
    for step in ALL_STEPS:
        # Checkpoints are at each second step of an epoch and at its end. The kill comes before
        # that step's own is written, and may come before the one before it is.
        assert result_of(disturbed[f"kill-step:{step}"]).steps_repeated <= STEPS_PER_EPOCH


def test_what_the_books_say_of_a_stop(disturbed: dict[str, Path]):
    books = Books(disturbed["stop-step:2"] / "trial")
    entries = books.entries()
    books.close()
    assert [type(entry).__name__ for entry in entries] == [
        "Attempt",
        "Restored",
        "End",
        "Attempt",
        "Restored",
        "Regained",
    ]


@pytest.mark.parametrize(
    "schedule",
    [
        ("kill-step:2", "kill-checkpoint:1", "stop-step:5"),
        ("stop-step:1", "kill-evaluate:1", "kill-step:5", "kill-result:model.keras"),
        ("kill-checkpoint:2", "stop-step:3", "kill-evaluate:1", "kill-result:result.json"),
    ],
)
def test_interrupted_again_and_again_it_ends_with_the_same_bytes(
    schedule: tuple[str, ...], small_shards: Path, undisturbed: Path, tmp_path: Path
):
    """Random schedules are drawn by benchmarks/chaos.py."""
    for moment in schedule:
        code = run(small_shards, tmp_path, moment).returncode
        assert code == (INTERRUPTED if moment.startswith("stop") else KILLED), moment
    finish(small_shards, tmp_path)
    assert_same_outcome(undisturbed, tmp_path)
