"""Where a trial's files stay when its machine goes: its directory, or an object store."""

import logging
import shutil
import threading
from pathlib import Path
from typing import Protocol

from datasets.folder import Folder, LocalFolder, Stamp
from trainers.attempt_files import attempt_dir
from trainers.books import POSITION_FILE
from trainers.entries import ATTEMPTS_FILE
from trainers.ownership import LOCK_FILE
from trainers.result import FAILURE_FILE, HISTORY_FILE, LOG_FILE, PROGRESS_FILE, RESULT_FILE

logger = logging.getLogger(__name__)

TRIALS_DIR = "trials"
CHECKPOINT_DIR = "checkpoints"
PROBES_DIR = "probes"
"""In a run: the user's pictures that each trained model is shown."""

LOG_BEFORE = ".log-before"
"""The log of the attempt before on this machine, of a trial that is stored elsewhere."""

# What an attempt goes on from, besides the checkpoints.
_TAKEN_UP = (ATTEMPTS_FILE, POSITION_FILE, HISTORY_FILE, RESULT_FILE)

# The only file that a trial takes back. Another that is gone was not removed by it.
_TAKEN_BACK = frozenset({FAILURE_FILE})

# Where a trial is, its surroundings are told otherwise; how far it has come too, and what it has
# learned is in its checkpoints, until it lets go.
_KEPT_HERE = frozenset({PROGRESS_FILE})
_STORED_LAST = frozenset({POSITION_FILE, HISTORY_FILE})

_LOG_MARK_BYTES = 16


class Home(Protocol):
    """A trial's files, as they outlive its machine. Methods raise `OSError` for failing storage."""

    @property
    def checkpoints(self) -> Folder:
        """Where the trial's checkpoints go."""
        ...

    def arrive(self) -> None:
        """Bring what the trial goes on from into its directory."""
        ...

    def publish(self) -> None:
        """Return when all that is in the trial's directory is where it outlives this machine."""
        ...

    def leave(self) -> None:
        """Publish, and end what works in the background."""
        ...


class SharedHome:
    """The trial's directory itself: it lies on a disk that all of the run's machines see.

    The lock of `trainers.ownership` holds wherever the directory is seen.
    """

    def __init__(self, trial_dir: Path) -> None:
        self.checkpoints: Folder = LocalFolder(trial_dir / CHECKPOINT_DIR)

    def arrive(self) -> None:
        """See `Home`."""

    def publish(self) -> None:
        """See `Home`."""

    def leave(self) -> None:
        """See `Home`."""


class StoredHome:
    """A folder of the run `run`; the trial's directory, on this machine, is copied to it.

    A checkpoint goes there by itself. The small files follow each `interval_s` seconds and when
    they are published, `result.json` last, into the folder of this attempt (`attempt_files`): the
    run's driver takes them over once the attempt is over. Object stores have no locks.
    """

    def __init__(self, trial_dir: Path, run: Folder, attempt: int, interval_s: float) -> None:
        self._here = LocalFolder(trial_dir)
        self._run = run
        self._trial = run.below(f"{TRIALS_DIR}/{trial_dir.name}")
        self._there = self._trial.below(attempt_dir(attempt))
        self.checkpoints: Folder = self._trial.below(CHECKPOINT_DIR)
        self._interval_s = interval_s
        self._published: dict[str, Stamp] = {}
        self._log_before = b""
        self._publishing = threading.Lock()
        self._left = threading.Event()
        self._thread: threading.Thread | None = None

    def arrive(self) -> None:
        """See `Home`. What an earlier attempt left on this machine is removed: it may be older."""
        self._clear()
        stored = self._trial.names()
        for name in _TAKEN_UP:
            if name in stored:
                _copy(self._trial, name, self._here)
        self._log_before = self._unstored_end(LOG_FILE in stored)
        for name in self._run.below(PROBES_DIR).names():
            _copy(self._run.below(PROBES_DIR), name, LocalFolder(self._run_dir / PROBES_DIR))
        self._published = self._stamps()
        self._published.pop(LOG_FILE, None)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="storage", daemon=True)
            self._thread.start()

    def publish(self) -> None:
        """See `Home`."""
        self._publish()

    def _publish(self, but: frozenset[str] = frozenset()) -> None:
        with self._publishing:
            found = {name: stamp for name, stamp in self._stamps().items() if name not in but}
            # A result is only seen here once all that belongs to it is.
            for name in sorted(found, key=lambda name: (name == RESULT_FILE, name)):
                if found[name] != self._published.get(name):
                    self._upload(name)
                    self._published[name] = found[name]
            for name in (self._published.keys() - found.keys()) & _TAKEN_BACK:
                self._there.remove(name)
                del self._published[name]

    def leave(self) -> None:
        """See `Home`. The directory is emptied then: all of it is stored."""
        self._left.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.publish()
        self._published.clear()  # or what is removed now would be removed there too
        self._clear()

    @property
    def _run_dir(self) -> Path:
        return self._here.path.parent.parent

    def _stamps(self) -> dict[str, Stamp]:
        return {
            name: stamp
            for name, stamp in self._here.stamps().items()
            if not name.rpartition("/")[2].startswith(".") and name not in _KEPT_HERE
        }

    def _upload(self, name: str) -> None:
        def write(path: Path) -> None:
            with path.open("wb") as target, (self._here.path / name).open("rb") as source:
                if name == LOG_FILE:
                    target.write(self._log_before)
                shutil.copyfileobj(source, target)

        try:
            self._there.write(name, write)
        except FileNotFoundError:
            if self._here.has(name):  # else it was removed just now
                raise

    def _unstored_end(self, has_log: bool) -> bytes:
        """What an attempt that crashed on this machine had logged since it was stored last."""
        before = self._here.path / LOG_BEFORE
        if not before.is_file():
            return b""
        earlier = self._trial.read(LOG_FILE) if has_log else b""
        content = before.read_bytes()
        before.unlink()
        begin = earlier.find(content[:_LOG_MARK_BYTES])
        while begin >= 0:
            stored = earlier[begin:]
            if content.startswith(stored):
                return content[len(stored) :]
            begin = earlier.find(content[:_LOG_MARK_BYTES], begin + 1)
        return content

    def _clear(self) -> None:
        """Remove the directory's files, but for the lock that this process holds, and its log."""
        for name in self._here.names():
            if name not in (LOCK_FILE, LOG_FILE, LOG_BEFORE):
                self._here.remove(name)

    def _watch(self) -> None:
        """Copy what changes."""
        while not self._left.wait(self._interval_s):
            try:
                self._publish(but=_STORED_LAST)
            except OSError as error:
                logger.warning("%s does not answer (%s); trying again", self._there, error)


def _copy(source: Folder, name: str, target: LocalFolder) -> None:
    def write(path: Path) -> None:
        with source.local(name) as found:
            shutil.copyfile(found, path)

    target.write(name, write)
