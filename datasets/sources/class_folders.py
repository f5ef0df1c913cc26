"""Source `class-folders`: one folder per expression, named by code, name or alias in any case.

The folders lie at the top, or under a folder for training and one for validation (`val`, `valid`,
`validation`; or `test` where there is none of these; `test` beside a validation folder is left out
and counted, as a set that no model may be chosen on). What a folder is follows from its name
alone, never from its place in the alphabet.

A `labels.csv` as in the copies on Kaggle decides over the folders: see `kaggle_csv`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from datasets.errors import DataError
from datasets.images import EXTENSIONS
from datasets.labels import UnknownLabelError, is_excluded, parse_label
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Origin,
    Rejected,
    Remark,
    SourceOptions,
    SourceRow,
    excluded,
)
from datasets.sources.csv_folder import CsvFolder
from datasets.sources.kaggle_csv import ClassFile, KaggleList, find_labels_csv, unless_out
from datasets.sources.paths import FileFinder, clean_text, is_junk, subfolders
from datasets.sources.split_names import TEST_SPLIT, Role, kind_of, roles

UNLISTED = "not in labels.csv: the label of the folder is taken"


class ClassFolders:
    """A folder per class, with or without folders for the splits."""

    def detect(self, path: Path) -> bool:
        """Say whether a folder of one of the eight expressions lies where this layout has them.

        Beside a CSV that names images and labels itself, other than Kaggle's `labels.csv`, the
        folders are only where the images lie.
        """
        if not _has_classes(path):
            return False
        return find_labels_csv(path) is not None or not CsvFolder().detect(path)

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield the lines of `labels.csv` if there is one, then all other files by split and path.

        Raises `DataError` if there is no folder of an expression, or if `options.min_relfcs` is
        given and no `labels.csv` with a column `relFCs`.
        """
        if not _has_classes(path):
            raise DataError(
                f"{path} has no folder named like an expression (Neutral, happy, 3, ...), "
                "neither at its top nor under train/ and val/"
            )
        listing = find_labels_csv(path)
        finder = FileFinder(path, [path])
        if listing is None:
            if options.min_relfcs is not None:
                raise DataError(f"{path} has no labels.csv with relFCs: leave out --min-relfcs")
            yield from (_row(finder, file) for file in _class_files(path))
            return
        files = list(_class_files(path))
        listed = KaggleList(listing, files, finder, options.min_relfcs)
        yield from listed.rows()
        for file in files:
            if file.name not in listed.named:
                yield from _unlisted(finder, file, options)


def _unlisted(finder: FileFinder, file: ClassFile, options: SourceOptions) -> Iterator[AnyRow]:
    row = _row(finder, file)
    if isinstance(row, SourceRow) and options.min_relfcs is not None:
        yield Excluded(row.origin, "not in labels.csv, so without relFCs")
        return
    if isinstance(row, SourceRow):
        yield Remark(UNLISTED)
    yield row


def _row(finder: FileFinder, file: ClassFile) -> AnyRow:
    name = clean_text(file.name)
    origin = Origin(name)
    if file.role == TEST_SPLIT:
        return Excluded(origin, TEST_SPLIT)
    if file.code is None:
        return Rejected(origin, f"folder {clean_text(file.folder)!r} names no expression")
    if file.path.suffix.casefold() not in EXTENSIONS:
        return Rejected(origin, f"not an image file (extension {clean_text(file.path.suffix)!r})")
    if is_excluded(file.code):
        return excluded(origin, file.code)
    row = SourceRow(name, file.code, file.role, file.path, origin)
    return unless_out(finder, row, file)


def _has_classes(path: Path) -> bool:
    return path.is_dir() and any(
        _is_expression(folder.name) for top in _tops(path) for folder in subfolders(top)
    )


def _tops(path: Path) -> dict[Path, Role]:
    """Return the folders that hold the class folders, and what each is used for."""
    folders = {folder.name: folder for folder in subfolders(path)}
    if not any(kind_of(name) == "train" for name in folders):
        return {path: None}
    tops = {folders[name]: role for name, role in roles(folders).items()}
    # Training first, as in every other source.
    return dict(sorted(tops.items(), key=lambda one: (kind_of(one[0].name) != "train", one[0])))


def _class_files(path: Path) -> Iterator[ClassFile]:
    for top, role in _tops(path).items():
        for folder in subfolders(top):
            try:
                code = parse_label(folder.name)
            except UnknownLabelError:
                code = None
            for file in _files(folder):
                name, below = (file.relative_to(base).as_posix() for base in (path, top))
                yield ClassFile(file, name, below, role, code)


def _is_expression(name: str) -> bool:
    try:
        return not is_excluded(parse_label(name))
    except UnknownLabelError:
        return False


def _files(folder: Path) -> Iterator[Path]:
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_junk(name))
        for name in sorted(files):
            if not is_junk(name):
                yield Path(directory, name)
