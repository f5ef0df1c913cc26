"""Source `csv-folder`: a folder of images with a CSV file that names image and label.

The CSV lies at the top of the folder (or is given). Image paths are relative to the CSV, or to a
folder `images` (`image`, `imgs`, `img`) beside it, or to the source. Labels are codes, names or
aliases in any case.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datasets.errors import DataError
from datasets.labels import UnknownLabelError, is_excluded, parse_label
from datasets.sources.base import (
    AnyRow,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
    excluded,
)
from datasets.sources.csv_lines import csv_lines, first_fields
from datasets.sources.paths import (
    PathRejectedError,
    clean_text,
    find_inside,
    is_junk,
    relative_name,
)

_IMAGE_COLUMNS = ("image", "path", "file", "filename", "image_path", "filepath", "pth", "img")
_LABEL_COLUMNS = ("label", "emotion", "expression", "class", "category", "emotion_label")
_IMAGE_FOLDERS = ("images", "image", "imgs", "img")


class CsvFolder:
    """A folder with a CSV of image and label."""

    def detect(self, path: Path) -> bool:
        """Say whether `path` is a CSV or a folder with one at its top that has both columns."""
        return any(_has_both_columns(file) for file in _csv_files(path))

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per line of the CSV. Raises `DataError` for no CSV or no such column."""
        file = _chosen_csv(path, options)
        root = (path if path.is_dir() else path.parent).resolve()
        lines = csv_lines(file)
        header = next(lines, None)
        if header is None or isinstance(header.fields, str):
            raise DataError(f"{file} has no header line with the names of its columns")
        image_at, label_at = _columns(file, header.fields, options)
        finder = _Finder(root, _image_folders(file.parent, root))
        for number, fields in lines:
            origin = Origin(file.name, number)
            if isinstance(fields, str):
                yield Rejected(origin, fields)
            elif len(fields) <= max(image_at, label_at):
                yield Rejected(origin, f"the line has {len(fields)} column(s) only")
            else:
                yield finder.row(origin, fields[image_at], fields[label_at])


@dataclass(frozen=True)
class _Finder:
    """Turns the fields of a line into a row; remembers which images were named already."""

    root: Path
    folders: Sequence[Path]
    seen: dict[str, int] = field(default_factory=dict)

    def row(self, origin: Origin, image: str, label: str) -> AnyRow:
        named = Origin(clean_text(image)[:300] or origin.file, origin.row)
        try:
            name = relative_name(image)
            code = parse_label(label)
            if is_excluded(code):
                return excluded(named, code)
            path = find_inside(self.root, self.folders, name)
        except PathRejectedError as error:
            return Rejected(named, str(error))
        except UnknownLabelError:
            return Rejected(named, f"unknown label {clean_text(label)[:60]!r}")
        image_id, number = clean_text(name), origin.row or 0
        first = self.seen.setdefault(image_id, number)
        if first != number:
            return Rejected(named, f"line {first} names this image already")
        return SourceRow(image_id, code, None, path, named)


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
        files = [file for file in files if _has_both_columns(file)] or files
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


def _has_both_columns(file: Path) -> bool:
    names = [name.strip().casefold() for name in first_fields(file)]
    return _position(names, _IMAGE_COLUMNS) is not None and (
        _position(names, _LABEL_COLUMNS) is not None
    )


def _position(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _columns(file: Path, header: Sequence[str], options: SourceOptions) -> tuple[int, int]:
    names = [name.strip().casefold() for name in header]
    positions = []
    for kind, given, usual in (
        ("image", options.image_column, _IMAGE_COLUMNS),
        ("label", options.label_column, _LABEL_COLUMNS),
    ):
        wanted = usual if given is None else (given.strip().casefold(),)
        position = _position(names, wanted)
        if position is None:
            missing = f"no column {given!r}" if given is not None else f"no column of {kind}s"
            raise DataError(
                f"{file} has {missing}; its columns are {', '.join(header)}: "
                f"name one with --{kind}-column"
            )
        positions.append(position)
    return positions[0], positions[1]
