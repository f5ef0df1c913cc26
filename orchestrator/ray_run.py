"""All trials of a plan through Ray: Tune starts them in order, each a Train run of its own.

Ray keeps nothing of ours: its folder in the run directory is scratch and is removed at the start.
What is finished, and where the rest goes on, is read from the trials' files.
"""

import logging
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray import tune

import datasets
import orchestrator
import trainers
from datasets.errors import ConfigError
from datasets.parallel import num_cores
from orchestrator.hardware import local_gpus
from orchestrator.interrupts import sure_interrupts
from orchestrator.plan import Node, Resources
from orchestrator.ray_environment import check_listening
from orchestrator.ray_trial import TrainRun
from trainers.backend import allocator_environment, quiet_environment
from trainers.interruption import request_stop, withdraw_stop
from trainers.result import FAILURE_FILE, PROGRESS_FILE, RESULT_FILE, TrialResult, read_record
from trainers.spec import TrialSpec

_SCRATCH = ".ray"

# A trial that is started early waits for its place, which may be a day's training away.
_PLACE_WAIT_S = str(7 * 24 * 3600)

# How long such a trial lets those before it in the plan take their places first.
_COURTESY_S = 60.0

# How often Train looks at its worker; the default of two seconds only delays start and end.
_HEALTH_CHECK_S = "0.2"

# How often Train asks Ray whether a node is being drained; of two minutes' notice five are dear.
_NOTICE_POLL_S = "1"


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Start Ray on this machine, or connect to a cluster; our code travels with the job."""
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    options: dict[str, Any] = {"address": address}
    check_listening(address)
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": num_cores(),
            "num_gpus": local_gpus(),
            "include_dashboard": False,
        }
    try:
        ray.init(
            **options,
            runtime_env=_runtime_env(),
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"Ray at {address or 'this machine'} can't be reached: {error}"
        ) from error
    # ray.init puts its own handler there, which ends the process as if the run were over.
    signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        yield
    finally:
        ray.shutdown()


def _raise_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _runtime_env() -> dict[str, Any]:
    packages = [
        str(Path(str(module.__file__)).parent) for module in (datasets, trainers, orchestrator)
    ]
    return {
        "py_modules": packages,
        "excludes": ["**/__pycache__"],
        "env_vars": {
            **quiet_environment(),
            **allocator_environment(),
            "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": _HEALTH_CHECK_S,
            "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": _PLACE_WAIT_S,
            "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": _NOTICE_POLL_S,
            "RAY_USAGE_STATS_ENABLED": "0",
        },
    }


def cluster_nodes() -> list[Node]:
    """CPUs and GPUs of each living node of the connected cluster."""
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(int(have.get("CPU", 0)), int(have.get("GPU", 0))) for have in resources]


def run_trials(
    specs: list[TrialSpec],
    resources: Resources,
    max_failures: int,
    run_dir: Path,
    on_stop: Callable[[], None],
) -> dict[str, str]:
    """Run trials in order, as many at once as the plan says; returns errors by trial name.

    A failed trial ends alone. The first Ctrl-C or SIGTERM calls `on_stop` and lets the trials
    checkpoint at their next step, the second ends them at once; both raise `KeyboardInterrupt`.
    The connection of `ray_session` must be open.
    """
    scratch = run_dir / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    by_name = {spec.name: spec for spec in specs}
    first = [spec.trial_dir for spec in specs[: resources.concurrent]]
    train_run = TrainRun(resources, max_failures, scratch)

    def drive(config: dict[str, Any]) -> dict[str, Any]:
        spec = by_name[config["trial"]]
        if spec.trial_dir not in first:
            _let_pass(first)
        train_run.fit(spec)
        # Ray's own result is None without a Ray checkpoint: the trial's file is what counts.
        result = read_record(spec.trial_dir / RESULT_FILE, TrialResult)
        return {"accuracy": result.accuracy if result else math.nan}  # of None Tune would tell

    tuner = tune.Tuner(
        # A driver must not hold a CPU that its own worker waits for.
        tune.with_resources(drive, {"CPU": 0, "node:__internal_head__": 0.001}),
        param_space={"trial": tune.grid_search(list(by_name))},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=resources.concurrent + resources.full,
            reuse_actors=True,
            trial_dirname_creator=_trial_dirname,
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(scratch), verbose=0),
    )

    def stop() -> None:
        request_stop(run_dir)
        on_stop()

    withdraw_stop(run_dir)
    try:
        with sure_interrupts(first=stop):
            grid = tuner.fit()
    finally:
        withdraw_stop(run_dir)
    shutil.rmtree(scratch, ignore_errors=True)
    return {
        str(result.config["trial"]): str(result.error)
        for result in grid
        if result.error is not None and result.config
    }


def _let_pass(first: list[Path]) -> None:
    """Wait until the trials that are first in the plan have begun, or had time enough to."""
    end = time.monotonic() + _COURTESY_S
    while time.monotonic() < end and not all(map(_has_begun, first)):
        time.sleep(0.2)


def _has_begun(trial_dir: Path) -> bool:
    return any((trial_dir / name).exists() for name in (PROGRESS_FILE, RESULT_FILE, FAILURE_FILE))


def _trial_dirname(trial: Any) -> str:
    return str(trial.config["trial"])
