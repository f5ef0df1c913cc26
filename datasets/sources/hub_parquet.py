"""Source `hub-parquet`: Parquet files as on the Hugging Face hub, downloaded.

The files lie at the top or under `data/` and are named after their split
(`train-00000-of-00003.parquet`, `validation-...`; a test split is the validation set where there
is no other, and is left out and counted where there is one), or a column (`split`, `usage`, ...)
names it for each row. A column holds the images, encoded, as a struct of `bytes` and `path`;
another one the labels: names, or numbers whose names stand in the file's metadata (`ClassLabel`),
each file's own, or that must be known (see `datasets.numbered`).

Rows are numbered from 0, as `pandas` and `datasets` show them. `image_id` is `FILE:ROW`: the `path`
of an image need not be unique, and may be missing; it tells groups only. A column may be given that
says which images are one group, such as those of one person.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import DataError
from datasets.labels import Number, UnknownLabelError, parse_free_label
from datasets.manifest import SplitName
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
    in_group,
    labelled,
)
from datasets.sources.label_names import LabelNames, UnnamedLabelError, named_code
from datasets.sources.list_splits import ListSplits
from datasets.sources.parquet_images import DAMAGED, ParquetImage, damaged_file, image_paths
from datasets.sources.parquet_splits import (
    BY_NAME,
    class_label_names,
    refuse_missing_parts,
    split_word,
    split_words,
    splits_of,
)
from datasets.sources.paths import PathRejectedError, clean_text, find_inside, is_junk
from datasets.sources.split_names import TEST_SPLIT, Role, kind_of

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
        if path.is_dir():
            refuse_missing_parts(files)
        top = path if path.is_dir() else path.parent
        splits = splits_of(files, options)
        for file in sorted(files, key=lambda file: (kind_of(split_word(file)) != "train", file)):
            name = clean_text(file.relative_to(top).as_posix())
            try:
                find_inside(_root(top), [file.parent], file.name)
                yield from _File(file, name, splits, options).rows()
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


def _root(top: Path) -> Path:
    """Return the folder that links may not leave.

    In the hub's cache a snapshot is made of links to `blobs`, two folders up.
    """
    repository = top.resolve().parent.parent
    in_cache = top.resolve().parent.name == "snapshots" and (repository / "blobs").is_dir()
    return repository if in_cache else top.resolve()


@dataclass(frozen=True)
class _File:
    file: Path
    name: str
    splits: ListSplits
    options: SourceOptions

    def rows(self) -> Iterator[AnyRow]:
        by_name = self.splits.where == BY_NAME
        role, left_out = self.splits.of(split_word(self.file)) if by_name else (None, None)
        with pq.ParquetFile(self.file) as parquet:
            if role == TEST_SPLIT or left_out is not None:
                for row in range(parquet.metadata.num_rows):
                    yield Excluded(Origin(self.name, row), left_out or TEST_SPLIT)
                return
            yield from self._rows(parquet, None if by_name else self.splits, role)

    def _rows(
        self, parquet: pq.ParquetFile, splits: ListSplits | None, role: Role
    ) -> Iterator[AnyRow]:
        schema, options = parquet.schema_arrow, self.options
        image = _column(self.file, schema, "image", options.image_column, _IMAGE_COLUMNS)
        label = _column(self.file, schema, "label", options.label_column, _LABEL_COLUMNS)
        names = _names(self.file, schema, label, options)
        _check_image(self.file, schema.field(image))
        split = splits.column if splits is not None and splits.column in schema.names else None
        groups = _group_column(self.file, schema, options)
        start = 0
        for group in range(parquet.num_row_groups):
            wanted = [label, *(one for one in (split, groups) if one is not None)]
            table = parquet.read_row_group(group, columns=wanted, use_threads=False)
            labels = table.column(label).to_pylist()
            nothing = [None] * len(labels)
            words: list[str | None] = [None] * len(labels)
            if split is not None:
                words = split_words(table.column(split), schema, split)
            of_group = nothing if groups is None else table.column(groups).to_pylist()
            paths = image_paths(parquet, group, image) or nothing
            for row, (value, word) in enumerate(zip(labels, words, strict=True)):
                origin = Origin(self.name, start + row)
                used, left_out = (role, None) if splits is None else splits.of(word)
                if used == TEST_SPLIT or left_out is not None:
                    yield Excluded(origin, left_out or TEST_SPLIT)
                else:
                    image_of = ParquetImage(self.file, group, row, image)
                    found = _row(origin, value, names, used, image_of)
                    yield in_group(found, _group(of_group[row]), paths[row])
            start += len(labels)


def _row(
    origin: Origin,
    value: object,
    names: LabelNames,
    split: SplitName | None,
    image: ParquetImage,
) -> AnyRow:
    try:
        code = _code(value, names)
    except UnnamedLabelError as error:
        return Rejected(origin, str(error))
    except UnknownLabelError:
        return Rejected(origin, f"unknown label {clean_text(str(value))[:60]!r}")
    return labelled(SourceRow(f"{origin.file}:{origin.row}", 0, split, image, origin), code)


def _code(value: object, names: LabelNames) -> int | Number:
    if isinstance(value, str):
        return parse_free_label(value)
    # A column of numbers with gaps is one of floats, if pandas wrote it.
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        if names:
            return named_code(int(value), names)
        if value < 0:
            raise UnnamedLabelError(f"label {int(value)} is no class")
        return Number(int(value))
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


def _group_column(file: Path, schema: pa.Schema, options: SourceOptions) -> str | None:
    if options.group_column is None:
        return None
    column = _column(file, schema, "group", options.group_column, ())
    kind = schema.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer)
    if not any(is_one(kind) for is_one in (*kinds, pa.types.is_floating)):
        raise DataError(
            f"{file}: column {column!r} holds {kind}, no names or numbers of groups: "
            "name another with --group-column"
        )
    return column


def _group(value: object) -> str | None:
    # A column of numbers with gaps is one of floats, if pandas wrote it.
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return None if value is None else clean_text(str(value).strip()) or None


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


def _names(file: Path, schema: pa.Schema, label: str, options: SourceOptions) -> LabelNames:
    """Return the names that the file has for its numbers; what the user says of them is first."""
    kind = schema.field(label).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return {}
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(
            f"{file}: column {label!r} holds {kind}, no labels: name another with --label-column"
        )
    if options.label_names is not None or options.label_order is not None:
        return {}
    return class_label_names(schema, label)
