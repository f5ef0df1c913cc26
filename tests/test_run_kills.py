"""Runs that are stopped, cut short and killed in one way after the other: they lose nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from orchestrator.ray_private.register_file import REGISTER_FILE
from tests.small_runs import Hold
from tests.whole_runs import (
    Run,
    assert_same_outcome,
    ended,
    files,
    is_running,
    wait_for_line,
    wait_until,
)
from trainers.checkpoint import Position
from trainers.entries import entries_in
from trainers.interruption import STOP_FILE, Cause
from trainers.result import RESULT_FILE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

STOPPING = "each trial checkpoints at its next step"
HINT = "continues where it stopped: python -m orchestrator run-all --preset demo --only mobilenet"


def test_a_run_is_stopped_cut_short_and_killed_and_ends_with_the_same_bytes(
    undisturbed_run: Run, tmp_path: Path
):
    """One trial at a time, in the plan's order."""
    run = Run(tmp_path / "run")
    first, second = undisturbed_run.plan()
    _ctrl_c_behind_a_terminal_that_is_gone(run, first, second)
    _sigterm_to_all(run, first)
    finished = _ctrl_c_twice(run, first, second)
    with somebody_elses_ray():
        left = _kill_the_driver(run, second)
        _kill_worker_and_controller(run, second, left)
    assert files(run.trial(first)) == finished
    assert_same_outcome(undisturbed_run, run)
    assert run.result(first).restarts_by_cause == {Cause.STOPPED: 2}
    assert run.result(first).steps_repeated == 0
    assert run.result(second).restarts_by_cause == {Cause.DRIVER_LOST: 2, Cause.KILLED: 2}
    assert (run.folder / "report" / "index.html").is_file()


def _ctrl_c_behind_a_terminal_that_is_gone(run: Run, first: str, second: str) -> None:
    """By `fer-orch stop`, which is a Ctrl-C from elsewhere, and waits for the run's end.

    The second trial is started early, and must not be waited for.
    """
    holds = [run.hold(first, 0, 3), run.hold(second, 0, 3)]
    driver = run.start()
    wait_until(holds[0].is_reached, driver)
    assert driver.stdout
    driver.stdout.close()  # as with `| tee`
    stop = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "stop", str(run.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until((run.folder / STOP_FILE).exists, driver)
    assert stop.poll() is None
    holds[0].release()
    assert driver.wait(timeout=120) == 130
    assert "stopped" in ended(stop)
    assert [(end.cause, end.position) for end in run.ends(first)] == [
        (Cause.STOPPED, Position(0, 3))
    ]
    assert entries_in(run.trial(second)) == []
    holds[1].release()


def _sigterm_to_all(run: Run, first: str) -> None:
    """`timeout`, a shell and a batch system send SIGTERM to all that a command has started."""
    hold = run.hold(first, 0, 9)
    driver = run.start(start_new_session=True)
    wait_until(hold.is_reached, driver)
    os.killpg(driver.pid, signal.SIGTERM)
    wait_until((run.folder / STOP_FILE).exists, driver)
    hold.release()
    output = ended(driver, 130)
    assert STOPPING in output
    assert HINT in output
    assert not (run.folder / STOP_FILE).exists()
    assert run.ends(first)[-1].position == Position(0, 9)


def _ctrl_c_twice(run: Run, first: str, second: str) -> dict[str, tuple[bytes, int]]:
    """The second stops at once; what the first trial has written when it is finished."""
    hold = run.hold(second, 0, 3)
    driver = run.start()
    wait_until(hold.is_reached, driver)
    finished = files(run.trial(first))
    assert RESULT_FILE in finished
    # Where the trial can't come to a step's end: its process stands still.
    worker = run.worker(second)
    os.kill(worker, signal.SIGSTOP)
    driver.send_signal(signal.SIGINT)
    wait_for_line("Ctrl-C again stops at once", driver)
    assert driver.poll() is None
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=120) == 130
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    hold.release()
    assert files(run.trial(first)) == finished
    return finished


def _kill_the_driver(run: Run, second: str) -> Hold:
    """Its worker still stands at this hold when the next command is given, at once."""
    hold = run.hold(second, 0, 5)
    driver = run.start()
    wait_until(hold.is_reached, driver)
    register = run.trial(second) / "checkpoints" / REGISTER_FILE
    wait_until(register.exists, driver)
    driver.kill()
    driver.wait()
    register.write_bytes(register.read_bytes()[:-20])  # as where the machine fails meanwhile
    return hold


def _kill_worker_and_controller(run: Run, second: str, left: Hold) -> None:
    """On one core, where a place that stayed taken would block the next start.

    The driver before has left a worker at a hold, and nobody reads what this one prints. A killed
    worker's controller is that of the next attempt.
    """
    killed, holds = run.worker(second), (run.hold(second, 0, 7), run.hold(second, 1, 5))
    with one_core():
        driver = run.start()
    assert driver.stdout
    driver.stdout.readline()
    driver.stdout.close()  # as `| head -1` does
    wait_until(lambda: not is_running(killed), driver)
    left.release()
    wait_until(holds[0].is_reached, driver)
    controller = ray_process(driver, "TrainController")
    os.kill(run.worker(second), signal.SIGKILL)
    holds[0].release()
    wait_until(holds[1].is_reached, driver)
    assert ray_process(driver, "TrainController") == controller
    worker = run.worker(second)
    os.kill(controller, signal.SIGKILL)
    wait_until(lambda: not is_running(worker), driver)
    holds[1].release()
    assert driver.wait(timeout=600) == 0


@contextmanager
def somebody_elses_ray() -> Iterator[None]:
    """`ray start` leaves its address where Ray looks first, also from within another cluster."""
    from ray.cluster_utils import Cluster

    other = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        yield
    finally:
        other.shutdown()


def ray_process(driver: subprocess.Popen[str], name: str) -> int:
    """The pid of the one such actor among the processes that the driver started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = [driver.pid]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    (found,) = [pid for pid in family if name in _command_line(pid)]
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it has just ended
        return ""


@contextmanager
def one_core() -> Iterator[None]:
    """What is started within has one core, as on a machine with no more."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
