"""CSV files as people have them, line by line: any of two codings, any line end, broken lines."""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from datasets.git_lfs import refuse_pointer


class Line(NamedTuple):
    """A line that is not blank."""

    number: int
    """From 1."""
    fields: list[str] | str
    """Text in place of the fields says why the line can't be read."""


def csv_lines(file: Path) -> Iterator[Line]:
    """Yield every line of a CSV that is not blank, the header included.

    Raises `OSError`, and `DataError` for a Git LFS pointer.

    A quoted field ends with its line: no list of images has line breaks in a field, and a stray
    quote would swallow all rows up to the next one.
    """
    refuse_pointer(file)
    with file.open(encoding=_encoding(file), newline="", errors="replace") as stream:
        for number, text in enumerate(stream, start=1):
            try:
                fields = next(csv.reader([text]), [])
            except csv.Error as error:  # A field of more than 128 KiB, for one.
                yield Line(number, f"the line can't be read: {error}")
                continue
            if fields:
                yield Line(number, fields)


def first_fields(file: Path) -> list[str]:
    """Return the fields of the first line, for a quick look; none if it can't be read.

    Raises `OSError`.
    """
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        try:
            return next(csv.reader(stream), [])
        except csv.Error:
            return []


def _encoding(file: Path) -> str:
    """Return utf-8 if the whole file is, with or without a byte order mark, or else latin-1.

    With the mark it is meant as UTF-8: then stray bytes are replaced in their own line alone.
    """
    with file.open("rb") as stream:
        if stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            return "utf-8-sig"
    try:
        with file.open(encoding="utf-8", newline="") as text:
            while text.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
