"""Source `hub-parquet`: Parquet files as on the Hugging Face hub, downloaded.

The files lie at the top or under `data/` and are named after their split
(`train-00000-of-00003.parquet`, `validation-...`; a test split is the validation set where there
is no other, and is left out and counted where there is one). A column holds the images, encoded, as
a struct of `bytes` and `path`; another one the labels: names, or numbers whose names stand in the
file's metadata (`ClassLabel`) or come from `--label-names`. Files may order their names as they
like, each its own way.

Rows are numbered from 0, as `pandas` and `datasets` show them. `image_id` is `FILE:ROW`: the `path`
of an image need not be unique, and may be missing.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import DataError
from datasets.labels import UnknownLabelError, is_excluded, parse_label
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
    excluded,
)
from datasets.sources.label_names import (
    LabelNames,
    UnnamedLabelError,
    named_code,
    names_by_option,
)
from datasets.sources.parquet_images import DAMAGED, ParquetImage, damaged_file
from datasets.sources.paths import PathRejectedError, clean_text, find_inside, is_junk
from datasets.sources.split_names import TEST_SPLIT, Role, kind_of, roles

_IMAGE_COLUMNS = ("image", "img", "images")
_LABEL_COLUMNS = ("label", "labels", "emotion", "expression", "class")


class HubParquet:
    """Parquet files of images and labels."""

    def detect(self, path: Path) -> bool:
        """Say whether there are Parquet files at the top of `path` or in its folder `data`."""
        return bool(_files(path))

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per row of every file, training first; no image is read.

        Raises `DataError` for no file, a damaged one, one without the columns, and for numbered
        labels without names.
        """
        files = _files(path)
        if not files:
            raise DataError(f"{path} has no .parquet file at its top nor under data/")
        names = None if options.label_names is None else names_by_option(options.label_names)
        top = path if path.is_dir() else path.parent
        used_for = roles(_split_word(file) for file in files)
        for file in sorted(files, key=lambda file: (kind_of(_split_word(file)) != "train", file)):
            name = clean_text(file.relative_to(top).as_posix())
            try:
                find_inside(_root(top), [file.parent], file.name)
                yield from _file_rows(file, name, used_for.get(_split_word(file)), options, names)
            except PathRejectedError as error:
                yield Rejected(Origin(name), str(error))
            except DAMAGED as error:
                raise damaged_file(file, error) from error


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.casefold() == ".parquet" else []
    return [
        file
        for folder in (path, path / "data")
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if file.suffix.casefold() == ".parquet" and not is_junk(file.name) and file.is_file()
    ]


def _split_word(file: Path) -> str:
    """Return the first word of the file's name: `train` of `train-00000-of-00003-1a2b.parquet`."""
    return re.split(r"[-._]", file.name, maxsplit=1)[0]


def _root(top: Path) -> Path:
    """Return the folder that links may not leave.

    In the hub's cache a snapshot is made of links to `blobs`, two folders up.
    """
    repository = top.resolve().parent.parent
    in_cache = top.resolve().parent.name == "snapshots" and (repository / "blobs").is_dir()
    return repository if in_cache else top.resolve()


def _file_rows(
    file: Path, name: str, role: Role, options: SourceOptions, given: LabelNames | None
) -> Iterator[AnyRow]:
    with pq.ParquetFile(file) as parquet:
        if role == TEST_SPLIT:
            for row in range(parquet.metadata.num_rows):
                yield Excluded(Origin(name, row), TEST_SPLIT)
            return
        schema = parquet.schema_arrow
        image = _column(file, schema, "image", options.image_column, _IMAGE_COLUMNS)
        label = _column(file, schema, "label", options.label_column, _LABEL_COLUMNS)
        names = _names(file, schema, label, given)
        _check_image(file, schema.field(image))
        start = 0
        for group in range(parquet.num_row_groups):
            labels = parquet.read_row_group(group, columns=[label], use_threads=False).column(0)
            for row, value in enumerate(labels.to_pylist()):
                origin = Origin(name, start + row)
                yield _row(origin, value, names, role, ParquetImage(file, group, row, image))
            start += len(labels)


def _row(
    origin: Origin, value: object, names: LabelNames, role: Role, image: ParquetImage
) -> AnyRow:
    try:
        code = _code(value, names)
    except UnnamedLabelError as error:
        return Rejected(origin, str(error))
    except UnknownLabelError:
        return Rejected(origin, f"unknown label {clean_text(str(value))[:60]!r}")
    if is_excluded(code):
        return excluded(origin, code)
    split = None if role == TEST_SPLIT else role
    return SourceRow(f"{origin.file}:{origin.row}", code, split, image, origin)


def _code(value: object, names: LabelNames) -> int:
    if isinstance(value, str):
        return parse_label(value)
    # A column of numbers with gaps is one of floats, if pandas wrote it.
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return named_code(int(value), names)
    raise UnnamedLabelError("no label" if value is None else f"label {value} is no whole number")


def _column(
    file: Path, schema: pa.Schema, kind: str, given: str | None, usual: tuple[str, ...]
) -> str:
    folded: dict[str, str] = {name.casefold(): name for name in reversed(schema.names)}
    wanted = usual if given is None else (given.strip().casefold(),)
    found = next((folded[name] for name in wanted if name in folded), None)
    if found is None:
        missing = f"no column of {kind}s" if given is None else f"no column {given!r}"
        raise DataError(
            f"{file} has {missing}; its columns are {', '.join(schema.names)}: "
            f"name one with --{kind}-column"
        )
    return found


def _check_image(file: Path, field: pa.Field) -> None:
    kind = field.type
    if pa.types.is_struct(kind):
        inside = kind.get_field_index("bytes")
        kind = kind.field(inside).type if inside >= 0 else kind
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DataError(
            f"{file}: column {field.name!r} holds {field.type}, no encoded images: "
            "name another one with --image-column"
        )


def _names(file: Path, schema: pa.Schema, label: str, given: LabelNames | None) -> LabelNames:
    """Return the names of numbered labels; none are needed for a column of text."""
    kind = schema.field(label).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return {}
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(
            f"{file}: column {label!r} holds {kind}, no labels: name another with --label-column"
        )
    names = given or _class_label_names(schema, label)
    if not names:
        raise DataError(
            f"{file}: the labels are numbers, and its metadata names none of them: give their "
            "names in order from 0, as in --label-names anger,contempt,disgust,..."
        )
    return names


def _class_label_names(schema: pa.Schema, label: str) -> LabelNames:
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
