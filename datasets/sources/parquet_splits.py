"""The splits of Parquet files: by the files' names, or by a column that names it for each row."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import DataError
from datasets.sources.base import SourceOptions
from datasets.sources.label_names import LabelNames
from datasets.sources.list_splits import ListSplits, first_split_column
from datasets.sources.parquet_images import DAMAGED, damaged_file
from datasets.sources.split_names import kind_of, kind_of_list, roles

_PART: Final = re.compile(r"(.+)-(\d{5})-of-(\d{5})", re.ASCII)
BY_NAME: Final = "names of the files"
"""`ListSplits.where` where each file is of one split."""


def split_word(file: Path) -> str:
    """Return what of the file's name can name a split: all before the number of a part of it.

    `train` of `train-00000-of-00003-1a2b.parquet`, `fer2013_test` of `fer2013_test.parquet`; the
    one word of it that does where all of it does not.
    """
    name = re.split(r"[-_.]\d{4,}|\.parquet", file.name, maxsplit=1, flags=re.IGNORECASE)[0]
    if kind_of(name) is not None or kind_of_list(name) is None:
        return name
    return next(one for one in re.split(r"[-_. ]", name) if kind_of(one) is not None)


def refuse_missing_parts(files: Sequence[Path]) -> None:
    """Raise `DataError` where files are some of several by their names, and not all are there."""
    there: dict[tuple[Path, str, int], set[int]] = defaultdict(set)
    for file in files:
        part = _PART.match(file.name)
        if part is not None:
            there[file.parent / part[1], part[1], int(part[3])].add(int(part[2]))
    for (place, name, number), parts in there.items():
        missing = sorted(set(range(number)) - parts)
        if missing:
            lacking = f"{name}-{missing[0]:05d}-of-{number:05d}"
            raise DataError(
                f"{place.parent} has {len(parts)} of {number} files {name}-…-of-{number:05d}: "
                f"{lacking} is missing, for one; download it too"
            )


def splits_of(files: Sequence[Path], options: SourceOptions) -> ListSplits:
    """What the names of the files say of splits, or a column of them."""
    words = sorted({split_word(file) for file in files})
    used = roles(words)
    if used and not all(role is None for role in used.values()):
        return ListSplits(BY_NAME, used)
    columns = (options.image_column, options.label_column, options.group_column)
    given = {str(one).strip().casefold() for one in columns}
    names = {name for file in files for name in _word_columns(file)}
    free = sorted(name for name in names if name.casefold() not in given)

    def values(place: int) -> Iterator[str]:
        for file in files:
            yield from (word or "" for word in _all_words(file, free[place]))

    found = first_split_column(free, values)
    if found is not None:
        return found[1]
    if used and len(used) < len(words):
        others = ", ".join(sorted(set(words) - used.keys()))
        raise DataError(
            f"of the Parquet files only those of {', '.join(used)} name a split; beside them are "
            f"{others}: call what is a split train, validation or test, or move the others away"
        )
    return ListSplits()


def _word_columns(file: Path) -> list[str]:
    """Return the columns of a file that may hold words, or numbers for them."""
    try:
        schema = pq.read_schema(file)
    except DAMAGED as error:
        raise damaged_file(file, error) from error
    kinds = ((field.name, field.type) for field in schema)
    types = pa.types
    return [
        name
        for name, kind in kinds
        if types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_integer(kind)
        or types.is_dictionary(kind)
    ]


def _all_words(file: Path, column: str) -> list[str | None]:
    try:
        with pq.ParquetFile(file) as parquet:
            schema = parquet.schema_arrow
            if column not in schema.names:
                return []
            table = parquet.read(columns=[column], use_threads=False)
            return split_words(table.column(0), schema, column)
    except DAMAGED as error:
        raise damaged_file(file, error) from error


def split_words(values: pa.ChunkedArray, schema: pa.Schema, column: str) -> list[str | None]:
    """Return the words of a column of splits; the names of its numbers, where the file has them."""
    names = class_label_names(schema, column)
    return [
        names.get(value, str(value)) if isinstance(value, int) else _word(value)
        for value in values.to_pylist()
    ]


def _word(value: object) -> str | None:
    return None if value is None else str(value)


def class_label_names(schema: pa.Schema, label: str) -> LabelNames:
    """Return the names that the library `datasets` wrote into the schema, or none."""
    metadata = schema.metadata or {}
    try:
        told: Any = json.loads(metadata.get(b"huggingface", b"{}"))
        names = told["info"]["features"][label]["names"]
        if isinstance(names, dict):
            return {int(number): str(name) for number, name in names.items()}
        return {number: str(name) for number, name in enumerate(list(names))}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
