"""Why a trial stops before its end, and how it is asked to.

A trial asks its surroundings whether to stop (`trainers.context.interruption`). It then checkpoints
at the step where it is and raises `TrialInterrupted`, which is no failure.
"""

from enum import StrEnum
from pathlib import Path

STOP_FILE = "stop"
"""In the run directory: its driver wants all trials to stop. Any shared storage carries it."""


class Cause(StrEnum):
    """Why an attempt at a trial ended without a result."""

    PREEMPTED = "preempted"
    """Its machine is about to be taken away, and said so."""
    STOPPED = "stopped"
    """The user asked for it."""
    STAGE_OVER = "stage_over"
    """It was to train to this epoch only, for now."""
    FAILED = "failed"
    """An exception."""
    OUT_OF_MEMORY = "out_of_memory"
    """An exception for want of memory, of the host or of the GPU."""
    HUNG = "hung"
    """No step was finished for too long."""
    KILLED = "killed"
    """Its process or its machine vanished without a word."""
    DRIVER_LOST = "driver_lost"
    """So did the whole run: driver and trials."""

    @property
    def is_failure(self) -> bool:
        """True for what can come again at the same step by the trial's own fault."""
        return self in (Cause.FAILED, Cause.OUT_OF_MEMORY, Cause.HUNG)


class TrialInterrupted(Exception):  # noqa: N818  # not an error
    """The trial has checkpointed and let go; it goes on from there when it is started again."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"the trial was {cause} and can go on")
        self.cause = cause


def request_stop(run_dir: Path) -> None:
    """Ask all trials of a run to stop with a checkpoint at their next step."""
    (run_dir / STOP_FILE).touch()
