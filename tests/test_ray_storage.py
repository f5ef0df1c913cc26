"""The storage of Ray's own files: it is asked again while it fails, and writes whole files."""

import gc
import pickle
from pathlib import Path

import pytest
from pyarrow import fs

from datasets.folder import LocalFolder
from datasets.remote_folder import RemoteFolder
from orchestrator.ray_storage import PatientHandler, RayStorage, storage_of
from trainers import checkpoint_writer
from trainers.checkpoint_writer import StorageError


class Failing:
    """A file system that fails so often before it answers."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.system = fs.LocalFileSystem()

    def __getattribute__(self, name: str) -> object:
        if name in {"left", "system"} or name.startswith("_"):
            return object.__getattribute__(self, name)
        if self.left > 0:
            self.left -= 1
            raise OSError("503 Slow Down")
        return getattr(self.system, name)

    type_name = "failing"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_writer, "_FIRST_PAUSE_S", 0.001)


def patient(failing: Failing, patience_s: float = 60) -> fs.PyFileSystem:
    return fs.PyFileSystem(PatientHandler(failing, patience_s))


def test_a_directory_is_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert storage_of(LocalFolder(tmp_path), 1) == RayStorage(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert storage_of(LocalFolder(Path("run")), 1) == RayStorage(str(tmp_path / "run"))


def test_an_object_store_is_asked_patiently():
    storage = storage_of(RemoteFolder("s3://bucket/run/trials/one?region=us-east-1"), 7)
    assert storage.path == "bucket/run/trials/one"
    assert storage.filesystem is not None
    assert storage.filesystem.handler.patience_s == 7


def test_it_is_asked_again_while_it_fails(tmp_path: Path):
    failing = Failing(3)
    system, path = patient(failing), str(tmp_path / "one")
    with system.open_output_stream(path) as stream:
        stream.write(b"whole")
    assert failing.left == 0
    failing.left = 2
    assert system.get_file_info(path).size == 5
    failing.left = 2
    with system.open_input_stream(path) as stream:
        assert stream.read() == b"whole"
    failing.left = 2
    system.delete_file(path)
    assert failing.left == 0
    assert not (tmp_path / "one").exists()


def test_what_can_not_be_written_is_tried_once_to_the_end_of_patience(tmp_path: Path):
    failing = Failing(0)
    stream = patient(failing, patience_s=0.01).open_output_stream(str(tmp_path / "one"))
    stream.write(b"whole")
    failing.left = 10**6
    with pytest.raises(StorageError, match="503 Slow Down"):
        stream.close()
    left = failing.left
    del stream
    gc.collect()
    assert failing.left == left


def test_patience_ends(tmp_path: Path):
    with pytest.raises(StorageError, match="503 Slow Down"):
        patient(Failing(10**6), patience_s=0.01).create_dir(str(tmp_path / "one"))


def test_what_is_not_there_is_told_at_once(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        patient(Failing(0)).open_input_stream(str(tmp_path / "one"))


def test_it_travels_to_a_worker_and_is_the_same_there():
    system = fs.PyFileSystem(PatientHandler(fs.LocalFileSystem(), 60))
    other = pickle.loads(pickle.dumps(system))
    assert other == system
    assert other.handler.patience_s == 60
    assert system != fs.PyFileSystem(PatientHandler(fs.S3FileSystem(anonymous=True), 60))
