"""The seam between a trial and what runs it.

`run_trial` knows this protocol alone. `LocalContext` needs no Ray; the Ray one lives in
`orchestrator.ray_trial`.
"""

import logging
import time
from pathlib import Path
from typing import Protocol

from trainers.checkpoint import Checkpoint, CheckpointStore, Identity
from trainers.checkpoint_writer import BackgroundWriter, persist
from trainers.interruption import STOP_FILE, Cause
from trainers.resilience import Resilience

logger = logging.getLogger(__name__)

CHECKPOINT_DIR = "checkpoints"

# Looking for the stop file asks the storage: not at each of a small model's steps.
_LOOK_EVERY_S = 0.5


class TrialContext(Protocol):
    """What a trial asks of its surroundings."""

    def restore(self, identity: Identity) -> Checkpoint | None:
        """The newest whole checkpoint of this trial, or None to begin at the beginning."""
        ...

    def save(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint whose arrays nobody changes any more; it may be written later."""
        ...

    def flush(self) -> None:
        """Return when all that was saved is durable."""
        ...

    def report(self, metrics: dict[str, float]) -> None:
        """Tell of a finished epoch. Once per epoch, never per batch."""
        ...

    def stop_requested(self) -> bool:
        """True once the user wants the run to stop; asked after each step."""
        ...

    def preemption_notice(self) -> bool:
        """True once the machine is about to be taken away; asked each few steps."""
        ...

    def close(self) -> None:
        """End what works in the background."""
        ...

    def forget(self) -> None:
        """Drop the checkpoints: the trial's result is written."""
        ...


def interruption(context: TrialContext, ask_machine: bool) -> Cause | None:
    """Why the trial must stop now, or None. `ask_machine`: also ask for a pre-emption notice."""
    if context.stop_requested():
        return Cause.STOPPED
    if ask_machine and context.preemption_notice():
        return Cause.PREEMPTED
    return None


class LocalContext:
    """A trial in this process, its checkpoints in the trial's own directory.

    `stop_file` is where a stop is asked for; by default `stop` in the trial's directory.
    """

    def __init__(
        self,
        trial_dir: Path,
        resilience: Resilience | None = None,
        stop_file: Path | None = None,
    ) -> None:
        self._store = CheckpointStore(trial_dir / CHECKPOINT_DIR)
        self._patience_s = 60 * (resilience or Resilience()).storage_minutes
        self._stop_file = stop_file or trial_dir / STOP_FILE
        self._writer: BackgroundWriter | None = None
        self._looked_at = 0.0

    def restore(self, identity: Identity) -> Checkpoint | None:
        """See `TrialContext`."""
        found: list[Checkpoint | None] = []

        def read() -> None:
            self._store.sweep()
            found[:] = [self._store.newest(identity)]

        persist(read, f"reading the checkpoints of {identity.trial}", self._patience_s)
        return found[0]

    def save(self, checkpoint: Checkpoint) -> None:
        """See `TrialContext`."""
        if self._writer is None:
            self._writer = BackgroundWriter(self._store, self._patience_s)
        self._writer.save(checkpoint)

    def flush(self) -> None:
        """See `TrialContext`."""
        if self._writer is not None:
            self._writer.flush()

    def report(self, metrics: dict[str, float]) -> None:
        """Nobody listens here: the trial's files hold the same figures."""

    def stop_requested(self) -> bool:
        """See `TrialContext`."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S:
            return False
        self._looked_at = now
        try:
            return self._stop_file.exists()
        except OSError:  # storage that does not answer asks for nothing
            return False

    def preemption_notice(self) -> bool:
        """A local process gets no notice."""
        return False

    def close(self) -> None:
        """See `TrialContext`."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def forget(self) -> None:
        """See `TrialContext`."""
        self.close()
        try:
            self._store.clear()
        except OSError as error:  # the result is there; the next start of the run clears up
            logger.warning("checkpoints can't be removed: %s", error)
