"""`run-all` whose run directory is an object store: killed, continued, read from elsewhere."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from typer.testing import CliRunner

from datasets.folder import Folder, as_folder
from orchestrator.cli import app
from orchestrator.run_store import RunStore
from tests.object_stores import s3
from tests.small_runs import HOLDS, Hold
from tests.whole_runs import ONE, SETTINGS, TRIALS, Run, ended, wait_until
from trainers.checkpoint import Position
from trainers.result import RESULT_FILE, TrialResult

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TRIAL = f"trials/{TRIALS[0]}"
SAME = (f"{TRIAL}/history.csv", f"{TRIAL}/predictions.parquet")
WORDS = ["run-all", "--preset", "demo", *ONE]
for setting in (*SETTINGS, "resilience.storage_seconds=1"):
    WORDS += ["--set", setting]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3() as address:
        yield address


def orchestrator(
    *words: str, machine: Path, program: str = "orchestrator", holds: Path | None = None
) -> subprocess.Popen[str]:
    """Start a command on what could be another machine: its temporary folder is its own."""
    machine.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", program, *words],
        env=os.environ | {"TMPDIR": str(machine)} | ({HOLDS: str(holds)} if holds else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(*words: str, machine: Path, program: str = "orchestrator", code: int = 0) -> str:
    return ended(orchestrator(*words, machine=machine, program=program), code)


def short() -> Path:
    """A folder whose name leaves room for the sockets that Ray makes below it."""
    return Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))


def test_a_run_in_an_object_store(bucket: str, undisturbed_run: Run, tmp_path: Path):
    address, home, small = f"{bucket}/runs/one", short(), "tests.small_runs"
    run = as_folder(address)
    local = undisturbed_run.folder

    hold = Hold(tmp_path, TRIALS[0], Position(0, 5))
    hold.ask()
    words = [*WORDS, "--run-dir", address]
    driver = orchestrator(*words, machine=home, program=small, holds=tmp_path)
    wait_until(hold.is_reached, driver)
    wait_until(lambda: any("checkpoints/e" in name for name in run.names()), driver)
    assert "in use by process" in said(*words, machine=home, code=2)
    driver.kill()  # its worker stands still until Ray ends it
    driver.wait()

    other = short()  # nothing of the first machine is left
    out = said(*words, machine=other, program=small)
    assert f"report: {address}/report/index.html" in out
    for name in SAME:
        assert run.read(name) == (local / name).read_bytes(), name
    result = TrialResult.model_validate_json(run.read(f"{TRIAL}/{RESULT_FILE}"))
    assert result.restarts == 1
    kept = {name.split("/")[3] for name in run.names() if name.startswith(f"{TRIAL}/checkpoints/e")}
    assert kept == {"e000002-s000000000-a0002"}
    assert not [name for name in run.names() if name.startswith("tune")]
    assert {"report/results.csv", "report/index.html", "run.yaml", f"{TRIAL}/log.txt"} <= set(
        run.names()
    )
    _reads_it_elsewhere(address, run, local, short())
    stamps = run.stamps()
    here(*words, machine=short())
    changed = {name for name, stamp in run.stamps().items() if stamp != stamps.get(name)}
    assert not changed


def here(*words: str, machine: Path) -> str:
    """Give a command in this process, as on another machine; what it printed."""
    with mock.patch.object(tempfile, "tempdir", str(machine)):
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def _reads_it_elsewhere(address: str, run: Folder, local: Path, laptop: Path) -> None:
    assert "mobilenet-s0 finished" in here("status", address, machine=laptop)
    state = json.loads(here("status", address, "--json", machine=laptop))
    assert state["trials"][0]["status"] == "finished"
    here("report", address, "--out", str(laptop / "report"), machine=laptop)
    assert (laptop / "report/results.csv").read_bytes() == run.read("report/results.csv")
    picture = next((local / TRIAL / "probes").rglob("*.png"))
    assert str(picture) in here("predict", address, str(picture), machine=laptop)


def test_the_view_is_of_this_user_alone(bucket: str):
    root = RunStore.at(f"{bucket}/runs/two").root
    assert root.parent.stat().st_mode & 0o077 == 0
