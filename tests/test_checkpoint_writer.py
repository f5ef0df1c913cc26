"""Checkpoints in the background: none is lost, storage that fails is waited for, errors surface."""

import threading
import time

import numpy as np
import pytest

from trainers import checkpoint_writer
from trainers.checkpoint import Checkpoint, Identity, Machine, Position
from trainers.checkpoint_writer import BackgroundWriter, StorageError, persist


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(
        identity=Identity("resnet50-s0", "config", "data"),
        position=Position(0, step),
        machine=Machine("processor", 1, {}),
        arrays={"model/0": np.zeros(2, np.float32)},
    )


class SlowStore:
    """A store whose writes wait until the test lets one go."""

    def __init__(self) -> None:
        self.let_go = threading.Semaphore(0)
        self.began = threading.Semaphore(0)
        self.saved: list[int] = []

    def save(self, one: Checkpoint) -> None:
        self.began.release()
        assert self.let_go.acquire(timeout=120)
        self.saved.append(one.position.step)


class FailingStore:
    """A store that fails `times` times, and then writes."""

    def __init__(self, times: int, error: Exception) -> None:
        self.times = times
        self.error = error
        self.saved: list[int] = []

    def save(self, one: Checkpoint) -> None:
        if self.times:
            self.times -= 1
            raise self.error
        self.saved.append(one.position.step)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_writer, "_FIRST_PAUSE_S", 0.01)


def test_save_returns_while_the_store_still_writes_and_flush_waits_for_it():
    store = SlowStore()
    writer = BackgroundWriter(store.save, patience_s=0)
    writer.save(checkpoint(1))
    assert store.began.acquire(timeout=120)
    assert store.saved == []
    store.let_go.release()
    writer.flush()
    assert store.saved == [1]
    writer.close()


def test_a_newer_checkpoint_takes_the_place_of_one_that_waits():
    store = SlowStore()
    writer = BackgroundWriter(store.save, patience_s=0)
    writer.save(checkpoint(1))
    assert store.began.acquire(timeout=120)
    for step in (2, 3, 4):
        writer.save(checkpoint(step))
    for _ in range(2):
        store.let_go.release()
    writer.flush()
    assert store.saved == [1, 4]
    writer.close()


@pytest.mark.parametrize("end", ["flush", "close"])
def test_a_checkpoint_waits_for_its_time_unless_it_is_waited_for(end: str):
    store, told = FailingStore(0, OSError()), threading.Event()
    writer = BackgroundWriter(
        store.save, patience_s=0, tell=lambda figures: told.set(), pause_s=3600
    )
    writer.save(checkpoint(1))
    writer.flush()
    for step in (2, 3):
        writer.save(checkpoint(step))
    writer.tell({"epoch": 1.0})
    assert told.wait(timeout=120)  # figures need not wait
    assert store.saved == [1]
    getattr(writer, end)()
    assert store.saved == [1, 3]
    writer.close()


def test_a_checkpoint_that_is_due_is_written_by_itself():
    store = FailingStore(0, OSError())
    writer = BackgroundWriter(store.save, patience_s=0, pause_s=0.2)
    begin = time.monotonic()
    for step in (1, 2):
        writer.save(checkpoint(step))
        while len(store.saved) < step and time.monotonic() < begin + 120:
            time.sleep(0.01)
    assert store.saved == [1, 2]
    assert time.monotonic() - begin >= 0.2
    writer.close()


def test_close_writes_what_waits():
    store = FailingStore(0, OSError())
    writer = BackgroundWriter(store.save, patience_s=0)
    writer.save(checkpoint(1))
    writer.close()
    assert store.saved == [1]


def test_storage_that_fails_for_a_while_loses_nothing(caplog: pytest.LogCaptureFixture):
    store = FailingStore(3, OSError(28, "No space left on device"))
    writer = BackgroundWriter(store.save, patience_s=30)
    writer.save(checkpoint(1))
    writer.flush()
    writer.close()
    assert store.saved == [1]
    assert "No space left on device" in caplog.text


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (OSError(28, "No space left on device"), StorageError, "epoch 0, step 1"),
        (ValueError("a fault of ours"), ValueError, "a fault of ours"),
    ],
)
def test_what_remains_of_an_error_is_raised_in_the_trainings_thread(error, raised, said: str):
    writer = BackgroundWriter(FailingStore(1000, error).save, patience_s=0.05)
    writer.save(checkpoint(1))
    with pytest.raises(raised, match=said):
        writer.flush()
    with pytest.raises(raised, match=said):
        writer.save(checkpoint(2))
    writer.close()


def test_patience_ends():
    begin = time.monotonic()

    def fail() -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(StorageError, match=r"the result .* Input/output error"):
        persist(fail, "the result", 0.1)
    assert 0.1 <= time.monotonic() - begin < 60
