"""A node drained under a running trial: it checkpoints, lets go and goes on elsewhere.

Where the notice is too short for that, it goes on from its last checkpoint.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.whole_runs import (
    ONE,
    TRIALS,
    Run,
    assert_same_outcome,
    ended,
    is_running,
    wait_until,
)
from trainers.interruption import Cause

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TRIAL = TRIALS[0]
DEADLINE_S = 120
TOO_SHORT_S = 2
CHECK_EVERY = 10


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


def drain(address: str, node_id: str, within_s: float) -> None:
    """As the watcher does it, in a process of its own."""
    script = (
        "import sys, time\n"
        "from orchestrator.cloud_notices import Notice\n"
        "from orchestrator.ray_drain import drain_node\n"
        f"drain_node(sys.argv[1], Notice('test', time.time() + {within_s}), sys.argv[2])\n"
    )
    subprocess.run([sys.executable, "-c", script, address, node_id], check=True, timeout=300)


def test_a_drained_trial_goes_on_on_another_node(cluster, undisturbed_run: Run, tmp_path: Path):
    run = Run(tmp_path / "run")
    held = run.hold(TRIAL, 0, 5)
    # Before each step at which it looks for a notice, which its node may not have heard of yet.
    holds = [run.hold(TRIAL, *place) for place in ((0, 7), (0, 11), (1, 7), (1, 11))]
    driver = run.start(*ONE, "--address", cluster.address)
    wait_until(held.is_reached, driver)
    _drained_too_late(cluster, run, driver)
    held.release()
    wait_until(holds[0].is_reached, driver)
    (node,) = cluster.worker_nodes
    worker = run.worker(TRIAL)
    begin = time.time()
    drain(cluster.address, node.node_id, DEADLINE_S)
    for hold in holds:
        wait_until(lambda hold=hold: hold.is_reached() or run.ends(TRIAL), driver)
        time.sleep(1)  # the node asks once a second
        hold.release()
    wait_until(lambda: run.ends(TRIAL), driver)
    (end,) = run.ends(TRIAL)
    assert end.cause is Cause.PREEMPTED
    assert end.position.step % CHECK_EVERY == 0
    wait_until(lambda: not is_running(worker), driver)
    assert time.time() - begin < DEADLINE_S
    cluster.add_node(num_cpus=1)
    cluster.remove_node(node)  # as the cloud does at the deadline
    ended(driver)
    result = run.result(TRIAL)
    assert result.restarts_by_cause == {Cause.KILLED: 1, Cause.PREEMPTED: 1}
    assert result.steps_repeated == 1  # of the first: its last checkpoint was at step 4
    assert_same_outcome(undisturbed_run, run, TRIALS[:1])


def _drained_too_late(cluster, run: Run, driver: subprocess.Popen[str]) -> None:
    """The trial is in a step that lasts longer than the notice."""
    (node,) = cluster.worker_nodes
    worker = run.worker(TRIAL)
    drain(cluster.address, node.node_id, TOO_SHORT_S)
    time.sleep(TOO_SHORT_S)
    cluster.remove_node(node, allow_graceful=False)
    wait_until(lambda: not is_running(worker), driver)
    assert run.ends(TRIAL) == []
    cluster.add_node(num_cpus=1)
