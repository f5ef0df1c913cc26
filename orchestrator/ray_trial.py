"""One trial under Ray: the worker's side. The Train run around it is in `train_run`."""

import logging
import os
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train import CheckpointConsistencyMode, CheckpointUploadMode

from datasets.errors import FerOrchError
from orchestrator.board_link import BoardLink
from orchestrator.ray_drain import DrainNotice
from orchestrator.run_view import view_root
from orchestrator.trial_files import asked
from trainers.checkpoint import Checkpoint, DamagedCheckpointError, Identity
from trainers.checkpoint_store import STATE_FILE, CheckpointName, figures_of
from trainers.checkpoint_writer import Figures, persist
from trainers.context import LocalContext
from trainers.home import LOG_BEFORE, PROBES_DIR, TRIALS_DIR
from trainers.interruption import TrialInterrupted
from trainers.result import FAILURE_FILE, LOG_FILE, PROGRESS_FILE
from trainers.spec import TrialSpec

logger = logging.getLogger(__name__)

WATCHER = "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"
"""The variable by which Train starts, for each trial, an actor that sees drains; `1` or `0`."""

# How long an orderly stop waits for Train to register what it was told. What it was not yet is
# whole where it lies, and is found there.
_COMMIT_S = 30.0


def at_home(spec: TrialSpec) -> TrialSpec:
    """The trial with the paths of this machine, where its files are stored elsewhere.

    Each machine has a temporary folder and a user of its own.
    """
    if spec.storage is None:
        return spec
    root = view_root(spec.storage, "trials")
    probes = None if spec.probes is None else root / PROBES_DIR
    return replace(spec, trial_dir=root / TRIALS_DIR / spec.name, probes=probes)


class RayContext(LocalContext):
    """A trial in a Ray Train worker.

    Ray carries its checkpoints: each is reported to Train, which registers it, keeps the newest two
    and hands the last to the attempt after. What is in one, and when it is whole, is ours
    (`trainers.checkpoint_store`). Train is also told of each epoch, and asked whether the node is
    about to go. `link` hears from the run's board whether the run is to stop.
    """

    def __init__(self, spec: TrialSpec, link: BoardLink | None = None) -> None:
        super().__init__(spec.trial_dir, spec.resilience, run=spec.run_folder, attempt=spec.attempt)
        self._link = link
        self._alone = threading.Lock()  # Train answers one question of a worker at a time
        # No cloud drains a node of a run on one machine.
        watched = os.environ.get(WATCHER) == "1"
        self._notice = DrainNotice(self._alone) if watched else None

    def restore(self, identity: Identity) -> Checkpoint | None:
        """See `TrialContext`. The driver has put Train's register right: Train hands the newest.

        Where that one is damaged all is tried that lies there.
        """
        what = f"reading the checkpoints of {identity.trial}"
        return persist(lambda: self._restored(identity), what, self._patience_s)

    def _restored(self, identity: Identity) -> Checkpoint | None:
        handed = ray.train.get_checkpoint()
        name = None if handed is None else CheckpointName.parse(Path(handed.path).name)
        if handed is not None and name is not None:
            try:
                with handed.as_directory() as folder:
                    return self._store.read(name, Path(folder) / STATE_FILE, identity)
            except (DamagedCheckpointError, FileNotFoundError) as error:
                logger.warning("%s", error)
        return self._store.newest(identity)

    def _save(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint, whole or not at all, then have Train register it.

        In the thread that writes them, and not by an upload of Train's (`checkpoint_upload_fn`):
        while that lasts, minutes maybe, Train would not say that the node is about to go. Train's
        own thread for it (`ASYNC`) would also keep each snapshot in memory while storage is slow,
        and what it can't store would end the trial without a word in its books.
        """
        name = self._store.write(checkpoint)
        storage = ray.train.get_context().get_storage()
        path = storage.build_checkpoint_path_from_name(str(name))
        with self._alone:
            ray.train.report(
                figures_of(checkpoint),
                checkpoint=ray.train.Checkpoint(path, storage.storage_filesystem),
                checkpoint_dir_name=str(name),
                checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD,
            )

    def _tell(self, figures: Figures) -> None:
        with self._alone:
            ray.train.report(dict(figures))

    def flush(self) -> None:
        """See `TrialContext`: Train has registered what was reported, too."""
        super().flush()
        if self._writer is not None:
            asking = threading.Thread(target=_await_commit, name="commit", daemon=True)
            asking.start()
            asking.join(_COMMIT_S)

    def _drop_checkpoints(self) -> None:
        """The driver does, in Train's register too, once Train is done with the trial."""

    def stop_requested(self) -> bool:
        """See `TrialContext`: once the board says so."""
        return self._link is not None and self._link.stop_requested()

    def preemption_notice(self) -> bool:
        """True once Ray says that this worker's node is being drained."""
        return self._notice is not None and self._notice.given()

    def close(self) -> None:
        """See `TrialContext`."""
        if self._notice is not None:
            self._notice.close()
        super().close()


def work(config: dict[str, Any]) -> None:
    """What the Train worker runs. Its output goes to the trial's log, not to the terminal.

    An error of ours (diverged, damaged data, another trial's checkpoint) would come again: it is in
    `failure.json` by now, and returning says that nothing is to be done. So does an interruption,
    whose cause is in the books. A trial that fails on a GPU that it shares is not over: too little
    memory can show as any error.
    """
    spec: TrialSpec = at_home(config["spec"])
    spec.trial_dir.mkdir(parents=True, exist_ok=True)
    if spec.storage is not None:  # of an attempt that is no more; a shared one the driver removes
        (spec.trial_dir / PROGRESS_FILE).unlink(missing_ok=True)
    board = config.get("board")
    link = board and BoardLink(board, spec.name, spec.attempt, spec.trial_dir / PROGRESS_FILE)
    try:
        if link is None or not link.ask():
            _work(spec, link)
    finally:
        if link is not None:
            link.close()


def _work(spec: TrialSpec, link: BoardLink | None) -> None:
    from trainers.trial import run_trial  # heavy, and Ray's other processes import this module

    log_file = spec.trial_dir / LOG_FILE
    if spec.storage is not None and log_file.exists():  # of an attempt before, see `StoredHome`
        log_file.replace(spec.trial_dir / LOG_BEFORE)
    _send_output_to(log_file)
    try:
        run_trial(spec, RayContext(spec, link))
    except TrialInterrupted as interrupted:
        logger.info("%s", interrupted)
    except FerOrchError:
        logger.exception("the trial can't go on")
    except Exception:
        if spec.shares_gpu:
            logger.exception("the trial failed on a GPU that it shares")
            asked(spec, lambda: spec.attempt_folder.remove(FAILURE_FILE))
        raise


def _await_commit() -> None:
    with suppress(ray.exceptions.RayError):  # a controller that is gone: see _COMMIT_S
        ray.train.get_all_reported_checkpoints(
            CheckpointConsistencyMode.COMMITTED, timeout_s=_COMMIT_S
        )


def _send_output_to(path: Path) -> None:
    """Point the process' standard output and error, TensorFlow's C++ too, at a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
