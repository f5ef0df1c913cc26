"""What a run clears up of its trials: before they begin, and once they are over."""

from collections.abc import Callable
from contextlib import suppress

from orchestrator.config import RunConfig
from orchestrator.ray_register import repair
from orchestrator.run_store import RunStore
from orchestrator.run_view import Notes, refresh_trial
from orchestrator.trial_files import progress_of
from trainers.attempt_files import ATTEMPTS_DIR, settle
from trainers.books import advance
from trainers.checkpoint import Position
from trainers.checkpoint_writer import persist
from trainers.home import TRIALS_DIR
from trainers.result import FAILURE_FILE, PROGRESS_FILE, TrialFailure, TrialState
from trainers.spec import TrialSpec
from trainers.writing import write_failure


def stage_is_over(store: RunStore, name: str, until_epoch: int | None) -> bool:
    """Whether a trial has its checkpoint of a stage's end."""
    if until_epoch is None:
        return False
    newest = store.checkpoints(name).newest_position()
    return newest is not None and newest.epoch >= until_epoch


def take_over_all(store: RunStore, before: Notes) -> None:
    """Take over what attempts have stored whose driver was killed; `before` are its last notes."""
    if store.storage is None:
        return
    trials = store.storage.below(TRIALS_DIR)
    parts = [name.split("/") for name in trials.names()]
    left = {part[0] for part in parts if part[1:2] == [ATTEMPTS_DIR] and len(part) > 3}
    for name in sorted(left | {trial for trial, note in before.items() if "progress" in note}):
        number = settle(trials.below(name))
        progress = progress_of(before.get(name, {}).get("progress"))
        if progress is not None:
            where = Position(progress.epoch, progress.step), progress.updated_at
            advance(trials.below(name), where)
        refresh_trial(store.storage, store.root, name, number)


def forget_earlier(store: RunStore, names: list[str]) -> None:
    """What an earlier driver left behind of these trials is no longer true."""
    for name in names:
        for file in (FAILURE_FILE, PROGRESS_FILE):
            if (store.trial_dir(name) / file).exists():
                store.remove(f"{TRIALS_DIR}/{name}/{file}")


def patiently(config: RunConfig, act: Callable[[], object], what: str) -> None:
    """Storage that fails for a while must not end a run whose trials are over."""
    persist(act, what, 60 * config.resilience.storage_minutes)


def record_unexplained(store: RunStore, specs: list[TrialSpec], errors: dict[str, str]) -> None:
    """A killed worker can't write why it ended: note what Ray saw."""
    for spec in specs:
        over = store.trial(spec.name).state.is_over()
        if over or stage_is_over(store, spec.name, spec.until_epoch):
            continue
        lines = errors.get(spec.name, "").strip().splitlines()
        failure = TrialFailure(
            trial=spec.name,
            state=TrialState.FAILED,
            reason=lines[-1] if lines else "ended without a result; see its log.txt",
            traceback="\n".join(lines),
        )
        write_failure(store.trial_dir(spec.name), failure)
        store.publish(f"{TRIALS_DIR}/{spec.name}/{FAILURE_FILE}")


def settle_finished(store: RunStore, config: RunConfig) -> None:
    """A trial whose driver was killed right after its result still has more than it is to keep."""
    for record in store.trials():
        if record.state is TrialState.FINISHED:
            with suppress(OSError):  # it only costs room
                repair(store.checkpoints(record.name), int(config.resilience.keep_last_checkpoint))
