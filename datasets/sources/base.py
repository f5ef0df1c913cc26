"""What a source of labelled images is, and the rows that it yields."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from datasets.errors import ConfigError
from datasets.label_orders import ORDERS, order_given, order_named
from datasets.labels import EXCLUDED, Number, is_excluded
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
    file_name: str | None = None
    """What the image's file is called, where `image_id` is not its path; forward slashes."""
    group: str | None = None
    """By what its layout tells, or what `SourceOptions.group_column` holds; None: nothing."""

    @property
    def path(self) -> str:
        """What the source calls the image's file."""
        return self.file_name or self.image_id


class Numbered(NamedTuple):
    """A row whose label is a number that its source does not explain; see `datasets.numbered`."""

    row: SourceRow
    """Its label is that number."""
    elsewhere: int | None = None
    """The code that another place of the source gives it, such as its folder's name."""
    if_other: str = ""
    """The remark to make where the number proves to mean another code than that."""


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


AnyRow = SourceRow | Numbered | Rejected | Excluded | Remark


def excluded(origin: Origin, code: int) -> Excluded:
    """Return the row for a label of one of the excluded codes 8 to 10."""
    return Excluded(origin, EXCLUDED[code])


def labelled(row: SourceRow, label: int | Number) -> AnyRow:
    """Return a row with its label: a code 0 to 10, or a number whose meaning is yet to be found."""
    if isinstance(label, Number):
        return Numbered(row._replace(label=label.value))
    return excluded(row.origin, label) if is_excluded(label) else row._replace(label=label)


def in_group(row: AnyRow, group: str | None, file_name: str | None = None) -> AnyRow:
    """Return a row with what tells its group, if it is one that may be used."""
    if isinstance(row, Numbered):
        return Numbered(row.row._replace(group=group, file_name=file_name))
    if isinstance(row, SourceRow):
        return row._replace(group=group, file_name=file_name)
    return row


NO_GROUPS: Final = "none"
"""What `--group-by` says where there are to be no groups."""


@dataclass(frozen=True)
class SourceOptions:
    """What the user may say about a source; None leaves it to be found out."""

    csv: str | None = None
    """CSV file, relative to the source or absolute."""
    image_column: str | None = None
    label_column: str | None = None
    label_names: str | None = None
    """Names of the numbers 0, 1, …, or `NUMBER=NAME`, separated by commas."""
    label_order: str | None = None
    """The order that the numbers have, one of `label_orders.ORDERS`."""
    min_relfcs: float | None = None
    """Least `relFCs` (Kaggle's confidence of a label) of a row that is used."""
    group_by: str | None = None
    """Regular expression for `SourceRow.path`; what it captures is the row's group, which is not
    parted; `NO_GROUPS`: there are none."""
    group_column: str | None = None
    """Column of the groups."""

    def __post_init__(self) -> None:
        for name in _TEXTS:
            if getattr(self, name) == "":
                raise ConfigError(f"{name} is empty: leave it out, or give a name")
        if self.label_names is not None and self.label_order is not None:
            raise ConfigError(
                "--label-names and --label-order both say what numbers mean: give one"
            )
        if self.label_names is not None:
            order_given(self.label_names)
        if self.label_order is not None and self.label_order not in ORDERS:
            order_named(self.label_order, ())
        if self.group_by is not None and self.group_column is not None:
            raise ConfigError("--group-by and --group-column both say what a group is: give one")
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise ConfigError(
                f"--group-by {self.group_by!r} is no regular expression ({error}): mend it"
            ) from error


_TEXTS: Final = (
    *("csv", "image_column", "label_column", "label_names", "label_order"),
    *("group_by", "group_column"),
)


class Source(Protocol):
    """One public layout of a data set."""

    def detect(self, path: Path) -> bool:
        """Say whether `path` looks like this layout; a quick look, no image is opened."""

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield every row in a stable order. Raises `DataError` if it is not this layout."""
