"""How one trial becomes Ray Train runs, attempt by attempt: the driver's side."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train

from orchestrator.board_reporter import CHECKPOINT_PATH, BoardReporter
from orchestrator.plan import Resources
from orchestrator.ray_register import repair
from orchestrator.ray_storage import storage_of
from orchestrator.ray_trial import work
from orchestrator.restarts import Ended, Loss, Next, Tally, decide, failed_twice
from orchestrator.trial_files import (
    asked,
    checkpoints_of,
    entries_of,
    forget_attempt,
    is_over,
    last_end,
    newest_checkpoint,
    note_failure,
    take_over,
)
from trainers.checkpoint_store import KEEP
from trainers.checkpoint_writer import StorageError
from trainers.entries import Attempt
from trainers.home import CHECKPOINT_DIR
from trainers.result import RESULT_FILE
from trainers.spec import TrialSpec

# Before another start where it was not the trial that failed; each is twice the one before.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0

# How long the board is waited for.
_ASK_S = 10.0


@dataclass(frozen=True)
class TrainRun:
    """How one trial becomes Ray Train runs.

    `stop_file`, on this machine, is there when the run is to stop. `board`, a handle of
    `orchestrator.board`, hears of each epoch. `work` is what the worker runs.
    """

    resources: Resources
    max_failures: int
    stop_file: Path
    board: Any = None
    work: Callable[[dict[str, Any]], None] = work

    def fit(self, spec: TrialSpec) -> None:
        """Run the trial until it is over or the run is to stop; `restarts` has the policy.

        A trial that is given up raises what ended its last attempt.
        """
        tally = Tally()
        while not self.stop_file.exists():
            spec = _numbered(spec)
            before, known = newest_checkpoint(spec), len(entries_of(spec))
            error = self._attempted(spec)
            self._take_over(spec)
            ended = replace(
                _ended(spec, error, known),
                got_on=error is not None and newest_checkpoint(spec) != before,
            )
            what, tally = decide(ended, tally, self.max_failures)
            if what is Next.LEAVE:
                _settle(spec)
                return
            if what is Next.GIVE_UP and error is not None:
                note_failure(spec, ended.last, twice=ended.repeats)
                raise error
            forget_attempt(spec)
            if what is Next.WHOLE_GPU:
                spec = replace(spec, gpus=1.0)
            # What Ray could not start, or its controller could not store, it may a little later.
            self._pause(tally.failures if ended.lost is Loss.CONTROLLER else tally.starts)

    def _take_over(self, spec: TrialSpec) -> None:
        """What the attempt has stored, and where it was last, as the board has heard."""
        last = None
        if self.board is not None:
            with suppress(ray.exceptions.RayError):  # the books then say where it was stored last
                last = ray.get(self.board.left.remote(spec.name, spec.attempt), timeout=_ASK_S)
        try:
            take_over(spec, last)
        finally:
            if self.board is not None:
                self.board.forget.remote(spec.name, spec.attempt)

    def _attempted(self, spec: TrialSpec) -> Exception | None:
        """What ended the attempt; None where its worker came back."""
        ended: Exception | None = None
        try:
            self._fit_once(spec)
        except (ray.train.TrainingFailedError, ray.exceptions.RayActorError) as error:
            ended = error
        return ended

    def _pause(self, times: int) -> None:
        if not times:
            return
        end = time.monotonic() + min(_FIRST_PAUSE_S * 2 ** (times - 1), _LONGEST_PAUSE_S)
        while time.monotonic() < end and not self.stop_file.exists():
            time.sleep(0.1)

    def _fit_once(self, spec: TrialSpec) -> None:
        # Heavy, and the worker, which is sent this class' `work`, does not need it.
        from orchestrator.ray_private.lean_trainer import LeanTrainer

        gpus = spec.gpus
        storage = storage_of(spec.folder, 60 * spec.resilience.storage_minutes)
        LeanTrainer(
            self.work,
            train_loop_config={"spec": spec, "board": self.board},
            scaling_config=ray.train.ScalingConfig(
                # One worker a trial, also on a laptop: Keras 3 does not train over several.
                num_workers=1,
                use_gpu=gpus > 0,
                resources_per_worker={"CPU": self.resources.cpus} | ({"GPU": gpus} if gpus else {}),
            ),
            run_config=ray.train.RunConfig(
                name=CHECKPOINT_DIR,
                storage_path=storage.path,
                storage_filesystem=storage.filesystem,
                checkpoint_config=ray.train.CheckpointConfig(num_to_keep=KEEP),
                callbacks=[] if self.board is None else [BoardReporter(self.board, spec.name)],
                # `restarts` decides: Train knows no other place to train on.
                failure_config=ray.train.FailureConfig(
                    max_failures=0, max_preemption_failures=0, controller_failure_limit=0
                ),
            ),
        ).fit()


def _numbered(spec: TrialSpec) -> TrialSpec:
    """The trial with a number for its next attempt, and Train's register put right for that."""
    store = checkpoints_of(spec)
    asked(spec, lambda: repair(store))
    before = take_over(spec)
    begun = sum(isinstance(one, Attempt) for one in entries_of(spec))
    number = 1 + max(spec.attempt, before, begun, asked(spec, store.last_attempt))
    return replace(spec, attempt=number)


def _settle(spec: TrialSpec) -> None:
    """Drop what a finished trial is not to keep; what can't be now, is at the run's next start."""
    with suppress(StorageError):
        if asked(spec, lambda: spec.folder.has(RESULT_FILE)):
            keep = int(spec.resilience.keep_last_checkpoint)
            asked(spec, lambda: repair(checkpoints_of(spec), keep))


def _ended(spec: TrialSpec, error: Exception | None, known: int) -> Ended:
    """How the attempt ended before which the books had `known` entries; but for `got_on`."""
    entries = entries_of(spec)
    lost = None if error is None else loss_of(error)
    if lost in (Loss.START, Loss.CONTROLLER):  # which of them, the trial's books tell
        begun = any(isinstance(one, Attempt) for one in entries[known:])
        lost = Loss.CONTROLLER if begun else Loss.START
    return Ended(
        lost=lost,
        last=last_end(entries[known:]),
        is_over=error is not None and is_over(spec),
        repeats=failed_twice(entries, spec.session, spec.shares_gpu) is not None,
        shares_gpu=spec.shares_gpu,
    )


def checkpoint_figure(spec: TrialSpec) -> dict[str, str]:
    """Where the trial's newest checkpoint is, as Ray calls that; empty where there is none."""
    store = checkpoints_of(spec)
    names = asked(spec, store.names)
    if not names:
        return {}
    return {CHECKPOINT_PATH: f"{storage_of(store.folder, patience_s=0).path}/{names[0]}"}


def loss_of(error: Exception) -> Loss:
    """What was lost by what `fit` raised."""
    if isinstance(error, ray.train.PreemptionError):
        return Loss.MACHINE
    if isinstance(error, ray.train.ControllerError):
        return Loss.START
    if not isinstance(error, ray.train.TrainingFailedError):
        return Loss.CONTROLLER
    failures = getattr(error, "worker_failures", {}).values()
    # Train wraps what Ray says of a process that died.
    deaths = [getattr(failure, "health_check_failure", failure) for failure in failures]
    preempted = any(getattr(death, "preempted", False) for death in deaths)
    return Loss.MACHINE if preempted else Loss.WORKER
