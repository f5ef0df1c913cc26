"""Where a trial's files stay when its machine goes: its directory, or an object store."""

import json
import logging
import os
import shutil
import socket
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from datasets.folder import Folder, LocalFolder, Stamp, write_bytes
from trainers.books import POSITION_FILE
from trainers.entries import ATTEMPTS_FILE
from trainers.interruption import STOP_FILE
from trainers.ownership import LOCK_FILE
from trainers.result import FAILURE_FILE, HISTORY_FILE, LOG_FILE, PROGRESS_FILE, RESULT_FILE

logger = logging.getLogger(__name__)

TRIALS_DIR = "trials"
CHECKPOINT_DIR = "checkpoints"
PROBES_DIR = "probes"
"""In a run: the user's pictures that each trained model is shown."""

OWNER_FILE = "owner.json"
LOG_BEFORE = ".log-before"
"""The log of the attempt before on this machine, of a trial that is stored elsewhere."""
LOST_EXIT_CODE = 75

# What an attempt goes on from, besides the checkpoints.
_TAKEN_UP = (ATTEMPTS_FILE, POSITION_FILE, HISTORY_FILE, FAILURE_FILE, RESULT_FILE)

# The only files that a trial takes back. Another that is gone was not removed by it.
_TAKEN_BACK = frozenset({PROGRESS_FILE, FAILURE_FILE})

_LOG_MARK_BYTES = 16

# How often a trial asks an object store whether the run is to stop. Each look is a request.
_LOOK_EVERY_S = 2.0


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

    def check_owner(self) -> None:
        """End this process if another has taken the trial over."""
        ...

    def stop_requested(self) -> bool:
        """Say whether the run is to stop."""
        ...


class SharedHome:
    """The trial's directory itself: it lies on a disk that all of the run's machines see."""

    def __init__(self, trial_dir: Path, stop_file: Path) -> None:
        self.checkpoints: Folder = LocalFolder(trial_dir / CHECKPOINT_DIR)
        self._stop_file = stop_file

    def arrive(self) -> None:
        """See `Home`."""

    def publish(self) -> None:
        """See `Home`."""

    def leave(self) -> None:
        """See `Home`."""

    def check_owner(self) -> None:
        """See `Home`: the lock of `trainers.ownership` holds wherever the directory is seen."""

    def stop_requested(self) -> bool:
        """See `Home`."""
        return self._stop_file.exists()


class StoredHome:
    """A folder of the run `run`; the trial's directory, on this machine, is copied to it.

    A checkpoint goes there by itself as soon as it is taken. The small files follow each
    `interval_s` seconds and when they are published, `result.json` last, so that there too it means
    finished. Object stores have no locks: whoever arrives last owns the trial, and a process that
    finds another's name there ends itself by `on_lost`.
    """

    def __init__(
        self,
        trial_dir: Path,
        run: Folder,
        interval_s: float,
        on_lost: Callable[[], None] = lambda: os._exit(LOST_EXIT_CODE),
    ) -> None:
        self._here = LocalFolder(trial_dir)
        self._run = run
        self._there = run.below(f"{TRIALS_DIR}/{trial_dir.name}")
        self.checkpoints: Folder = self._there.below(CHECKPOINT_DIR)
        self._interval_s = interval_s
        self._on_lost = on_lost
        self._token = uuid.uuid4().hex
        self._published: dict[str, Stamp] = {}
        self._earlier_log = b""
        self._publishing = threading.Lock()
        self._left = threading.Event()
        self._stop = False
        self._thread: threading.Thread | None = None

    def arrive(self) -> None:
        """See `Home`. What an earlier attempt left on this machine is removed: it may be older."""
        owner = {"token": self._token, "host": socket.gethostname(), "pid": os.getpid()}
        write_bytes(self._there, OWNER_FILE, json.dumps(owner).encode())
        self._clear()
        self._there.remove(PROGRESS_FILE)  # of an attempt that is no more
        stored = self._there.names()
        for name in _TAKEN_UP:
            if name in stored:
                _copy(self._there, name, self._here)
        if LOG_FILE in stored:
            self._earlier_log = self._there.read(LOG_FILE)
        self._earlier_log += self._unstored_end()
        for name in self._run.below(PROBES_DIR).names():
            _copy(self._run.below(PROBES_DIR), name, LocalFolder(self._run_dir / PROBES_DIR))
        self._published = self._stamps()
        self._published.pop(LOG_FILE, None)
        self._stop = self._run.has(STOP_FILE)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="storage", daemon=True)
            self._thread.start()

    def publish(self) -> None:
        """See `Home`."""
        with self._publishing:
            found = self._stamps()
            # A result is only seen here once all that belongs to it is.
            for name in sorted(found, key=lambda name: (name == RESULT_FILE, name)):
                if found[name] != self._published.get(name):
                    self.check_owner()  # the upload before may have taken minutes
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

    def check_owner(self) -> None:
        """See `Home`."""
        try:
            owner = json.loads(self._there.read(OWNER_FILE))
        except (FileNotFoundError, ValueError):
            return  # somebody removed the run: what is left of it is ours
        if owner.get("token") != self._token:
            logger.error("process %(pid)s on %(host)s has taken this trial over", owner)
            self._on_lost()

    def stop_requested(self) -> bool:
        """See `Home`."""
        return self._stop

    @property
    def _run_dir(self) -> Path:
        return self._here.path.parent.parent

    def _stamps(self) -> dict[str, Stamp]:
        return {
            name: stamp
            for name, stamp in self._here.stamps().items()
            if not name.rpartition("/")[2].startswith(".")
        }

    def _upload(self, name: str) -> None:
        def write(path: Path) -> None:
            with path.open("wb") as target, (self._here.path / name).open("rb") as source:
                if name == LOG_FILE:
                    target.write(self._earlier_log)
                shutil.copyfileobj(source, target)

        try:
            self._there.write(name, write)
        except FileNotFoundError:
            if self._here.has(name):  # else it was removed just now
                raise

    def _unstored_end(self) -> bytes:
        """What an attempt that crashed on this machine had logged since it was stored last."""
        before = self._here.path / LOG_BEFORE
        if not before.is_file():
            return b""
        content = before.read_bytes()
        before.unlink()
        begin = self._earlier_log.find(content[:_LOG_MARK_BYTES])
        while begin >= 0:
            stored = self._earlier_log[begin:]
            if content.startswith(stored):
                return content[len(stored) :]
            begin = self._earlier_log.find(content[:_LOG_MARK_BYTES], begin + 1)
        return content

    def _clear(self) -> None:
        """Remove the directory's files, but for the lock that this process holds, and its log."""
        for name in self._here.names():
            if name not in (LOCK_FILE, LOG_FILE, LOG_BEFORE):
                self._here.remove(name)

    def _watch(self) -> None:
        """Copy what changes, and look whether the run is to stop."""
        waited_s = 0.0
        while not self._left.wait(min(_LOOK_EVERY_S, self._interval_s)):
            waited_s += min(_LOOK_EVERY_S, self._interval_s)
            try:
                self._stop = self._run.has(STOP_FILE)
                if waited_s >= self._interval_s:
                    waited_s = 0.0
                    self.publish()
            except OSError as error:
                logger.warning("%s does not answer (%s); trying again", self._there, error)


def _copy(source: Folder, name: str, target: LocalFolder) -> None:
    def write(path: Path) -> None:
        with source.local(name) as found:
            shutil.copyfile(found, path)

    target.write(name, write)
