"""What the driver asks a trial's files, wherever they are stored."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from trainers.checkpoint import CheckpointStore, Position
from trainers.checkpoint_writer import persist
from trainers.entries import (
    ATTEMPTS_FILE,
    Attempt,
    Entry,
    attempts_of,
    entries_in,
    failed_on_shared_gpu,
    may_lack_memory,
    parse_entries,
)
from trainers.home import CHECKPOINT_DIR
from trainers.interruption import Cause
from trainers.result import FAILURE_FILE, PROGRESS_FILE, RESULT_FILE
from trainers.spec import TrialSpec

T = TypeVar("T")


def asked(spec: TrialSpec, ask: Callable[[], T]) -> T:
    """What `ask` returns; storage that fails is asked again, then `StorageError` is raised."""
    what = f"reading what is stored of {spec.name}"
    return persist(ask, what, 60 * spec.resilience.storage_minutes)


def newest_checkpoint(spec: TrialSpec) -> Position | None:
    """Where the trial would go on. Raises as `asked` does."""
    store = CheckpointStore(spec.folder.below(CHECKPOINT_DIR))
    return asked(spec, store.newest_position)


def goes_on(spec: TrialSpec) -> bool:
    """Whether a trial whose worker has let go is to be started again. Raises as `asked` does.

    Its machine was to go, or it failed on a GPU that it shared.
    """
    attempts = attempts_of(_entries(spec))
    if not attempts:
        return False
    attempt, end = attempts[-1]
    if end is None:  # it has finished
        return False
    if end.cause is Cause.PREEMPTED:
        return True
    return spec.shares_gpu and may_lack_memory(attempt, end)


def placed(spec: TrialSpec, session: str | None = None) -> TrialSpec:
    """The trial with a whole GPU where it has failed on one that it shared; else as it is.

    `session` and what makes a failure: see `failed_on_shared_gpu`. Raises as `asked` does.
    """
    if not spec.shares_gpu or not failed_on_shared_gpu(_entries(spec), session):
        return spec
    return replace(spec, gpus=1.0)


def forget_attempt(spec: TrialSpec) -> None:
    """While a trial waits for another place it neither runs nor is over. Raises as `asked` does."""
    for name in (FAILURE_FILE, PROGRESS_FILE):
        asked(spec, partial(spec.folder.remove, name))


def has_begun(trial_dir: Path, session: str) -> bool:
    """Whether a trial runs, is over, or has had an attempt in this session."""
    if any((trial_dir / name).exists() for name in (PROGRESS_FILE, RESULT_FILE, FAILURE_FILE)):
        return True
    attempts = [entry for entry in entries_in(trial_dir) if isinstance(entry, Attempt)]
    return any(attempt.session == session for attempt in attempts)


def _entries(spec: TrialSpec) -> list[Entry]:
    def entries() -> list[Entry]:
        known = spec.folder.has(ATTEMPTS_FILE)
        return parse_entries(spec.folder.read(ATTEMPTS_FILE)) if known else []

    return asked(spec, entries)
