"""What a source of labelled images is, and the rows that it yields."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from datasets.errors import ConfigError
from datasets.manifest import SplitName


class Origin(NamedTuple):
    """Where a row comes from: a file, relative to the source, and a line of it if it is a list."""

    file: str
    row: int | None = None


class SourceRow(NamedTuple):
    """A labelled image that is not read yet."""

    image_id: str
    """Unique within the source."""
    label: int
    """Code 0 to 7."""
    split: SplitName | None
    """None: the source has no split, `prepare` makes one."""
    image: Path | Callable[[], npt.NDArray[np.uint8]]
    """A file, or what draws uint8 [height, width, 3] RGB; picklable, for other processes."""
    origin: Origin


class Rejected(NamedTuple):
    """A row that can't be used."""

    origin: Origin
    reason: str


class Excluded(NamedTuple):
    """A row whose label is None, Uncertain or No-Face: well formed, but never trained on."""

    origin: Origin
    label: int
    """Code 8 to 10."""


AnyRow = SourceRow | Rejected | Excluded


@dataclass(frozen=True)
class SourceOptions:
    """What the user may say about a source; None leaves it to be found out."""

    csv: str | None = None
    """CSV file, relative to the source or absolute."""
    image_column: str | None = None
    label_column: str | None = None

    def __post_init__(self) -> None:
        for name in ("csv", "image_column", "label_column"):
            if getattr(self, name) == "":
                raise ConfigError(f"{name} is empty: leave it out, or give a name")


class Source(Protocol):
    """One public layout of a data set."""

    def detect(self, path: Path) -> bool:
        """Say whether `path` looks like this layout; a quick look, no image is opened."""

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield every row in a stable order. Raises `DataError` if it is not this layout."""
