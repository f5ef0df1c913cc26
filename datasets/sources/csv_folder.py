"""Source `csv-folder`: a folder of images with a CSV file that names image and label.

The CSV lies at the top of the folder (or is given); there may be one for each split (`train.csv`,
`val.csv`), which then is the split of what it lists. Image paths are relative to the CSV, or to a
folder `images` (`image`, `imgs`, `img`) beside it, or to the source. A name without extension, or
a number, is the one image of that stem, also in the folder of the split that the CSV's name tells
(see `stems`): so are lists `number,exp` of AffectNet's aligned faces read. Labels are names or
aliases in any case, or numbers of a count that must be known (see `datasets.numbered`). The split
is that of a column (`split`, `usage`, `set`, ..., or any that holds nothing but names of splits),
or else that of the images' folders (`train/...`, `val/...`).

A column may be given that says which images are one group, such as those of one person.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from datasets.errors import DataError
from datasets.labels import UnknownLabelError, is_excluded, parse_free_label
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Numbered,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
    excluded,
    in_group,
    labelled,
)
from datasets.sources.csv_choice import (
    EXP_COLUMNS,
    NUMBER_COLUMNS,
    Listing,
    is_listed,
    listings,
)
from datasets.sources.csv_lines import csv_lines
from datasets.sources.list_splits import (
    ListSplits,
    first_split_column,
    path_splits,
    split_folder,
)
from datasets.sources.paths import (
    PathRejectedError,
    clean_text,
    find_inside,
    relative_name,
)
from datasets.sources.split_names import TEST_SPLIT
from datasets.sources.stems import StemFinder, has_extension, split_image_folders

_IMAGE_FOLDERS = ("images", "image", "imgs", "img")


class CsvFolder:
    """A folder with a CSV of image and label."""

    def detect(self, path: Path) -> bool:
        """Say whether `path` is a CSV or a folder with one at its top that has both columns."""
        return is_listed(path)

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per line of the CSV, or of that of each split, training first.

        Raises `DataError` for no CSV, for several that are not one a split, or no such column.
        """
        root = (path if path.is_dir() else path.parent).resolve()
        named: dict[str, Origin] = {}
        for listing in listings(path, options):
            for row in _rows(listing, root, options, named):
                yield _as_listed(row, listing)


def _as_listed(row: AnyRow, listing: Listing) -> AnyRow:
    """The row with the split of its list, where there is one for each."""
    if not listing.is_part:
        return row
    if isinstance(row, Numbered):
        inner = _as_listed(row.row, listing)
        return row._replace(row=inner) if isinstance(inner, SourceRow) else inner
    if listing.role == TEST_SPLIT:
        return Excluded(row.origin, TEST_SPLIT) if isinstance(row, SourceRow | Rejected) else row
    return row._replace(split=listing.role) if isinstance(row, SourceRow) else row


def _rows(
    listing: Listing, root: Path, options: SourceOptions, named: dict[str, Origin]
) -> Iterator[AnyRow]:
    file = listing.file
    lines = csv_lines(file)
    header = next(lines, None)
    if header is None or isinstance(header.fields, str):
        raise DataError(f"{file} has no header line with the names of its columns")
    at = _columns(file, header.fields, options)
    folders = _image_folders(file.parent, root)
    of_split = split_image_folders(root, file)[0] if listing.is_part else []
    splits = ListSplits()
    if not listing.is_part:
        at, splits = _splits(file, header.fields, at)
    stems = StemFinder(root, folders, file)
    finder = _Finder(root, folders, of_split, stems, splits, named)
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
    group: int | None
    split: int | None = None

    @property
    def last(self) -> int:
        return max(self.image, self.label, self.split or 0, self.group or 0)


def _splits(file: Path, header: Sequence[str], at: _Columns) -> tuple[_Columns, ListSplits]:
    """What the list says of splits, and in which column; reads it a few times more."""

    def column(place: int) -> Iterator[str]:
        lines = csv_lines(file)
        next(lines, None)
        fields = (line.fields for line in lines if not isinstance(line.fields, str))
        return (one[place] for one in fields if len(one) > max(at.last, place))

    taken = (at.image, at.label, at.group)
    free = ["" if place in taken else name for place, name in enumerate(header)]
    found = first_split_column(free, column)
    if found is not None:
        return at._replace(split=found[0]), found[1]
    return at, path_splits(name.replace("\\", "/") for name in column(at.image))


@dataclass(frozen=True)
class _Finder:
    """Turns the fields of a line into a row; remembers which images were named already."""

    root: Path
    folders: Sequence[Path]
    of_split: Sequence[Path]
    """Folders of the split that the list is of, where there is a list for each."""
    stems: StemFinder
    splits: ListSplits
    named: dict[str, Origin]
    """The list and line that named an image; of all lists."""

    def row(self, origin: Origin, image: str, label: str, split: str | None) -> AnyRow:
        named = Origin(clean_text(image)[:300] or origin.file, origin.row)
        try:
            name = relative_name(image)
            by_path = split if self.splits.where.startswith("column") else split_folder(name)
            role, left_out = self.splits.of(by_path)
            if role == TEST_SPLIT or left_out is not None:  # of a test part labels may be secret
                return Excluded(named, left_out or TEST_SPLIT)
            code = parse_free_label(label)
            if isinstance(code, int) and is_excluded(code):
                return excluded(named, code)
            path, image_id = self._found(name)
        except PathRejectedError as error:
            return Rejected(named, str(error))
        except UnknownLabelError:
            return Rejected(named, f"unknown label {clean_text(label)[:60]!r}")
        first = self.named.setdefault(image_id, origin)
        if first != origin:
            where = "" if first.file == origin.file else f" of {first.file}"
            return Rejected(named, f"line {first.row}{where} names this image already")
        return labelled(SourceRow(image_id, 0, role, path, named), code)

    def _found(self, name: str) -> tuple[Path, str]:
        """Return an image and its `image_id`. Raises `PathRejectedError`."""
        if has_extension(name):
            path = find_inside(self.root, [*self.of_split, *self.folders], name)
            inside = any(path.is_relative_to(folder) for folder in self.of_split)
            return path, clean_text(path.relative_to(self.root).as_posix() if inside else name)
        path = self.stems.find(name)
        known = path.name == Path(name).name
        return path, clean_text(name if known else path.relative_to(self.root).as_posix())


def _image_folders(beside: Path, root: Path) -> list[Path]:
    bases = list(dict.fromkeys((beside.resolve(), root)))
    folders = [base / name for base in bases for name in ("", *_IMAGE_FOLDERS)]
    return [folder for folder in folders if folder.is_dir()]


def _position(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _columns(file: Path, header: Sequence[str], options: SourceOptions) -> _Columns:
    names = [name.strip().casefold() for name in header]
    columns = [
        ("image", options.image_column, NUMBER_COLUMNS),
        ("label", options.label_column, EXP_COLUMNS),
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
    image, label, *group = positions
    return _Columns(image, label, group[0] if group else None)
