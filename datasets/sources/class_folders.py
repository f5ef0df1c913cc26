"""Source `class-folders`: one folder per expression, named by name, alias or number in any case.

The folders lie at the top, or under folders for the splits, or have such folders in them
(`happy/train/`), in common spellings (see `split_names`; a test set beside a validation set is left
out and counted, as one that no model may be chosen on). What a folder is follows from its name
alone, never from its place in the alphabet; a number is one of a count that must be known (see
`datasets.numbered`). What lies beside the splits, or in no class folder, is left out and counted by
the folder's name, or refused (see `leftovers`).

A `labels.csv` as in the copies on Kaggle decides over the folders: see `kaggle_csv`.
"""

from collections.abc import Iterator
from pathlib import Path

from datasets.errors import DataError
from datasets.images import EXTENSIONS
from datasets.labels import NUM_CLASSES, Number, UnknownLabelError, is_excluded, parse_free_label
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Numbered,
    Origin,
    Rejected,
    Remark,
    SourceOptions,
    SourceRow,
    labelled,
)
from datasets.sources.csv_choice import names_images
from datasets.sources.kaggle_csv import ClassFile, KaggleList, find_labels_csv, unless_out
from datasets.sources.leftovers import files_below, is_image, leftovers
from datasets.sources.list_splits import ListSplits, path_splits, split_folder
from datasets.sources.paths import FileFinder, clean_text, subfolders
from datasets.sources.split_names import TEST_SPLIT, Role, kind_of, roles

UNLISTED = "not in labels.csv: the label of the folder is taken"
_EMPTY_SHOWN = 3


class ClassFolders:
    """A folder per class, with or without folders for the splits."""

    def detect(self, path: Path) -> bool:
        """Say whether a folder of one of the eight expressions lies where this layout has them.

        Raises `DataError` beside a CSV that names images and labels too, other than Kaggle's
        `labels.csv`: it may be the list, with folders that are only named so, or a model's answers.
        """
        if not _has_classes(path):
            return False
        if find_labels_csv(path) is None and names_images(path):
            raise DataError(
                f"{path} has folders named by expressions, and a CSV of images and labels: say "
                "which has the labels, --layout class-folders or --layout csv-folder"
            )
        return True

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield the lines of `labels.csv` if there is one, then all other files by split and path.

        A remark names each class folder that is empty, as one that was not unpacked may be.

        Raises `DataError` if there is no folder of an expression, if all are empty, or if
        `options.min_relfcs` is given and no `labels.csv` with a column `relFCs`.
        """
        if not _has_classes(path):
            raise DataError(
                f"{path} has no folder named like an expression (Neutral, happy, 3, ...), "
                "neither at its top nor under train/ and val/"
            )
        yield from _empty(path)
        listing = find_labels_csv(path)
        finder = FileFinder(path, [path])
        if listing is None:
            if options.min_relfcs is not None:
                raise DataError(f"{path} has no labels.csv with relFCs: leave out --min-relfcs")
            yield from (_row(finder, file) for file in _class_files(path))
            yield from _beside(path)
            return
        files = list(_class_files(path))
        listed = KaggleList(listing, files, finder, options.min_relfcs)
        yield from listed.rows()
        for file in files:
            if file.name not in listed.named:
                yield from _unlisted(finder, file, options)
        yield from _beside(path)


def _empty(path: Path) -> Iterator[Remark]:
    classes = [one for top in _tops(path) for one in subfolders(top) if _is_class(one.name)]
    empty = [one for one in classes if next(files_below(one), None) is None]
    names = [repr(clean_text(one.relative_to(path).as_posix())) for one in empty]
    if len(empty) == len(classes):
        shown = ", ".join(names[:_EMPTY_SHOWN])
        raise DataError(
            f"{path} has class folders ({shown}{', ...' if len(names) > _EMPTY_SHOWN else ''}), "
            "and all of them are empty: unpack or copy the images again"
        )
    yield from (Remark(f"class folder {name} is empty") for name in names)


def _unlisted(finder: FileFinder, file: ClassFile, options: SourceOptions) -> Iterator[AnyRow]:
    row = _row(finder, file)
    if isinstance(row, SourceRow | Numbered) and options.min_relfcs is not None:
        yield Excluded(Origin(clean_text(file.name)), "not in labels.csv, so without relFCs")
        return
    if isinstance(row, SourceRow | Numbered):
        yield Remark(UNLISTED)
    yield row


def _row(finder: FileFinder, file: ClassFile) -> AnyRow:
    name = clean_text(file.name)
    origin = Origin(name)
    if file.role == TEST_SPLIT:
        return Excluded(origin, TEST_SPLIT)
    if file.label is None:
        return Rejected(origin, f"folder {clean_text(file.folder)!r} names no expression")
    if file.path.suffix.casefold() not in EXTENSIONS:
        return Rejected(origin, f"not an image file (extension {clean_text(file.path.suffix)!r})")
    row = labelled(SourceRow(name, 0, file.role, file.path, origin), file.label)
    return unless_out(finder, row, file)


def _has_classes(path: Path) -> bool:
    return path.is_dir() and any(map(_holds_classes, _tops(path)))


def _holds_classes(folder: Path) -> bool:
    return any(_is_class(below.name) for below in subfolders(folder))


def _is_class(name: str) -> bool:
    label = _label_of(name)
    if isinstance(label, Number):
        return label.value <= NUM_CLASSES  # RAF-DB counts to 7, and most begin with 0
    return label is not None and not is_excluded(label)


def _label_of(name: str) -> int | Number | None:
    try:
        return parse_free_label(name)
    except UnknownLabelError:
        return None


def _tops(path: Path) -> dict[Path, Role]:
    """Return the folders that hold the class folders, and what each is used for.

    Raises `DataError` for class folders both beside the splits and in them.
    """
    folders = {one.name: one for one in subfolders(path) if kind_of(one.name) is not None}
    folders = {name: one for name, one in folders.items() if _holds_classes(one)}
    if not folders:
        return {path: None}
    if _holds_classes(path):
        raise DataError(
            f"{path} has class folders both at its top and in {', '.join(folders)}: give a folder "
            "that has only one of them"
        )
    tops = {folders[name]: role for name, role in roles(folders).items()}
    # Training first, as in every other source.
    return dict(sorted(tops.items(), key=lambda one: (kind_of(one[0].name) != "train", one[0])))


def _class_files(path: Path) -> Iterator[ClassFile]:
    tops = _tops(path)
    inner = _splits_in_classes(path) if path in tops else ListSplits()
    for top, role in tops.items():
        for folder in subfolders(top):
            label = _label_of(folder.name)
            for file in files_below(folder):
                name, below = (file.relative_to(base).as_posix() for base in (path, top))
                used = role
                if inner.by_word is not None:  # other files than images may be anywhere
                    used = inner.by_word.get(split_folder(below) or "")
                yield ClassFile(file, name, below, used, label)


def _splits_in_classes(path: Path) -> ListSplits:
    """What folders in the class folders say of splits: `happy/train/`, `happy/val/`.

    Raises `DataError` where only some images are in such a folder.
    """
    below = [
        file.relative_to(path).as_posix()
        for folder in subfolders(path)
        for file in files_below(folder)
        if is_image(file.name)
    ]
    found = path_splits(below)
    if found.by_word is not None:
        without = next((name for name in below if split_folder(name) is None), None)
        if without is not None:
            raise DataError(
                f"{path} has folders of splits in its class folders, and {clean_text(without)} is "
                "in none of them: move it into one, or away"
            )
    return found


def _beside(path: Path) -> Iterator[AnyRow]:
    """Yield the images that lie beside the splits, or in them and in no class folder."""
    tops = _tops(path)
    yield from leftovers(path, tops, [folder for top in tops for folder in subfolders(top)])
