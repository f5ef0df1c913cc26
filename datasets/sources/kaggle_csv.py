"""Kaggle's `labels.csv` beside folders per class: `pth`, `label` and `relFCs`, its confidence.

The CSV comes from a later pass over the labels than the folders, so its label counts; where the
folder has another one, a remark says so. `pth` (`anger/image0000006.jpg`) is relative to the
source, or to a split's folder in it; case does not matter where no file has the very name.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.errors import DataError
from datasets.git_lfs import refuse_pointer
from datasets.images import EXTENSIONS
from datasets.labels import Number, UnknownLabelError, is_excluded, parse_free_label
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Numbered,
    Origin,
    Rejected,
    Remark,
    SourceRow,
    excluded,
    labelled,
)
from datasets.sources.csv_lines import csv_lines, first_fields
from datasets.sources.paths import FileFinder, PathRejectedError, clean_text, relative_name
from datasets.sources.split_names import TEST_SPLIT, Role

LABELS_NAME = "labels.csv"
DISAGREE = "labels.csv and folder disagree: the label of labels.csv is taken"


class ClassFile(NamedTuple):
    """A file in a class folder."""

    path: Path
    name: str
    """Relative to the source, forward slashes."""
    below: str
    """Relative to the folder that holds the class folders."""
    role: Role
    label: int | Number | None
    """What the folder's name says: a code, a number; None: nothing."""

    @property
    def folder(self) -> str:
        """Name of the class folder."""
        return self.below.split("/", 1)[0]


def find_labels_csv(path: Path) -> Path | None:
    """Return `path/labels.csv` if there is one and it has the columns `pth` and `label`.

    Raises `DataError` for a Git LFS pointer: without the list the folders' labels would be taken.
    """
    file = path / LABELS_NAME
    refuse_pointer(file)
    if not file.is_file() or not {"pth", "label"} <= set(_folded(first_fields(file))):
        return None
    return file


def unless_out(finder: FileFinder, row: AnyRow, file: ClassFile) -> AnyRow:
    """Return `row`, or its rejection if its file is none or is reached by a link out."""
    inner = row.row if isinstance(row, Numbered) else row
    if not isinstance(inner, SourceRow):
        return row
    try:
        finder.find(file.name)
    except PathRejectedError as error:
        return Rejected(inner.origin, str(error))
    return row


class KaggleList:
    """The lines of a `labels.csv`, matched with the files in the class folders."""

    def __init__(
        self,
        listing: Path,
        files: Sequence[ClassFile],
        finder: FileFinder,
        min_relfcs: float | None,
    ) -> None:
        self.named: set[str] = set()
        """`ClassFile.name` of every file that a line names, whatever became of the line."""
        self._listing = listing
        self._finder = finder
        self._min_relfcs = min_relfcs
        self._first_line: dict[str, int] = {}
        self._files: dict[str, list[ClassFile]] = {}
        for file in files:
            for name in {file.name, file.below}:
                self._files.setdefault(name.casefold(), []).append(file)

    def rows(self) -> Iterator[AnyRow]:
        """Yield one row per line, and the remark of a line that disagrees with its folder.

        Raises `DataError` if there is no column `relFCs` and rows are to be chosen by it.
        """
        lines = csv_lines(self._listing)
        header = next(lines).fields
        names = _folded(header) if isinstance(header, list) else []
        pth_at, label_at = names.index("pth"), names.index("label")
        relfcs_at = names.index("relfcs") if "relfcs" in names else None
        if relfcs_at is None and self._min_relfcs is not None:
            raise DataError(f"{self._listing} has no column relFCs: leave out --min-relfcs")
        wanted = max(pth_at, label_at, relfcs_at or 0)
        for number, fields in lines:
            origin = Origin(self._listing.name, number)
            if isinstance(fields, str):
                yield Rejected(origin, fields)
            elif len(fields) <= wanted:
                yield Rejected(origin, f"the line has {len(fields)} column(s) only")
            else:
                relfcs = None if relfcs_at is None else fields[relfcs_at]
                yield from self._line(number, fields[pth_at], fields[label_at], relfcs)

    def _line(self, number: int, pth: str, label: str, relfcs: str | None) -> Iterator[AnyRow]:
        origin = Origin(clean_text(pth)[:300] or self._listing.name, number)
        try:
            name = relative_name(pth)
            file: ClassFile | str = self._find(name)
        except PathRejectedError as error:
            file = str(error)
        if not isinstance(file, str):
            # A file whose line can't be used must not come back by its folder's label.
            self.named.add(file.name)
        row = self._unusable(origin, label, relfcs)
        if row is not None:
            yield row
        elif isinstance(file, str):
            yield Rejected(origin, file)
        else:
            yield from self._file_rows(origin, file, parse_free_label(label))

    def _unusable(self, origin: Origin, label: str, relfcs: str | None) -> AnyRow | None:
        """Return the row for a line whose label or confidence rules it out."""
        try:
            code = parse_free_label(label)
            confidence = None if relfcs is None else _confidence(relfcs)
        except UnknownLabelError:
            return Rejected(origin, f"unknown label {clean_text(label)[:60]!r}")
        except ValueError:
            return Rejected(origin, f"relFCs {clean_text(relfcs or '')[:60]!r} is no number")
        if isinstance(code, int) and is_excluded(code):
            return excluded(origin, code)
        least = self._min_relfcs
        if least is not None and confidence is not None and confidence < least:
            return Excluded(origin, f"relFCs below {least}")
        return None

    def _file_rows(self, origin: Origin, file: ClassFile, label: int | Number) -> Iterator[AnyRow]:
        number = origin.row or 0
        first = self._first_line.setdefault(file.name, number)
        if file.role == TEST_SPLIT:
            yield Excluded(origin, TEST_SPLIT)
        elif first != number:
            yield Rejected(origin, f"line {first} names this image already")
        elif file.path.suffix.casefold() not in EXTENSIONS:
            yield Rejected(origin, "not an image file")
        else:
            row = SourceRow(clean_text(file.name), 0, file.role, file.path, origin)
            found = unless_out(self._finder, labelled(row, label), file)
            if isinstance(found, Numbered) and isinstance(file.label, int):
                # They are compared once it is known what the number means.
                found = found._replace(elsewhere=file.label, if_other=DISAGREE)
            comparable = type(file.label) is type(label)
            if comparable and file.label != label and not isinstance(found, Rejected):
                yield Remark(DISAGREE)
            yield found

    def _find(self, name: str) -> ClassFile:
        """Return the file that `name` means. Raises `PathRejectedError` for none or several."""
        files = self._files.get(name.casefold(), [])
        files = [file for file in files if name in (file.name, file.below)] or files
        files = [file for file in files if file.role != TEST_SPLIT] or files
        if not files:
            self._finder.find(name)  # Raises, unless it lies elsewhere.
            raise PathRejectedError("lies in no class folder")
        if len(files) > 1:
            names = ", ".join(clean_text(file.name) for file in files[:3])
            raise PathRejectedError(f"{len(files)} files have this name ({names})")
        return files[0]


def _folded(header: Sequence[str]) -> list[str]:
    return [name.strip().casefold() for name in header]


def _confidence(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
