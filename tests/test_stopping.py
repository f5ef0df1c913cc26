"""`fer-orch stop`: who is asked, once, and for how long it is waited."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from datasets.errors import ConfigError
from datasets.folder import LocalFolder, write_bytes
from orchestrator import stopping
from orchestrator.run_lock import Driver
from orchestrator.run_store import RunStore
from orchestrator.run_view import DRIVER_FILE
from orchestrator.stopping import stop_run
from tests.made_up_runs import MadeUpRun, write_run
from trainers.interruption import request_stop

DRIVING = """
import signal, sys, time
from pathlib import Path
from rich.console import Console
from orchestrator.run_lock import run_lock
from orchestrator.run_store import RunStore

asked = []
signal.signal(signal.SIGINT, lambda *_: asked.append(1))
with run_lock(RunStore(Path(sys.argv[1])), Console()):
    print("drives", flush=True)
    sys.stdin.readline()  # whenever the signal comes: what ends it is the test
print(len(asked))
"""


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return write_run(tmp_path / "run", MadeUpRun(trials=["resnet50-s0"], states={}))


def driving(store: RunStore) -> subprocess.Popen[str]:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVING, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout
    assert driver.stdout.readline() == "drives\n"
    return driver


def test_where_nobody_drives_it_says_so(store: RunStore, tmp_path: Path):
    with pytest.raises(ConfigError, match="nobody drives"):
        stop_run(store, None, Console())
    with pytest.raises(ConfigError, match="not a run directory"):
        stop_run(RunStore(tmp_path), None, Console())


def test_a_driver_here_gets_one_ctrl_c_and_its_end_is_awaited(store: RunStore):
    driver = driving(store)
    said: list[str] = []

    def pause(seconds: float) -> None:
        said.append(driver.communicate("\n")[0])  # it stood still at its read

    stop_run(store, None, Console(), pause)
    assert said == ["1\n"]


def test_one_that_stops_already_gets_no_second_one(store: RunStore):
    """It would end the trials at once."""
    driver = driving(store)
    request_stop(store.root)
    said: list[str] = []
    stop_run(store, None, Console(), pause=lambda _: said.append(driver.communicate()[0]))
    assert said == ["0\n"]


@pytest.fixture
def stored(store: RunStore, tmp_path: Path) -> RunStore:
    """The run where an object store would be, driven on another machine."""
    there = LocalFolder(tmp_path / "stored")
    write_bytes(there, "run.yaml", (store.root / "run.yaml").read_bytes())
    beat(there, "1")
    return RunStore(tmp_path / "view", there)


def beat(there: LocalFolder, mark: str) -> None:
    driver = asdict(Driver("elsewhere", 17, mark))
    write_bytes(there, DRIVER_FILE, json.dumps(driver).encode())


def test_a_driver_elsewhere_without_a_known_cluster_can_not_be_asked(stored: RunStore):
    with pytest.raises(ConfigError, match=r"elsewhere drives .*--address"):
        stop_run(stored, None, Console())


def test_a_driver_elsewhere_that_falls_silent_is_not_awaited_for_ever(
    stored: RunStore, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []
    monkeypatch.setattr(stopping, "_ask_board", lambda store, driver, at: asked.append(at))
    now = [0.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])

    def pause(seconds: float) -> None:
        now[0] += seconds
        if now[0] <= 100:  # until then it beats
            beat(stored.folder, str(now[0]))  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match="has not been heard of for 45 s"):
        stop_run(stored, "192.0.2.7:6379", Console(), pause)
    assert asked == ["192.0.2.7:6379"]
    assert 145 <= now[0] <= 155
