"""Ray Train's register of a trial's checkpoints, torn and lost: Ray then reads what lies there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets.folder import Folder, LocalFolder, as_folder
from orchestrator.ray_environment import prepare_environment

prepare_environment()

import ray.train  # noqa: E402

from orchestrator.ray_private.register_file import REGISTER_FILE  # noqa: E402
from orchestrator.ray_register import repair  # noqa: E402
from orchestrator.ray_storage import storage_of  # noqa: E402
from tests.object_stores import s3  # noqa: E402
from tests.test_checkpoint import IDENTITY, assert_same, made_up  # noqa: E402
from trainers.checkpoint import Checkpoint  # noqa: E402
from trainers.checkpoint_store import (  # noqa: E402
    MARKER_FILE,
    STATE_FILE,
    CheckpointName,
    CheckpointStore,
    figures_of,
)

pytestmark = pytest.mark.slow

SAVED = (made_up(0, 4), made_up(1, 0), made_up(1, 5))


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3() as address:
        yield address


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A trial's checkpoints, of which the newest two are there, and its register."""
    if request.param == "local":
        place: Folder = LocalFolder(tmp_path / "checkpoints")
    else:
        address = request.getfixturevalue("bucket")
        place = as_folder(f"{address}/{request.node.name}/checkpoints")
    store = CheckpointStore(place, attempt=1)
    for checkpoint in SAVED:
        store.save(checkpoint)
    repair(store)
    return place


def ray_result(folder: Folder) -> ray.train.Result:
    """What Ray reads there."""
    storage = storage_of(folder, patience_s=0)
    return ray.train.Result.from_path(storage.path, storage.filesystem)


def assert_ray_reads(folder: Folder, *expected: Checkpoint) -> None:
    """Ray's own result has these checkpoints, oldest first, and each is what was saved."""
    result = ray_result(folder)
    assert result.best_checkpoints is not None
    assert [metrics for _, metrics in result.best_checkpoints] == [
        figures_of(one) for one in expected
    ]
    assert result.metrics == figures_of(expected[-1])
    store = CheckpointStore(folder)
    for (handed, _), one in zip(result.best_checkpoints, expected, strict=True):
        name = CheckpointName.parse(Path(handed.path).name)
        assert name is not None
        with handed.as_directory() as directory:
            assert_same(store.read(name, Path(directory) / STATE_FILE, IDENTITY), one)


def test_ray_reads_the_register_that_is_written(folder: Folder):
    assert_ray_reads(folder, *SAVED[1:])


def test_a_whole_register_is_left_as_it_is(folder: Folder):
    before = folder.stamps()
    repair(CheckpointStore(folder))
    assert folder.stamps() == before


def test_a_register_cut_short_at_any_byte_is_written_anew(tmp_path: Path):
    store = CheckpointStore(tmp_path, attempt=1)
    store.save(made_up(size=1))
    repair(store)
    whole = (tmp_path / REGISTER_FILE).read_bytes()
    for length in range(len(whole)):
        (tmp_path / REGISTER_FILE).write_bytes(whole[:length])
        repair(CheckpointStore(tmp_path))
        assert (tmp_path / REGISTER_FILE).read_bytes() == whole
    assert_ray_reads(LocalFolder(tmp_path), made_up(size=1))


def rewritten(folder: Folder, data: bytes) -> None:
    folder.write(REGISTER_FILE, lambda path: path.write_bytes(data))


def test_a_register_that_is_cut_short_is_refused_by_ray_and_mended(folder: Folder):
    rewritten(folder, folder.read(REGISTER_FILE)[:-9])
    with pytest.raises(Exception, match=r"delimiter|Expecting|Unterminated"):
        ray_result(folder)
    repair(CheckpointStore(folder))
    assert_ray_reads(folder, *SAVED[1:])


def test_a_register_of_another_ray_is_refused_by_ray_and_mended(folder: Folder):
    record = json.loads(folder.read(REGISTER_FILE)) | {"ray_version": "2.41.0", "new": 1}
    del record["pending_validation_specs"]
    rewritten(folder, json.dumps(record).encode())
    with pytest.raises(Exception, match=r"2\.41\.0"):
        ray_result(folder)
    repair(CheckpointStore(folder))
    assert_ray_reads(folder, *SAVED[1:])


def test_a_register_that_is_lost_is_written_anew(folder: Folder):
    folder.remove(REGISTER_FILE)
    repair(CheckpointStore(folder))
    assert_ray_reads(folder, *SAVED[1:])


def test_a_checkpoint_that_is_listed_and_gone_is_left_out(folder: Folder):
    newest, _ = CheckpointStore(folder).names()
    folder.remove_below(str(newest))
    with pytest.raises(Exception, match="does not exist anymore"):
        ray_result(folder)
    repair(CheckpointStore(folder))
    assert_ray_reads(folder, SAVED[1])


def test_a_whole_checkpoint_that_is_not_listed_yet_is(folder: Folder):
    later = made_up(1, 9)
    CheckpointStore(folder, attempt=1).write(later)
    assert ray_result(folder).metrics == figures_of(SAVED[2])
    repair(CheckpointStore(folder))
    assert_ray_reads(folder, SAVED[2], later)
    assert len(CheckpointStore(folder).names()) == 2


@pytest.mark.parametrize("left", ["half a state", "no marker", "half a marker", "a marker alone"])
def test_a_checkpoint_that_is_half_there_is_removed(left: str, folder: Folder):
    store = CheckpointStore(folder, attempt=2)
    name = str(store.write(made_up(1, 9)))
    state, marker = (folder.read(f"{name}/{file}") for file in (STATE_FILE, MARKER_FILE))
    folder.remove_below(name)
    halves = {
        "half a state": {STATE_FILE: state[: len(state) // 2], MARKER_FILE: marker},
        "no marker": {STATE_FILE: state},
        "half a marker": {STATE_FILE: state, MARKER_FILE: marker[:9]},
        "a marker alone": {MARKER_FILE: marker},
    }
    for file, data in halves[left].items():
        folder.write(f"{name}/{file}", lambda path, data=data: path.write_bytes(data))
    repair(CheckpointStore(folder))
    assert_ray_reads(folder, *SAVED[1:])
    assert not [file for file in folder.names() if file.startswith(name)]


@pytest.mark.parametrize("keep", [0, 1])
def test_a_finished_trial_keeps_what_it_is_to(keep: int, folder: Folder):
    repair(CheckpointStore(folder), keep)
    assert len(CheckpointStore(folder).names()) == keep
    assert folder.has(REGISTER_FILE) == bool(keep)
    if keep:
        assert_ray_reads(folder, SAVED[2])


def test_a_trial_that_has_not_begun_has_no_register(tmp_path: Path):
    repair(CheckpointStore(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
