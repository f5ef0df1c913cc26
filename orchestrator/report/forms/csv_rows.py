"""Rows as CSV: one column a field of their kind, missing values empty."""

import csv
import io
from collections.abc import Iterable

from pydantic import BaseModel, JsonValue

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def to_csv(kind: type[BaseModel], rows: Iterable[BaseModel]) -> str:
    """Rows of one kind as CSV with a header line; missing values are empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(kind.model_fields), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = row.model_dump(mode="json")
        writer.writerow({name: _no_formula(value) for name, value in cells.items()})
    return stream.getvalue()


def _no_formula(value: JsonValue) -> JsonValue:
    """A text that a spreadsheet would run as a formula gets an apostrophe: it shows it as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
