import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainers.checkpoint import (
    Checkpoint,
    CheckpointMismatchError,
    CheckpointStore,
    Clock,
    DamagedCheckpointError,
    HistoryRow,
    Identity,
    Machine,
    Position,
    read_checkpoint,
    write_checkpoint,
)

IDENTITY = Identity("resnet50-s0", "config", "data")


def made_up(epoch: int = 1, step: int = 5, size: int = 1000) -> Checkpoint:
    numbers = np.random.default_rng(epoch * 100 + step)
    return Checkpoint(
        identity=IDENTITY,
        position=Position(epoch, step),
        machine=Machine("cpu", 1, {"keras": "3"}),
        arrays={
            "model/00000": numbers.normal(size=(size, 3)).astype(np.float32),
            "optimizer/00000": np.array(7, dtype=np.int64),
        },
        history=(HistoryRow(1, 0.1 + 0.2, 0.5, float("inf"), 0.25),),
        clock=Clock(1.5, 1.25, 64, 0.5),
        notes=("a note",),
    )


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    assert replace(one, arrays={}) == replace(other, arrays={})
    assert one.arrays.keys() == other.arrays.keys()
    for key, array in one.arrays.items():
        assert array.dtype == other.arrays[key].dtype
        assert array.tobytes() == other.arrays[key].tobytes()


def test_what_is_read_is_what_was_written(tmp_path: Path):
    checkpoint = made_up()
    write_checkpoint(tmp_path / "one.npz", checkpoint)
    assert_same(read_checkpoint(tmp_path / "one.npz"), checkpoint)


def test_the_store_keeps_the_two_newest(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    for epoch, step in ((0, 999_999), (1, 0), (1, 2), (1, 10)):
        store.save(made_up(epoch, step))
    assert len(store.names()) == 2
    newest = store.newest(IDENTITY)
    assert newest is not None
    assert newest.position == Position(1, 10)
    store.clear()
    assert store.newest(IDENTITY) is None


@pytest.mark.slow
def test_no_cut_and_no_flipped_bit_gets_through(tmp_path: Path):
    path = tmp_path / "one.npz"
    checkpoint = made_up(size=20)
    write_checkpoint(path, checkpoint)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 37):
        path.write_bytes(whole[:cut])
        with pytest.raises(DamagedCheckpointError, match=r"one\.npz"):
            read_checkpoint(path)
    for flip in range(0, 8 * len(whole), 3):
        flipped = bytearray(whole)
        flipped[flip // 8] ^= 1 << flip % 8
        path.write_bytes(flipped)
        try:
            found = read_checkpoint(path)
        except DamagedCheckpointError:
            continue
        # Some bytes of a zip mean nothing to a reader (times, attributes): no value may change.
        assert_same(found, checkpoint)


def test_a_damaged_newest_is_passed_over_for_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    store = CheckpointStore(tmp_path)
    store.save(made_up(1, 0))
    newest = tmp_path / store.save(made_up(2, 0))
    newest.write_bytes(newest.read_bytes()[:-100])
    found = store.newest(IDENTITY)
    assert found is not None
    assert found.position == Position(1, 0)
    assert newest.name in caplog.text


def test_what_a_killed_writer_leaves_is_not_a_checkpoint(tmp_path: Path):
    (tmp_path / ".e000009-s000000000.abc.tmp.npz").write_bytes(b"half")
    assert CheckpointStore(tmp_path).newest(IDENTITY) is None


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"config_hash": "other"}, "config_hash: checkpoint 'config', this trial 'other'"),
        ({"data_fingerprint": "new"}, "data_fingerprint: checkpoint 'data', this trial 'new'"),
        ({"version": 99}, "version: checkpoint 1, this trial 99"),
    ],
)
def test_a_foreign_checkpoint_raises_with_both_sides(tmp_path: Path, change, shown: str):
    store = CheckpointStore(tmp_path)
    store.save(made_up())
    with pytest.raises(CheckpointMismatchError) as caught:
        store.newest(replace(IDENTITY, **change))
    assert shown in str(caught.value)


def test_storage_that_does_not_answer_is_no_damage(tmp_path: Path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(made_up())

    def load(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", load)
        with pytest.raises(OSError, match="Input/output error"):
            store.newest(IDENTITY)
    assert store.newest(IDENTITY) is not None


def test_damaged_ones_do_not_crowd_out_what_is_written_after_them(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    for step in (5, 6):
        (tmp_path / store.save(replace(made_up(), position=Position(3, step)))).write_bytes(b"")
    assert store.newest(IDENTITY) is None
    name = store.save(replace(made_up(), position=Position(0, 2)))
    assert (tmp_path / name).exists()
    assert store.newest_position() == Position(0, 2)
    found = store.newest(IDENTITY)
    assert found is not None
    assert found.position == Position(0, 2)


def test_no_memory_is_no_damage(tmp_path: Path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(made_up())

    def load(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", load)
        with pytest.raises(MemoryError):
            store.newest(IDENTITY)
    assert store.newest(IDENTITY) is not None


def test_a_folder_that_can_not_be_listed_is_not_an_empty_one(tmp_path: Path, monkeypatch):
    store = CheckpointStore(tmp_path)
    for epoch in (1, 2):
        store.save(made_up(epoch, 0))

    def scandir(*_: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        for ask in (store.names, store.newest_position, store.folder.stamps):
            with pytest.raises(OSError, match="Stale"):
                ask()
        with pytest.raises(OSError, match="Stale"):
            store.newest(IDENTITY)
        with pytest.raises(OSError, match="Stale"):
            store.save(made_up(3, 0))
    assert len(store.names()) == 3
    assert CheckpointStore(tmp_path / "none yet").names() == []
