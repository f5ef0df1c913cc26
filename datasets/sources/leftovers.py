"""What lies in a source and is of none of its rows: counted by its folder, or refused.

One walk over the whole source, for the layouts that are folders of images: nothing that a user
may take for a part of the data is left out without a word.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.images import EXTENSIONS
from datasets.sources.base import Excluded, Origin
from datasets.sources.paths import clean_text, is_junk
from datasets.sources.split_names import kind_of, no_split

LOOSE: Final = "in no class folder"


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder but junk, sorted. A folder that can't be read raises."""
    for directory, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not is_junk(name))
        for name in sorted(files):
            if not is_junk(name):
                yield Path(directory, name)


def _raise(error: OSError) -> None:
    raise error


def is_image(name: str) -> bool:
    """Say whether a file's name has the extension of an image."""
    return os.path.splitext(name)[1].casefold() in EXTENSIONS


def leftovers(
    source: Path, tops: Collection[Path], read: Collection[Path], flat: Collection[Path] = ()
) -> Iterator[Excluded]:
    """Yield each image in `source` that no row is of.

    `tops` are the folders of the splits, or `source` itself; all files below those of `read` have
    rows, and all right in those of `flat`. Raises `DataError` for an image in a folder that names
    a split and is not one of `tops`, and where `tops` are of one split alone and other images lie
    beside it: a misspelt split, most likely.
    """
    read, flat = frozenset(read), frozenset(flat)
    one_alone = len({kind_of(top.name) for top in tops}) == 1 and source not in tops
    for directory, folders, files in os.walk(source, onerror=_raise):
        here = Path(directory)
        folders[:] = sorted(one for one in folders if not is_junk(one) and here / one not in read)
        if here in read or here in flat:
            continue
        for name in sorted(files):
            if is_image(name) and not is_junk(name):
                file = here / name
                _refuse_other_split(file, source, tops)
                if one_alone and here != source and here not in tops:
                    raise _only_one(file, tops)
                yield Excluded(_origin(source, file), _reason(file, source, tops))


def _origin(source: Path, file: Path) -> Origin:
    return Origin(clean_text(file.relative_to(source).as_posix()))


def _reason(file: Path, source: Path, tops: Collection[Path]) -> str:
    """By the folder beside the splits that an image lies in, if it does."""
    if file.parent == source or file.parent in tops:
        return LOOSE
    homes = {top.parent for top in tops if top != source}
    home = next((one for one in homes if file.is_relative_to(one)), source)
    beside = file.relative_to(home).parts[0]
    return no_split(clean_text(beside)) if home / beside != file else LOOSE


def _refuse_other_split(file: Path, source: Path, tops: Collection[Path]) -> None:
    for folder in reversed(file.relative_to(source).parents):
        place = source / folder
        if place in tops:
            return
        if kind_of(place.name) is not None and place != source:
            example = next(iter(tops))
            raise DataError(
                f"{place} is named as a split, but its images are not laid out as those of "
                f"{example}: lay them out so, or move it away"
            )


def _only_one(file: Path, tops: Collection[Path]) -> DataError:
    return DataError(
        f"{', '.join(map(str, tops))} is the only folder that names a split, and beside it lies "
        f"{file}: if that is of another split, call its folder train, validation or test; if not, "
        "move it away"
    )
