"""The seam between a trial and what runs it.

`run_trial` knows this protocol alone. `LocalContext` needs no Ray; the Ray one lives in
`orchestrator.ray_trial`.
"""

from pathlib import Path
from typing import Protocol

from trainers.checkpoint import Checkpoint, CheckpointStore, Identity

CHECKPOINT_DIR = "checkpoints"


class TrialContext(Protocol):
    """What a trial asks of its surroundings."""

    def restore(self, identity: Identity) -> Checkpoint | None:
        """The newest whole checkpoint of this trial, or None to begin at the beginning."""
        ...

    def save(self, checkpoint: Checkpoint) -> None:
        """Make a checkpoint durable before returning."""
        ...

    def report(self, metrics: dict[str, float]) -> None:
        """Tell of a finished epoch. Once per epoch, never per batch."""
        ...

    def preemption_notice(self) -> bool:
        """True once the machine is about to be taken away; asked each few steps."""
        ...

    def forget(self) -> None:
        """Drop the checkpoints: the trial's result is written."""
        ...


class LocalContext:
    """A trial in this process, its checkpoints in the trial's own directory."""

    def __init__(self, trial_dir: Path) -> None:
        self._store = CheckpointStore(trial_dir / CHECKPOINT_DIR)

    def restore(self, identity: Identity) -> Checkpoint | None:
        """See `TrialContext`."""
        self._store.sweep()
        return self._store.newest(identity)

    def save(self, checkpoint: Checkpoint) -> None:
        """See `TrialContext`."""
        self._store.save(checkpoint)

    def report(self, metrics: dict[str, float]) -> None:
        """Nobody listens here: the trial's files hold the same figures."""

    def preemption_notice(self) -> bool:
        """A local process gets no notice."""
        return False

    def forget(self) -> None:
        """See `TrialContext`."""
        self._store.clear()
