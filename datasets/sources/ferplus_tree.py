"""Source `ferplus-tree`: FER+'s own tree, `FER2013Train/label.csv` beside the PNG files it names.

`label.csv` has no header. Its columns are the image's name, the face's box `(left, top, right,
bottom)` and ten votes in FER+'s order: neutral, happiness, surprise, sadness, anger, disgust, fear,
contempt, unknown, NF. The label is the one with the most votes, as in `fer2013` beside FER+'s CSV:
a tie and `unknown` are left out as `Uncertain`, NF as `No-Face`. A box of 48 by 48 pixels is the
whole image, of whatever size it was stored.

`FER2013Train`, `FER2013Valid` and `FER2013Test` (any spelling of `split_names`) lie at the top or
one folder deeper, as in `data/` of FER+'s repository. Test is left out beside Valid, and counted.
The repository has the lists alone: its `generate_training_data.py` makes the images of FER2013's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.images import EXTENSIONS
from datasets.labels import is_excluded
from datasets.sources.base import (
    AnyRow,
    Box,
    Excluded,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
    excluded,
)
from datasets.sources.csv_lines import csv_lines, first_fields
from datasets.sources.fer2013 import EDGE
from datasets.sources.ferplus import VOTE_COLUMNS, majority
from datasets.sources.leftovers import leftovers
from datasets.sources.paths import (
    FileFinder,
    PathRejectedError,
    clean_text,
    is_junk,
    relative_name,
    subfolders,
)
from datasets.sources.split_names import TEST_SPLIT, Role, kind_of, roles

LIST_NAME: Final = "label.csv"
UNLISTED: Final = f"not in {LIST_NAME}"

_WIDTH: Final = 2 + len(VOTE_COLUMNS)
_BOX: Final = re.compile(r"\(\s*(-?\d{1,6}),\s*(-?\d{1,6}),\s*(-?\d{1,6}),\s*(-?\d{1,6})\s*\)")


class FerPlusTree:
    """A folder per split, each with FER+'s votes on the images in it."""

    def detect(self, path: Path) -> bool:
        """Say whether a folder of a split has a `label.csv` of FER+'s twelve columns."""
        return path.is_dir() and bool(_splits(path))

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per line, training first, then the images beside the lists.

        An `image_id` is the image's path in the source. Raises `DataError` if it is not this
        layout, if a split has no list, or if the images were not made yet.
        """
        splits = _splits(path) if path.is_dir() else {}
        if not splits:
            raise DataError(
                f"{path} has no FER2013Train/{LIST_NAME} with FER+'s ten votes, nor has a folder "
                "in it"
            )
        _check_images(path, splits)
        for folder, role in splits.items():
            yield from _Split(path, folder, role, FileFinder(path, [folder])).rows()
        yield from leftovers(path, list(splits), [], flat=list(splits))


def _splits(path: Path) -> dict[Path, Role]:
    """Return the folders of the splits, training first; none if no list is FER+'s."""
    for home in (path, *subfolders(path)):
        folders = {one.name: one for one in subfolders(home) if kind_of(one.name) is not None}
        if any(map(_has_votes, folders.values())):
            found = {folders[name]: role for name, role in roles(folders).items()}
            order = sorted(found, key=lambda one: (kind_of(one.name) != "train", one))
            return {folder: found[folder] for folder in order}
    return {}


def _has_votes(folder: Path) -> bool:
    file = folder / LIST_NAME
    fields = first_fields(file) if file.is_file() else []
    if len(fields) != _WIDTH or _BOX.fullmatch(fields[1].strip()) is None:
        return False
    try:
        majority([vote.strip() for vote in fields[2:]])
    except ValueError:
        return False
    return True


def _check_images(path: Path, splits: dict[Path, Role]) -> None:
    for folder in splits:
        if not (folder / LIST_NAME).is_file():
            raise DataError(
                f"{folder} has no {LIST_NAME}: fetch that of FER+'s repository, or move it away"
            )
    if not any(next(_images(folder), None) for folder in splits):
        raise DataError(
            f"{path} has FER+'s lists but none of the images: make them with the "
            "generate_training_data.py of FER+'s repository, or give the folder of fer2013.csv "
            "with FER+'s fer2013new.csv beside it"
        )


def _images(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.suffix.casefold() in EXTENSIONS and not is_junk(file.name):
            yield file


def _origin(path: Path, file: Path) -> Origin:
    return Origin(clean_text(file.relative_to(path).as_posix()))


@dataclass(frozen=True)
class _Split:
    source: Path
    folder: Path
    role: Role
    finder: FileFinder
    """Finds what lies in `folder`."""
    named: dict[str, int] = field(default_factory=dict)
    """The line that names an image first."""

    def rows(self) -> Iterator[AnyRow]:
        listed = _origin(self.source, self.folder / LIST_NAME).file
        for number, fields in csv_lines(self.folder / LIST_NAME):
            origin = Origin(listed, number)
            if isinstance(fields, str):
                yield Rejected(origin, fields)
            elif len(fields) != _WIDTH:
                reason = f"the line has {len(fields)} column(s), not {_WIDTH}"
                yield Rejected(origin, reason)
            else:
                yield self._row(origin, fields)
        if self.role != TEST_SPLIT:
            for image in _images(self.folder):
                if image.name not in self.named:
                    yield Excluded(_origin(self.source, image), UNLISTED)

    def _row(self, at: Origin, fields: list[str]) -> AnyRow:
        image, box = fields[0], fields[1].strip()
        beside = at.file.removesuffix(LIST_NAME)
        origin = Origin(f"{beside}{clean_text(image)[:300]}" if image else at.file, at.row)
        try:
            name = relative_name(image)
            first = self.named.setdefault(name, at.row or 0)
            if self.role == TEST_SPLIT:
                return Excluded(origin, TEST_SPLIT)
            if first != at.row:
                return Rejected(origin, f"line {first} names this image already")
            label = majority([vote.strip() for vote in fields[2:]])
            if is_excluded(label):
                return excluded(origin, label)
            face = _box(box)
            file = Path(self.finder.find(name))
        except (PathRejectedError, ValueError) as error:
            return Rejected(origin, str(error))
        return SourceRow(_origin(self.source, file).file, label, self.role, file, origin, face)


def _box(text: str) -> Box | None:
    """Return the face's box, None for the whole image. Raises `ValueError` with the reason."""
    found = _BOX.fullmatch(text)
    if found is None:
        raise ValueError(f"{clean_text(text)[:60]!r} is no box (left, top, right, bottom)")
    left, top, right, bottom = map(int, found.groups())
    if (left, top, right, bottom) == (0, 0, EDGE, EDGE):
        return None
    if right <= left or bottom <= top:
        raise ValueError(f"the face box has no size: {right - left}x{bottom - top} pixels")
    return Box(left, top, right - left, bottom - top)
