"""A run in an object store, seen from this machine: a folder here that follows it.

All that reads a run reads files of a folder. For a run at `s3://…` or `gs://…` that folder is a
view: what status and report need is copied into it, and what the driver writes is copied back.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from datasets.errors import DataError
from datasets.files import write_text
from datasets.folder import Folder, LocalFolder, Stamp, write_bytes
from trainers.home import CHECKPOINT_DIR, OWNER_FILE, TRIALS_DIR
from trainers.result import LOG_FILE, MODEL_FILE

_STAMPS_FILE = ".stamps.json"

# Large, or of no use to a reader. Models are fetched when one is asked for.
_LEFT_THERE = {CHECKPOINT_DIR, "tensorboard", MODEL_FILE, LOG_FILE, OWNER_FILE}
_OF_A_RUN = ("run.yaml", "provenance.json", "stop")


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


def refresh(run: Folder, root: Path) -> None:
    """Make the view's files those that the run has now; what has not changed is not read again.

    One process at a time: the driver and a `status` beside it have the same view.
    """
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".view-lock"):
        _refresh(run, root)


def _refresh(run: Folder, root: Path) -> None:
    known = _read_stamps(root)
    here = LocalFolder(root)
    now = {name: stamp for name, stamp in run.stamps().items() if _is_read(name)}
    for name, stamp in now.items():
        if known.get(name) != stamp or not here.has(name):
            try:
                fetch(run, name, root)
            except FileNotFoundError:  # removed since it was listed
                continue
            known[name] = stamp
    for name in known.keys() - now.keys():
        here.remove(name)
        del known[name]
    text = json.dumps({name: asdict(stamp) for name, stamp in sorted(known.items())})
    write_text(root / _STAMPS_FILE, text)


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


def _read_stamps(root: Path) -> dict[str, Stamp]:
    try:
        stored = json.loads((root / _STAMPS_FILE).read_text(encoding="utf-8"))
        return {name: Stamp(**values) for name, values in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
