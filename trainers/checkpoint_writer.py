"""Checkpoints written beside the training, so that it stands still only while state is copied."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from datasets.errors import FerOrchError
from trainers.checkpoint import Checkpoint

T = TypeVar("T")

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


class StorageError(FerOrchError):
    """Storage has failed for longer than a trial waits for it."""


def persist(act: Callable[[], T], what: str, patience_s: float) -> T:
    """Call `act` until it succeeds, for at most `patience_s` seconds of failing; what it returns.

    Only `OSError` (full, absent or unreachable storage) is tried again, in pauses that double from
    one second to half a minute. Raises `StorageError` when the patience ends.
    """
    end = time.monotonic() + patience_s
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return act()
        except OSError as error:
            left = end - time.monotonic()
            if left <= 0:
                raise StorageError(
                    f"{what} failed for {patience_s:.0f} s: {error}; see to the storage, then give "
                    "the same command again, it goes on from the last checkpoint"
                ) from error
            logger.warning("%s failed (%s); trying again", what, error)
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_S)


class BackgroundWriter:
    """Writes checkpoints in a thread, one at a time.

    While one is written the next may wait; a newer one takes the place of one that waits, so a slow
    disk delays checkpoints and never the training. Storage that fails is tried again, and what
    remains of an error is raised by the next call in the training's own thread.
    """

    def __init__(self, write: Callable[[Checkpoint], object], patience_s: float) -> None:
        self._write = write
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._waiting: Checkpoint | None = None
        self._writing = False
        self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
        self._thread.start()

    def save(self, checkpoint: Checkpoint) -> None:
        """Hand over a checkpoint whose arrays nobody changes any more; returns at once."""
        with self._changed:
            self._raise_error()
            self._waiting = checkpoint
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all that was handed over is durable; raises what kept it from that."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not (self._waiting or self._writing))
            self._raise_error()

    def close(self) -> None:
        """End the thread; what still waits is written first."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closed)
                checkpoint, self._waiting = self._waiting, None
                if checkpoint is None:
                    return
                self._writing = True
            error = self._written(checkpoint)
            del checkpoint  # its arrays are as large as the model and the optimizer
            with self._changed:
                self._writing = False
                self._error = error
                self._changed.notify_all()
            if error is not None:
                return

    def _written(self, checkpoint: Checkpoint) -> BaseException | None:
        where = checkpoint.position
        what = f"writing the checkpoint of epoch {where.epoch}, step {where.step}"
        try:
            persist(lambda: self._write(checkpoint), what, self._patience_s)
        except Exception as error:  # it belongs to the training's thread
            return error
        return None
