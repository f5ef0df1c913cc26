"""Paths as they stand in a data set: found without ever leaving its folder."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

NO_FILE = "no such file"
"""Why a path of a list can't be used that leads to no file."""

_JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


class PathRejectedError(ValueError):
    """A path that is not looked up; the text says why."""


def is_junk(name: str) -> bool:
    """Say whether an operating system left this file: hidden, `Thumbs.db`, `desktop.ini`."""
    return name.startswith(".") or name.casefold() in _JUNK


def subfolders(path: Path) -> list[Path]:
    """Return the folders in `path` that no operating system left there, sorted by name."""
    with os.scandir(path) as entries:
        return sorted(path / one.name for one in entries if not is_junk(one.name) and one.is_dir())


def clean_text(text: str) -> str:
    r"""Return text that UTF-8 can hold: stray bytes of file names become `\udcXX`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def relative_name(text: str) -> str:
    """Return a path from a list as a relative path with forward slashes.

    Raises `PathRejectedError` if it is empty, absolute, climbs out with `..`, or holds a NUL.
    """
    name = text.strip().replace("\\", "/")
    if not name:
        raise PathRejectedError("no image path")
    if "\0" in name:
        raise PathRejectedError("image path holds a NUL byte")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise PathRejectedError("image path leads out of the source")
    return str(path)


def find_inside(root: Path, folders: Sequence[Path], name: str) -> Path:
    """Return the first of `folders` / `name` that is a file; `root` is resolved.

    Raises `PathRejectedError` if there is none, or if a link leads out of `root`.
    """
    for folder in folders:
        candidate = folder / name
        try:
            if not candidate.is_file():
                continue
            inside = candidate.resolve().is_relative_to(root)
        except OSError as error:
            raise PathRejectedError(f"can't be read: {error.strerror}") from error
        if not inside:
            raise PathRejectedError("a link leads out of the source")
        return candidate
    raise PathRejectedError(NO_FILE)


class FileFinder:
    """`find_inside` for very many names: one look at each folder, and one at each file.

    The extension of a file may be spelled in another case than in its name (`a.JPG`, `a.jpg`), if
    there is one such file only.
    """

    def __init__(self, root: Path, folders: Sequence[Path]) -> None:
        self._root = root.resolve()
        self._bases = [str(folder) for folder in folders]
        self._is_inside: dict[str, bool | None] = {}
        """By folder; None if there is no such folder."""
        self._spellings: dict[str, dict[str, str | None]] = {}
        """By folder, made when a file is missing in it."""

    def find(self, name: str) -> str:
        """Return the path of the first folder's file `name`, a name from `relative_name`.

        Raises `PathRejectedError` if there is none, or if a link leads out of the root.
        """
        try:
            for look in (self._exactly, self._in_another_case):
                for base in self._bases:
                    found = look(os.path.join(base, name))
                    if found is not None:
                        return found
        except PathRejectedError:
            raise
        except OSError as error:
            raise PathRejectedError(f"can't be read: {error.strerror}") from error
        except ValueError as error:  # A NUL, or a character that no file name here can have.
            raise PathRejectedError(f"can't be looked up: {error}") from error
        raise PathRejectedError(NO_FILE)

    def _exactly(self, path: str) -> str | None:
        inside = self._folder_is_inside(os.path.dirname(path))
        if inside is None:
            return None
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(mode):
            inside = inside and self._holds(path)
            mode = _mode_behind(path)
        if not inside:
            raise PathRejectedError("a link leads out of the source")
        return path if stat.S_ISREG(mode) else None

    def _folder_is_inside(self, folder: str) -> bool | None:
        if folder not in self._is_inside:
            exists = os.path.isdir(folder)
            self._is_inside[folder] = self._holds(folder) if exists else None
        return self._is_inside[folder]

    def _holds(self, path: str) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._root)

    def _in_another_case(self, path: str) -> str | None:
        folder, name = os.path.split(path)
        if not self._folder_is_inside(folder):
            return None
        if folder not in self._spellings:
            self._spellings[folder] = _by_small_extension(folder)
        found = self._spellings[folder].get(_with_small_extension(name))
        return None if found is None else self._exactly(os.path.join(folder, found))


def _mode_behind(link: str) -> int:
    try:
        return os.stat(link).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _with_small_extension(name: str) -> str:
    stem, extension = os.path.splitext(name)
    return stem + extension.casefold()


def _by_small_extension(folder: str) -> dict[str, str | None]:
    """Return the names in a folder by their spelling in small letters; None where two share it."""
    names: dict[str, str | None] = {}
    for name in os.listdir(folder):
        small = _with_small_extension(name)
        names[small] = None if small in names else name
    return names
