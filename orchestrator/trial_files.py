"""What the driver asks a trial's files, wherever they are stored."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from datasets.folder import write_bytes
from orchestrator.run_view import refresh_trial
from trainers.attempt_files import settle
from trainers.books import advance
from trainers.checkpoint import Position
from trainers.checkpoint_store import CheckpointStore
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
from trainers.result import (
    FAILURE_FILE,
    HISTORY_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    TrialFailure,
    TrialProgress,
    TrialResult,
    TrialState,
)
from trainers.spec import TrialSpec

T = TypeVar("T")


def asked(spec: TrialSpec, ask: Callable[[], T]) -> T:
    """What `ask` returns; storage that fails is asked again, then `StorageError` is raised."""
    what = f"asking the storage of {spec.name}"
    return persist(ask, what, 60 * spec.resilience.storage_minutes)


def checkpoints_of(spec: TrialSpec) -> CheckpointStore:
    """The trial's checkpoints."""
    return CheckpointStore(spec.folder.below(CHECKPOINT_DIR))


def newest_checkpoint(spec: TrialSpec) -> Position | None:
    """Where the trial would go on. Raises as `asked` does."""
    return asked(spec, checkpoints_of(spec).newest_position)


def take_over(spec: TrialSpec, last: str | None = None) -> int:
    """Take over what the trial's newest attempt has stored; the attempt's number.

    It is over by now. `last` is where it was last known to be, a `TrialProgress` as JSON. 0, and
    nothing is done, where the run is a directory. Raises as `asked` does.
    """
    run = spec.run_folder
    if run is None:
        return 0
    number = asked(spec, lambda: settle(spec.folder))
    progress = progress_of(last)
    if progress is not None:
        where = Position(progress.epoch, progress.step), progress.updated_at
        asked(spec, lambda: advance(spec.folder, where))
    asked(spec, lambda: refresh_trial(run, spec.run_dir, spec.name, number))
    return number


def progress_of(told: Any) -> TrialProgress | None:
    """Where a trial was, from what was noted of it, as JSON or parsed; None where that is none."""
    try:
        if isinstance(told, str):
            return TrialProgress.model_validate_json(told)
        return None if told is None else TrialProgress.model_validate(told)
    except ValueError:  # of another version, or cut short
        return None


def last_end(entries: Sequence[Entry]) -> End | None:
    """Why the last attempt in a trial's books ended, where it could still say so."""
    noted = [one for one in entries if isinstance(one, Attempt | End)]
    return noted[-1] if noted and isinstance(noted[-1], End) else None


def is_over(spec: TrialSpec) -> bool:
    """Whether a trial has its result, or an error that it would have anywhere.

    Raises as `asked` does.
    """
    if asked(spec, lambda: spec.folder.has(RESULT_FILE)):
        return True
    end = last_end(entries_of(spec))
    return end is not None and end.ours and asked(spec, lambda: spec.folder.has(FAILURE_FILE))


def placed(spec: TrialSpec) -> TrialSpec:
    """The trial with a whole GPU where it has failed on one that it shared; else as it is.

    Raises as `asked` does.
    """
    if not spec.shares_gpu or not failed_on_shared_gpu(entries_of(spec)):
        return spec
    return replace(spec, gpus=1.0)


def forget_attempt(spec: TrialSpec) -> None:
    """While a trial waits for another place it neither runs nor is over. Raises as `asked` does."""
    for name in (FAILURE_FILE, PROGRESS_FILE):
        asked(spec, partial(spec.folder.remove, name))


def note_failure(spec: TrialSpec, end: End | None, twice: bool) -> None:
    """Write why a trial is given up, unless its last attempt did; `twice`: at the same step.

    One that vanished without a word leaves it to who knows more. Raises as `asked` does.
    """
    if end is None or not (twice or not asked(spec, lambda: spec.folder.has(FAILURE_FILE))):
        return
    where = f"the trial failed twice after epoch {end.epoch}, step {end.step}: "
    failure = TrialFailure(
        trial=spec.name,
        state=TrialState.FAILED,
        reason=(where if twice else "") + end.reason,
        traceback=end.traceback,
        epoch=end.epoch + 1,
        step=end.step,
    )
    content = (failure.model_dump_json(indent=2) + "\n").encode()
    asked(spec, lambda: write_bytes(spec.folder, FAILURE_FILE, content))


def has_begun(trial_dir: Path, session: str) -> bool:
    """Whether a trial runs, is over, or has had an attempt in this session; `trial_dir` is here."""
    if any((trial_dir / name).exists() for name in (PROGRESS_FILE, RESULT_FILE, FAILURE_FILE)):
        return True
    attempts = [entry for entry in entries_in(trial_dir) if isinstance(entry, Attempt)]
    return any(attempt.session == session for attempt in attempts)


def history_of(spec: TrialSpec) -> list[dict[str, float]]:
    """The figures of the epochs that the trial has finished; ends at a row that can't be read.

    Raises as `asked` does.
    """
    known = asked(spec, lambda: spec.folder.has(HISTORY_FILE))
    if not known:
        return []
    text = asked(spec, lambda: spec.folder.read(HISTORY_FILE)).decode("utf-8", errors="replace")
    found: list[dict[str, float]] = []
    for row in csv.DictReader(text.splitlines()):
        try:
            epoch = int(row.pop("epoch"))
            found.append(
                {"epoch": epoch} | {name: float(value) for name, value in row.items() if value}
            )
        except (KeyError, TypeError, ValueError):
            break
    return found


def result_of(spec: TrialSpec) -> TrialResult | None:
    """The trial's result, None where it has none. Raises as `asked` does."""
    if not asked(spec, lambda: spec.folder.has(RESULT_FILE)):
        return None
    return TrialResult.model_validate_json(asked(spec, lambda: spec.folder.read(RESULT_FILE)))


def entries_of(spec: TrialSpec) -> list[Entry]:
    """What the trial's books hold, oldest first. Raises as `asked` does."""

    def entries() -> list[Entry]:
        known = spec.folder.has(ATTEMPTS_FILE)
        return parse_entries(spec.folder.read(ATTEMPTS_FILE)) if known else []

    return asked(spec, entries)
