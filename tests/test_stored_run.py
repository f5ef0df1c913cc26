"""`run-all` whose run directory is an object store: killed, continued, read from elsewhere."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets.folder import Folder, as_folder
from orchestrator.run_store import RunStore
from tests.object_stores import s3
from tests.test_run import wait_until
from trainers.result import RESULT_FILE, TrialResult

pytestmark = pytest.mark.slow

TRIAL = "trials/mobilenet-s0"
SAME = (f"{TRIAL}/history.csv", f"{TRIAL}/predictions.parquet")
WORDS = ["run-all", "--preset", "demo", "--only", "mobilenet"]
for setting in (
    "recipe.image_size=32",
    "recipe.batch_size=8",
    "recipe.epochs=2",
    "resilience.checkpoint_steps=2",
    "resilience.storage_seconds=1",
    "data.drawn.train=96",
    "data.drawn.validation=24",
):
    WORDS += ["--set", setting]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3() as address:
        yield address


def orchestrator(*words: str, machine: Path) -> subprocess.Popen[str]:
    """Start a command on what could be another machine: its temporary folder is its own."""
    machine.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words],
        env=os.environ | {"TMPDIR": str(machine)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(*words: str, machine: Path, code: int = 0) -> str:
    process = orchestrator(*words, machine=machine)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == code, out
    return out


def short() -> Path:
    """A folder whose name leaves room for the sockets that Ray makes below it."""
    import tempfile

    return Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))


def test_a_run_in_an_object_store(bucket: str, tmp_path: Path):
    address, home = f"{bucket}/runs/one", short()
    run = as_folder(address)
    local = tmp_path / "local"
    said(*WORDS, "--run-dir", str(local), machine=home)

    driver = orchestrator(*WORDS, "--run-dir", address, machine=home)
    wait_until(lambda: any("checkpoints/e" in name for name in run.names()), driver)
    assert "in use by process" in said(*WORDS, "--run-dir", address, machine=home, code=2)
    driver.send_signal(signal.SIGKILL)
    driver.wait()

    other = short()  # nothing of the first machine is left
    out = said(*WORDS, "--run-dir", address, machine=other)
    assert f"report: {address}/report/index.html" in out
    for name in SAME:
        assert run.read(name) == (local / name).read_bytes(), name
    result = TrialResult.model_validate_json(run.read(f"{TRIAL}/{RESULT_FILE}"))
    assert result.restarts == 1
    assert not [name for name in run.names() if "checkpoints" in name or ".ray" in name]
    assert {"report/results.csv", "report/index.html", "run.yaml", f"{TRIAL}/log.txt"} <= set(
        run.names()
    )
    _reads_it_elsewhere(address, run, local, short())
    stamps = run.stamps()
    said(*WORDS, "--run-dir", address, machine=short())
    changed = {name for name, stamp in run.stamps().items() if stamp != stamps.get(name)}
    assert not changed


def _reads_it_elsewhere(address: str, run: Folder, local: Path, laptop: Path) -> None:
    assert "mobilenet-s0 finished" in said("status", address, machine=laptop)
    state = json.loads(said("status", address, "--json", machine=laptop))
    assert state["trials"][0]["status"] == "finished"
    said("report", address, "--out", str(laptop / "report"), machine=laptop)
    assert (laptop / "report/results.csv").read_bytes() == run.read("report/results.csv")
    picture = next((local / TRIAL / "probes").rglob("*.png"))
    assert str(picture) in said("predict", address, str(picture), machine=laptop)


def test_the_view_is_of_this_user_alone(bucket: str):
    root = RunStore.at(f"{bucket}/runs/two").root
    assert root.parent.stat().st_mode & 0o077 == 0
