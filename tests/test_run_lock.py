"""Two drivers on one run: the second is refused; one that is dead is recognised."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from datasets.errors import ConfigError, DataError
from datasets.folder import LocalFolder, write_bytes
from orchestrator import run_lock as lock
from orchestrator.run_lock import DRIVER_FILE, Driver
from orchestrator.run_store import RunStore
from orchestrator.run_view import view_root


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A run that is stored elsewhere, in a folder that stands for an object store."""
    monkeypatch.setattr(lock, "_BEAT_S", 0.05)
    monkeypatch.setattr(lock, "SILENCE_S", 600)
    (tmp_path / "view").mkdir()
    return RunStore(tmp_path / "view", LocalFolder(tmp_path / "stored"))


def stand_there(store: RunStore, driver: Driver) -> None:
    content = json.dumps({"host": driver.host, "pid": driver.pid, "beat": driver.beat})
    write_bytes(store.folder, DRIVER_FILE, content.encode())


def test_one_that_is_silent_is_dead_and_its_run_is_taken_over(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lock, "SILENCE_S", 2.5)
    stand_there(store, Driver("elsewhere", 17, "1"))
    begin = time.monotonic()
    with lock.run_lock(store, Console()):
        assert time.monotonic() - begin >= 2.5
        assert json.loads(store.folder.read(DRIVER_FILE))["pid"] == os.getpid()
    assert not store.folder.has(DRIVER_FILE)


def test_one_that_beats_is_alive_and_this_one_is_refused(store: RunStore):
    stand_there(store, Driver("elsewhere", 17, "1"))
    beats = (
        "import json, sys, time\n"
        "for beat in range(600):\n"
        "    text = json.dumps({'host': 'elsewhere', 'pid': 17, 'beat': str(beat)})\n"
        "    open(sys.argv[1], 'w').write(text)\n"
        "    print(beat, flush=True)\n"
        "    time.sleep(0.1)\n"
    )
    path = store.folder.path / DRIVER_FILE  # type: ignore[attr-defined]
    other = subprocess.Popen(
        [sys.executable, "-c", beats, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "0\n"
        with (
            pytest.raises(ConfigError, match="in use by process 17 on elsewhere"),
            lock.run_lock(store, Console()),
        ):
            pass
    finally:
        other.kill()
        other.communicate()


def test_one_of_this_machine_that_has_ended_is_not_waited_for(store: RunStore):
    ended = subprocess.Popen(["true"])
    ended.wait()
    stand_there(store, Driver(os.uname().nodename, ended.pid, "1"))
    begin = time.monotonic()
    with lock.run_lock(store, Console()):
        assert time.monotonic() - begin < 300


def test_one_whose_run_was_taken_over_stops_and_leaves_the_other_alone(store: RunStore):
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        with lock.run_lock(store, Console()):
            stand_there(store, Driver("elsewhere", 17, "1"))
            end = time.monotonic() + 120
            while not interrupts and time.monotonic() < end:
                time.sleep(0.02)
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupts
    assert json.loads(store.folder.read(DRIVER_FILE))["host"] == "elsewhere"


def test_a_run_has_one_view_however_its_address_is_spelled(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    roots = {view_root(f"s3://bucket/x{end}") for end in ("", "/", "?region=eu-west-1")}
    assert len(roots) == 1
    assert view_root("s3://bucket/y") not in roots


def test_a_folder_that_others_can_write_to_is_no_place_for_a_view(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    base = view_root("s3://bucket/x").parent
    base.chmod(0o777)
    with pytest.raises(DataError, match="alone"):
        view_root("s3://bucket/x")
    base.rmdir()
    base.symlink_to(elsewhere)
    with pytest.raises(DataError, match="alone"):
        view_root("s3://bucket/x")
