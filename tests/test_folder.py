"""One contract for folders here and in object stores, and the data commands on each of them."""

import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets.audit import audit
from datasets.audit_record import read_record, record_of, write_record
from datasets.cache import stage
from datasets.cache_format import split_path
from datasets.errors import ConfigError, DataError
from datasets.folder import Folder, LocalFolder, absolute, as_folder, write_bytes
from datasets.journal import JOURNAL_NAME
from datasets.manifest import SPLITS
from datasets.prepare import prepare
from datasets.shard_pool import OnThisMachine
from datasets.verify import verify
from tests.object_stores import gs, s3
from tests.shard_data import csv_source, files_of

KINDS = "local", "s3", "gs"


@pytest.fixture(scope="module")
def stores() -> Iterator[dict[str, str]]:
    with s3() as on_s3, gs() as on_gs:
        yield {"s3": on_s3, "gs": on_gs}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, stores: dict[str, str]) -> str:
    """An empty folder of each kind."""
    if request.param == "local":
        return str(tmp_path / "folder")
    return f"{stores[request.param]}/of {request.node.name}/a folder"


@pytest.fixture
def folder(place: str) -> Folder:
    return as_folder(place)


class TestEveryFolder:
    def test_it_is_empty_before_anything_is_written(self, folder: Folder) -> None:
        assert folder.names() == []
        assert not folder.has("a")

    def test_what_is_written_is_there(self, folder: Folder) -> None:
        write_bytes(folder, "train/b.bin", b"beta")
        write_bytes(folder, "a.bin", b"alpha" * 1000)
        assert folder.names() == ["a.bin", "train/b.bin"]
        assert folder.has("a.bin")
        assert folder.has("train/b.bin")
        assert not folder.has("train")
        assert folder.read("train/b.bin") == b"beta"
        assert folder.size("a.bin") == 5000
        with folder.local("a.bin") as path:
            assert path.read_bytes() == b"alpha" * 1000

    def test_the_newest_content_counts(self, folder: Folder) -> None:
        write_bytes(folder, "a.bin", b"old and long")
        write_bytes(folder, "a.bin", b"new")
        assert folder.read("a.bin") == b"new"
        assert folder.names() == ["a.bin"]

    @pytest.mark.slow
    def test_a_file_of_several_parts(self, folder: Folder) -> None:
        data = bytes(range(256)) * (48 << 10)  # 12 MiB: more than one part of an upload
        write_bytes(folder, "big.bin", data)
        assert folder.size("big.bin") == len(data)
        assert folder.read("big.bin") == data

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
    def test_nothing_half_written_appears(self, folder: Folder, error: BaseException) -> None:
        def fail(path: Path) -> None:
            path.write_bytes(b"half")
            raise error

        write_bytes(folder, "a.bin", b"before")
        for name in ("a.bin", "b.bin"):
            with pytest.raises(type(error)):
                folder.write(name, fail)
        assert folder.names() == ["a.bin"]
        assert folder.read("a.bin") == b"before"

    def test_what_is_not_there(self, folder: Folder) -> None:
        with pytest.raises(FileNotFoundError):
            folder.read("a.bin")
        with pytest.raises(FileNotFoundError):
            folder.size("a.bin")
        with pytest.raises(FileNotFoundError), folder.local("a.bin") as path:
            path.read_bytes()
        folder.remove("a.bin")
        folder.remove_below("train")

    def test_remove(self, folder: Folder) -> None:
        for name in ("a/1", "a/2/3", "ab/4", "a.5", "6"):
            write_bytes(folder, name, name.encode())
        folder.remove("6")
        assert folder.names() == ["a.5", "a/1", "a/2/3", "ab/4"]
        folder.remove_below("a")
        assert folder.names() == ["a.5", "ab/4"]

    def test_a_stamp_tells_of_other_content(self, folder: Folder) -> None:
        write_bytes(folder, "a/1", b"one")
        write_bytes(folder, "b", b"two")
        before = folder.stamps()
        assert {name: stamp.size for name, stamp in before.items()} == {"a/1": 3, "b": 3}
        assert folder.stamps() == before
        time.sleep(1.1)  # stores keep whole seconds
        folder.write("b", lambda path: path.write_bytes(b"TWO") and None)
        assert folder.stamps()["a/1"] == before["a/1"]
        assert folder.stamps()["b"].changed_ns > before["b"].changed_ns

    def test_rename(self, folder: Folder) -> None:
        write_bytes(folder, "a/1", b"one")
        folder.rename("a/1", "a/2")
        assert folder.names() == ["a/2"]
        assert folder.read("a/2") == b"one"
        with pytest.raises(FileNotFoundError):
            folder.rename("a/1", "a/3")

    def test_copy(self, folder: Folder) -> None:
        write_bytes(folder, "a/1", b"one")
        folder.copy("a/1", "b/2")
        assert folder.names() == ["a/1", "b/2"]
        assert folder.read("b/2") == b"one"
        with pytest.raises(FileNotFoundError):
            folder.copy("a/2", "a/3")
        assert folder.names() == ["a/1", "b/2"]

    def test_a_folder_in_a_folder(self, folder: Folder) -> None:
        write_bytes(folder.below("a"), "b/c", b"abc")
        assert folder.names() == ["a/b/c"]
        assert folder.below("a/b").read("c") == b"abc"
        assert str(folder.below("a")) == f"{folder}/a"

    def test_a_lock_is_known_by_folder_and_name(self, folder: Folder) -> None:
        assert folder.lock_file("one") == as_folder(str(folder)).lock_file("one")
        assert folder.lock_file("one") != folder.lock_file("two")

    def test_other_processes_get_it_by_pickle(self, folder: Folder) -> None:
        write_bytes(folder, "a", b"a")
        assert pickle.loads(pickle.dumps(folder)).read("a") == b"a"

    @pytest.mark.slow
    def test_prepared_data_is_the_same_everywhere(
        self, place: str, folder: Folder, tmp_path: Path
    ) -> None:
        source = csv_source(tmp_path / "source")
        here = tmp_path / "here"
        prepare(source, here, image_size=24, rows_per_shard=5)
        manifest = prepare(source, place, image_size=24, rows_per_shard=5)
        assert {name: folder.read(name) for name in folder.names()} == files_of(here)
        assert prepare(source, place, image_size=24, rows_per_shard=5) == manifest
        verify(place, manifest)
        found = audit(place, manifest)
        assert found.groups == audit(here, manifest).groups
        write_record(place, record_of(found, manifest))
        assert read_record(folder, manifest) == record_of(found, manifest)
        assert prepare(source, place, image_size=24, rows_per_shard=5) == manifest
        staged = stage(place, tmp_path / "cache", 24)
        again = stage(here, tmp_path / "cache of here", 24)
        for split in SPLITS:
            assert split_path(staged.directory, split).read_bytes() == (
                split_path(again.directory, split).read_bytes()
            )

    @pytest.mark.slow
    def test_a_stopped_prepare_goes_on(self, place: str, folder: Folder, tmp_path: Path) -> None:
        source = csv_source(tmp_path / "source")
        here = tmp_path / "here"
        prepare(source, here, image_size=24, rows_per_shard=5)

        def stop(done: int, total: int) -> None:
            if done > 10:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prepare(source, place, image_size=24, rows_per_shard=5, progress=stop)
        assert f"{JOURNAL_NAME}/train-00000.json" in folder.names()
        first = modified(folder, "train/00000.arrow")
        prepare(source, place, image_size=24, rows_per_shard=5)
        assert modified(folder, "train/00000.arrow") == first  # recalled, not written again
        assert {name: folder.read(name) for name in folder.names()} == files_of(here)

    @pytest.mark.slow
    def test_a_flipped_byte_is_found(self, place: str, folder: Folder, tmp_path: Path) -> None:
        source = csv_source(tmp_path / "source")
        manifest = prepare(source, place, image_size=24, rows_per_shard=5)
        data = bytearray(folder.read("train/00001.arrow"))
        data[500] ^= 1
        write_bytes(folder, "train/00001.arrow", bytes(data))
        with pytest.raises(DataError, match=r"1 damaged shard.*\n.*train/00001\.arrow: sha256"):
            verify(place, manifest)
        with pytest.raises(DataError, match=r"train/00001\.arrow"):
            stage(place, tmp_path / "cache", 24)

    def test_a_folder_with_other_files_is_refused(
        self, place: str, folder: Folder, tmp_path: Path
    ) -> None:
        write_bytes(folder, "thesis.tex", b"years of work")
        with pytest.raises(DataError, match=r"no shards \(thesis\.tex\)"):
            prepare(csv_source(tmp_path / "source"), place, image_size=24)
        assert folder.read("thesis.tex") == b"years of work"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[1:])
def test_processes_write_to_an_object_store(
    kind: str, stores: dict[str, str], tmp_path: Path
) -> None:
    source = csv_source(tmp_path / "source", per_class=6)
    here, there = tmp_path / "here", f"{stores[kind]}/by processes"
    prepare(source, here, image_size=24, rows_per_shard=5)
    prepare(source, there, image_size=24, rows_per_shard=5, run=OnThisMachine(2))
    folder = as_folder(there)
    assert {name: folder.read(name) for name in folder.names()} == files_of(here)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://bucket/x", r"ftp://bucket/x: .* s3://, gs://"),
        ("s3://key:secret@bucket/x", "^the address of s3://…@bucket holds a password"),
        ("s3://", "names no bucket: give s3://BUCKET/FOLDER"),
        ("s3://bucket/x?no_such_option=1", "is no address"),
    ],
)
def test_addresses_that_can_not_be_used_are_named(address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        as_folder(address).names()


def test_a_bucket_that_is_not_there_is_named(stores: dict[str, str], tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source", per_class=1)
    with pytest.raises(DataError, match="s3://no-such-bucket-of-ours"):
        prepare(source, "s3://no-such-bucket-of-ours/x", image_size=24)


def test_a_path_becomes_absolute_and_an_address_stays() -> None:
    assert absolute("s3://bucket/x") == "s3://bucket/x"
    assert absolute("shards") == str(Path.cwd() / "shards")
    assert absolute("~/shards") == str(Path.home() / "shards")
    assert as_folder("shards") == LocalFolder(Path("shards"))


def modified(folder: Folder, name: str) -> object:
    """When a file was last written."""
    if isinstance(folder, LocalFolder):
        return (folder.path / name).stat().st_mtime_ns
    from datasets.remote_folder import RemoteFolder

    assert isinstance(folder, RemoteFolder)
    return folder._info(name).mtime_ns
