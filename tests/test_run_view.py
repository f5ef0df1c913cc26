"""A reader's view of a stored run: by what its driver says while one is at work, else by a list."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import pytest

from datasets.folder import LocalFolder, Stamp, write_bytes
from orchestrator.run_ends import take_over_all
from orchestrator.run_store import RunStore
from orchestrator.run_view import DRIVER_FILE, driver_notes, driver_says, refresh_trial
from tests.made_up_runs import MadeUpRun, write_run
from trainers.books import last_position
from trainers.checkpoint import Position
from trainers.result import RESULT_FILE, TrialState

FIRST, SECOND = TRIALS = ("resnet50-s0", "xception-s0")


class Counted(LocalFolder):
    """A folder that stands for a store, and notes what is listed."""

    lists: ClassVar[list[str]] = []

    def stamps(self) -> dict[str, Stamp]:
        self.lists.append(str(self.path))
        return super().stamps()

    def below(self, name: str) -> "Counted":
        return Counted(self.path / name)


@pytest.fixture(autouse=True)
def lists() -> list[str]:
    Counted.lists.clear()
    return Counted.lists


@pytest.fixture
def made_up(tmp_path: Path) -> RunStore:
    """The run as it will be: the first trial finished, the second at work."""
    states = {SECOND: TrialState.RUNNING}
    return write_run(tmp_path / "made up", MadeUpRun(trials=TRIALS, states=states, epochs=3))


@pytest.fixture
def stored(tmp_path: Path, made_up: RunStore) -> Counted:
    """The run when it has just begun."""
    folder = Counted(tmp_path / "stored")
    write_bytes(folder, "run.yaml", (made_up.root / "run.yaml").read_bytes())
    return folder


def progress(made_up: RunStore, **more: Any) -> dict[str, Any]:
    told = json.loads((made_up.trial_dir(SECOND) / "progress.json").read_text())
    return told | {"host": "elsewhere"} | more


def say(stored: LocalFolder, host: str = "elsewhere", pid: int = 1, **notes: object) -> None:
    names = dict(zip(("first", "second"), TRIALS, strict=True))
    trials = {names[key]: note for key, note in notes.items()}
    says = {"host": host, "pid": pid, "trials": trials}
    write_bytes(stored, DRIVER_FILE, json.dumps(says).encode())


def store_results(stored: LocalFolder, made_up: RunStore) -> None:
    for path in made_up.trial_dir(FIRST).iterdir():
        if path.is_file():
            write_bytes(stored, f"trials/{FIRST}/{path.name}", path.read_bytes())


def states(store: RunStore) -> list[TrialState]:
    store.look()
    return [one.state for one in store.trials()]


def test_a_reader_lists_a_run_once_while_its_driver_is_at_work(
    stored: Counted, made_up: RunStore, tmp_path: Path, lists: list[str]
):
    store = RunStore(tmp_path / "view", stored)
    say(stored)
    assert states(store) == [TrialState.PENDING] * 2
    say(stored, first={"progress": progress(made_up)}, second={"progress": progress(made_up)})
    assert states(store) == [TrialState.RUNNING] * 2
    store_results(stored, made_up)  # the driver has not said so yet
    assert states(store) == [TrialState.RUNNING] * 2
    assert lists == [str(stored.path)]
    say(stored, first={"settled": 1}, second={"progress": progress(made_up, epoch=2)})
    assert states(store) == [TrialState.FINISHED, TrialState.RUNNING]
    assert store.trials()[1].progress.epoch == 2  # type: ignore[union-attr]
    assert states(store) == [TrialState.FINISHED, TrialState.RUNNING]
    assert lists == [str(stored.path), str(stored.path / f"trials/{FIRST}")]
    say(stored, first={"settled": 1})
    assert states(store) == [TrialState.FINISHED, TrialState.PENDING]


def test_a_trial_is_at_work_while_a_driver_that_lives_says_so(
    stored: Counted, made_up: RunStore, tmp_path: Path
):
    """Also when its process is no more: the driver has yet to take its files over."""
    store, here = RunStore(tmp_path / "view", stored), socket.gethostname()
    done = subprocess.Popen(["true"])
    done.wait()
    note = {"progress": progress(made_up, host=here, pid=done.pid)}
    for host, pid, state in (
        ("elsewhere", done.pid, TrialState.RUNNING),
        (here, os.getpid(), TrialState.RUNNING),
        (here, done.pid, TrialState.PENDING),
    ):
        say(stored, host, pid, second=note)
        assert states(store)[1] is state
        store.refresh()
        assert RunStore(store.root).trials()[1].state is state  # as a report reads it


def test_a_failed_trial_that_is_tried_again_is_not_failed_any_more(
    stored: Counted, made_up: RunStore, tmp_path: Path
):
    store = RunStore(tmp_path / "view", stored)
    failure = {"trial": SECOND, "state": "failed", "reason": "no"}
    write_bytes(stored, f"trials/{SECOND}/failure.json", json.dumps(failure).encode())
    say(stored, second={"settled": 1, "failed": True})
    assert states(store) == [TrialState.PENDING, TrialState.FAILED]
    stored.remove(f"trials/{SECOND}/failure.json")
    say(stored, second={"settled": 1, "progress": progress(made_up)})
    assert states(store) == [TrialState.PENDING, TrialState.RUNNING]


def test_a_reader_lists_a_run_that_nobody_drives(
    stored: Counted, made_up: RunStore, tmp_path: Path
):
    store = RunStore(tmp_path / "view", stored)
    say(stored, second={"progress": progress(made_up)})
    assert states(store) == [TrialState.PENDING, TrialState.RUNNING]
    stored.remove(DRIVER_FILE)
    store_results(stored, made_up)
    assert states(store) == [TrialState.FINISHED, TrialState.PENDING]


def test_a_driver_notes_what_it_has_taken_over_and_who_is_at_work(
    stored: Counted, made_up: RunStore, tmp_path: Path
):
    store = RunStore(tmp_path / "view", stored)
    store.refresh()
    store_results(stored, made_up)
    refresh_trial(stored, store.root, FIRST, 3)
    assert (store.trial_dir(FIRST) / RESULT_FILE).exists()
    here = store.trial_dir(SECOND)
    here.mkdir()
    (here / "progress.json").write_text(json.dumps(progress(made_up)))
    assert driver_notes(store.root) == {
        FIRST: {"settled": 3},
        SECOND: {"progress": progress(made_up)},
    }
    store.refresh()
    assert driver_notes(store.root)[FIRST] == {"settled": 3}
    (store.trial_dir(FIRST) / "failure.json").write_text("{}")
    assert driver_notes(store.root)[FIRST] == {"settled": 3, "failed": True}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"trials": 3}'])
def test_a_note_that_is_cut_short_counts_for_none(content: bytes, stored: Counted):
    stored.write(DRIVER_FILE, lambda path: path.write_bytes(content) and None)
    assert driver_says(stored) is None


def test_what_a_killed_driver_left_is_taken_over(
    stored: Counted, made_up: RunStore, tmp_path: Path
):
    """A result that its driver did not hear of; and where a trial was when all was lost."""
    store = RunStore(tmp_path / "view", stored)
    store.refresh()
    for path in made_up.trial_dir(FIRST).iterdir():
        if path.is_file():
            write_bytes(stored, f"trials/{FIRST}/attempts/0002/{path.name}", path.read_bytes())
    assert not store.trial(FIRST).result
    take_over_all(store, {SECOND: {"progress": progress(made_up, epoch=1, step=7)}})
    assert store.trial(FIRST).state is TrialState.FINISHED
    assert last_position(store.trial_dir(SECOND)) == Position(1, 7)
    take_over_all(store, {SECOND: {"progress": progress(made_up, epoch=1, step=6)}})
    assert last_position(store.trial_dir(SECOND)) == Position(1, 7)
    assert driver_notes(store.root)[FIRST] == {"settled": 2}
