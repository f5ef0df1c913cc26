"""A folder of shards: one seam, and behind it a file system or an object store.

Names in a folder are relative, with forward slashes. What is written appears whole or not at all.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from datasets.files import write_atomically


@dataclass(frozen=True)
class Stamp:
    """What changes with a file: its bytes and its time, nanoseconds since 1970 by its storage."""

    size: int
    changed_ns: int


class Folder(Protocol):
    """A folder here or elsewhere. Every method raises `OSError` for what can't be done.

    `str()` of it is what the user calls it. Folders are picklable.
    """

    def names(self) -> list[str]:
        """Return the names of all files in it and below it, sorted; none if it is not there."""

    def stamps(self) -> dict[str, Stamp]:
        """Return the stamp of each file that `names` gives; another stamp, another content."""

    def has(self, name: str) -> bool:
        """Say whether it holds this file."""

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises `FileNotFoundError`."""

    def size(self, name: str) -> int:
        """Return the bytes of a file. Raises `FileNotFoundError`."""

    def local(self, name: str) -> AbstractContextManager[Path]:
        """Give a path on this machine from which the file can be read within the block."""

    def write(self, name: str, write: Callable[[Path], None]) -> None:
        """Write a file: `write` gets a path on this machine, which becomes the file if it ends."""

    def rename(self, name: str, new: str) -> None:
        """Give a file another name. Raises `FileNotFoundError`."""

    def copy(self, name: str, new: str) -> None:
        """Write a file once more, under another name. Raises `FileNotFoundError`."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def remove_below(self, name: str) -> None:
        """Remove all files whose name begins with `name/`."""

    def below(self, name: str) -> "Folder":
        """Return a folder in this one; it need not exist."""

    def lock_file(self, name: str) -> Path:
        """Return a path on this machine that stands for the name of a lock in this folder."""


Place = str | Path | Folder
"""Where shards are: a path, an address as `s3://bucket/folder`, or a folder."""


def as_folder(place: Place) -> Folder:
    """Return the folder at `place`; it need not exist.

    Raises `ConfigError` for an address of an unknown kind or that can't be understood.
    """
    if isinstance(place, Path):
        return LocalFolder(place)
    if not isinstance(place, str):
        return place
    if "://" not in place:
        return LocalFolder(Path(place))
    from datasets.remote_folder import RemoteFolder  # It imports this module.

    return RemoteFolder(place)


def absolute(place: str) -> str:
    """Return an address as it is, and a path as an absolute one, `~` expanded."""
    return place if "://" in place else str(Path(place).expanduser().absolute())


def write_bytes(folder: Folder, name: str, data: bytes, *, anew: bool = False) -> None:
    """Write a file; an equal one is left untouched, its time stamp too.

    `anew` spares the look at what is there, which an object store counts as requests.
    """
    if not anew and folder.has(name) and folder.read(name) == data:
        return

    def write(path: Path) -> None:
        path.write_bytes(data)

    folder.write(name, write)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _unless_gone(error: OSError) -> None:
    """`os.walk` takes a folder that can't be listed for an empty one: only an absent one is."""
    if not isinstance(error, FileNotFoundError):
        raise error


@dataclass(frozen=True)
class LocalFolder:
    """A folder of a file system; see `Folder`."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> list[str]:
        """See `Folder`. A link counts as a file, whatever it leads to."""
        found = []
        for directory, folders, files in os.walk(self.path, onerror=_unless_gone):
            links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
            below = Path(directory).relative_to(self.path)
            found += [(below / name).as_posix() for name in files + links]
        return sorted(found)

    def stamps(self) -> dict[str, Stamp]:
        """See `Folder`. A file that goes while it is looked at is left out."""
        found = {}
        for name in self.names():
            with suppress(FileNotFoundError):
                stat = (self.path / name).stat()
                found[name] = Stamp(stat.st_size, stat.st_mtime_ns)
        return found

    def has(self, name: str) -> bool:
        """See `Folder`."""
        return (self.path / name).is_file()

    def read(self, name: str) -> bytes:
        """See `Folder`."""
        return (self.path / name).read_bytes()

    def size(self, name: str) -> int:
        """See `Folder`."""
        return (self.path / name).stat().st_size

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """See `Folder`: the file itself."""
        yield self.path / name

    def write(self, name: str, write: Callable[[Path], None]) -> None:
        """See `Folder`."""
        write_atomically(self.path / name, write)

    def rename(self, name: str, new: str) -> None:
        """See `Folder`."""
        (self.path / new).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).replace(self.path / new)

    def copy(self, name: str, new: str) -> None:
        """See `Folder`."""
        self.write(new, lambda path: _copy(self.path / name, path))

    def remove(self, name: str) -> None:
        """See `Folder`."""
        (self.path / name).unlink(missing_ok=True)

    def remove_below(self, name: str) -> None:
        """See `Folder`."""
        shutil.rmtree(self.path / name, ignore_errors=True)

    def below(self, name: str) -> "LocalFolder":
        """See `Folder`."""
        return LocalFolder(self.path / name)

    def lock_file(self, name: str) -> Path:
        """See `Folder`: a file in it, so that all machines that see the folder share it."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
