"""What a source of labelled images is, and the rows that it yields."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from datasets.errors import ConfigError
from datasets.labels import EXCLUDED
from datasets.manifest import SplitName


class Origin(NamedTuple):
    """Where a row comes from: a file, relative to the source, and a line of it if it is a list."""

    file: str
    row: int | None = None


class Box(NamedTuple):
    """A face in its image, as the data set gives it: pixels, may reach past the image's edge."""

    left: float
    top: float
    width: float
    height: float


LoadImage = Callable[[], "bytes | npt.NDArray[np.uint8]"]
"""Gives an encoded image file, or draws uint8 [height, width, 3] RGB; picklable, for other
processes, with a `repr` that tells one from another, as a frozen dataclass has. Raises
`UnreadableImageError` when its row turns out to be unusable."""


class SourceRow(NamedTuple):
    """A labelled image that is not read yet."""

    image_id: str
    """Unique within the source."""
    label: int
    """Code 0 to 7."""
    split: SplitName | None
    """None: the source has no split, `prepare` makes one."""
    image: Path | LoadImage
    """A file, or what gives its bytes or its pixels."""
    origin: Origin
    box: Box | None = None
    """The face to crop to; None: the whole image is the face."""


class Rejected(NamedTuple):
    """A row that can't be used."""

    origin: Origin
    reason: str


class Excluded(NamedTuple):
    """A well-formed row that is left out on purpose, and counted by its reason."""

    origin: Origin
    reason: str
    """`None`, `Uncertain` or `No-Face` for a label of that kind; few different ones in all."""


class Remark(NamedTuple):
    """Something about a row that changes nothing but that the user should know; counted."""

    text: str
    """The same text for each row that it holds for."""


AnyRow = SourceRow | Rejected | Excluded | Remark


def excluded(origin: Origin, code: int) -> Excluded:
    """Return the row for a label of one of the excluded codes 8 to 10."""
    return Excluded(origin, EXCLUDED[code])


@dataclass(frozen=True)
class SourceOptions:
    """What the user may say about a source; None leaves it to be found out."""

    csv: str | None = None
    """CSV file, relative to the source or absolute."""
    image_column: str | None = None
    label_column: str | None = None
    label_names: str | None = None
    """Names of the labels 0, 1, …, separated by commas, where the source has numbers alone."""
    min_relfcs: float | None = None
    """Least `relFCs` (Kaggle's confidence of a label) of a row that is used."""

    def __post_init__(self) -> None:
        for name in ("csv", "image_column", "label_column", "label_names"):
            if getattr(self, name) == "":
                raise ConfigError(f"{name} is empty: leave it out, or give a name")


class Source(Protocol):
    """One public layout of a data set."""

    def detect(self, path: Path) -> bool:
        """Say whether `path` looks like this layout; a quick look, no image is opened."""

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield every row in a stable order. Raises `DataError` if it is not this layout."""
