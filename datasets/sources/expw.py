"""Source `expw`: Expression in the Wild, photographs and one list of the faces in them.

`label/label.lst` or `label.lst`, at the top or one folder deeper, has a line for each face: the
image's name, the face's number in it, its box as top, left, right, bottom (in this order), a
confidence that is not read, and the label: 0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise,
6 neutral. The images lie in `image/origin/`, `origin/` or `image/`. ExpW has no Contempt.

An `image_id` is `NAME:FACE`, as an image may have several faces. ExpW has no split, so `prepare`
makes one, photograph by photograph: each is a group (see `datasets.groups`).
(Zhang, Luo, Loy and Tang, From Facial Expression Recognition to Interpersonal Relation Prediction,
IJCV 126, 2018.)
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.git_lfs import refuse_pointer
from datasets.images import EXTENSIONS
from datasets.label_orders import FER2013
from datasets.labels import parse_number
from datasets.sources.base import AnyRow, Box, Origin, Rejected, SourceOptions, SourceRow
from datasets.sources.paths import (
    FileFinder,
    PathRejectedError,
    clean_text,
    relative_name,
    subfolders,
)

LABELS: Final = FER2013
"""ExpW counts as FER2013 does: angry, disgust, fear, happy, sad, surprise, neutral."""

_LISTS: Final = ("label/label.lst", "label.lst")
_IMAGE_FOLDERS: Final = ("image/origin", "origin", "image")
_WIDTH: Final = 8
_LOOKED_AT = 20
_MAX_LINE = 2000
# Pixels; no image is that large, and arithmetic with it stays finite.
_LARGEST_COORDINATE = 1e9


class ExpW:
    """A list of faces in photographs."""

    def detect(self, path: Path) -> bool:
        """Say whether a `label.lst` has a line of ExpW's eight fields among its first."""
        return path.is_dir() and _find_list(path) is not None

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per line. Raises `DataError` if the list or the images are missing."""
        found = _find_list(path) if path.is_dir() else None
        if found is None:
            raise DataError(f"{path} has no {_LISTS[0]} with ExpW's eight fields a line")
        home, listing = found
        folders = [home / name for name in _IMAGE_FOLDERS if (home / name).is_dir()]
        if not folders:
            raise DataError(
                f"{listing} is ExpW's list, but {home} has no folder {_IMAGE_FOLDERS[0]}: unpack "
                "the images there (7z x origin.7z.001)"
            )
        reader = _Reader(listing.relative_to(path).as_posix(), FileFinder(path, folders))
        for number, line in _lines(listing):
            yield reader.row(number, line)


def _find_list(path: Path) -> tuple[Path, Path] | None:
    """Return the folder of the data set, and its list."""
    for home in (path, *subfolders(path)):
        for name in _LISTS:
            file = home / name
            if home.name.casefold() == file.parent.name.casefold() == "label":
                continue  # the folder of the list alone: the images lie in the one above
            if file.is_file() and any(_is_face(line) for _, line in islice(_raw(file), _LOOKED_AT)):
                return home, file
    return None


def _is_face(line: str) -> bool:
    fields = line.rsplit(maxsplit=_WIDTH - 1)
    if len(fields) != _WIDTH or Path(fields[0]).suffix.casefold() not in EXTENSIONS:
        return False
    try:
        return all(math.isfinite(float(field)) for field in fields[1:])
    except ValueError:
        return False


def _lines(listing: Path) -> Iterator[tuple[int, str]]:
    refuse_pointer(listing)
    return _raw(listing)


def _raw(listing: Path) -> Iterator[tuple[int, str]]:
    with listing.open(encoding="utf-8-sig", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, line[:_MAX_LINE]


@dataclass(frozen=True)
class _Reader:
    listed_in: str
    finder: FileFinder
    first_line: dict[str, int] = field(default_factory=dict)
    """By `image_id`."""

    def row(self, number: int, line: str) -> AnyRow:
        # From the right: a name may have blanks.
        fields = line.rsplit(maxsplit=_WIDTH - 1)
        if len(fields) != _WIDTH:
            reason = f"{len(fields)} field(s), expected {_WIDTH}"
            return Rejected(Origin(self.listed_in, number), reason)
        image, face, *box, _, label = (text.strip() for text in fields)
        origin = Origin(clean_text(image)[:300], number)
        try:
            name = relative_name(image)
            image_id = f"{clean_text(name)}:{_face(face)}"
            code, bounds = _code(label), _box(box)
            file = Path(self.finder.find(name))
        except (PathRejectedError, ValueError) as error:
            return Rejected(origin, str(error))
        first = self.first_line.setdefault(image_id, number)
        if first != number:
            return Rejected(origin, f"line {first} names this face of the image already")
        return SourceRow(image_id, code, None, file, origin, bounds, group=name)


def _face(text: str) -> int:
    number = parse_number(text)
    if number is None:
        raise ValueError(f"face {clean_text(text)[:60]!r} is no number")
    return number


def _code(text: str) -> int:
    number = parse_number(text)
    if number is None or number not in LABELS:
        raise ValueError(f"unknown label {clean_text(text)[:60]!r}, expected 0 to 6")
    return LABELS[number]


def _box(fields: list[str]) -> Box:
    """Return the box of top, left, right and bottom. Raises `ValueError` with the reason."""
    edges = []
    for name, text in zip(("top", "left", "right", "bottom"), fields, strict=True):
        try:
            edge = float(text)
        except ValueError:
            edge = math.nan
        if not abs(edge) <= _LARGEST_COORDINATE:
            raise ValueError(f"face_box_{name} is no number of pixels: {clean_text(text)[:40]!r}")
        edges.append(edge)
    top, left, right, bottom = edges
    if right - left < 1 or bottom - top < 1:
        size = f"{right - left:g}x{bottom - top:g}"
        raise ValueError(f"the face box has no size: {size} pixels")
    return Box(left, top, right - left, bottom - top)
