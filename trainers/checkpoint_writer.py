"""Checkpoints written beside the training, so that it stands still only while state is copied."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from datasets.errors import FerOrchError
from trainers.checkpoint import Checkpoint

T = TypeVar("T")
Figures = Mapping[str, float]

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


class StorageError(FerOrchError):
    """Storage has failed for longer than a trial waits for it."""


def persist(
    act: Callable[[], T], what: str, patience_s: float, but: tuple[type[OSError], ...] = ()
) -> T:
    """Call `act` until it succeeds, for at most `patience_s` seconds of failing; what it returns.

    Only `OSError` (full, absent or unreachable storage) is tried again, in pauses that double from
    one second to half a minute; errors of `but` are raised at once. Raises `StorageError` when the
    patience ends.
    """
    end = time.monotonic() + patience_s
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return act()
        except but:
            raise
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
    """Writes checkpoints and tells figures in a thread, one thing at a time.

    While one checkpoint is written the next may wait; a newer one takes the place of one that
    waits, so a slow disk delays checkpoints and never the training. Figures are all told, in their
    order, once no checkpoint waits that is due. Storage that fails is tried again, and what remains
    of an error is raised by the next call in the training's own thread. `pause_s` is how long a
    checkpoint waits at least for the one before it, unless somebody waits for it.
    """

    def __init__(
        self,
        write: Callable[[Checkpoint], object],
        patience_s: float,
        tell: Callable[[Figures], object] = lambda figures: None,
        pause_s: float = 0.0,
    ) -> None:
        self._write = write
        self._tell = tell
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._waiting: Checkpoint | None = None
        self._figures: deque[Figures] = deque()
        self._pause_s = pause_s
        self._due_at = 0.0
        self._awaited = 0
        self._busy = False
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

    def tell(self, figures: Figures) -> None:
        """Hand over an epoch's figures; returns at once."""
        with self._changed:
            self._raise_error()
            self._figures.append(figures)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all that was handed over is durable; raises what kept it from that."""
        with self._changed:
            self._awaited += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._error or not (self._has_work() or self._busy))
            self._awaited -= 1
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

    def _has_work(self) -> bool:
        return self._waiting is not None or bool(self._figures)

    def _due_in_s(self) -> float:
        """How long the checkpoint that waits, or the next one, is to wait still."""
        if self._closed or self._awaited:
            return 0.0
        return max(0.0, self._due_at - time.monotonic())

    def _is_something_due(self) -> bool:
        return bool(self._figures) or (self._waiting is not None and not self._due_in_s())

    def _work(self) -> None:
        while self._error is None:
            with self._changed:
                while not self._is_something_due():
                    if self._closed and not self._has_work():
                        return
                    self._changed.wait(self._due_in_s() if self._waiting else None)
                act = self._next()
                self._busy = True
            error = self._done(act)
            del act  # a checkpoint is as large as the model and the optimizer
            with self._changed:
                self._busy = False
                self._error = error
                self._changed.notify_all()

    def _next(self) -> Callable[[], object]:
        if self._waiting is None or self._due_in_s():
            return partial(self._tell, self._figures.popleft())
        checkpoint, self._waiting = self._waiting, None
        self._due_at = time.monotonic() + self._pause_s
        where = checkpoint.position
        what = f"writing the checkpoint of epoch {where.epoch}, step {where.step}"
        return partial(persist, partial(self._write, checkpoint), what, self._patience_s)

    @staticmethod
    def _done(act: Callable[[], object]) -> BaseException | None:
        try:
            act()
        except Exception as error:  # it belongs to the training's thread
            return error
        return None
