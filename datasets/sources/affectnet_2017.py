"""Source `affectnet-2017`: AffectNet as first released, photographs and two lists with face boxes.

`training.csv` and `validation.csv` lie in `Manually_Annotated_file_lists/` or at the top, the
images under `Manually_Annotated_Images/`, which may be doubled or lie in `Manually_Annotated/`; all
of it may lie one folder deeper. The lists of automatically annotated images are not read.

The columns are those of the header, or the nine of the release where a list has none. A row is
rejected when it has more or fewer fields than that (a line cut short may end in another label),
when its label or its box is not a number, or when the box is less than a pixel wide or high:
negative sizes stand where no face was found, so there is nothing to crop to. A label of 8 to 10 is
excluded whatever the box. A path that was used already, in either list, is rejected.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from datasets.errors import DataError
from datasets.labels import UnknownLabelError, is_excluded, parse_label
from datasets.manifest import SplitName
from datasets.sources.base import (
    AnyRow,
    Box,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
    excluded,
)
from datasets.sources.csv_lines import Line, csv_lines, first_fields
from datasets.sources.paths import (
    FileFinder,
    PathRejectedError,
    clean_text,
    relative_name,
    subfolders,
)

_LISTS: dict[SplitName, str] = {"train": "training.csv", "validation": "validation.csv"}
_LIST_FOLDERS = ("Manually_Annotated_file_lists", "")
_IMAGES = "Manually_Annotated_Images"
_IMAGE_FOLDERS = (
    _IMAGES,
    f"{_IMAGES}/{_IMAGES}",
    f"Manually_Annotated/{_IMAGES}",
    f"Manually_Annotated/{_IMAGES}/{_IMAGES}",
)
_COLUMNS = (
    "subdirectory_filepath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
_BOX_COLUMNS = _COLUMNS[1:5]
# Pixels; no image is that large, and arithmetic with it stays finite.
_LARGEST_COORDINATE = 1e9
_TEXT_SHOWN = 300


class AffectNet2017:
    """Lists of photographs with the boxes of their faces."""

    def detect(self, path: Path) -> bool:
        """Say whether a list of this release lies where it may."""
        return path.is_dir() and any(_homes(path))

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per line, training first.

        Raises `DataError` if a list, or every folder of images, is missing.
        """
        home, lists = _home(path)
        finder = FileFinder(path, _image_folders(path, home, lists))
        used: dict[str, Origin] = {}
        for split, name in _LISTS.items():
            file = lists / name
            reader = _ListReader(file.relative_to(path).as_posix(), split, finder, used)
            yield from reader.rows(file)


class _BoxRejectedError(ValueError):
    """A face box that nothing can be cropped to; the text says why."""


class _Places(NamedTuple):
    """Where the fields of a row stand."""

    width: int
    """Number of fields of a row."""
    image: int
    label: int
    box: tuple[int, ...]
    """Left, top, width, height."""


@dataclass(frozen=True)
class _ListReader:
    """Turns the lines of one list into rows."""

    name: str
    """Of the list, relative to the source."""
    split: SplitName
    finder: FileFinder
    used: dict[str, Origin]
    """The list and line that used an image file; of both lists."""

    def rows(self, file: Path) -> Iterator[AnyRow]:
        lines = csv_lines(file)
        first = next(lines, None)
        if first is None:
            raise DataError(f"{file} is empty: fetch the list of images again")
        places = None if isinstance(first.fields, str) else _header_places(first.fields)
        if places is None:
            lines = chain([first], lines)
            places = _places(_COLUMNS)
        for line in lines:
            yield self._row(line, places)

    def _row(self, line: Line, places: _Places) -> AnyRow:
        fields = line.fields
        if isinstance(fields, str):
            return Rejected(Origin(self.name, line.number), fields)
        image = fields[places.image] if len(fields) > places.image else ""
        origin = Origin(clean_text(image)[:_TEXT_SHOWN] or self.name, line.number)
        if len(fields) != places.width:
            reason = f"the line has {len(fields)} column(s), not {places.width}"
            return Rejected(origin, reason)
        label, box = fields[places.label], [fields[place] for place in places.box]
        try:
            return self._labelled(origin, relative_name(image), _code(label), box)
        except (PathRejectedError, _BoxRejectedError) as error:
            return Rejected(origin, str(error))
        except UnknownLabelError:
            return Rejected(origin, f"unknown label {clean_text(label)[:60]!r}")

    def _labelled(self, origin: Origin, name: str, code: int, box: Sequence[str]) -> AnyRow:
        if is_excluded(code):
            return excluded(origin, code)
        face = _box(box)
        file = self.finder.find(name)
        here = Origin(self.name, origin.row)
        first = self.used.setdefault(file, here)
        if first is not here:
            return Rejected(origin, f"line {first.row} of {first.file} names this image already")
        # Mostly one text for both: there may be 400,000 of them.
        image_id = origin.file if origin.file == name else clean_text(name)
        return SourceRow(image_id, code, self.split, Path(file), origin, face)


def _code(label: str) -> int:
    # Software that makes `face_x` 134.0 makes the label 3.0.
    return parse_label(label.strip().removesuffix(".0"))


def _box(fields: Sequence[str]) -> Box:
    values = []
    for name, text in zip(_BOX_COLUMNS, fields, strict=True):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) <= _LARGEST_COORDINATE:
            raise _BoxRejectedError(f"{name} is no number of pixels: {clean_text(text)[:40]!r}")
        values.append(value)
    box = Box(*values)
    if box.width < 1 or box.height < 1:
        raise _BoxRejectedError(f"the face box has no size: {box.width:g}x{box.height:g} pixels")
    return box


def _places(names: Sequence[str]) -> _Places:
    """Raises `ValueError` if a column is missing."""
    return _Places(
        len(names),
        names.index(_COLUMNS[0]),
        names.index("expression"),
        tuple(names.index(name) for name in _BOX_COLUMNS),
    )


def _header_places(fields: Sequence[str]) -> _Places | None:
    """Return where the columns stand by the names of a header; None if this is no such header."""
    try:
        return _places([name.strip().lstrip("#").casefold() for name in fields])
    except ValueError:
        return None


def _is_list(file: Path) -> bool:
    """Say whether the first line is a header of this release, or a row of its nine columns."""
    if not file.is_file():
        return False
    fields = first_fields(file)
    if _header_places(fields) is not None:
        return True
    if len(fields) != len(_COLUMNS):
        return False
    places = _places(_COLUMNS)
    try:
        _code(fields[places.label])
        for place in places.box:
            float(fields[place])
    except (UnknownLabelError, ValueError):
        return False
    return True


def _homes(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each folder that holds a copy of the release, with the folder of its lists."""
    for home in (path, *subfolders(path)):
        for name in _LIST_FOLDERS:
            if any(_is_list(home / name / file) for file in _LISTS.values()):
                yield home, home / name
                break


def _home(path: Path) -> tuple[Path, Path]:
    both = f"{_LISTS['train']} and {_LISTS['validation']}"
    homes = list(_homes(path)) if path.is_dir() else []
    if not homes:
        raise DataError(
            f"{path} has no lists of AffectNet 2017: {both} with their nine columns, "
            f"in {_LIST_FOLDERS[0]}, at the top, or one folder deeper"
        )
    home, lists = homes[0]
    if home != path and len(homes) > 1:
        copies = ", ".join(str(home) for home, _ in homes)
        raise DataError(f"{path} holds several copies of AffectNet 2017: name one of {copies}")
    for name in _LISTS.values():
        if not (lists / name).is_file():
            raise DataError(f"there is no list {lists / name}: put both, {both}, into one folder")
    return home, lists


def _image_folders(path: Path, home: Path, lists: Path) -> list[Path]:
    """Return the folders under which the images of the lists may lie."""
    bases = dict.fromkeys((home, path, *subfolders(path)))
    named = dict.fromkeys(base / name for base in bases for name in _IMAGE_FOLDERS)
    found = [folder for folder in named if folder.is_dir()]
    if not found and subfolders(home) in ([], [lists]):
        raise DataError(
            f"{path} has the lists of AffectNet 2017 but no folder {_IMAGES}: "
            "give the folder that holds both"
        )
    # The bare folders are last: they take images beside the lists, and paths in a list that begin
    # with the name of the folder of images.
    return [*found, *dict.fromkeys((home, path))]
