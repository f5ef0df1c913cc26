"""Paths as they stand in a data set: found without ever leaving its folder."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

_JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


class PathRejectedError(ValueError):
    """A path that is not looked up; the text says why."""


def is_junk(name: str) -> bool:
    """Say whether an operating system left this file: hidden, `Thumbs.db`, `desktop.ini`."""
    return name.startswith(".") or name.casefold() in _JUNK


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
    raise PathRejectedError("no such file")
