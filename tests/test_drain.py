"""A node drained under a running trial: it checkpoints, lets go and goes on elsewhere."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainers.books import Books
from trainers.checkpoint import Position
from trainers.entries import End
from trainers.interruption import Cause
from trainers.result import PROGRESS_FILE, RESULT_FILE, TrialProgress, TrialResult, read_record

pytestmark = pytest.mark.slow

TRIAL = "mobilenet-s0"
DEADLINE_S = 120
CHECK_EVERY = 10
COMMAND = (
    *(sys.executable, "-m", "orchestrator", "run-all", "--preset", "demo", "--only", "mobilenet"),
    *("--set", "recipe.image_size=32", "--set", "recipe.epochs=2"),
    *("--set", "data.drawn.train=640", "--set", "data.drawn.validation=24"),
    *("--set", "data.drawn.size=32"),
)


@pytest.fixture
def cluster() -> Iterator:
    """A head without room for a trial, and one node with room for one."""
    from orchestrator.ray_environment import prepare_environment

    prepare_environment()
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        yield cluster
    finally:
        cluster.shutdown()


def run(run_dir: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "--run-dir", str(run_dir), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output


def reached(run_dir: Path) -> Position:
    folder = run_dir / "trials" / TRIAL
    if not (folder / "position").is_file():
        return Position()
    books = Books(folder)
    try:
        return books.reached()
    finally:
        books.close()


def wait_until(condition, seconds: float, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.05)


def ends(run_dir: Path) -> list[End]:
    books = Books(run_dir / "trials" / TRIAL)
    try:
        return [entry for entry in books.entries() if isinstance(entry, End)]
    finally:
        books.close()


def drain(address: str, node_id: str) -> None:
    """As the watcher does it, in a process of its own."""
    script = (
        "import sys, time\n"
        "from orchestrator.cloud_notices import Notice\n"
        "from orchestrator.ray_drain import drain_node\n"
        f"drain_node(sys.argv[1], Notice('test', time.time() + {DEADLINE_S}), sys.argv[2])\n"
    )
    subprocess.run([sys.executable, "-c", script, address, node_id], check=True, timeout=120)


def test_a_drained_trial_checkpoints_lets_go_and_goes_on_on_another_node(cluster, tmp_path: Path):
    undisturbed, run_dir = tmp_path / "undisturbed", tmp_path / "run"
    finish(run(undisturbed))
    driver = run(run_dir, "--address", cluster.address)
    wait_until(lambda: reached(run_dir) >= Position(0, 12), 200, driver)
    (node,) = cluster.worker_nodes
    progress = read_record(run_dir / "trials" / TRIAL / PROGRESS_FILE, TrialProgress)
    assert progress is not None
    begin = time.time()
    drain(cluster.address, node.node_id)
    wait_until(lambda: bool(ends(run_dir)), DEADLINE_S / 2, driver)
    (end,) = ends(run_dir)
    assert end.cause is Cause.PREEMPTED
    assert end.position.step % CHECK_EVERY == 0 or end.position.step == 0
    wait_until(lambda: not _is_alive(progress.pid), DEADLINE_S / 2, driver)
    assert time.time() - begin < DEADLINE_S
    cluster.add_node(num_cpus=1)
    cluster.remove_node(node)  # as the cloud does at the deadline
    finish(driver)
    result = read_record(run_dir / "trials" / TRIAL / RESULT_FILE, TrialResult)
    assert result is not None
    assert result.restarts_by_cause == {Cause.PREEMPTED: 1}
    assert result.steps_repeated == 0
    for name in ("history.csv", "predictions.parquet"):
        paths = [one / "trials" / TRIAL / name for one in (undisturbed, run_dir)]
        assert paths[0].read_bytes() == paths[1].read_bytes(), name


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
