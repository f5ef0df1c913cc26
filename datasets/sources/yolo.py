"""Source `yolo`: AffectNet as detection data, `{train,valid,test}/{images,labels}`.

The names of the classes come from the user or from `data.yaml`; without either the numbers' meaning
must be known otherwise (see `datasets.numbered`). An image's label is the class of the one line
`class cx cy w h` in `labels/NAME.txt`. In these copies the images are faces that are cut
out already, with a box over nearly all of them: so the whole image is kept, and a remark counts the
images with a smaller box.

`test` is left out and counted where there is a `valid`, as a set that no model may be chosen on.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datasets.errors import DataError
from datasets.git_lfs import POINTER, is_pointer, refuse_pointer
from datasets.images import EXTENSIONS
from datasets.labels import Number, parse_number
from datasets.manifest import SplitName
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Origin,
    Rejected,
    Remark,
    SourceOptions,
    SourceRow,
    labelled,
)
from datasets.sources.label_names import LabelNames, UnnamedLabelError, named_code
from datasets.sources.leftovers import leftovers
from datasets.sources.paths import NO_FILE, FileFinder, PathRejectedError, clean_text, is_junk
from datasets.sources.split_names import TEST_SPLIT, Role, kind_of, roles

SMALL_BOX = "the box covers less than half of the image: the whole image is kept"

_YAML_NAMES = ("data.yaml", "data.yml")
# A real label file has 40 bytes, a real data.yaml a few hundred.
_MAX_LABEL_BYTES = 1 << 16
_MAX_YAML_BYTES = 1 << 20
# Writers round: a box may end a little past the image.
_TOLERANCE = 1e-3


class Yolo:
    """Images with a label file each."""

    def detect(self, path: Path) -> bool:
        """Say whether a folder of a split has folders `images` and `labels`."""
        return path.is_dir() and bool(_splits(path))

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per image or label file, by split and name, and remarks on small boxes.

        Raises `DataError` if it is not this layout, or if `data.yaml` can't be read.
        """
        splits = _splits(path) if path.is_dir() else {}
        if not splits:
            raise DataError(f"{path} has no folders train/images and train/labels")
        names = _names(path, options)
        for folder, role in splits.items():
            yield from _Split(path, folder, role, names, FileFinder(path, [folder])).rows()
        yield from leftovers(path, list(splits), [folder / "images" for folder in splits])


def _splits(path: Path) -> dict[Path, Role]:
    folders = {folder.name: folder for folder in _homes(path)}
    found = {folders[name]: role for name, role in roles(folders).items()}
    return dict(sorted(found.items(), key=lambda one: (kind_of(one[0].name) != "train", one[0])))


def _homes(path: Path) -> list[Path]:
    return [
        folder
        for folder in sorted(path.iterdir())
        if (folder / "images").is_dir() and (folder / "labels").is_dir()
    ]


@dataclass(frozen=True)
class _Split:
    source: Path
    folder: Path
    role: Role
    names: LabelNames
    finder: FileFinder
    """Finds what lies in `folder`."""

    def rows(self) -> Iterator[AnyRow]:
        images, labels = _by_stem(self.folder / "images"), _by_stem(self.folder / "labels")
        for stem in sorted(images.keys() | labels.keys()):
            sharing = sum(_is_image(image) for image in images.get(stem, ()))
            for image in images.get(stem, ()):
                yield from self._image_rows(image, sharing)
            if stem not in images and self.role != TEST_SPLIT:
                for label in labels[stem]:
                    yield Rejected(self._origin(label), "no image of this name")

    def _image_rows(self, image: Path, sharing: int) -> Iterator[AnyRow]:
        origin = self._origin(image)
        if self.role == TEST_SPLIT:
            yield Excluded(origin, TEST_SPLIT)
        elif not _is_image(image):
            suffix = clean_text(image.suffix)
            yield Rejected(origin, f"not an image file (extension {suffix!r})")
        elif sharing > 1:
            yield Rejected(origin, f"{sharing} images share one label file")
        else:
            yield from self._labelled(image, origin, self.role)

    def _labelled(self, image: Path, origin: Origin, split: SplitName | None) -> Iterator[AnyRow]:
        try:
            self.finder.find(f"images/{image.name}")
            number, area = _read_label(self.finder, f"labels/{image.stem}.txt")
            code = named_code(number, self.names) if self.names else Number(number)
        except (PathRejectedError, UnnamedLabelError, _BadLabelError) as error:
            yield Rejected(origin, str(error))
            return
        row = labelled(SourceRow(origin.file, 0, split, image, origin), code)
        if area < 0.5 and not isinstance(row, Excluded):
            yield Remark(SMALL_BOX)
        yield row

    def _origin(self, file: Path) -> Origin:
        return Origin(clean_text(file.relative_to(self.source).as_posix()))


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    """Return the files of a folder by name without extension; no junk, no list of classes."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if not is_junk(file.name) and file.name != "classes.txt" and not file.is_dir():
            found.setdefault(file.stem, []).append(file)
    return found


def _is_image(file: Path) -> bool:
    return file.suffix.casefold() in EXTENSIONS


class _BadLabelError(ValueError):
    """A label file that can't be used; the text says why."""


def _read_label(finder: FileFinder, name: str) -> tuple[int, float]:
    """Return the class and the box's share of the image in the one line of a label file."""
    try:
        with open(finder.find(name), "rb") as stream:
            data = stream.read(_MAX_LABEL_BYTES + 1)
    except PathRejectedError as error:
        reason = "no label file" if str(error) == NO_FILE else f"label file: {error}"
        raise _BadLabelError(reason) from error
    except OSError as error:
        raise _BadLabelError(f"label file: can't be read: {error.strerror}") from error
    if len(data) > _MAX_LABEL_BYTES:
        raise _BadLabelError(f"label file: larger than {_MAX_LABEL_BYTES >> 10} KiB")
    if is_pointer(data):
        raise _BadLabelError(f"label file: {POINTER}")
    lines = data.decode("utf-8-sig", "replace").split("\n")
    lines = [line for line in lines if line.strip()]
    if len(lines) != 1:
        raise _BadLabelError(f"label file: {len(lines)} lines, expected one")
    return _parse_line(lines[0].split())


def _parse_line(fields: list[str]) -> tuple[int, float]:
    number = fields[0] if fields else ""
    if len(fields) != 5:
        raise _BadLabelError(f"label file: {len(fields)} numbers, expected class cx cy w h")
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise _BadLabelError(f"label file: {clean_text(number)[:60]!r} is no class")
    try:
        box = [float(field) for field in fields[1:]]
    except ValueError as error:
        raise _BadLabelError("label file: the box is not made of numbers") from error
    width, height = box[2:]
    inside = all(math.isfinite(edge) and 0 <= edge <= 1 + _TOLERANCE for edge in box)
    if not inside or width <= 0 or height <= 0:
        raise _BadLabelError("label file: the box is not a part of the image from 0 to 1")
    return int(number), width * height


def _names(path: Path, options: SourceOptions) -> LabelNames:
    """Return the names of `data.yaml`; none where it has none, or where the user says them."""
    if options.label_names is not None or options.label_order is not None:
        return {}
    for name in _YAML_NAMES:
        if (path / name).is_file():
            return _yaml_names(path / name)
    return {}


def _yaml_names(file: Path) -> LabelNames:
    refuse_pointer(file)
    try:
        with file.open("rb") as stream:
            told: Any = yaml.safe_load(stream.read(_MAX_YAML_BYTES))
    # Deep nesting ends the parser's recursion; ValueError: a date or a number out of range.
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{file} is no YAML: mend it, or delete it and give --label-names") from (
            error
        )
    names = told.get("names") if isinstance(told, Mapping) else None
    if names is None:
        return {}
    if isinstance(names, list) and names:
        return {number: _text(name) for number, name in enumerate(names)}
    if isinstance(names, Mapping) and names and all(_is_number(key) for key in names):
        return {int(number): _text(name) for number, name in names.items()}
    raise DataError(f"{file}: names is neither a list nor numbered: mend it, or give --label-names")


def _is_number(key: object) -> bool:
    return isinstance(key, int) or (isinstance(key, str) and parse_number(key) is not None)


def _text(name: object) -> str:
    # Nested lists are not written out: YAML's references can make them grow without bound.
    return str(name) if isinstance(name, str | int) else f"a {type(name).__name__}"
