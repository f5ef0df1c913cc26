"""Source `raf-db`: the basic emotions of RAF-DB, seven labels (no Contempt).

`EmoLabel/list_patition_label.txt` (the name is misspelt there; the right spelling is read too), at
the top or under `basic/`, has lines `train_00001.jpg 5`. An image is
`Image/aligned/train_00001_aligned.jpg`, or else `Image/original/train_00001.jpg`, uncut, which a
remark counts. RAF-DB has a training and a test part and nothing else to evaluate on: its test part
becomes the validation split.

Copies with a folder per label (`train/1/train_00001_aligned.jpg`) are read as well: their folders 1
to 7 are RAF-DB's labels, not AffectNet's codes.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.manifest import SplitName
from datasets.sources.base import (
    AnyRow,
    Origin,
    Rejected,
    Remark,
    SourceOptions,
    SourceRow,
)
from datasets.sources.paths import (
    FileFinder,
    PathRejectedError,
    clean_text,
    is_junk,
    relative_name,
)

CODES: Final = {1: 3, 2: 4, 3: 5, 4: 1, 5: 2, 6: 6, 7: 0}
"""Codes of RAF-DB's labels: Surprise, Fear, Disgust, Happiness, Sadness, Anger, Neutral."""
UNALIGNED = "no aligned image: the original is taken, which shows more than the face"

_LISTS = ("list_patition_label.txt", "list_partition_label.txt")
_LISTED = re.compile(r"(train|test)_\d+\.(jpg|jpeg|png)", re.IGNORECASE)
_ALIGNED = re.compile(r"(train|test)_\d+_aligned\.(jpg|jpeg|png)", re.IGNORECASE)
_SPLITS: Final[dict[str, SplitName]] = {"train": "train", "test": "validation"}
_MAX_LINE = 1000


class RafDb:
    """RAF-DB's list of labels, or its folder per label."""

    def detect(self, path: Path) -> bool:
        """Say whether the list is there, or a folder `1` to `7` with images named by RAF-DB."""
        return path.is_dir() and (_find_list(path) is not None or _has_label_folders(path))

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per line, or per file, and a remark for each image that is not aligned.

        Raises `DataError` if it is not this layout.
        """
        listing = _find_list(path)
        if listing is not None:
            yield from _list_rows(path, listing)
        elif _has_label_folders(path):
            yield from _folder_rows(path)
        else:
            raise DataError(f"{path} has no EmoLabel/{_LISTS[0]}, at its top or under basic/")


def _find_list(path: Path) -> Path | None:
    files = (path / base / "EmoLabel" / name for base in ("", "basic") for name in _LISTS)
    return next((file for file in files if file.is_file()), None)


def _list_rows(source: Path, listing: Path) -> Iterator[AnyRow]:
    finder = FileFinder(source, [listing.parent.parent / "Image"])
    listed_in = listing.relative_to(source).as_posix()
    first_line: dict[str, int] = {}
    with listing.open(encoding="utf-8-sig", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                at = Origin(listed_in, number)
                yield from _line_rows(at, line[:_MAX_LINE], finder, first_line)


def _line_rows(
    at: Origin, line: str, finder: FileFinder, first_line: dict[str, int]
) -> Iterator[AnyRow]:
    fields = line.split()
    if len(fields) != 2:
        yield Rejected(at, f"{len(fields)} word(s), expected an image and a label")
        return
    origin = Origin(clean_text(fields[0])[:300], at.row)
    try:
        name = relative_name(fields[0])
        named = _LISTED.fullmatch(name)
        if named is None:
            raise PathRejectedError("the name is not of the form train_00001.jpg or test_0001.jpg")
        code = _code(fields[1])
        image, aligned = _find_image(finder, name)
        first = first_line.setdefault(name, at.row or 0)
        if first != at.row:
            raise PathRejectedError(f"line {first} names this image already")
    except ValueError as error:
        yield Rejected(origin, str(error))
        return
    if not aligned:
        yield Remark(UNALIGNED)
    yield SourceRow(name, code, _SPLITS[named[1].lower()], image, origin)


def _code(text: str) -> int:
    if len(text) != 1 or text not in "1234567":
        raise ValueError(f"unknown label {clean_text(text)[:60]!r}, expected 1 to 7")
    return CODES[int(text)]


def _find_image(finder: FileFinder, name: str) -> tuple[Path, bool]:
    """Return an image and whether it is aligned. Raises `PathRejectedError` if there is none."""
    stem, dot, extension = name.rpartition(".")
    try:
        return Path(finder.find(f"aligned/{stem}_aligned{dot}{extension}")), True
    except PathRejectedError as error:
        if str(error) != "no such file":
            raise
    return Path(finder.find(f"original/{name}")), False


def _has_label_folders(path: Path) -> bool:
    if any((path / split / "0").is_dir() for split in _SPLITS):
        return False  # AffectNet's codes start from 0.
    return any(
        _ALIGNED.fullmatch(file.name)
        for split in _SPLITS
        for label in CODES
        for file in _first_files(path / split / str(label))
    )


def _first_files(folder: Path, count: int = 3) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (file for file in folder.iterdir() if not is_junk(file.name))
    return [file for file, _ in zip(files, range(count), strict=False)]


def _folder_rows(source: Path) -> Iterator[AnyRow]:
    finder = FileFinder(source, [source])
    for folder in sorted(source.glob("*/*/")):
        for file in sorted(folder.iterdir()):
            if not is_junk(file.name):
                yield _file_row(finder, source, file)


def _file_row(finder: FileFinder, source: Path, file: Path) -> AnyRow:
    name = file.relative_to(source).as_posix()
    origin = Origin(clean_text(name))
    split, label, _ = name.split("/")
    try:
        if split not in _SPLITS:
            raise ValueError(f"folder {clean_text(split)!r} is neither train nor test")
        if _ALIGNED.fullmatch(file.name) is None:
            raise ValueError("the name is not of the form train_00001_aligned.jpg")
        code = _code(label)
        finder.find(name)
    except ValueError as error:
        return Rejected(origin, str(error))
    return SourceRow(origin.file, code, _SPLITS[split], file, origin)
