"""Atomic file writes: a reader sees the old file or the new one, never half of one."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write(temporary path in the same directory)`, fsync it, rename it to `path`.

    The temporary name is unique, so two writers never share one. What a killed writer leaves
    behind is named `.NAME.*.tmp.SUFFIX` and is never read.
    """
    is_new = not path.parent.is_dir()
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_new:
        fsync_directory(path.parent.parent)
    # The suffix is kept last: some writers (Keras) choose a format by it.
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.tmp{path.suffix}")
    try:
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_directory(path.parent)


def fsync_directory(directory: Path) -> None:
    """Make a rename in `directory` survive a power cut, where the file system can."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # Some network file systems refuse fsync on directories.
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; an equal file is left untouched, its time stamp too."""
    write_data(path, text.encode("utf-8"))


def write_data(path: Path, data: bytes) -> None:
    """Write bytes atomically; an equal file is left untouched, its time stamp too."""
    if path.is_file() and path.read_bytes() == data:
        return
    write_atomically(path, lambda temporary: _write_bytes(temporary, data))


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
