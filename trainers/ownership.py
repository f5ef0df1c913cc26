"""One process at a time works on a trial."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from datasets.errors import FerOrchError

LOCK_FILE = ".lock"
_TIMEOUT_S = 300


class TrialBusyError(FerOrchError):
    """Another process works on the same trial."""


@contextmanager
def sole_owner(trial_dir: Path) -> Iterator[None]:
    """Wait until no other process works on the trial.

    A worker can outlive its killed driver for a while, and Ray can start a trial again whose worker
    it only believes dead. The lock is the operating system's and ends with its process.
    """
    lock = FileLock(trial_dir / LOCK_FILE)
    try:
        lock.acquire(timeout=_TIMEOUT_S)
    except Timeout:
        raise TrialBusyError(
            f"another process has worked on {trial_dir} for {_TIMEOUT_S} s; end it first"
        ) from None
    try:
        yield
    finally:
        lock.release()
