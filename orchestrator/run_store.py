"""The run directory: what `run-all` writes and every reader (report, status) reads.

run.yaml            the resolved configuration and the data's fingerprint
provenance.json     versions, hardware, commit
trials/NAME/        one directory a trial, see `trainers.result`
report/             see `orchestrator.report`
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from datasets.errors import ConfigError, UnreachableError
from datasets.files import write_text
from datasets.folder import Folder, LocalFolder, as_folder
from datasets.remote_folder import RemoteFolder
from orchestrator.processes import is_gone
from orchestrator.run_view import fetch, is_view, look, publish, refresh, view_root
from trainers.books import last_position
from trainers.checkpoint import Position
from trainers.checkpoint_store import CheckpointStore
from trainers.entries import entries_in, restart_causes
from trainers.home import CHECKPOINT_DIR, PROBES_DIR, TRIALS_DIR
from trainers.interruption import Cause
from trainers.result import (
    FAILURE_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    TrialFailure,
    TrialProgress,
    TrialResult,
    TrialState,
    read_record,
)

RUN_FILE = "run.yaml"
PROVENANCE_FILE = "provenance.json"
REPORT_DIR = "report"


class RunData(BaseModel):
    """The data set of a run, as its manifest said when the run began."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: str
    fingerprint: str
    image_size: int
    encoding: str
    classes: dict[str, dict[str, int]]
    source: str = ""
    preparation: dict[str, str] = Field(default_factory=dict)
    """What is known of how they were prepared, by what it is about; for people."""
    audit: str = ""
    """What an audit of the shards had found when the run was made, for people; empty for none."""

    @property
    def rows(self) -> dict[str, int]:
        """Images of each split."""
        return {split: sum(counts.values()) for split, counts in self.classes.items()}


class RunDocument(BaseModel):
    """`run.yaml`: what was asked for. `trials` are all names, longest first by their table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    trials: list[str]
    config: dict[str, Any]
    data: RunData
    keras_backend: str | None = None
    """What Keras computes with; None in runs from before it was noted."""


@dataclass(frozen=True)
class TrialRecord:
    """A trial as its files tell it. At most one of `result` and `failure` is set."""

    name: str
    architecture: str
    seed: int
    directory: Path
    state: TrialState
    result: TrialResult | None = None
    failure: TrialFailure | None = None
    progress: TrialProgress | None = None
    reached: Position = field(default_factory=Position)
    """The last step that was ever finished."""
    restarts: tuple[Cause, ...] = ()
    """Of a trial that runs: why it was started again, each time."""
    has_checkpoint: bool | None = None
    """Of a trial that was stopped; None where that is not known."""

    @property
    def stopped(self) -> str:
        """Where a pending trial stood when it was stopped; empty where it has not begun."""
        if self.state is not TrialState.PENDING or self.reached == Position():
            return ""
        where = f"epoch {self.reached.epoch + 1}, step {self.reached.step}"
        if self.has_checkpoint is False:
            return f"stopped at {where}; has no checkpoint yet and begins again"
        # Before the end of the first epoch there is one only if that takes long.
        known = self.has_checkpoint or self.reached.epoch
        begins = "" if known else " or, if it has none yet, begins again"
        return f"stopped at {where}; goes on from its last checkpoint{begins}"


def trial_name(architecture: str, seed: int) -> str:
    """The stable name of a trial, for example `resnet50-s0`."""
    return f"{architecture}-s{seed}"


def split_trial_name(name: str) -> tuple[str, int]:
    """Architecture and seed of a trial's name."""
    architecture, _, seed = name.rpartition("-s")
    if not architecture or not seed.isdigit():
        raise ConfigError(f"{name!r} is not a trial name (ARCHITECTURE-sSEED, like resnet50-s0)")
    return architecture, int(seed)


@dataclass(frozen=True)
class RunStore:
    """Paths and records of one run directory.

    `root` is the directory, or this machine's view of a run in an object store (`run_view`); that
    is `storage` then, and None else.
    """

    root: Path
    storage: Folder | None = None

    @classmethod
    def at(cls, place: str | Path) -> "RunStore":
        """The run in a directory or at an address, `s3://…` or `gs://…`.

        Raises `ConfigError` for an address that can't be understood.
        """
        address = str(place)
        if "://" not in address:
            return cls(Path(place))
        return cls(view_root(address), as_folder(address))

    @property
    def place(self) -> str:
        """What the user calls the run."""
        return str(self.storage or self.root)

    @property
    def folder(self) -> Folder:
        """The run's files as every machine sees them."""
        return self.storage or LocalFolder(self.root)

    @property
    def address(self) -> str:
        """The address in an object store, with its options; the directory's path else."""
        if isinstance(self.storage, RemoteFolder):
            return self.storage.address
        return str(self.root.absolute())

    def refresh(self) -> None:
        """See what the run has now. Raises `UnreachableError` where its storage does not answer."""
        if self.storage is not None:
            with self._told("read"):
                refresh(self.storage, self.root)

    def look(self) -> None:
        """As `refresh`, by what the run's driver says of it, where one is at work: cheaper."""
        if self.storage is not None:
            with self._told("read"):
                look(self.storage, self.root)

    def publish(self, name: str) -> None:
        """Store a file or folder that was written below `root`. Raises as `refresh` does."""
        if self.storage is not None:
            with self._told("written to"):
                publish(self.storage, self.root, name)

    def remove(self, name: str) -> None:
        """Remove a file, here and where it is stored. Raises as `refresh` does."""
        if self.storage is not None:
            with self._told("written to"):
                self.storage.remove(name)  # first: a reader of this view would bring it back
        (self.root / name).unlink(missing_ok=True)

    def fetch(self, name: str) -> None:
        """Copy a file that a view leaves in its storage. Raises as `refresh` does."""
        if self.storage is not None:
            with self._told("read"):
                if self.storage.has(name):
                    fetch(self.storage, name, self.root)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnreachableError(f"{self.place} can't be {what}: {error}") from error

    def checkpoints(self, trial: str) -> CheckpointStore:
        """The checkpoints of a trial."""
        return CheckpointStore(self.folder.below(f"{TRIALS_DIR}/{trial}/{CHECKPOINT_DIR}"))

    @property
    def report_dir(self) -> Path:
        """Where the report goes."""
        return self.root / REPORT_DIR

    @property
    def probes_dir(self) -> Path:
        """Copies of the user's pictures for the probes, where every node finds them."""
        return self.root / PROBES_DIR

    @property
    def provenance_file(self) -> Path:
        """Versions, hardware, commit."""
        return self.root / PROVENANCE_FILE

    def trial_dir(self, name: str) -> Path:
        """The directory of one trial."""
        return self.root / TRIALS_DIR / name

    def read(self) -> RunDocument | None:
        """`run.yaml`, or None where there is none yet; one that can't be read raises."""
        path = self.root / RUN_FILE
        try:
            if not path.is_file():
                return None
            return RunDocument.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, ValueError) as error:
            raise ConfigError(
                f"{self.place}/{RUN_FILE} can't be read as a run ({error}); name another "
                "--run-dir or move it away"
            ) from error

    def write(self, document: RunDocument) -> None:
        """Write `run.yaml`; an equal one keeps its bytes and time."""
        text = yaml.safe_dump(document.model_dump(mode="json"), sort_keys=False)
        write_text(self.root / RUN_FILE, text)
        self.publish(RUN_FILE)

    def trial(self, name: str) -> TrialRecord:
        """One trial's record, from its files alone."""
        directory = self.trial_dir(name)
        architecture, seed = split_trial_name(name)
        result = read_record(directory / RESULT_FILE, TrialResult)
        failure = None if result else read_record(directory / FAILURE_FILE, TrialFailure)
        progress = read_record(directory / PROGRESS_FILE, TrialProgress)
        if result:
            state = TrialState.FINISHED
        elif failure:
            state = failure.state
        else:
            # In a view the driver decides: it removes the place once it has taken the files over.
            running = progress and (is_view(self.root) or not is_gone(progress.host, progress.pid))
            state = TrialState.RUNNING if running else TrialState.PENDING
        is_running = state is TrialState.RUNNING
        reached = last_position(directory)
        return TrialRecord(
            name,
            architecture,
            seed,
            directory,
            state,
            result=result,
            failure=failure,
            progress=progress,
            reached=reached,
            restarts=tuple(restart_causes(entries_in(directory))) if is_running else (),
            has_checkpoint=self._has_checkpoint(name, state, reached),
        )

    def _has_checkpoint(self, trial: str, state: TrialState, reached: Position) -> bool | None:
        """See `TrialRecord`. An object store is not asked: a view is looked at each second."""
        if state is not TrialState.PENDING or reached == Position() or self.storage is not None:
            return None
        try:
            return self.checkpoints(trial).newest_position() is not None
        except OSError:
            return None

    def trials(self) -> list[TrialRecord]:
        """All trials of the run in plan order; a directory without `run.yaml` raises."""
        document = self.read()
        if document is None:
            raise ConfigError(f"{self.place} holds no {RUN_FILE}: not a run directory")
        return [self.trial(name) for name in document.trials]
