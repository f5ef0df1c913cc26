"""Source `named-files`: images whose own names have the label, as JAFFE and KDEF name them.

JAFFE: `KA.AN1.39.tiff`, a person, an expression (AN, DI, FE, HA, NE, SA, SU) and numbers. KDEF:
`AF01ANS.JPG`, a session, a sex, a person, an expression (AF afraid, AN, DI, HA, NE, SA, SU) and an
angle (FL and FR full profiles, HL and HR half ones, S straight). Neither has Contempt. The images
lie at the top or in folders there, as KDEF has one for each person; case does not matter.

It is this layout where at least 90 % of the image files have such a name; the others are rejected
by name. Folders that name splits (`split_names`) are the split. Neither set has one of its own, so
`prepare` makes one, person by person: their names are known to `datasets.groups`.
(Lyons, Akamatsu, Kamachi and Gyoba, FG 1998; Lundqvist, Flykt and Öhman, KDEF, 1998.)
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.images import EXTENSIONS
from datasets.labels import parse_name
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
)
from datasets.sources.leftovers import files_below, is_image
from datasets.sources.list_splits import ListSplits, path_splits, split_folder
from datasets.sources.paths import FileFinder, PathRejectedError, clean_text, is_junk, subfolders
from datasets.sources.split_names import TEST_SPLIT

_CODES: Final = {
    **{"an": parse_name("anger"), "di": parse_name("disgust"), "fe": parse_name("fear")},
    **{"af": parse_name("afraid"), "ha": parse_name("happy"), "ne": parse_name("neutral")},
    **{"sa": parse_name("sad"), "su": parse_name("surprise")},
}
_EXTENSION: Final = "|".join(sorted(one[1:] for one in EXTENSIONS))
_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"[a-z]{{2}}\.(an|di|fe|ha|ne|sa|su)\d{{1,2}}\.\d{{1,6}}\.({_EXTENSION})",
        rf"[ab][fm]\d{{2,5}}(af|an|di|ha|ne|sa|su)(fl|hl|s|hr|fr)\.({_EXTENSION})",
    )
)
_LEAST_SHARE = 0.9
_LOOKED_AT = 300


class NamedFiles:
    """Images, in folders of any depth, whose names have the label."""

    def detect(self, path: Path) -> bool:
        """Say whether at least 90 % of the images have a name of JAFFE's, or of KDEF's."""
        return path.is_dir() and _pattern(list(islice(_near_images(path), _LOOKED_AT))) is not None

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per image file. Raises `DataError` if too few have such a name."""
        files = list(_images(path)) if path.is_dir() else []
        pattern = _pattern(files)
        if pattern is None:
            raise DataError(
                f"{path} has no images with the label in their names, as JAFFE (KA.AN1.39.tiff) "
                "or KDEF (AF01ANS.JPG) has them"
            )
        finder = FileFinder(path, [path])
        names = [file.relative_to(path).as_posix() for file in files]
        splits = path_splits(names)
        for name, file in zip(names, files, strict=True):
            yield _row(finder, name, file, pattern, splits)


def _images(path: Path) -> Iterator[Path]:
    return (file for file in files_below(path) if is_image(file.name))


def _near_images(path: Path) -> Iterator[Path]:
    """Those at the top and two folders deep: a quick look, also where `path` is a whole disk."""
    for folder in (
        path,
        *_folders(path),
        *(deep for one in _folders(path) for deep in _folders(one)),
    ):
        with suppress(OSError), os.scandir(folder) as entries:
            names = sorted(one.name for one in entries if is_image(one.name))
            yield from (folder / name for name in names if not is_junk(name))


def _folders(path: Path) -> list[Path]:
    try:
        return subfolders(path)[:_LOOKED_AT]
    except OSError:
        return []


def _pattern(files: list[Path]) -> re.Pattern[str] | None:
    for pattern in _PATTERNS:
        fitting = sum(pattern.fullmatch(file.name) is not None for file in files)
        if files and fitting >= _LEAST_SHARE * len(files):
            return pattern
    return None


def _row(
    finder: FileFinder, name: str, file: Path, pattern: re.Pattern[str], splits: ListSplits
) -> AnyRow:
    origin = Origin(clean_text(name))
    role, left_out = splits.of(split_folder(name))
    if role == TEST_SPLIT or left_out is not None:
        return Excluded(origin, left_out or TEST_SPLIT)
    named = pattern.fullmatch(file.name)
    if named is None:
        return Rejected(origin, "the name has no label, as those of the other images have")
    try:
        finder.find(name)
    except PathRejectedError as error:
        return Rejected(origin, str(error))
    return SourceRow(origin.file, _CODES[named[1].casefold()], role, file, origin)
