"""All trials of a plan through Ray: Tune starts them in order, each a Train run of its own.

Ray keeps nothing of ours: its folder in the run directory is scratch and is removed at the start.
What is finished, and where the rest goes on, is read from the trials' files.
"""

import logging
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
from orchestrator.plan import Resources
from orchestrator.ray_environment import daemons_apart
from orchestrator.ray_places import abandoned_places_freed
from orchestrator.ray_trial import TrainRun
from orchestrator.run_store import RunStore
from orchestrator.trial_files import has_begun
from trainers.backend import allocator_environment, keras_environment
from trainers.home import TRIALS_DIR
from trainers.interruption import STOP_FILE, request_stop
from trainers.result import PROGRESS_FILE, RESULT_FILE, TrialResult, read_record
from trainers.spec import TrialSpec

_SCRATCH = ".ray"

# A trial that is started early waits for its place, which may be a day's training away.
_PLACE_WAIT_S = str(7 * 24 * 3600)

# How long such a trial waits for those that are first in the plan to take their places.
_COURTESY_S = 60.0

# How long at most its processes leave the cores to those of the trial before it, which may have
# its place already. Where several places fall free at once, their trials start that much later.
_HEAD_START_S = 3.0

# How long a run that is to stop waits for Ray, once its trials have let go.
_LET_GO_S = 15.0

# How often Train looks at its worker; the default of two seconds only delays start and end.
_HEALTH_CHECK_S = "0.2"


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Start Ray on this machine, or connect to a cluster; our code travels with the job."""
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    options: dict[str, Any] = {"address": address}
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": num_cores(),
            "num_gpus": local_gpus(),
            "include_dashboard": False,
        }
    _connect(options, _runtime_env())
    # ray.init puts its own handler there, which ends the process as if the run were over.
    signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        yield
    finally:
        ray.shutdown()


def _connect(options: dict[str, Any], runtime_env: dict[str, Any]) -> None:
    """Start Ray or connect to it. A start on a busy machine can time out: it is tried again."""
    local = options["address"] == "local"
    where = "this machine" if local else options["address"] or "the cluster"
    for last in (False, True):
        try:
            with daemons_apart():
                ray.init(
                    **options,
                    runtime_env=runtime_env,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    configure_logging=True,
                )
            return
        except Exception as error:  # a start that times out is a bare Exception in Ray 2.60
            ray.shutdown()
            if local and not last:
                continue
            # On one line, and whole: that versions differ is told on several.
            text = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(f"Ray at {where} can't be reached: {text}") from error


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
            **keras_environment(),
            **allocator_environment(),
            "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": _HEALTH_CHECK_S,
            "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": _PLACE_WAIT_S,
            "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # `DrainNotice` is in its place
            "RAY_USAGE_STATS_ENABLED": "0",
        },
    }


def run_trials(
    specs: list[TrialSpec],
    resources: Resources,
    max_failures: int,
    store: RunStore,
    on_stop: Callable[[], None],
) -> dict[str, str]:
    """Run trials in order, as many at once as the plan says; returns errors by trial name.

    A failed trial ends alone. The first Ctrl-C or SIGTERM calls `on_stop` and lets the trials
    checkpoint at their next step, the second ends them at once; both raise `KeyboardInterrupt`.
    The connection of `ray_session` must be open.
    """
    root = store.root.absolute()  # here, where Tune runs its trials' drivers too
    scratch = root / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    train_run = TrainRun(resources, max_failures, scratch, root / STOP_FILE)
    drivers = _Drivers(root, specs, resources.slots, train_run)
    tuner = _tuner(drivers.drive, specs, resources, scratch)
    ended = threading.Event()
    records = [root / TRIALS_DIR / spec.name for spec in specs]
    store.remove(STOP_FILE)
    try:
        with (
            abandoned_places_freed(),
            sure_interrupts(first=lambda: _stop(store, records, ended, on_stop)),
        ):
            grid = tuner.fit()
    finally:
        ended.set()
        with suppress(OSError):  # the next start removes it too
            store.remove(STOP_FILE)
    shutil.rmtree(scratch, ignore_errors=True)
    return {
        str(result.config["trial"]): str(result.error)
        for result in grid
        if result.error is not None and result.config
    }


@dataclass(frozen=True)
class _Drivers:
    """What Tune runs, on this machine: one call of `drive` sees a trial through."""

    root: Path
    specs: list[TrialSpec]
    slots: int
    train_run: TrainRun

    def drive(self, config: dict[str, Any]) -> dict[str, Any]:
        """Run the trial that `config` names."""
        index = [spec.name for spec in self.specs].index(config["trial"])
        spec = self.specs[index]
        if index >= self.slots:
            self._let_begin(self.specs[: self.slots], _COURTESY_S)
            self._let_begin([self.specs[index - 1]], _HEAD_START_S)
        self.train_run.fit(spec)
        # Ray's own result is None without a Ray checkpoint: the trial's file is what counts.
        result = read_record(self._record(spec) / RESULT_FILE, TrialResult)
        return {"accuracy": result.accuracy if result else math.nan}  # of None Tune would tell

    def _let_begin(self, before: list[TrialSpec], at_most_s: float) -> None:
        """Wait until trials have begun that are before in the plan, or had time enough to."""
        end = time.monotonic() + at_most_s
        while time.monotonic() < end and not self.train_run.stop_file.exists():
            if all(has_begun(self._record(spec), spec.session) for spec in before):
                return
            time.sleep(0.2)

    def _record(self, spec: TrialSpec) -> Path:
        return self.root / TRIALS_DIR / spec.name


def _tuner(
    drive: Callable[[dict[str, Any]], dict[str, Any]],
    specs: list[TrialSpec],
    resources: Resources,
    scratch: Path,
) -> tune.Tuner:
    def trial(config: dict[str, Any]) -> dict[str, Any]:  # Tune wants a function, not a method
        return drive(config)

    return tune.Tuner(
        # A driver must not hold a CPU that its own worker waits for.
        tune.with_resources(trial, {"CPU": 0, "node:__internal_head__": 0.001}),
        param_space={"trial": tune.grid_search([spec.name for spec in specs])},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=resources.concurrent + resources.full,
            reuse_actors=True,
            trial_dirname_creator=_trial_dirname,
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(scratch), verbose=0),
    )


def _stop(
    store: RunStore, records: list[Path], ended: threading.Event, on_stop: Callable[[], None]
) -> None:
    """Ask the trials to stop, and wait for them beside Ray."""
    try:
        request_stop(store.root)
        store.publish(STOP_FILE)
    except OSError as error:  # nobody would hear of it
        raise KeyboardInterrupt from error
    # A terminal that is gone must not turn an orderly stop into a kill (rich exits then).
    with suppress(Exception, SystemExit):
        on_stop()
    _end_once_all_let_go(records, ended)


def _end_once_all_let_go(trial_dirs: list[Path], ended: threading.Event) -> None:
    """Interrupt this process once no trial is at work: some may wait for a place for days.

    A trial that works has a progress file, and removes it when it lets go.
    """

    def watch() -> None:
        while any((folder / PROGRESS_FILE).exists() for folder in trial_dirs):
            if ended.wait(0.5):
                return
        if not ended.wait(_LET_GO_S):
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, name="stop", daemon=True).start()


def _trial_dirname(trial: Any) -> str:
    return str(trial.config["trial"])
