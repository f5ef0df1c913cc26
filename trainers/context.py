"""The seam between a trial and what runs it.

`run_trial` knows this protocol alone. `LocalContext` needs no Ray; the Ray one lives in
`orchestrator.ray_trial`.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from datasets.folder import Folder
from trainers.checkpoint import Checkpoint, Identity
from trainers.checkpoint_store import CheckpointStore
from trainers.checkpoint_writer import BackgroundWriter, Figures, StorageError, persist
from trainers.home import Home, SharedHome, StoredHome
from trainers.interruption import STOP_FILE, Cause
from trainers.resilience import Resilience

logger = logging.getLogger(__name__)

# Looking for the stop file asks the storage: not at each of a small model's steps.
_LOOK_EVERY_S = 0.5


class TrialContext(Protocol):
    """What a trial asks of its surroundings."""

    def attached(self) -> AbstractContextManager[None]:
        """Hold the trial's directory: what it goes on from is in it at the block's beginning, and
        what the block has written outlives this machine at its end.
        """
        ...

    def restore(self, identity: Identity) -> Checkpoint | None:
        """The newest whole checkpoint of this trial, or None to begin at the beginning."""
        ...

    def save(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint whose arrays nobody changes any more; it may be written later."""
        ...

    def flush(self) -> None:
        """Return when all that was saved is durable."""
        ...

    def publish(self) -> None:
        """Return when the trial's files outlive this machine. Raises `OSError`."""
        ...

    def report(self, figures: Figures) -> None:
        """Tell of a finished epoch, maybe later. Once per epoch, never per batch."""
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

    def finish(self) -> None:
        """The trial's result is written: put it where it outlives this machine, then drop all
        checkpoints but the last, or that too where `Resilience.keep_last_checkpoint` says so.
        """
        ...


def interruption(context: TrialContext, ask_machine: bool) -> Cause | None:
    """Why the trial must stop now, or None. `ask_machine`: also ask for a pre-emption notice."""
    if context.stop_requested():
        return Cause.STOPPED
    if ask_machine and context.preemption_notice():
        return Cause.PREEMPTED
    return None


class LocalContext:
    """A trial in this process.

    Its files stay in its own directory, or in `run`, the run's folder in an object store, as those
    of attempt `attempt`. `stop_file` is where a stop is asked for; by default `stop` in the trial's
    directory.
    """

    def __init__(
        self,
        trial_dir: Path,
        resilience: Resilience | None = None,
        stop_file: Path | None = None,
        run: Folder | None = None,
        attempt: int = 0,
    ) -> None:
        resilience = resilience or Resilience()
        self._patience_s = 60 * resilience.storage_minutes
        self._home: Home = (
            SharedHome(trial_dir)
            if run is None
            else StoredHome(trial_dir, run, attempt, resilience.storage_seconds)
        )
        # Each checkpoint costs an object store a dozen requests.
        self._pause_s = 0.0 if run is None else resilience.storage_seconds
        self._stop_file = stop_file or trial_dir / STOP_FILE
        self._keep = int(resilience.keep_last_checkpoint)
        self._store = CheckpointStore(self._home.checkpoints, attempt)
        self._writer: BackgroundWriter | None = None
        self._looked_at = 0.0

    @contextmanager
    def attached(self) -> Iterator[None]:
        """See `TrialContext`."""
        persist(self._home.arrive, "reading what is stored of the trial", self._patience_s)
        try:
            yield
        except StorageError:  # it has been waited for long enough
            with suppress(OSError):
                self._home.leave()
            raise
        except BaseException:
            with suppress(StorageError):
                self._leave()
            raise
        self._leave()

    def _leave(self) -> None:
        persist(self._home.leave, "storing the trial's files", self._patience_s)

    def restore(self, identity: Identity) -> Checkpoint | None:
        """See `TrialContext`."""

        def read() -> Checkpoint | None:
            self._store.sweep()
            self._store.attempt = 1 + self._store.last_attempt()
            return self._store.newest(identity)

        return persist(read, f"reading the checkpoints of {identity.trial}", self._patience_s)

    def save(self, checkpoint: Checkpoint) -> None:
        """See `TrialContext`."""
        self._started().save(checkpoint)

    def _started(self) -> BackgroundWriter:
        if self._writer is None:
            self._writer = BackgroundWriter(self._save, self._patience_s, self._tell, self._pause_s)
        return self._writer

    def _save(self, checkpoint: Checkpoint) -> None:
        self._store.prune(self._store.write(checkpoint))

    def _tell(self, figures: Figures) -> None:
        """Nobody listens here: the trial's files hold the same figures."""

    def flush(self) -> None:
        """See `TrialContext`."""
        if self._writer is not None:
            self._writer.flush()

    def publish(self) -> None:
        """See `TrialContext`."""
        self._home.publish()

    def report(self, figures: Figures) -> None:
        """See `TrialContext`."""
        self._started().tell(figures)

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

    def finish(self) -> None:
        """See `TrialContext`."""
        self.close()
        persist(self._home.publish, "storing the trial's result", self._patience_s)
        self._drop_checkpoints()

    def _drop_checkpoints(self) -> None:
        try:
            self._store.clear(keep=self._keep)
        except OSError as error:  # the result is there; the next start of the run clears up
            logger.warning("checkpoints can't be removed: %s", error)
