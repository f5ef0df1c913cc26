"""A trial's files in an object store: what comes back on another machine, and in which order."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasets.folder import Folder, LocalFolder, as_folder, write_bytes
from tests.object_stores import s3
from trainers.attempt_files import settle
from trainers.home import LOG_BEFORE, StoredHome
from trainers.result import LOG_FILE, RESULT_FILE

FAR = 3600.0


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


def home_at(
    machine: Path, run: Folder, interval_s: float = FAR, attempt: int | None = None
) -> StoredHome:
    """A trial's home on a machine, of the next attempt: those before are taken over."""
    trial_dir = machine / "trials" / "x-s0"
    trial_dir.mkdir(parents=True, exist_ok=True)
    attempt = attempt or 1 + settle(run.below("trials/x-s0"))
    home = StoredHome(trial_dir, run, attempt, interval_s)
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
    write_bytes(here, "progress.json", b"{}")
    home.leave()
    assert set(content(one / "trials/x-s0")) == {".lock", LOG_FILE}
    assert not {".lock", "progress.json"} & {name.rpartition("/")[2] for name in there.names()}

    write_bytes(LocalFolder(other / "trials/x-s0"), "predictions.parquet", b"of long ago")
    home = home_at(other, run)
    assert content(other / "trials/x-s0") == {
        name: f"{name} of one\n".encode() for name in ("attempts.jsonl", "position", "history.csv")
    }
    write_bytes(LocalFolder(other / "trials/x-s0"), LOG_FILE, b"and of other\n")
    home.leave()
    settle(there)
    assert there.read(LOG_FILE) == b"log.txt of one\nand of other\n"
    assert there.read("tensorboard/events") == b"tensorboard/events of one\n"


def test_what_is_removed_here_is_removed_there(run: Folder, tmp_path: Path):
    there, here = run.below("trials/x-s0/attempts/0001"), LocalFolder(tmp_path / "m/trials/x-s0")
    home = home_at(tmp_path / "m", run)
    write_bytes(here, "failure.json", b"{}")
    home.publish()
    assert there.names() == ["failure.json"]
    here.remove("failure.json")
    home.publish()
    assert there.names() == []


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
    assert stored.names() == [f"trials/x-s0/attempts/0001/{name}" for name in "abc"]


@pytest.mark.parametrize("begun", [True, False])
def test_an_attempt_that_was_cut_off_overwrites_nothing(begun: bool, run: Folder, tmp_path: Path):
    """Whether or not the next has stored anything by then."""
    trial = run.below("trials/x-s0")

    def stored(machine: str, home: StoredHome, *names: str) -> None:
        for name in names:
            write_bytes(LocalFolder(tmp_path / machine / "trials/x-s0"), name, machine.encode())
        home.publish()

    cut_off = home_at(tmp_path / "one", run)
    stored("one", cut_off, "history.csv")
    second = home_at(tmp_path / "other", run)
    if begun:
        stored("other", second, "history.csv", RESULT_FILE)
    stored("one", cut_off, "history.csv", RESULT_FILE, "model.keras")
    settle(trial)
    kept = {name: trial.read(name) for name in trial.names() if "attempts" not in name}
    later = {"history.csv": b"other", RESULT_FILE: b"other"}
    assert kept == (later if begun else {"history.csv": b"one"})
    if not begun:
        stored("other", second, *later)
        settle(trial)
        assert {name: trial.read(name) for name in later} == later
    stored("one", cut_off, LOG_FILE, RESULT_FILE)
    assert settle(trial) == 2
    assert {name: trial.read(name) for name in later} == later
    assert [name for name in trial.names() if name.startswith("attempts/")] == [
        "attempts/0001.settled",
        "attempts/0002.settled",
    ]


def test_what_was_taken_over_in_part_is_taken_over_again(tmp_path: Path, monkeypatch):
    stored = LocalFolder(tmp_path / "stored")
    trial = stored.below("trials/x-s0")
    home = home_at(tmp_path / "m", stored)
    for name in ("a", LOG_FILE, RESULT_FILE):
        write_bytes(LocalFolder(tmp_path / "m/trials/x-s0"), name, f"{name}\n".encode())
    home.publish()
    copy = LocalFolder.copy

    def fails(folder: LocalFolder, name: str, new: str) -> None:
        if new == RESULT_FILE:
            raise OSError(5, "Input/output error")
        copy(folder, name, new)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "copy", fails)
        with pytest.raises(OSError, match="Input/output"):
            settle(trial)
    assert not trial.has(RESULT_FILE)
    assert settle(trial) == 1
    assert trial.has(RESULT_FILE)
    assert trial.read(LOG_FILE) == f"{LOG_FILE}\n".encode()


def test_the_small_files_follow_by_themselves(run: Folder, tmp_path: Path):
    home = home_at(tmp_path / "m", run, interval_s=0.05)
    there, here = run.below("trials/x-s0/attempts/0001"), LocalFolder(tmp_path / "m/trials/x-s0")
    write_bytes(here, "history.csv", b"1")  # as the checkpoints have it
    write_bytes(here, LOG_FILE, b"1")
    wait_for(lambda: there.has(LOG_FILE))
    assert not there.has("history.csv")
    home.publish()
    assert there.has("history.csv")
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
    there = stored.below("trials/x-s0/attempts/0001").names()
    assert {"attempts.jsonl", RESULT_FILE, "tensorboard/events"} <= set(there)


def test_the_log_of_a_crash_is_stored_by_the_next_attempt(tmp_path: Path):
    stored = LocalFolder(tmp_path / "stored")
    here = LocalFolder(tmp_path / "m/trials/x-s0")
    home = home_at(tmp_path / "m", stored)
    write_bytes(here, LOG_FILE, b"begin of the first\n")
    home.publish()
    write_bytes(here, LOG_BEFORE, b"begin of the first\nFatal: it crashes\n")
    write_bytes(here, LOG_FILE, b"begin of the second\n")
    home_at(tmp_path / "m", stored).publish()
    settle(stored.below("trials/x-s0"))
    assert stored.below("trials/x-s0").read(LOG_FILE) == (
        b"begin of the first\nFatal: it crashes\nbegin of the second\n"
    )
