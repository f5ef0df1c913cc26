"""Source `raf-db`: the basic emotions of RAF-DB, seven labels (no Contempt).

`EmoLabel/list_patition_label.txt` (the name is misspelt there; the right spelling is read too) has
lines `train_00001.jpg 5`. An image is `Image/aligned/train_00001_aligned.jpg`, or else
`Image/original/train_00001.jpg`, uncut, which a remark counts. RAF-DB has a training and a test
part and nothing else to evaluate on: its test part becomes the validation split.

Copies with a folder per label are read too, see `raf_db_folders`: their folders 1 to 7 are RAF-DB's
labels, not AffectNet's codes. All may lie one folder deeper, and folders be spelled in any case.

The compound set has labels 1 to 11 of other expressions; it is refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.git_lfs import refuse_pointer
from datasets.label_orders import RAF_DB
from datasets.labels import parse_number
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
    NO_FILE,
    FileFinder,
    PathRejectedError,
    clean_text,
    relative_name,
    subfolders,
)
from datasets.sources.raf_db_folders import compound_set, find_trees, folder_rows

UNALIGNED = "no aligned image: the original is taken, which shows more than the face"

_LISTS = ("list_patition_label.txt", "list_partition_label.txt")
_LISTED = re.compile(r"(train|test)_(\d+)\.(jpg|jpeg|png)", re.IGNORECASE)
_SPLITS: Final[dict[str, SplitName]] = {"train": "train", "test": "validation"}
_MAX_LINE = 1000
_COMPOUND_DIGITS: Final = 4
# Of the lines of a basic set's list that may have a label of the compound one by mistake.
_MAX_COMPOUND_LABELS: Final = 0.05


class RafDb:
    """RAF-DB's list of labels, or its folder per label."""

    def detect(self, path: Path) -> bool:
        """Say whether the list is there, or numbered folders with images named by RAF-DB."""
        return path.is_dir() and (_find_list(path) is not None or bool(find_trees(path)))

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per line, or per file, and a remark for each image that is not aligned.

        Raises `DataError` if it is not this layout, or the compound set.
        """
        listing = _find_list(path) if path.is_dir() else None
        if listing is not None:
            _refuse_compound(listing)
            yield from _list_rows(path, listing)
        elif path.is_dir() and find_trees(path):
            yield from folder_rows(path)
        else:
            raise DataError(f"{path} has no EmoLabel/{_LISTS[0]}, at its top or under basic/")


def _child(folder: Path, name: str) -> Path | None:
    """Return the folder of a name in any case, the very name first; None where there is none."""
    if (folder / name).is_dir():
        return folder / name
    small = name.casefold()
    return next((one for one in subfolders(folder) if one.name.casefold() == small), None)


def _homes(path: Path) -> Iterator[Path]:
    """Yield the folders that may hold `EmoLabel` and `Image`: the basic set before the compound."""
    tops = (path, *subfolders(path))
    for name in ("basic", None, "compound"):
        for top in tops:
            home = top if name is None else _child(top, name)
            if home is not None:
                yield home


def _find_list(path: Path) -> Path | None:
    for home in _homes(path):
        folder = _child(home, "EmoLabel")
        for name in _LISTS:
            if folder is not None and (folder / name).is_file():
                return folder / name
    if any((path / name).is_file() for name in _LISTS):
        raise DataError(
            f"{path} has RAF-DB's list but not its images: give {path.parent}, which has both"
        )
    return None


def _lines(listing: Path) -> Iterator[tuple[int, str]]:
    refuse_pointer(listing)
    with listing.open(encoding="utf-8-sig", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, line[:_MAX_LINE]


def _refuse_compound(listing: Path) -> None:
    """Raise `DataError` where the names or the labels are those of the compound set."""
    digits, above, total = [], 0, 0
    for _, line in _lines(listing):
        name, *rest = line.split() or [""]
        listed = _LISTED.fullmatch(name)
        if listed is not None and rest:
            total += 1
            above += (parse_number(rest[0]) or 0) > max(RAF_DB)
            if listed[1].lower() == "train":
                digits.append(len(listed[2]))
    few = sum(number == _COMPOUND_DIGITS for number in digits) > len(digits) / 2
    if few or above > max(1, _MAX_COMPOUND_LABELS * total):
        raise compound_set(listing)


def _list_rows(source: Path, listing: Path) -> Iterator[AnyRow]:
    home = listing.parent.parent
    images = _child(home, "Image") or home
    finders = {
        kind: FileFinder(source, [_child(images, kind) or images / kind])
        for kind in ("aligned", "original")
    }
    listed_in = listing.relative_to(source).as_posix()
    first_line: dict[str, int] = {}
    for number, line in _lines(listing):
        yield from _line_rows(Origin(listed_in, number), line, finders, first_line)


def _line_rows(
    at: Origin, line: str, finders: dict[str, FileFinder], first_line: dict[str, int]
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
        image, aligned = _find_image(finders, name)
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
    return RAF_DB[int(text)]


def _find_image(finders: dict[str, FileFinder], name: str) -> tuple[Path, bool]:
    """Return an image and whether it is aligned. Raises `PathRejectedError` if there is none."""
    stem, dot, extension = name.rpartition(".")
    try:
        return Path(finders["aligned"].find(f"{stem}_aligned{dot}{extension}")), True
    except PathRejectedError as error:
        if str(error) != NO_FILE:
            raise
    return Path(finders["original"].find(name)), False
