"""The board on a Ray of this machine: trials are heard, a stop is heard, nothing depends on it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from datasets.folder import write_bytes
from orchestrator.ray_environment import prepare_environment
from tests.object_stores import s3

prepare_environment()

import ray  # noqa: E402

from orchestrator import board_follower, board_link, ray_run  # noqa: E402
from orchestrator.board import ALL_ATTEMPTS, board_of, start_board  # noqa: E402
from orchestrator.board_follower import BoardFollower  # noqa: E402
from orchestrator.board_link import BoardLink  # noqa: E402
from orchestrator.run_lock import Driver  # noqa: E402
from orchestrator.run_store import RunStore  # noqa: E402
from orchestrator.run_view import DRIVER_FILE  # noqa: E402
from tests.made_up_runs import MadeUpRun, write_run  # noqa: E402
from trainers.result import TrialState  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TRIAL = "resnet50-s0"


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray_run.ray_session(None):
        yield


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_link, "_TELL_EVERY_S", 0.05)
    monkeypatch.setattr(board_follower, "_LOOK_EVERY_S", 0.05)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "run")


@pytest.fixture
def progress(tmp_path: Path) -> Path:
    file = tmp_path / "progress.json"
    file.write_text("first")
    return file


@pytest.fixture
def link() -> Iterator[Callable[..., BoardLink]]:
    """Makes links that end with the test."""
    links: list[BoardLink] = []

    def make(*words: Any) -> BoardLink:
        links.append(BoardLink(*words))
        return links[-1]

    yield make
    for one in links:
        one.close()


def places(board: Any) -> dict[str, str]:
    """Where trials are; nowhere while the board does not answer."""
    try:
        return dict(ray.get(board.seen.remote())[1])
    except ray.exceptions.RayError:
        return {}


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_trial_is_heard_until_its_attempt_is_over(store: RunStore, progress: Path, link):
    board = start_board(store)
    assert board_of(store) == board
    link(board, TRIAL, 2, progress)
    wait_for(lambda: places(board) == {TRIAL: "first"})
    progress.write_text("second")
    wait_for(lambda: places(board) == {TRIAL: "second"})
    assert ray.get(board.left.remote(TRIAL, 1)) is None  # one before
    assert places(board) == {TRIAL: "second"}
    assert ray.get(board.left.remote(TRIAL, 2)) == "second"
    progress.write_text("cut off, it tells on")
    time.sleep(0.3)
    assert places(board) == {TRIAL: "second"}
    ray.get(board.forget.remote(TRIAL, 1))
    assert places(board) == {TRIAL: "second"}
    ray.get(board.forget.remote(TRIAL, 2))
    time.sleep(0.3)
    assert places(board) == {}
    ray.get(board.tell.remote(TRIAL, 3, "third"))
    assert places(board) == {TRIAL: "third"}
    ray.get([board.left.remote(TRIAL, ALL_ATTEMPTS), board.forget.remote(TRIAL, ALL_ATTEMPTS)])
    ray.get(board.tell.remote(TRIAL, 4, "fourth"))
    assert places(board) == {}


def test_a_stop_is_heard_also_from_a_board_that_was_started_anew(
    store: RunStore, progress: Path, link
):
    board = start_board(store)
    trial = link(board, TRIAL, 1, progress)
    wait_for(lambda: places(board))
    assert not trial.ask()
    with BoardFollower(board, store, on_stop=pytest.fail) as follower:
        ray.kill(board, no_restart=False)
        wait_for(lambda: answered(board))
        follower.stop()
        wait_for(trial.stop_requested)
        ray.kill(board, no_restart=False)
        wait_for(lambda: answered(board))
        later = link(board, "other", 1, progress)
        wait_for(later.stop_requested)  # the driver has told the new board
    wait_for(lambda: set(places(board)) == {TRIAL, "other"})  # at work until they have let go


def test_epochs_are_told_by_their_number_also_by_a_board_that_was_started_anew(store: RunStore):
    board = start_board(store)
    for epoch in (1, 2):
        ray.get(board.heard.remote(TRIAL, {"epoch": epoch}))
    assert ray.get(board.rows.remote(TRIAL, 1, 60.0)) == [{"epoch": 2}]
    assert ray.get(board.rows.remote(TRIAL, 2, 0.1)) == []
    ray.kill(board, no_restart=False)
    wait_for(lambda: rows(board) == [])
    ray.get(board.heard.remote(TRIAL, {"epoch": 3}))
    assert ray.get(board.rows.remote(TRIAL, 2, 60.0)) == [{"epoch": 3}]


def rows(board: Any) -> list[dict[str, int]] | None:
    """All epochs of the trial; None while the board does not answer."""
    try:
        return list(ray.get(board.rows.remote(TRIAL, 0, 0.1)))
    except ray.exceptions.RayError:
        return None


def answered(board: Any) -> bool:
    try:
        ray.get(board.seen.remote())
    except ray.exceptions.RayError:
        return False
    return True


def test_without_a_board_a_trial_goes_on(store: RunStore, progress: Path, link):
    board = start_board(store)
    trial = link(board, TRIAL, 1, progress)
    wait_for(lambda: places(board))
    ray.kill(board)
    wait_for(lambda: not answered(board))
    time.sleep(0.3)
    assert not trial.stop_requested()
    assert not trial.ask()


def test_the_board_of_a_killed_driver_is_replaced(store: RunStore):
    first = start_board(store)
    second = start_board(store)
    assert board_of(store) == second
    wait_for(lambda: not answered(first))


def test_somebody_elses_stop_is_the_drivers_own(store: RunStore):
    board, heard = start_board(store), threading.Event()
    with BoardFollower(board, store, on_stop=heard.set):
        assert not heard.wait(0.3)
        ray.get(board.stop.remote())
        assert heard.wait(120)


def test_the_view_of_a_stored_run_follows_the_board(tmp_path: Path):
    store = RunStore(tmp_path / "view", storage=RunStore(tmp_path / "stored").folder)
    file = store.trial_dir(TRIAL) / "progress.json"
    board = start_board(store)
    with BoardFollower(board, store, on_stop=pytest.fail):
        ray.get(board.tell.remote(TRIAL, 1, "here"))
        wait_for(lambda: file.exists() and file.read_text() == "here")
        ray.get(board.left.remote(TRIAL, 1))
        ray.get(board.forget.remote(TRIAL, 1))
        wait_for(lambda: not file.exists())
        ray.get(board.tell.remote(TRIAL, 2, "there"))
        wait_for(file.exists)
    assert not file.exists()  # the driver ends, and its trials with it


def command(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words],
        env=os.environ | {"COLUMNS": "300"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_run_that_another_machine_drives_is_looked_at_and_stopped_by_its_board(tmp_path: Path):
    running = MadeUpRun(trials=[TRIAL], states={TRIAL: TrialState.RUNNING}, epochs=3)
    made_up = write_run(tmp_path / "run", running)
    with s3() as bucket:
        store = RunStore.at(f"{bucket}/run")
        write_bytes(store.folder, "run.yaml", (made_up.root / "run.yaml").read_bytes())
        gcs = ray.get_runtime_context().gcs_address
        driver = asdict(replace(Driver.this(gcs), host="elsewhere"))
        notes = {TRIAL: {"progress": made_up_progress(epoch=1)}}
        write_bytes(store.folder, DRIVER_FILE, json.dumps(driver | {"trials": notes}).encode())
        board = start_board(store)
        ray.get(board.tell.remote(TRIAL, 1, json.dumps(made_up_progress(epoch=2))))

        said = command("status", store.place).communicate()[0]
        assert f"{TRIAL} running, 1 of 3 epochs done" in said
        said = command("status", store.place, "--address", gcs).communicate()[0]
        assert f"{TRIAL} running, 2 of 3 epochs done" in said

        said = (elsewhere := command("status", f"{store.place}-2", "--address", gcs)).communicate()[
            0
        ]
        assert elsewhere.returncode == 2
        assert "nobody drives" in said

        stop = command("stop", store.place)
        assert ray.get(board.stopping.remote(300.0))
        assert stop.poll() is None  # it waits for the driver
        store.folder.remove(DRIVER_FILE)
        said = stop.communicate()[0]
        assert stop.returncode == 0, said
        assert "process" in said
        assert "stopped" in said
        said = (again := command("stop", store.place)).communicate()[0]
        assert again.returncode == 2
        assert "nobody drives" in said


def made_up_progress(epoch: int) -> dict[str, object]:
    return {
        "trial": TRIAL,
        "phase": "training",
        "epoch": epoch,
        "epochs": 3,
        "step": 2,
        "steps_per_epoch": 5,
        "updated_at": 1.0,
        "host": "elsewhere",
        "pid": 17,
    }
