"""`run-all` over several hosts, its run in an S3 store: two hosts vanish, not a byte changes."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets.folder import Folder, as_folder
from tests.clusters import WITH_TOKEN, Cluster, ask
from tests.hosts import ROOT, Host
from tests.whole_runs import wait_until
from trainers.attempt_files import attempt_dir
from trainers.checkpoint_store import CheckpointName
from trainers.entries import ATTEMPTS_FILE, Attempt, parse_entries
from trainers.home import CHECKPOINT_DIR
from trainers.result import RESULT_FILE, TrialResult

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

TRIALS = ("mobilenet-s0", "mobilenet-s1", "mobilenetv2-s0", "mobilenetv2-s1")
SAME = ("history.csv", "predictions.parquet")
WORDS = ["run-all", "--preset", "demo", "--only", "mobilenet,mobilenetv2", "--seeds", "0,1"]
for setting in (
    "recipe.image_size=32",
    "recipe.batch_size=8",
    "recipe.epochs=25",  # so that there is time for what happens to the hosts
    "resilience.checkpoint_steps=10",
    "resilience.storage_seconds=1",
    "data.drawn.train=96",
    "data.drawn.validation=24",
):
    WORDS += ["--set", setting]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run on this machine, left alone."""
    run_dir = tmp_path_factory.mktemp("run") / "local"
    words = [sys.executable, "-m", "orchestrator", *WORDS, "--run-dir", str(run_dir)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return run_dir


def on_head(cluster: Cluster, *words: str) -> subprocess.Popen[str]:
    command = shlex.join(["fer-orch", *words, "--address", cluster.address])
    return cluster.head.start(f"cd {ROOT} && {WITH_TOKEN} {command}")


def as_job(cluster: Cluster, *words: str) -> subprocess.Popen[str]:
    """A job on the head, as docs/cluster.md submits it; here its output is followed to its end."""
    job = ["ray", "job", "submit", "--address", cluster.dashboard, "--", "fer-orch", *words]
    return cluster.head.start(f"{WITH_TOKEN} {shlex.join([*job, '--address', 'auto'])}")


def said(cluster: Cluster, *words: str, code: int = 0) -> str:
    process = on_head(cluster, *words)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == code, out
    return out


def trains_on(run: Folder, host: Host) -> Callable[[], bool]:
    """Whether an attempt at a trial on a host has stored a checkpoint, and is not over."""

    def look() -> bool:
        time.sleep(0.5)
        names = run.names()
        return any(_trains_on(run, names, trial, host) for trial in TRIALS)

    return look


def _trains_on(run: Folder, names: list[str], trial: str, host: Host) -> bool:
    there = f"trials/{trial}/{CHECKPOINT_DIR}/"
    stored = [CheckpointName.parse(name.split("/")[3]) for name in names if name.startswith(there)]
    newest = max((one.attempt for one in stored if one is not None), default=0)
    attempt = f"trials/{trial}/{attempt_dir(newest)}"
    if f"{attempt}/{ATTEMPTS_FILE}" not in names or f"{attempt}/{RESULT_FILE}" in names:
        return False
    try:
        entries = parse_entries(run.read(f"{attempt}/{ATTEMPTS_FILE}"))
    except FileNotFoundError:  # it was taken over just now
        return False
    return [one.host for one in entries if isinstance(one, Attempt)][-1:] == [host.name]


DRAIN = """
from orchestrator.cloud_notices import Notice
from orchestrator.ray_drain import drain_node
(node,) = [one["NodeID"] for one in ray.nodes()
           if one["Alive"] and one["NodeManagerAddress"] == sys.argv[1]]
drain_node("auto", Notice("a test", time.time() + 120), node)
tell(node)
"""


def test_the_nodes_are_as_a_run_wants_them(cluster: Cluster):
    out = said(cluster, "check", "--run-dir", f"{cluster.storage}/checked")
    assert "all is well" in out
    assert as_folder(f"{cluster.storage}/checked").names() == []
    for host in cluster.nodes:
        assert host.address in out


def test_a_host_is_cut_off_and_another_drained_and_not_a_byte_changes(
    local: Path, cluster: Cluster
):
    address = f"{cluster.storage}/runs/one"
    run = as_folder(address)
    cut, drained = cluster.workers
    driver = as_job(cluster, *WORDS, "--run-dir", address)
    wait_until(trains_on(run, cut), driver)
    cut.cut_off()
    try:
        wait_until(trains_on(run, drained), driver)
        ask(cluster.head, cluster, DRAIN, drained.address)
        out, _ = driver.communicate(timeout=900)
    finally:
        cut.plug_in()
    assert driver.returncode == 0, out
    results = [
        TrialResult.model_validate_json(run.read(f"trials/{trial}/{RESULT_FILE}"))
        for trial in TRIALS
    ]
    for trial in TRIALS:
        for name in SAME:
            stored = run.read(f"trials/{trial}/{name}")
            assert stored == (local / "trials" / trial / name).read_bytes(), f"{trial} {name}"
    causes = [result.restarts_by_cause for result in results]
    print(json.dumps(causes))
    assert sum(one.get("killed", 0) for one in causes) >= 1
    assert sum(one.get("preempted", 0) for one in causes) >= 1
    kept = [name.split("/")[1] for name in run.names() if name.endswith("/COMPLETE")]
    assert kept == sorted(TRIALS)  # the last of each
    assert "report/index.html" in run.names()
