"""One trial under Ray: the worker's side, and the Train run around it."""

import logging
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train

from datasets.errors import FerOrchError
from orchestrator.plan import Resources
from orchestrator.ray_drain import DrainNotice
from orchestrator.run_view import view_root
from orchestrator.trial_files import (
    asked,
    entries_of,
    forget_attempt,
    is_over,
    last_end,
    newest_checkpoint,
    placed,
    was_preempted,
)
from trainers.context import LocalContext
from trainers.home import LOG_BEFORE, PROBES_DIR, TRIALS_DIR
from trainers.interruption import STOP_FILE, Cause, TrialInterrupted
from trainers.result import FAILURE_FILE, LOG_FILE, PROGRESS_FILE
from trainers.spec import TrialSpec


def at_home(spec: TrialSpec) -> TrialSpec:
    """The trial with the paths of this machine, where its files are stored elsewhere.

    Each machine has a temporary folder and a user of its own.
    """
    if spec.storage is None:
        return spec
    root = view_root(spec.storage, "trials")
    probes = None if spec.probes is None else root / PROBES_DIR
    return replace(spec, trial_dir=root / TRIALS_DIR / spec.name, probes=probes)


class RayContext(LocalContext):
    """A trial in a Ray Train worker.

    Checkpoints go to the trial's own directory, as without Ray: a resume depends on nothing that
    Ray keeps. Ray hears of each epoch, and is asked whether the node is about to go.
    """

    def __init__(self, spec: TrialSpec) -> None:
        stop_file = spec.run_dir / STOP_FILE
        super().__init__(spec.trial_dir, spec.resilience, stop_file, spec.run_folder)
        self._notice = DrainNotice()

    def report(self, metrics: dict[str, float]) -> None:
        """Forward an epoch's figures to Train. Tune gets none: it would need a queue, in a process
        of its own for each trial, to carry what the trial's files say already.
        """
        ray.train.report(dict(metrics))

    def preemption_notice(self) -> bool:
        """True once Ray says that this worker's node is being drained."""
        return self._notice.given()

    def close(self) -> None:
        """See `TrialContext`."""
        self._notice.close()
        super().close()


def work(config: dict[str, Any]) -> None:
    """What the Train worker runs. Its output goes to the trial's log, not to the terminal.

    An error of ours (diverged, damaged data, another trial's checkpoint) would come again: it is in
    `failure.json` by now, and returning keeps Train from starting the trial anew. So does an
    interruption: Train would charge it to the trial as a failure, and hold its place until then.
    A trial that fails on a GPU that it shares is not over: too little memory can show as any error.
    """
    spec: TrialSpec = at_home(config["spec"])
    stop_file, run = spec.run_dir / STOP_FILE, spec.run_folder
    if stop_file.exists() if run is None else asked(spec, lambda: run.has(STOP_FILE)):
        asked(spec, lambda: spec.folder.remove(PROGRESS_FILE))  # of an attempt that is no more
        return
    spec.trial_dir.mkdir(parents=True, exist_ok=True)
    from trainers.trial import run_trial  # heavy, and Ray's other processes import this module

    log_file = spec.trial_dir / LOG_FILE
    if run is not None and log_file.exists():  # of an attempt before, and stored but for its end
        log_file.replace(spec.trial_dir / LOG_BEFORE)
    _send_output_to(log_file)
    log = logging.getLogger(__name__)
    try:
        run_trial(spec, RayContext(spec))
    except TrialInterrupted as interrupted:
        log.info("%s", interrupted)
    except FerOrchError:
        log.exception("the trial can't go on")
    except Exception:
        if spec.shares_gpu:
            log.exception("the trial failed on a GPU that it shares")
            asked(spec, lambda: spec.folder.remove(FAILURE_FILE))
        raise


def _send_output_to(path: Path) -> None:
    """Point the process' standard output and error, TensorFlow's C++ too, at a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )


@dataclass(frozen=True)
class TrainRun:
    """How one trial becomes Ray Train runs.

    `scratch` is Ray's own; nothing of ours is in it. `stop_file` is there when the run is to stop.
    `work` is what the worker runs.
    """

    resources: Resources
    max_failures: int
    scratch: Path
    stop_file: Path
    work: Callable[[dict[str, Any]], None] = work

    def fit(self, spec: TrialSpec) -> None:
        """Run the trial until it is over or the run is to stop.

        A trial that was pre-empted is started again. So is one whose worker or controller died; it
        raises what ended it once it has failed `max_failures` + 1 times without a newer checkpoint
        in between. A trial that gets on may fail as often as it likes. One that failed on a GPU
        that it shares, however, goes on alone on a whole one, where all of that holds.
        """
        in_vain = 0
        while not self.stop_file.exists():
            if placed(spec, spec.session) is not spec:
                spec = _moved(spec)
            before, known = newest_checkpoint(spec), len(entries_of(spec))
            try:
                self._fit_once(spec)
            except (ray.train.TrainingFailedError, ray.exceptions.RayActorError) as error:
                if spec.shares_gpu and is_over(spec):  # but for Train's note of it
                    return
                if _must_move(error, spec, known):
                    spec = _moved(spec)
                    continue
                got_on = newest_checkpoint(spec) != before
                in_vain = 1 if got_on else in_vain + 1
                if self._is_enough(error, spec, got_on, in_vain):
                    raise
            else:
                if not was_preempted(spec):
                    return

    def _is_enough(self, error: Exception, spec: TrialSpec, got_on: bool, in_vain: int) -> bool:
        """Whether a trial has failed so often without a newer checkpoint that it is to end so."""
        if isinstance(error, ray.train.TrainingFailedError) and not spec.shares_gpu:
            return not got_on  # Train itself has started it again as often as it may
        return in_vain > self.max_failures

    def _fit_once(self, spec: TrialSpec) -> None:
        # Heavy, and the worker, which imports this module too, does not need it.
        from orchestrator.lean_trainer import LeanTrainer

        shutil.rmtree(self.scratch / "train" / spec.name, ignore_errors=True)
        gpus = spec.gpus
        LeanTrainer(
            self.work,
            train_loop_config={"spec": spec},
            scaling_config=ray.train.ScalingConfig(
                # One worker a trial, also on a laptop: Keras 3 does not train over several.
                num_workers=1,
                use_gpu=gpus > 0,
                resources_per_worker={"CPU": self.resources.cpus} | ({"GPU": gpus} if gpus else {}),
            ),
            run_config=ray.train.RunConfig(
                name=spec.name,
                storage_path=str(self.scratch / "train"),
                failure_config=ray.train.FailureConfig(
                    # Train knows no other place than the one where the trial has failed.
                    max_failures=0 if spec.shares_gpu else self.max_failures
                ),
            ),
        ).fit()


def _must_move(error: Exception, spec: TrialSpec, known: int) -> bool:
    """Whether the worker of a trial that shares its GPU died of what may be that.

    It may have been before it could note a start. Not so where it noted, after the first `known`
    entries, that its machine was to go, or an error that it would have anywhere.
    """
    if not spec.shares_gpu or not isinstance(error, ray.train.TrainingFailedError):
        return False
    end = last_end(spec, known)
    return end is None or not (end.ours or end.cause is Cause.PREEMPTED)


def _moved(spec: TrialSpec) -> TrialSpec:
    """The trial with a whole GPU; while it waits for one it neither runs nor is over."""
    forget_attempt(spec)
    return replace(spec, gpus=1.0)
