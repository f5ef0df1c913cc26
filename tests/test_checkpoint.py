import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainers.checkpoint import (
    Checkpoint,
    CheckpointMismatchError,
    Clock,
    DamagedCheckpointError,
    HistoryRow,
    Identity,
    Machine,
    Position,
    read_checkpoint,
    write_checkpoint,
)
from trainers.checkpoint_store import (
    DAMAGED_FILE,
    MARKER_FILE,
    STATE_FILE,
    CheckpointName,
    CheckpointStore,
    figures_of,
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
    newest = tmp_path / str(store.save(made_up(2, 0)))
    state = newest / STATE_FILE
    state.write_bytes(state.read_bytes()[:-100])
    found = store.newest(IDENTITY)
    assert found is not None
    assert found.position == Position(1, 0)
    assert newest.name in caplog.text
    assert {path.name for path in newest.iterdir()} == {DAMAGED_FILE, STATE_FILE}


def test_what_a_killed_writer_leaves_is_not_a_checkpoint(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    name = str(store.save(made_up(1, 0)))
    half = tmp_path / "e000009-s000000000-a0001"
    half.mkdir()
    (half / STATE_FILE).write_bytes(b"half")
    begun = tmp_path / "e000009-s000000001-a0001"
    begun.mkdir()
    (begun / ".state.abc.tmp.npz").write_bytes(b"half")
    assert [str(one) for one in store.names()] == [name]
    store.sweep()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_marker_without_its_files_is_no_checkpoint(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    name = store.save(made_up(1, 0))
    state = tmp_path / str(name) / STATE_FILE
    assert [one for one, _ in store.whole()] == [name]
    state.write_bytes(state.read_bytes()[:-1])
    assert not list(store.whole())
    state.unlink()
    assert store.names() == []
    (state.parent / MARKER_FILE).write_bytes(b"{")
    state.touch()
    assert not list(store.whole())


def test_a_marker_tells_the_figures(tmp_path: Path):
    store = CheckpointStore(tmp_path, attempt=7)
    checkpoint = made_up(1, 5)
    assert str(store.save(checkpoint)) == "e000001-s000000005-a0007"
    ((_, marker),) = store.whole()
    assert marker.figures == figures_of(checkpoint)
    assert marker.figures["epoch"], marker.figures["step"] == (1, 5)
    assert marker.figures["val_accuracy"] == 0.25


class TestAnAttemptThatWasCutOff:
    def test_can_not_take_the_place_of_what_a_later_one_has_written(self, tmp_path: Path):
        before = CheckpointStore(tmp_path, attempt=1)
        before.save(made_up(1, 0))
        after = CheckpointStore(tmp_path, attempt=1 + before.last_attempt())
        mine = after.save(made_up(1, 2))
        content = {path: path.read_bytes() for path in (tmp_path / str(mine)).iterdir()}
        for step in (2, 4, 6):  # it does not know that it was
            before.save(made_up(1, step))
        assert {path: path.read_bytes() for path in content} == content
        assert after.newest_position() == Position(1, 2)
        assert after.names()[0] == mine
        assert after.last_attempt() == 2

    def test_leaves_what_can_be_gone_on_from_where_the_later_one_has_nothing_yet(
        self, tmp_path: Path
    ):
        before, after = (CheckpointStore(tmp_path, attempt=number) for number in (1, 2))
        for step in (2, 4):
            before.save(made_up(0, step))
        assert after.newest_position() == Position(0, 4)


def test_names_are_read_back():
    name = CheckpointName(12, Position(3, 45))
    assert CheckpointName.parse(str(name)) == name
    for text in ("e000003-s000000045.npz", "checkpoint_000001", "COMPLETE"):
        assert CheckpointName.parse(text) is None


def test_what_an_earlier_version_wrote_is_taken_over(tmp_path: Path):
    for epoch in (1, 2):
        checkpoint = made_up(epoch, 0)
        write_checkpoint(tmp_path / f"e{epoch:06d}-s000000000.npz", checkpoint)
    store = CheckpointStore(tmp_path)
    store.sweep()
    found = store.newest(IDENTITY)
    assert found is not None
    assert_same(found, checkpoint)
    assert [str(name) for name in store.names()] == [
        "e000002-s000000000-a0000",
        "e000001-s000000000-a0000",
    ]
    assert store.last_attempt() == 0


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
        name = store.save(replace(made_up(), position=Position(3, step)))
        (tmp_path / str(name) / STATE_FILE).write_bytes(b"")
    assert store.newest(IDENTITY) is None
    name = store.save(replace(made_up(), position=Position(0, 2)))
    assert store.names() == [name]
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
