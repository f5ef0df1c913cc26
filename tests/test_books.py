"""Restarts by cause, steps done twice, seconds lost: counted from files that kills leave behind."""

import json
from pathlib import Path

import pytest

from trainers import books as module
from trainers.books import Books
from trainers.checkpoint import Position
from trainers.entries import (
    ATTEMPTS_FILE,
    Attempt,
    End,
    Entry,
    entries_in,
    failed_on_shared_gpu,
)
from trainers.interruption import Cause

STEPS = 10


class Clock:
    """Seconds since 1970 that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "time", clock)
    return clock


def begin(
    folder: Path, position: Position, session: str = "one", shared_gpu: bool = False
) -> Books:
    books = Books(folder, session, shared_gpu)
    books.start()
    books.restored(position, STEPS)
    return books


def test_the_first_start_is_no_restart(tmp_path: Path):
    account = begin(tmp_path, Position()).account()
    assert (account.restarts, account.restarts_by_cause) == (0, {})
    assert (account.steps_repeated, account.seconds_lost) == (0, 0)


def test_what_a_later_version_writes_besides_is_passed_over(tmp_path: Path):
    begin(tmp_path, Position())
    path = tmp_path / ATTEMPTS_FILE
    before = entries_in(tmp_path)
    path.write_text(path.read_text().replace('"kind"', '"mood": "good", "kind"'))
    assert entries_in(tmp_path) == before != []


def test_steps_done_twice_are_counted(tmp_path: Path):
    begin(tmp_path, Position()).step(Position(1, 4))  # killed here, a checkpoint after epoch 1
    second = begin(tmp_path, Position(1, 0))
    assert second.account().steps_repeated == 4
    second.step(Position(2, 3))
    assert begin(tmp_path, Position(1, 8)).account().steps_repeated == 4 + 5


@pytest.mark.parametrize(
    ("end", "session", "cause"),
    [
        (None, "one", Cause.KILLED),
        (None, "two", Cause.DRIVER_LOST),
        (Cause.PREEMPTED, "one", Cause.PREEMPTED),
        (Cause.STOPPED, "two", Cause.STOPPED),
        (Cause.OUT_OF_MEMORY, "one", Cause.OUT_OF_MEMORY),
    ],
)
def test_a_restart_is_charged_to_what_ended_the_attempt_before(
    tmp_path: Path, end: Cause | None, session: str, cause: Cause
):
    first = begin(tmp_path, Position())
    if end is not None:
        first.end(end)
    account = begin(tmp_path, Position(), session).account()
    assert account.restarts_by_cause == {cause: 1}
    assert account.restarts == 1


def test_seconds_lost_run_from_the_last_step_to_the_first_new_one(tmp_path: Path, clock: Clock):
    first = begin(tmp_path, Position())
    clock.now += 5
    first.step(Position(0, 4))
    clock.now += 30  # killed, and started again
    second = begin(tmp_path, Position(0, 2))
    clock.now += 3
    second.step(Position(0, 3))
    second.step(Position(0, 4))
    assert second.account().seconds_lost == 0  # not yet made up for
    clock.now += 2
    second.step(Position(0, 5))
    assert second.account().seconds_lost == 35
    clock.now += 100
    second.step(Position(0, 6))
    assert second.account().seconds_lost == 35


def test_an_attempt_that_dies_before_it_made_up_for_its_loss_adds_to_it(
    tmp_path: Path, clock: Clock
):
    begin(tmp_path, Position()).step(Position(0, 4))
    clock.now += 10
    begin(tmp_path, Position(0, 2)).step(Position(0, 3))
    clock.now += 10
    third = begin(tmp_path, Position(0, 2))
    clock.now += 10
    third.step(Position(0, 5))
    assert third.account().seconds_lost == 30


@pytest.mark.parametrize("cause", [Cause.STOPPED, Cause.FAILED, Cause.PREEMPTED, None])
def test_the_time_between_two_commands_of_the_user_is_not_lost(
    cause: Cause | None, tmp_path: Path, clock: Clock
):
    first = begin(tmp_path, Position())
    first.step(Position(0, 4))
    if cause is not None:
        first.end(cause)
    clock.now += 86_400
    second = begin(tmp_path, Position(0, 4), "two")
    clock.now += 7
    second.step(Position(0, 5))
    assert second.account().seconds_lost == 7


def test_a_restart_without_a_step_left_ends_its_loss_with_the_trial(tmp_path: Path, clock: Clock):
    begin(tmp_path, Position()).step(Position(1, 0))
    clock.now += 20  # killed while it wrote its result
    second = begin(tmp_path, Position(1, 0))
    clock.now += 5
    second.finish()
    assert second.account().seconds_lost == 25


def test_a_clock_set_back_gives_no_negative_time(tmp_path: Path, clock: Clock):
    begin(tmp_path, Position()).step(Position(0, 4))
    clock.now -= 3600
    second = begin(tmp_path, Position(0, 4))
    second.step(Position(0, 5))
    assert second.account().seconds_lost == 0


def test_books_that_can_not_be_kept_end_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    books = begin(tmp_path, Position())

    def fail_to_write(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "pwrite", fail_to_write)
    monkeypatch.setattr(module.os, "pread", fail_to_write)
    books.step(Position(0, 4))
    assert books.reached() == Position(0, 4)


def ended(
    folder: Path, cause: Cause | None, *, shared_gpu: bool = True, ours: bool = False
) -> list[Entry]:
    """The entries after an attempt in session `one`; None: without a word."""
    books = begin(folder, Position(), shared_gpu=shared_gpu)
    if cause is not None:
        books.end(cause, ours=ours)
    return books.entries()


@pytest.mark.parametrize("cause", [Cause.OUT_OF_MEMORY, Cause.FAILED, Cause.HUNG])
def test_a_failure_on_a_shared_gpu_is_remembered(cause: Cause, tmp_path: Path):
    assert failed_on_shared_gpu(ended(tmp_path, cause))
    begin(tmp_path, Position(), "two").end(Cause.STOPPED)
    assert failed_on_shared_gpu(entries_in(tmp_path))


@pytest.mark.parametrize("cause", [Cause.PREEMPTED, Cause.STOPPED, Cause.STAGE_OVER])
def test_an_interruption_is_no_failure_of_a_shared_gpu(cause: Cause, tmp_path: Path):
    assert not failed_on_shared_gpu(ended(tmp_path, cause))


def test_a_trial_that_has_not_begun_has_not_failed(tmp_path: Path):
    assert not failed_on_shared_gpu(entries_in(tmp_path))


def test_errors_of_ours_and_on_whole_gpus_are_no_failures_of_a_shared_gpu(tmp_path: Path):
    for folder, how in (("ours", {"ours": True}), ("whole", {"shared_gpu": False})):
        assert not failed_on_shared_gpu(ended(tmp_path / folder, Cause.FAILED, **how))


def test_a_shared_gpu_is_blamed_for_a_process_that_vanished_and_not_for_a_lost_driver(
    tmp_path: Path,
):
    # The last of all: it has finished, or its driver is gone.
    assert not failed_on_shared_gpu(ended(tmp_path, None))
    ended(tmp_path, Cause.STOPPED)
    assert failed_on_shared_gpu(entries_in(tmp_path))
    begin(tmp_path / "other", Position(), shared_gpu=True)
    begin(tmp_path / "other", Position(), "two")
    assert not failed_on_shared_gpu(entries_in(tmp_path / "other"))


def test_books_of_a_trial_that_shares_no_gpu_are_what_they_were(tmp_path: Path):
    ended(tmp_path, Cause.FAILED, shared_gpu=False, ours=True)
    lines = (tmp_path / ATTEMPTS_FILE).read_text().splitlines()
    start, _, end = map(json.loads, lines)
    known = ["kind", "started_at", "session", "host", "pid", "cause", "lost_since"]
    assert list(start) == known
    assert list(end) == ["kind", "cause", "epoch", "step", "reason", "traceback", "is_on"]
    first, _, last = entries_in(tmp_path)
    assert isinstance(first, Attempt)
    assert isinstance(last, End)
    assert not first.shared_gpu
    assert not last.ours


def test_a_line_cut_short_by_a_kill_is_passed_over_and_swallows_none(tmp_path: Path):
    books = begin(tmp_path, Position())
    path = tmp_path / ATTEMPTS_FILE
    path.write_text(path.read_text() + '{"kind": "end", "cau')
    books.end(Cause.PREEMPTED)
    assert begin(tmp_path, Position()).account().restarts_by_cause == {Cause.PREEMPTED: 1}
