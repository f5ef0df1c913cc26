"""Which CSV files of a folder are its lists of images and labels: one, or one for each split."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.errors import DataError
from datasets.git_lfs import refuse_pointer
from datasets.sources.base import SourceOptions
from datasets.sources.csv_lines import first_fields
from datasets.sources.paths import is_junk
from datasets.sources.split_names import Role, kind_of_list, roles

IMAGE_COLUMNS = ("image", "path", "file", "filename", "image_path", "filepath", "pth", "img")
LABEL_COLUMNS = ("label", "emotion", "expression", "class", "category", "emotion_label")
# Columns of people who have AffectNet's aligned faces, `train_set/images/12.jpg`. They may mean
# other things, so they count where no CSV has any of the names above.
NUMBER_COLUMNS = (*IMAGE_COLUMNS, "number")
EXP_COLUMNS = (*LABEL_COLUMNS, "exp")


class Listing(NamedTuple):
    """A CSV of images and labels."""

    file: Path
    role: Role = None
    """What its images are used for, by its name, where there is one list for each split."""
    is_part: bool = False
    """Whether there are other lists, of other splits."""


def is_listed(path: Path) -> bool:
    """Say whether `path` is a CSV with both columns, or a folder with one at its top."""
    return any(_has_both(file, NUMBER_COLUMNS, EXP_COLUMNS) for file in _csv_files(path))


def names_images(path: Path) -> bool:
    """Say whether a CSV at the top of a folder names images by path, and their labels."""
    return any(_has_both(file, IMAGE_COLUMNS, LABEL_COLUMNS) for file in _csv_files(path))


def listings(path: Path, options: SourceOptions) -> list[Listing]:
    """Return the lists of a folder, that of training first.

    Several are read where each names another split (`train.csv`, `val_labels.csv`). Raises
    `DataError` for none, and for several of which it is not told which one is meant.
    """
    if options.csv is not None and path.is_dir():
        file = path / options.csv
        if not file.is_file():
            raise DataError(f"there is no CSV file {file}: check --csv")
        return [Listing(file)]
    files = _csv_files(path)
    for file in files:
        refuse_pointer(file)
    if len(files) > 1:
        plain = [file for file in files if _has_both(file, IMAGE_COLUMNS, LABEL_COLUMNS)]
        numbered = [file for file in files if _has_both(file, NUMBER_COLUMNS, EXP_COLUMNS)]
        files = plain or numbered or files
    if len(files) == 1:
        return [Listing(files[0])]
    if not files:
        raise DataError(f"{path} has no CSV file at its top: name one with --csv")
    return _one_a_split(path, files)


def _one_a_split(path: Path, files: Sequence[Path]) -> list[Listing]:
    kinds = {file: kind_of_list(file.stem) for file in files}
    if None in kinds.values() or len(set(kinds.values())) < len(files):
        names = ", ".join(file.name for file in files)
        raise DataError(
            f"{path} has several CSV files ({names}), and not each names another split: name one "
            "with --csv"
        )
    used = roles(str(kind) for kind in kinds.values())
    found = [Listing(file, used[str(kind)], is_part=True) for file, kind in kinds.items()]
    return sorted(found, key=lambda one: kinds[one.file] != "train")


def _csv_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.casefold() == ".csv" else []
    return sorted(
        file
        for file in path.iterdir()
        if file.suffix.casefold() == ".csv" and not is_junk(file.name) and file.is_file()
    )


def _has_both(file: Path, images: Sequence[str], labels: Sequence[str]) -> bool:
    names = [name.strip().casefold() for name in first_fields(file)]
    return not set(images).isdisjoint(names) and not set(labels).isdisjoint(names)
