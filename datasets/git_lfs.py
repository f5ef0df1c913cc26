"""Git LFS pointers: the small text files that stand where a clone did not fetch the true ones.

A pointer has the name of a list, a JPEG or a Parquet file and is none, so each reader would
complain of something else. See https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
"""

from pathlib import Path
from typing import Final

from datasets.errors import DataError

BEGINNING: Final = b"version https://git-lfs.github.com/spec/v1"
POINTER: Final = "a Git LFS pointer, not the file itself: run git lfs pull"
"""Why a file can't be used, and the way out."""


def is_pointer(data: bytes) -> bool:
    """Say whether the bytes of a file, or its first ones, are those of a pointer."""
    return data.startswith(BEGINNING)


def is_pointer_file(file: Path) -> bool:
    """Say whether a file is a pointer; no, if it can't be read."""
    try:
        with file.open("rb") as stream:
            return is_pointer(stream.read(len(BEGINNING)))
    except OSError:
        return False


def pointer_error(file: Path) -> DataError:
    """The error that names a pointer and the folder in which the file is to be fetched."""
    return DataError(f"{file} is {POINTER} in {file.parent}, then give the source again")


def refuse_pointer(file: Path) -> None:
    """Raise `DataError` for a pointer."""
    if is_pointer_file(file):
        raise pointer_error(file)
