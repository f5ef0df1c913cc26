"""A trial's files in an object store: what comes back on another machine, and in which order."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasets.folder import Folder, LocalFolder, as_folder, write_bytes
from tests.object_stores import s3
from tests.test_checkpoint import made_up
from trainers.checkpoint import Position
from trainers.checkpoint_store import STATE_FILE, CheckpointStore
from trainers.context import LocalContext
from trainers.home import LOG_BEFORE, OWNER_FILE, StoredHome
from trainers.interruption import STOP_FILE
from trainers.result import LOG_FILE, RESULT_FILE

FAR = 3600.0


class LostError(Exception):
    pass


def lose() -> None:
    raise LostError


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3() as address:
        yield address


@pytest.fixture(params=["local", "s3"])
def run(request: pytest.FixtureRequest, tmp_path: Path, bucket: str) -> Folder:
    if request.param == "local":
        return LocalFolder(tmp_path / "stored")
    return as_folder(f"{bucket}/{request.node.name}/run")


HOMES: list[StoredHome] = []


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test() -> Iterator[None]:
    yield
    while HOMES:
        HOMES.pop()._left.set()


def home_at(machine: Path, run: Folder, interval_s: float = FAR) -> StoredHome:
    trial_dir = machine / "trials" / "x-s0"
    trial_dir.mkdir(parents=True, exist_ok=True)
    home = StoredHome(trial_dir, run, interval_s, on_lost=lose)
    HOMES.append(home)
    home.arrive()
    return home


def content(trial_dir: Path) -> dict[str, bytes]:
    folder = LocalFolder(trial_dir)
    return {name: folder.read(name) for name in folder.names()}


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_another_machine_goes_on_where_one_left(run: Folder, tmp_path: Path):
    one, other = tmp_path / "one", tmp_path / "other"
    there, here = run.below("trials/x-s0"), LocalFolder(one / "trials/x-s0")
    home = home_at(one, run)
    for name in ("attempts.jsonl", "position", "history.csv", "tensorboard/events", LOG_FILE):
        write_bytes(here, name, f"{name} of one\n".encode())
    write_bytes(here, ".lock", b"")
    home.leave()
    assert set(content(one / "trials/x-s0")) == {".lock", LOG_FILE}
    assert ".lock" not in there.names()

    write_bytes(LocalFolder(other / "trials/x-s0"), "predictions.parquet", b"of long ago")
    home = home_at(other, run)
    assert content(other / "trials/x-s0") == {
        name: f"{name} of one\n".encode() for name in ("attempts.jsonl", "position", "history.csv")
    }
    write_bytes(LocalFolder(other / "trials/x-s0"), LOG_FILE, b"and of other\n")
    home.leave()
    assert there.read(LOG_FILE) == b"log.txt of one\nand of other\n"
    assert there.read("tensorboard/events") == b"tensorboard/events of one\n"


def test_what_is_removed_here_is_removed_there(run: Folder, tmp_path: Path):
    there, here = run.below("trials/x-s0"), LocalFolder(tmp_path / "m/trials/x-s0")
    write_bytes(there, "failure.json", b"{}")
    home = home_at(tmp_path / "m", run)
    assert here.read("failure.json") == b"{}"
    write_bytes(here, "progress.json", b"{}")
    home.publish()
    assert there.names() == ["failure.json", OWNER_FILE, "progress.json"]
    here.remove("failure.json")
    here.remove("progress.json")
    home.publish()
    assert there.names() == [OWNER_FILE]


def test_a_result_is_stored_after_all_that_belongs_to_it(tmp_path: Path, monkeypatch):
    stored = LocalFolder(tmp_path / "stored")
    home = home_at(tmp_path / "m", stored)
    here = LocalFolder(tmp_path / "m/trials/x-s0")
    for name in ("zebra", RESULT_FILE, "model.keras", "a"):
        write_bytes(here, name, b"x")
    written: list[str] = []
    write = LocalFolder.write

    def noted(folder: LocalFolder, name: str, act: Callable[[Path], None]) -> None:
        written.append(name)
        write(folder, name, act)

    monkeypatch.setattr(LocalFolder, "write", noted)
    home.publish()
    assert written == ["a", "model.keras", "zebra", RESULT_FILE]


def test_storage_that_fails_in_between_loses_nothing(tmp_path: Path, monkeypatch):
    stored = LocalFolder(tmp_path / "stored")
    home = home_at(tmp_path / "m", stored)
    here = LocalFolder(tmp_path / "m/trials/x-s0")
    for name in "abc":
        write_bytes(here, name, name.encode())

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "write", fail)
        with pytest.raises(OSError, match="Input/output"):
            home.leave()
    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "remove", fail)
        with pytest.raises(OSError, match="Input/output"):
            home.leave()
    home.leave()
    assert [name for name in stored.names() if not name.endswith(OWNER_FILE)] == [
        f"trials/x-s0/{name}" for name in "abc"
    ]


def test_who_arrives_last_owns_the_trial_and_the_other_ends(run: Folder, tmp_path: Path):
    first = home_at(tmp_path / "one", run)
    second = home_at(tmp_path / "other", run)
    write_bytes(LocalFolder(tmp_path / "one/trials/x-s0"), "history.csv", b"of a past that is over")
    with pytest.raises(LostError):
        first.publish()
    with pytest.raises(LostError):
        first.check_owner()
    second.check_owner()
    assert "history.csv" not in run.below("trials/x-s0").names()
    assert "pid" in json.loads(run.below("trials/x-s0").read(OWNER_FILE))


def test_the_small_files_follow_by_themselves_and_a_stop_is_seen(run: Folder, tmp_path: Path):
    home = home_at(tmp_path / "m", run, interval_s=0.05)
    write_bytes(LocalFolder(tmp_path / "m/trials/x-s0"), "progress.json", b"1")
    wait_for(lambda: run.below("trials/x-s0").has("progress.json"))
    assert not home.stop_requested()
    write_bytes(run, STOP_FILE, b"")
    wait_for(home.stop_requested)
    home.leave()


def test_the_users_pictures_come_along(run: Folder, tmp_path: Path):
    write_bytes(run, "probes/front.png", b"picture")
    home_at(tmp_path / "m", run).leave()
    assert (tmp_path / "m/probes/front.png").read_bytes() == b"picture"


def test_a_file_that_somebody_removed_here_stays_there(tmp_path: Path):
    stored = LocalFolder(tmp_path / "stored")
    home = home_at(tmp_path / "m", stored)
    here = LocalFolder(tmp_path / "m/trials/x-s0")
    for name in ("attempts.jsonl", RESULT_FILE, "tensorboard/events"):
        write_bytes(here, name, b"x")
    home.publish()
    for name in ("attempts.jsonl", RESULT_FILE, "tensorboard/events"):
        here.remove(name)  # as a cleaner of temporary folders does
    home.publish()
    there = stored.below("trials/x-s0").names()
    assert {"attempts.jsonl", RESULT_FILE, "tensorboard/events"} <= set(there)


def test_one_that_lost_its_trial_during_an_upload_removes_nothing_of_the_others(
    tmp_path: Path, monkeypatch
):
    stored = LocalFolder(tmp_path / "stored")

    def context_at(machine: str) -> LocalContext:
        trial_dir = tmp_path / machine / "trials" / "x-s0"
        trial_dir.mkdir(parents=True)
        context = LocalContext(trial_dir, run=stored)
        context._home._on_lost = lose  # type: ignore[attr-defined]
        HOMES.append(context._home)  # type: ignore[arg-type]
        context._home.arrive()
        return context

    first = context_at("one")
    first._save(made_up(1, 0))
    write = LocalFolder.write

    def taken_over(folder: LocalFolder, name: str, act: Callable[[Path], None]) -> None:
        write(folder, name, act)
        if name.startswith("e000002") and name.endswith(STATE_FILE):  # it took long: meanwhile
            second = context_at("other")
            second._save(made_up(3, 0))

    monkeypatch.setattr(LocalFolder, "write", taken_over)
    with pytest.raises(LostError):
        first._save(made_up(2, 0))
    newest = CheckpointStore(stored.below("trials/x-s0/checkpoints")).newest_position()
    assert newest == Position(3, 0)


def test_the_log_of_a_crash_is_stored_by_the_next_attempt(tmp_path: Path):
    stored = LocalFolder(tmp_path / "stored")
    here = LocalFolder(tmp_path / "m/trials/x-s0")
    home = home_at(tmp_path / "m", stored)
    write_bytes(here, LOG_FILE, b"begin of the first\n")
    home.publish()
    write_bytes(here, LOG_BEFORE, b"begin of the first\nFatal: it crashes\n")
    write_bytes(here, LOG_FILE, b"begin of the second\n")
    home_at(tmp_path / "m", stored).publish()
    assert stored.below("trials/x-s0").read(LOG_FILE) == (
        b"begin of the first\nFatal: it crashes\nbegin of the second\n"
    )
