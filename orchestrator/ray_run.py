"""All trials of a plan through Ray: Tune starts them in order, each a Train run of its own.

Each command is a Tune experiment of its own, told of all epochs anew: what is finished, and where
the rest goes on, is read from the trials' files.
"""

import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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
from orchestrator.board import ALL_ATTEMPTS, start_board
from orchestrator.board_follower import BoardFollower
from orchestrator.hardware import local_gpus
from orchestrator.interrupts import sure_interrupts
from orchestrator.plan import Resources
from orchestrator.ray_environment import daemons_apart
from orchestrator.ray_places import abandoned_places_freed
from orchestrator.ray_trial import WATCHER
from orchestrator.run_store import RunStore
from orchestrator.train_run import TrainRun
from orchestrator.trial_driver import TrialDrivers
from trainers.backend import allocator_environment, keras_environment
from trainers.home import TRIALS_DIR
from trainers.interruption import STOP_FILE, request_stop
from trainers.result import PROGRESS_FILE
from trainers.spec import TrialSpec

TUNE_DIR = "tune"
"""What Tune notes of a run's last start: its own results, and TensorBoard's events."""

# A trial that is started early waits for its place, which may be a day's training away.
_PLACE_WAIT_S = str(7 * 24 * 3600)

# How long a run that is to stop waits for Ray, once its trials have let go.
_LET_GO_S = 15.0

# How often Train looks at its worker; the default of two seconds only delays start and end.
_HEALTH_CHECK_S = "0.2"


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Start Ray on this machine, or connect to a cluster; our code travels with the job.

    Raises `ConfigError` where that can't be done, or Ray runs in this process already.
    """
    if ray.is_initialized():
        raise ConfigError("Ray runs in this process already: end that first, by ray.shutdown()")
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
    before = signal.getsignal(signal.SIGTERM)
    _connect(options, _runtime_env(drains=address is not None))
    try:
        with _sigterm_is_an_interrupt(before):
            yield
    finally:
        ray.shutdown()


@contextmanager
def _sigterm_is_an_interrupt(after: Any) -> Iterator[None]:
    """Let SIGTERM raise `KeyboardInterrupt` in the block; `after` is the handler after it.

    ray.init puts its own handler there, which ends the process as if the run were over. In another
    thread than the main one neither can.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, after)


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


def _runtime_env(drains: bool) -> dict[str, Any]:
    """What the run's processes are started with; `drains`: nodes may be drained."""
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
            WATCHER: "1" if drains else "0",
            "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "1",  # a notice may be 30 s short
            "RAY_USAGE_STATS_ENABLED": "0",
        },
    }


def run_trials(
    specs: list[TrialSpec],
    resources: Resources,
    max_failures: int,
    store: RunStore,
    on_stop: Callable[[], None],
    *,
    trackers: Sequence[tune.Callback] = (),
) -> tune.ResultGrid:
    """Run trials in order, as many at once as the plan says; returns what Tune has heard of them.

    A failed trial ends alone. The first Ctrl-C or SIGTERM calls `on_stop` and lets the trials
    checkpoint at their next step, the second ends them at once; both raise `KeyboardInterrupt`.
    The connection of `ray_session` must be open. `trackers` hear what Tune hears.
    """
    root = store.root.absolute()  # here, where Tune runs its trials' drivers too
    shutil.rmtree(root / TUNE_DIR, ignore_errors=True)
    board = start_board(store)
    train_run = TrainRun(resources, max_failures, root / STOP_FILE, board)
    drivers = TrialDrivers(root, specs, resources.slots, train_run, board)
    tuner = _tuner(drivers.drive, specs, resources, root, [_OffTheBoard(board), *trackers])
    ended = threading.Event()
    records = [root / TRIALS_DIR / spec.name for spec in specs]
    (root / STOP_FILE).unlink(missing_ok=True)

    def stop() -> None:
        _stop(root, follower, records, ended, on_stop)

    is_main = threading.current_thread() is threading.main_thread()
    follower = BoardFollower(board, store, on_stop=_interrupt if is_main else stop)
    try:
        with abandoned_places_freed(), follower, sure_interrupts(first=stop):
            return tuner.fit()
    finally:
        ended.set()
        with suppress(OSError):  # the next start removes it too
            (root / STOP_FILE).unlink(missing_ok=True)


def _interrupt() -> None:
    """As Ctrl-C does: somebody has asked the board to stop the run."""
    os.kill(os.getpid(), signal.SIGINT)


def errors_of(grid: tune.ResultGrid) -> dict[str, str]:
    """What Ray says of the trials that failed, by their names."""
    return {
        str(result.config["trial"]): str(result.error)
        for result in grid
        if result.error is not None and result.config
    }


def _tuner(
    drive: Callable[[dict[str, Any]], None],
    specs: list[TrialSpec],
    resources: Resources,
    root: Path,
    callbacks: list[tune.Callback],
) -> tune.Tuner:
    def trial(config: dict[str, Any]) -> None:  # Tune wants a function, not a method
        drive(config)

    return tune.Tuner(
        # A driver must not hold a CPU that its own worker waits for.
        tune.with_resources(trial, {"CPU": 0, "node:__internal_head__": 0.001}),
        param_space={"trial": tune.grid_search([spec.name for spec in specs])},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=resources.concurrent + resources.full,
            reuse_actors=True,
            trial_dirname_creator=_trial_dirname,
        ),
        run_config=tune.RunConfig(
            name=TUNE_DIR, storage_path=str(root), verbose=0, callbacks=callbacks
        ),
    )


class _OffTheBoard(tune.Callback):  # type: ignore[misc]  # Ray's class has no types
    """Has the board forget a trial that Tune has given up: its driver may have been killed."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See `tune.Callback`."""
        name = str(trial.config["trial"])
        self._board.left.remote(name, ALL_ATTEMPTS)
        self._board.forget.remote(name, ALL_ATTEMPTS)


def _stop(
    root: Path,
    follower: BoardFollower,
    records: list[Path],
    ended: threading.Event,
    on_stop: Callable[[], None],
) -> None:
    """Ask the trials to stop, and wait for them beside Ray."""
    follower.stop()
    try:
        request_stop(root)  # the trials' drivers, on this machine
    except OSError as error:  # they would not hear of it
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
