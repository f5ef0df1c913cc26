"""A run in an object store, seen from this machine: a folder here that follows it.

All that reads a run reads files of a folder. For a run at `s3://…` or `gs://…` that folder is a
view: what status and report need is copied into it, and what the driver writes is copied back.

To list a store is dear. While a driver is at work it writes, in one file again and again, where its
trials are and which of their attempts it has taken over: a reader needs no more than that.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from datasets.errors import DataError
from datasets.files import write_text
from datasets.folder import Folder, LocalFolder, Stamp, write_bytes
from orchestrator.processes import is_gone
from trainers.attempt_files import ATTEMPTS_DIR
from trainers.home import CHECKPOINT_DIR, TRIALS_DIR
from trainers.result import FAILURE_FILE, LOG_FILE, MODEL_FILE, PROGRESS_FILE

DRIVER_FILE = "driver.json"
"""In a run in an object store: its driver, and what that says of the trials."""

Notes = Mapping[str, Mapping[str, Any]]
"""What a driver notes of each trial: `settled`, an attempt's number, `progress`, and `failed`."""

_STAMPS_FILE = ".stamps.json"
_LOCK_FILE = ".view-lock"

# Large, or of no use to a reader: models are fetched when one is asked for, and the driver says
# where a trial is.
_LEFT_THERE = {
    CHECKPOINT_DIR,
    ATTEMPTS_DIR,
    "tensorboard",
    MODEL_FILE,
    LOG_FILE,
    PROGRESS_FILE,
}
_OF_A_RUN = ("run.yaml", "provenance.json")


def view_root(address: str, kind: str = "views") -> Path:
    """The folder of this user on this machine for the run at an address.

    `kind` tells apart the driver's view and the trials that are trained on the same machine. A
    folder that is somebody else's raises `DataError`.
    """
    base = Path(tempfile.gettempdir()) / f"fer-orch-{kind}-{os.getuid()}"
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        found = base.lstat()
    except OSError as error:
        raise DataError(f"{base} can't be made: {error}; set TMPDIR to another folder") from error
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or mode & 0o077:
        raise DataError(
            f"{base} is not a folder that is this user's alone: remove it, or set TMPDIR to "
            "another folder"
        )
    place = address.partition("?")[0].rstrip("/")  # the same run, however it is spelled
    return base / f"{place.rpartition('/')[2]}-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


@dataclass
class _Known:
    """What a view has: the stamps of its files, and by trial the attempt that was taken over."""

    files: dict[str, Stamp] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> "_Known":
        try:
            stored = json.loads((root / _STAMPS_FILE).read_text(encoding="utf-8"))
            files = {name: Stamp(**values) for name, values in stored["files"].items()}
            return cls(files, dict(stored["settled"]))
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return cls()

    def write(self, root: Path) -> None:
        files = {name: asdict(stamp) for name, stamp in sorted(self.files.items())}
        write_text(root / _STAMPS_FILE, json.dumps({"files": files, "settled": self.settled}))


def is_view(root: Path) -> bool:
    """Whether a folder is a view of a run, and not the run itself."""
    return (root / _STAMPS_FILE).exists()


def refresh(run: Folder, root: Path) -> None:
    """Make the view's files those that the run has now; what has not changed is not read again.

    One process at a time: the driver and a `status` beside it have the same view.
    """
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / _LOCK_FILE):
        _refresh(run, root, "")
        write_places(root, _places(_driver_file(run)))


def refresh_trial(run: Folder, root: Path, trial: str, settled: int) -> None:
    """Let the driver's view have a trial's files, once its attempt `settled` is taken over."""
    with FileLock(root / _LOCK_FILE):
        _refresh(run, root, f"{TRIALS_DIR}/{trial}/", {trial: settled})


def look(run: Folder, root: Path) -> None:
    """As `refresh`, but by what the run's driver says, where one has been at work."""
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / _LOCK_FILE):
        file = _driver_file(run)
        if file is None:
            _refresh(run, root, "")
            write_places(root, {})
            return
        says = file["trials"]
        known = _Known.of(root)
        settled = {trial: int(notes.get("settled", 0)) for trial, notes in says.items()}
        if not known.files:
            _refresh(run, root, "", settled)
        for trial, number in settled.items():
            if number != known.settled.get(trial, 0):
                _refresh(run, root, f"{TRIALS_DIR}/{trial}/", {trial: number})
        for trial, notes in says.items():
            if not notes.get("failed"):  # it was tried again since
                (root / TRIALS_DIR / trial / FAILURE_FILE).unlink(missing_ok=True)
        write_places(root, _places(file))


def _places(file: Mapping[str, Any] | None) -> dict[str, str]:
    """Where trials are by their driver's file, as JSON."""
    # The trials of a driver that was killed here went with it.
    if file is None or is_gone(file.get("host", ""), file.get("pid", 0)):
        return {}
    says = file["trials"]
    return {
        trial: json.dumps(notes["progress"]) for trial, notes in says.items() if "progress" in notes
    }


def driver_says(run: Folder) -> Notes | None:
    """What the driver of a run notes of each trial; None where there is no note of a driver."""
    file = _driver_file(run)
    return None if file is None else dict(file["trials"])


def _driver_file(run: Folder) -> dict[str, Any] | None:
    for _ in range(3):  # one that is replaced while it is read can be cut short
        try:
            file = json.loads(run.read(DRIVER_FILE))
            return {**file, "trials": dict(file.get("trials", {}))}
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError):
            continue
    return None


def driver_notes(root: Path) -> Notes:
    """What the driver whose view this is notes of each trial; `driver_says` reads it."""
    settled = _Known.of(root).settled
    notes: dict[str, Any] = {trial: {"settled": number} for trial, number in settled.items()}
    for path in (root / TRIALS_DIR).glob(f"*/{PROGRESS_FILE}"):
        with suppress(OSError, ValueError):  # the trial has just let go
            notes.setdefault(path.parent.name, {})["progress"] = json.loads(path.read_text())
    for trial, note in notes.items():
        if (root / TRIALS_DIR / trial / FAILURE_FILE).exists():
            note["failed"] = True
    return notes


def write_places(root: Path, places: Mapping[str, str]) -> None:
    """Let the view hold where the trials are that are at work: by name, a `TrialProgress`."""
    folder = root / TRIALS_DIR
    for trial, progress in places.items():
        write_text(folder / trial / PROGRESS_FILE, progress)
    for known in folder.glob(f"*/{PROGRESS_FILE}"):
        if known.parent.name not in places:
            known.unlink(missing_ok=True)


def _refresh(run: Folder, root: Path, below: str, settled: Mapping[str, int] | None = None) -> None:
    known = _Known.of(root)
    here = LocalFolder(root)
    stamps = run.below(below.rstrip("/")).stamps() if below else run.stamps()
    now = {below + name: stamp for name, stamp in stamps.items() if _is_read(below + name)}
    for name, stamp in now.items():
        if known.files.get(name) != stamp or not here.has(name):
            try:
                fetch(run, name, root)
            except FileNotFoundError:  # removed since it was listed
                continue
            known.files[name] = stamp
    for name in known.files.keys() - now.keys():
        if name.startswith(below):
            here.remove(name)
            del known.files[name]
    known.settled |= settled or {}
    known.write(root)


def fetch(run: Folder, name: str, root: Path) -> Path:
    """Copy one file into the view."""

    def write(path: Path) -> None:
        with run.local(name) as found:
            shutil.copyfile(found, path)

    LocalFolder(root).write(name, write)
    return root / name


def publish(run: Folder, root: Path, name: str) -> None:
    """Copy a file or folder of the view into the run; equal files are left untouched.

    Raises `FileNotFoundError` where there is none.
    """
    path = root / name
    if not path.is_dir():
        write_bytes(run, name, path.read_bytes())
        return
    for found in LocalFolder(path).names():
        if not found.rpartition("/")[2].startswith("."):
            write_bytes(run, f"{name}/{found}", (path / found).read_bytes())


def _is_read(name: str) -> bool:
    first, *rest = name.split("/")
    if first == TRIALS_DIR:
        return not _LEFT_THERE.intersection(rest)
    return name in _OF_A_RUN or first == "probes"
