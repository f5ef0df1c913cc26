"""From the rows of a source to the tasks of its shards: fixed before any image is opened.

Nothing here depends on who writes a shard, in which order, or how many write at once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from datasets.errors import ConfigError, DataError
from datasets.manifest import SPLITS, RequestValue, SplitName
from datasets.numbered import named
from datasets.shard_writer import ShardTask
from datasets.sources import AnyRow, Excluded, Rejected, Remark, SourceOptions, SourceRow
from datasets.splits import validation_rows

ROWS_PER_SHARD = 2048
DEFAULT_MAX_REJECTED = 0.01
_NO_OPTIONS = SourceOptions()


@dataclass(frozen=True)
class Deal:
    """How rows are dealt to splits and shards, and how many may be rejected."""

    validation_fraction: float = 0.2
    """Part of each class that is held out where the source has no split."""
    seed: int = 0
    """Decides which part."""
    max_rejected: float = DEFAULT_MAX_REJECTED
    rows_per_shard: int = ROWS_PER_SHARD
    without_leaks: bool = False
    """Drop training images of which validation holds a duplicate."""

    def __post_init__(self) -> None:
        if not 0.0 < self.validation_fraction < 1.0:
            raise ConfigError(
                f"validation fraction {self.validation_fraction}: give a number between 0 and 1"
            )
        if not 0 <= self.seed < 2**64:
            raise ConfigError(f"seed {self.seed}: give a whole number from 0")
        if not 0.0 <= self.max_rejected <= 1.0:
            raise ConfigError(f"max-rejected {self.max_rejected}: give a fraction from 0 to 1")
        if self.rows_per_shard < 1:
            raise ConfigError(f"rows per shard {self.rows_per_shard}: give at least 1")


@dataclass(frozen=True)
class Scan:
    """The rows of a source, before any image is opened."""

    rows: list[SourceRow]
    rejected: list[Rejected]
    excluded: dict[str, int]
    """Rows by reason."""
    remarks: dict[str, int]
    """Rows by remark."""
    labels: str = ""
    """Where the labels are from, and what numbers among them were taken for."""


def scan(
    source_rows: Iterable[AnyRow],
    options: SourceOptions = _NO_OPTIONS,
    source: str = "",
    labels: str = "",
) -> Scan:
    """Sort the rows of a source by what is to become of them; numbers get their meaning first.

    `labels` says where labels of such a source are from. Raises as `numbered.named` does.
    """
    rows: list[SourceRow] = []
    rejected: list[Rejected] = []
    excluded: Counter[str] = Counter()
    remarks: Counter[str] = Counter()
    known = named(source_rows, options, source)
    for row in known.rows:
        match row:
            case SourceRow():
                rows.append(row)
            case Rejected():
                rejected.append(row)
            case Excluded():
                excluded[row.reason] += 1
            case Remark():
                remarks[row.text] += 1
    return Scan(
        rows,
        rejected,
        dict(sorted(excluded.items())),
        dict(sorted(remarks.items())),
        known.told or labels,
    )


def division(rows: Sequence[SourceRow], fraction: RequestValue, seed: RequestValue) -> str:
    """Say whose division into training and validation the rows have."""
    loose = sum(row.split is None for row in rows)
    held_out = f"{fraction} of each class held out, seed {seed}"
    if not loose:
        return "the source's own"
    return held_out if loose == len(rows) else f"the source's own; of {loose:,} images {held_out}"


def shard_tasks(rows: Sequence[SourceRow], deal: Deal) -> Iterator[ShardTask]:
    """Deal the rows to splits and to shards, in the order of the source.

    Raises `DataError` if a split would have no row.
    """
    for split, members in _by_split(rows, deal).items():
        for number, start in enumerate(range(0, len(members), deal.rows_per_shard)):
            chunk = members[start : start + deal.rows_per_shard]
            yield ShardTask(split, number, tuple(chunk))


def _by_split(rows: Sequence[SourceRow], deal: Deal) -> dict[SplitName, list[SourceRow]]:
    loose = [position for position, row in enumerate(rows) if row.split is None]
    labels = [rows[position].label for position in loose]
    chosen = validation_rows(labels, deal.validation_fraction, deal.seed)
    validation = {loose[place] for place in chosen}
    by_split: dict[SplitName, list[SourceRow]] = {split: [] for split in SPLITS}
    for position, row in enumerate(rows):
        default: SplitName = "validation" if position in validation else "train"
        by_split[row.split or default].append(row)
    for split, members in by_split.items():
        if not members:
            raise DataError(
                f"the source has no image for {split}: {len(rows)} image(s) can be used in all"
            )
    return by_split
