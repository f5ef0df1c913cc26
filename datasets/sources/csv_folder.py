"""Source `csv-folder`: a folder of images with a CSV file that names image and label.

The CSV lies at the top of the folder (or is given). Image paths are relative to the CSV, or to a
folder `images` (`image`, `imgs`, `img`) beside it, or to the source. A name without extension, or
a number, is the one image of that stem, also in the folder of the split that the CSV's name tells
(see `stems`): so are lists `number,exp` of AffectNet's aligned faces read. Labels are names or
aliases in any case, or numbers of a count that must be known (see `datasets.numbered`). The split
is that of a column (`split`, `usage`, `set`, ...), or else that of the images' folders
(`train/...`, `val/...`).
A column may be given that says which images are one group, such as those of one person.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from datasets.errors import DataError
from datasets.labels import UnknownLabelError, is_excluded, parse_free_label
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
    excluded,
    in_group,
    labelled,
)
from datasets.sources.csv_lines import csv_lines, first_fields
from datasets.sources.list_splits import (
    ListSplits,
    column_splits,
    path_splits,
    split_column,
    split_folder,
)
from datasets.sources.paths import (
    PathRejectedError,
    clean_text,
    find_inside,
    is_junk,
    relative_name,
)
from datasets.sources.split_names import TEST_SPLIT
from datasets.sources.stems import StemFinder, has_extension

_IMAGE_COLUMNS = ("image", "path", "file", "filename", "image_path", "filepath", "pth", "img")
_LABEL_COLUMNS = ("label", "emotion", "expression", "class", "category", "emotion_label")
# Columns of people who have AffectNet's aligned faces, `train_set/images/12.jpg`. They may mean
# other things, so they count where no CSV has any of the names above.
_NUMBER_COLUMNS = (*_IMAGE_COLUMNS, "number")
_EXP_COLUMNS = (*_LABEL_COLUMNS, "exp")
_IMAGE_FOLDERS = ("images", "image", "imgs", "img")


class CsvFolder:
    """A folder with a CSV of image and label."""

    def detect(self, path: Path) -> bool:
        """Say whether `path` is a CSV or a folder with one at its top that has both columns."""
        return any(_has_both(file, _NUMBER_COLUMNS, _EXP_COLUMNS) for file in _csv_files(path))

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per line of the CSV. Raises `DataError` for no CSV or no such column."""
        file = _chosen_csv(path, options)
        root = (path if path.is_dir() else path.parent).resolve()
        lines = csv_lines(file)
        header = next(lines, None)
        if header is None or isinstance(header.fields, str):
            raise DataError(f"{file} has no header line with the names of its columns")
        at = _columns(file, header.fields, options)
        folders = _image_folders(file.parent, root)
        finder = _Finder(root, folders, StemFinder(root, folders, file), _splits(file, at))
        for number, fields in lines:
            origin = Origin(file.name, number)
            if isinstance(fields, str):
                yield Rejected(origin, fields)
            elif len(fields) <= at.last:
                yield Rejected(origin, f"the line has {len(fields)} column(s) only")
            else:
                split = None if at.split is None else fields[at.split]
                group = "" if at.group is None else clean_text(fields[at.group].strip())
                row = finder.row(origin, fields[at.image], fields[at.label], split)
                yield in_group(row, group or None)


class _Columns(NamedTuple):
    image: int
    label: int
    split: int | None
    split_name: str
    group: int | None

    @property
    def last(self) -> int:
        return max(self.image, self.label, self.split or 0, self.group or 0)


def _splits(file: Path, at: _Columns) -> ListSplits:
    """What the list says of splits; reads it once or twice more."""

    def column(place: int) -> Iterator[str]:
        lines = csv_lines(file)
        next(lines, None)
        fields = (line.fields for line in lines if not isinstance(line.fields, str))
        return (one[place] for one in fields if len(one) > at.last)

    if at.split is not None:
        found = column_splits(at.split_name, column(at.split))
        if found.by_word is not None:
            return found
    return path_splits(name.replace("\\", "/") for name in column(at.image))


@dataclass(frozen=True)
class _Finder:
    """Turns the fields of a line into a row; remembers which images were named already."""

    root: Path
    folders: Sequence[Path]
    stems: StemFinder
    splits: ListSplits
    seen: dict[str, int] = field(default_factory=dict)

    def row(self, origin: Origin, image: str, label: str, split: str | None) -> AnyRow:
        named = Origin(clean_text(image)[:300] or origin.file, origin.row)
        try:
            name = relative_name(image)
            code = parse_free_label(label)
            by_path = split if self.splits.where.startswith("column") else split_folder(name)
            role, left_out = self.splits.of(by_path)
            if role == TEST_SPLIT or left_out is not None:
                return Excluded(named, left_out or TEST_SPLIT)
            if isinstance(code, int) and is_excluded(code):
                return excluded(named, code)
            path, image_id = self._found(name)
        except PathRejectedError as error:
            return Rejected(named, str(error))
        except UnknownLabelError:
            return Rejected(named, f"unknown label {clean_text(label)[:60]!r}")
        number = origin.row or 0
        first = self.seen.setdefault(image_id, number)
        if first != number:
            return Rejected(named, f"line {first} names this image already")
        return labelled(SourceRow(image_id, 0, role, path, named), code)

    def _found(self, name: str) -> tuple[Path, str]:
        """Return an image and its `image_id`. Raises `PathRejectedError`."""
        if has_extension(name):
            return find_inside(self.root, self.folders, name), clean_text(name)
        path = self.stems.find(name)
        known = path.name == Path(name).name
        return path, clean_text(name if known else path.relative_to(self.root).as_posix())


def _csv_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.casefold() == ".csv" else []
    return sorted(
        file
        for file in path.iterdir()
        if file.suffix.casefold() == ".csv" and not is_junk(file.name) and file.is_file()
    )


def _chosen_csv(path: Path, options: SourceOptions) -> Path:
    if options.csv is not None and path.is_dir():
        file = path / options.csv
        if not file.is_file():
            raise DataError(f"there is no CSV file {file}: check --csv")
        return file
    files = _csv_files(path)
    if len(files) > 1:
        plain = [file for file in files if _has_both(file, _IMAGE_COLUMNS, _LABEL_COLUMNS)]
        numbered = [file for file in files if _has_both(file, _NUMBER_COLUMNS, _EXP_COLUMNS)]
        files = plain or numbered or files
    if len(files) == 1:
        return files[0]
    if not files:
        raise DataError(f"{path} has no CSV file at its top: name one with --csv")
    names = ", ".join(file.name for file in files)
    raise DataError(f"{path} has several CSV files ({names}): name one with --csv")


def _image_folders(beside: Path, root: Path) -> list[Path]:
    bases = list(dict.fromkeys((beside.resolve(), root)))
    folders = [base / name for base in bases for name in ("", *_IMAGE_FOLDERS)]
    return [folder for folder in folders if folder.is_dir()]


def names_images(path: Path) -> bool:
    """Say whether a CSV at the top of a folder names images by path, and their labels."""
    return any(_has_both(file, _IMAGE_COLUMNS, _LABEL_COLUMNS) for file in _csv_files(path))


def _has_both(file: Path, images: Sequence[str], labels: Sequence[str]) -> bool:
    names = [name.strip().casefold() for name in first_fields(file)]
    return _position(names, images) is not None and _position(names, labels) is not None


def _position(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _columns(file: Path, header: Sequence[str], options: SourceOptions) -> _Columns:
    names = [name.strip().casefold() for name in header]
    columns = [
        ("image", options.image_column, _NUMBER_COLUMNS),
        ("label", options.label_column, _EXP_COLUMNS),
    ]
    if options.group_column is not None:
        columns.append(("group", options.group_column, ()))
    positions = []
    for kind, given, usual in columns:
        wanted = usual if given is None else (given.strip().casefold(),)
        position = _position(names, wanted)
        if position is None:
            missing = f"no column {given!r}" if given is not None else f"no column of {kind}s"
            raise DataError(
                f"{file} has {missing}; its columns are {', '.join(header)}: "
                f"name one with --{kind}-column"
            )
        positions.append(position)
    split = split_column([name if at not in positions else "" for at, name in enumerate(names)])
    name = "" if split is None else header[split].strip()
    image, label, *group = positions
    return _Columns(image, label, split, name, group[0] if group else None)
