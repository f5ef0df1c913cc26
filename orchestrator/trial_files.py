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
    End,
    Entry,
    entries_in,
    failed_on_shared_gpu,
    parse_entries,
)
from trainers.home import CHECKPOINT_DIR
from trainers.interruption import Cause
from trainers.result import FAILURE_FILE, PROGRESS_FILE, RESULT_FILE
from trainers.spec import TrialSpec

T = TypeVar("T")


def asked(spec: TrialSpec, ask: Callable[[], T]) -> T:
    """What `ask` returns; storage that fails is asked again, then `StorageError` is raised."""
    what = f"asking the storage of {spec.name}"
    return persist(ask, what, 60 * spec.resilience.storage_minutes)


def newest_checkpoint(spec: TrialSpec) -> Position | None:
    """Where the trial would go on. Raises as `asked` does."""
    store = CheckpointStore(spec.folder.below(CHECKPOINT_DIR))
    return asked(spec, store.newest_position)


def was_preempted(spec: TrialSpec) -> bool:
    """Whether its last attempt ended as its machine was to go. Raises as `asked` does."""
    end = last_end(spec)
    return end is not None and end.cause is Cause.PREEMPTED


def last_end(spec: TrialSpec, known: int = 0) -> End | None:
    """Why the last attempt ended, where it could still say so. Raises as `asked` does.

    Only what was noted after the first `known` entries counts.
    """
    noted = [one for one in entries_of(spec)[known:] if isinstance(one, Attempt | End)]
    return noted[-1] if noted and isinstance(noted[-1], End) else None


def is_over(spec: TrialSpec) -> bool:
    """Whether a trial has its result, or an error that it would have anywhere.

    Raises as `asked` does.
    """
    if asked(spec, lambda: spec.folder.has(RESULT_FILE)):
        return True
    end = last_end(spec)
    return end is not None and end.ours and asked(spec, lambda: spec.folder.has(FAILURE_FILE))


def placed(spec: TrialSpec, session: str | None = None) -> TrialSpec:
    """The trial with a whole GPU where it has failed on one that it shared; else as it is.

    `session` and what makes a failure: see `failed_on_shared_gpu`. Raises as `asked` does.
    """
    if not spec.shares_gpu or not failed_on_shared_gpu(entries_of(spec), session):
        return spec
    return replace(spec, gpus=1.0)


def forget_attempt(spec: TrialSpec) -> None:
    """While a trial waits for another place it neither runs nor is over. Raises as `asked` does."""
    for name in (FAILURE_FILE, PROGRESS_FILE):
        asked(spec, partial(spec.folder.remove, name))


def has_begun(trial_dir: Path, session: str) -> bool:
    """Whether a trial runs, is over, or has had an attempt in this session; `trial_dir` is here."""
    if any((trial_dir / name).exists() for name in (PROGRESS_FILE, RESULT_FILE, FAILURE_FILE)):
        return True
    attempts = [entry for entry in entries_in(trial_dir) if isinstance(entry, Attempt)]
    return any(attempt.session == session for attempt in attempts)


def entries_of(spec: TrialSpec) -> list[Entry]:
    """What the trial's books hold, oldest first. Raises as `asked` does."""

    def entries() -> list[Entry]:
        known = spec.folder.has(ATTEMPTS_FILE)
        return parse_entries(spec.folder.read(ATTEMPTS_FILE)) if known else []

    return asked(spec, entries)
