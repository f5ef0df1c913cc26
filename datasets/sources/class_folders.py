"""Source `class-folders`: one folder per expression, named by code, name or alias in any case.

The folders lie at the top, or under a folder for training and one for validation (`val`, `valid`,
`validation`; or `test` where there is none of these; `test` beside a validation folder is left out,
as a set that no model may be chosen on).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from datasets.errors import DataError
from datasets.images import EXTENSIONS
from datasets.labels import UnknownLabelError, is_excluded, parse_label
from datasets.manifest import SplitName
from datasets.sources.base import AnyRow, Excluded, Origin, Rejected, SourceOptions, SourceRow
from datasets.sources.paths import PathRejectedError, clean_text, find_inside, is_junk

_TRAIN_NAMES = ("train", "training", "train_set")
_VALIDATION_NAMES = ("validation", "val", "valid", "val_set", "test", "testing")


class ClassFolders:
    """A folder per class, with or without folders for the splits."""

    def detect(self, path: Path) -> bool:
        """Say whether a folder of one of the eight expressions lies where this layout has them."""
        return path.is_dir() and any(
            _is_expression(folder.name) for top in _tops(path).values() for folder in _folders(top)
        )

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per file, by split, then by path. Raises `DataError` if there is none."""
        if not self.detect(path):
            raise DataError(
                f"{path} has no folder named like an expression (Neutral, happy, 3, ...), "
                "neither at its top nor under train/ and val/"
            )
        root = path.resolve()
        for split, top in _tops(path).items():
            for folder in _folders(top):
                yield from _folder_rows(path, root, folder, split)


def _tops(path: Path) -> dict[SplitName | None, Path]:
    """Return the folder that holds the class folders of each split."""
    by_name = {folder.name.casefold(): folder for folder in _folders(path)}
    train = next((by_name[name] for name in _TRAIN_NAMES if name in by_name), None)
    validation = next((by_name[name] for name in _VALIDATION_NAMES if name in by_name), None)
    if train is None:
        return {None: path}
    if validation is None:
        return {None: train}
    return {"train": train, "validation": validation}


def _folders(path: Path) -> list[Path]:
    return sorted(
        folder for folder in path.iterdir() if folder.is_dir() and not is_junk(folder.name)
    )


def _is_expression(name: str) -> bool:
    try:
        return not is_excluded(parse_label(name))
    except UnknownLabelError:
        return False


def _folder_rows(
    source: Path, root: Path, folder: Path, split: SplitName | None
) -> Iterator[AnyRow]:
    try:
        code = parse_label(folder.name)
    except UnknownLabelError:
        code = None
    for file in _files(folder):
        name = clean_text(file.relative_to(source).as_posix())
        origin = Origin(name)
        if code is None:
            yield Rejected(origin, f"folder {clean_text(folder.name)!r} names no expression")
        elif file.suffix.casefold() not in EXTENSIONS:
            yield Rejected(origin, f"not an image file (extension {file.suffix!r})")
        elif is_excluded(code):
            yield Excluded(origin, code)
        else:
            yield _row(root, file, SourceRow(name, code, split, file, origin))


def _row(root: Path, file: Path, row: SourceRow) -> AnyRow:
    try:
        find_inside(root, [file.parent], file.name)
    except PathRejectedError as error:
        return Rejected(row.origin, str(error))
    return row


def _files(folder: Path) -> Iterator[Path]:
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_junk(name))
        for name in sorted(files):
            if not is_junk(name):
                yield Path(directory, name)
