"""Images that a list names without extension: `12`, or `12.0`, for `train_set/images/12.jpg`."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from datasets.images import EXTENSIONS
from datasets.sources.paths import (
    NO_FILE,
    PathRejectedError,
    clean_text,
    find_inside,
    is_junk,
    subfolders,
)
from datasets.sources.split_names import Kind, kind_of, kind_of_list

# What pandas makes of a column of whole numbers in which one is missing.
_AS_FLOAT: Final = re.compile(r"([0-9]+)\.0+")
_SHOWN = 3


def has_extension(name: str) -> bool:
    """Say whether a name has the extension of an image file."""
    return os.path.splitext(name)[1].casefold() in EXTENSIONS


class StemFinder:
    """`find_inside` for names without extension: one look at each folder."""

    def __init__(self, root: Path, folders: Sequence[Path], listing: Path) -> None:
        """`folders` hold what `listing` names, beside those of the split that it is of."""
        of_split, self._missing = split_image_folders(root, listing)
        self._root = root
        self._folders = list(dict.fromkeys([*folders, *of_split]))
        self._listed: dict[Path, dict[str, list[str]]] = {}
        """By folder: names by stem, and by themselves."""

    def find(self, name: str) -> Path:
        """Return the file of that very name, or else the only image with that name as its stem.

        Raises `PathRejectedError` for none or several, or if a link leads out of the root.
        """
        whole = _AS_FLOAT.fullmatch(name)
        for stem in (name, *([whole[1]] if whole else [])):
            found = self._all(stem)
            exact = [(folder, file) for folder, file in found if file == Path(stem).name]
            found = exact[:1] or found
            if len(found) > 1:
                names = ", ".join(
                    clean_text(f"{folder.name}/{file}") for folder, file in found[:_SHOWN]
                )
                raise PathRejectedError(f"{len(found)} files have this name ({names})")
            if found:
                return find_inside(self._root, [found[0][0]], found[0][1])
        try:
            return find_inside(self._root, self._folders, name)
        except PathRejectedError as error:
            reason = self._missing if str(error) == NO_FILE else ""
            raise PathRejectedError(reason or str(error)) from None

    def _all(self, stem: str) -> list[tuple[Path, str]]:
        below, name = os.path.split(stem)
        folders = dict.fromkeys(folder / below if below else folder for folder in self._folders)
        return [(one, file) for one in folders for file in self._names(one).get(name, ())]

    def _names(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._listed:
            names: dict[str, list[str]] = {}
            for file in _files(folder):
                key = os.path.splitext(file)[0] if has_extension(file) else file
                names.setdefault(key, []).append(file)
            self._listed[folder] = names
        return self._listed[folder]


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(one.name for one in entries if not is_junk(one.name) and one.is_file())
    except OSError:
        return []  # no such folder, or none that can be looked at: no file of this name


def split_image_folders(root: Path, listing: Path) -> tuple[list[Path], str]:
    """Return the folders of a split that may hold the images which a list gives by number.

    Numbers begin anew in each split, so a list that names one (`train_set_annotation.csv`) is of
    that split's folders, `train_set/images` and `train_set`; another is of the only split there is.
    Where there are several, and the list names none, the text says so: else it is empty.
    """
    splits: dict[Kind, list[Path]] = {}
    for folder in subfolders(root):
        kind = kind_of(folder.name)
        if kind is not None:
            splits.setdefault(kind, []).append(folder)
    kind = kind_of_list(listing.stem)
    wanted = set(splits) if kind is None else {kind}
    if len(wanted) > 1:
        names = ", ".join(sorted(clean_text(one.name) for some in splits.values() for one in some))
        return [], f"{NO_FILE}; the name of the list does not say which it is of, {names}"
    folders = [one for kind in wanted for one in splits.get(kind, [])]
    return [one for folder in folders for one in (folder / "images", folder)], ""
