"""Source `affectnet-aligned`: AffectNet's release of cropped faces, one annotation file per value.

`train_set/` and `val_set/` each hold `images/<id>.jpg` and `annotations/<id>_exp.npy` (beside
`_val`, `_aro` and `_lnd`, which are not read), at the top or in one folder more. The label is the
single value of `<id>_exp.npy`: text, or a number. An image without a label is rejected, and a label
without an image.
"""

import io
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from datasets.errors import DataError
from datasets.git_lfs import POINTER, is_pointer
from datasets.images import EXTENSIONS
from datasets.labels import UnknownLabelError, is_excluded, parse_label
from datasets.manifest import SplitName
from datasets.sources.base import (
    AnyRow,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
    excluded,
)
from datasets.sources.paths import (
    FileFinder,
    PathRejectedError,
    clean_text,
    is_junk,
    subfolders,
)

_SPLIT_FOLDERS: dict[SplitName, str] = {"train": "train_set", "validation": "val_set"}
_IMAGES, _ANNOTATIONS = "images", "annotations"
_LABEL_SUFFIX = "_exp.npy"
# The file of one value has 132 bytes; more than this holds something else.
_LARGEST_LABEL_FILE = 4096


class AffectNetAligned:
    """Numbered faces with an annotation file for each."""

    def detect(self, path: Path) -> bool:
        """Say whether a folder of a split has both images and annotations."""
        return path.is_dir() and any(_homes(path))

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield the rows of training, then of validation, each by number.

        An `image_id` is the path below the folder that holds the splits. Raises `DataError` if a
        split is missing.
        """
        home = _home(path)
        prefix = "" if home == path else f"{home.name}/"
        for split, folder in _SPLIT_FOLDERS.items():
            yield from _Split(path, home, prefix, split, folder).rows()


class _LabelRejectedError(ValueError):
    """An annotation that is no label; the text says why."""


@dataclass(frozen=True)
class _Split:
    source: Path
    home: Path
    prefix: str
    """Of `home`, relative to `source`; ends with a slash if there is one."""
    split: SplitName
    folder: str

    def rows(self) -> Iterator[AnyRow]:
        labels = frozenset(_names(self.home / self.folder / _ANNOTATIONS))
        finder = FileFinder(self.source, [self.home / self.folder])
        taken: dict[str, str] = {}
        for image in sorted(_names(self.home / self.folder / _IMAGES), key=_by_number):
            stem, extension = os.path.splitext(image)
            origin = self._origin(_IMAGES, image)
            if extension.casefold() not in EXTENSIONS:
                yield Rejected(origin, f"not an image file (extension {clean_text(extension)!r})")
            elif taken.setdefault(stem, image) != image:
                yield Rejected(origin, f"{clean_text(taken[stem])} has this number already")
            elif stem + _LABEL_SUFFIX not in labels:
                yield Rejected(origin, f"there is no annotation {clean_text(stem)}{_LABEL_SUFFIX}")
            else:
                yield self._row(origin, image, stem + _LABEL_SUFFIX, finder)
        for label in sorted(labels, key=_by_number):
            if label.endswith(_LABEL_SUFFIX) and label.removesuffix(_LABEL_SUFFIX) not in taken:
                yield Rejected(
                    self._origin(_ANNOTATIONS, label), "there is no image of this number"
                )

    def _origin(self, kind: str, name: str) -> Origin:
        return Origin(clean_text(f"{self.prefix}{self.folder}/{kind}/{name}"))

    def _row(self, origin: Origin, image: str, label: str, finder: FileFinder) -> AnyRow:
        try:
            file = finder.find(f"{_IMAGES}/{image}")
            code = _label(_read_label_file(finder.find(f"{_ANNOTATIONS}/{label}")))
        except PathRejectedError as error:
            return Rejected(origin, str(error))
        except _LabelRejectedError as error:
            return Rejected(origin, f"annotation {clean_text(label)}: {error}")
        if is_excluded(code):
            return excluded(origin, code)
        image_id = clean_text(f"{self.folder}/{_IMAGES}/{image}")
        return SourceRow(image_id, code, self.split, Path(file), origin)


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if not is_junk(entry.name) and not entry.is_dir()]


def _by_number(name: str) -> tuple[bool, int, str]:
    """Order by the number that a name begins with; names without one come last."""
    digits = name.removesuffix(_LABEL_SUFFIX).partition(".")[0]
    # int() refuses numbers of thousands of digits, and takes digits of other scripts.
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < 20
    return (not is_number, int(digits) if is_number else 0, name)


def _read_label_file(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            data = stream.read(_LARGEST_LABEL_FILE + 1)
    except OSError as error:
        raise _LabelRejectedError(f"can't be read: {error.strerror}") from error
    if len(data) > _LARGEST_LABEL_FILE:
        raise _LabelRejectedError(f"over {_LARGEST_LABEL_FILE} bytes, so more than one value")
    return data


@lru_cache(maxsize=256)  # There are hardly more different files than labels, among 300,000.
def _label(data: bytes) -> int:
    value = _single_value(data)
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    try:
        return parse_label(text.strip().removesuffix(".0"))
    except UnknownLabelError as error:
        raise _LabelRejectedError(f"unknown label {clean_text(text)[:60]!r}") from error


def _single_value(data: bytes) -> object:
    if not data:
        raise _LabelRejectedError("empty file")
    if is_pointer(data):
        raise _LabelRejectedError(POINTER)
    try:
        size = _declared_size(data)
        if size == 1:
            return np.load(io.BytesIO(data), allow_pickle=False).item()
    except Exception as error:
        # NumPy's parser raises what it meets in hostile bytes (ValueError, EOFError, struct.error).
        raise _LabelRejectedError(f"not a NumPy array of one value: {error}") from error
    raise _LabelRejectedError(f"holds {size} values, not one")


def _declared_size(data: bytes) -> int:
    """Return the number of values by the header: NumPy sets memory aside for them unseen."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, _ = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, _ = np.lib.format.read_array_header_2_0(stream)
    return math.prod(shape)


def _homes(path: Path) -> Iterator[Path]:
    """Yield each folder that holds a copy of the release."""
    for home in (path, *subfolders(path)):
        if any(_is_split(home / folder) for folder in _SPLIT_FOLDERS.values()):
            yield home


def _is_split(folder: Path) -> bool:
    return (folder / _IMAGES).is_dir() and (folder / _ANNOTATIONS).is_dir()


def _home(path: Path) -> Path:
    homes = list(_homes(path)) if path.is_dir() else []
    if not homes:
        raise DataError(
            f"{path} is not AffectNet's aligned release: it has no train_set and val_set with "
            f"folders {_IMAGES} and {_ANNOTATIONS}, nor has a folder in it"
        )
    if homes[0] != path and len(homes) > 1:
        copies = ", ".join(map(str, homes))
        raise DataError(f"{path} holds several copies of AffectNet: name one of {copies}")
    for folder in _SPLIT_FOLDERS.values():
        if not _is_split(homes[0] / folder):
            raise DataError(
                f"there is no {homes[0] / folder} with {_IMAGES} and {_ANNOTATIONS}: "
                "fetch the other part of the release too"
            )
    return homes[0]
