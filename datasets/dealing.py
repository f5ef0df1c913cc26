"""From the rows of a source to the tasks of its shards: fixed before any image is opened.

Nothing here depends on who writes a shard, in which order, or how many write at once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from datasets.errors import ConfigError
from datasets.groups import Groups, find_groups
from datasets.manifest import SplitName
from datasets.numbered import named
from datasets.shard_writer import ShardTask
from datasets.sources import AnyRow, Excluded, Rejected, Remark, SourceOptions, SourceRow

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
    groups: Groups | None = None
    """Images that belong together; None: each stands alone."""


def scan(
    source_rows: Iterable[AnyRow],
    options: SourceOptions = _NO_OPTIONS,
    source: str = "",
    labels: str = "",
) -> Scan:
    """Sort the rows of a source by what is to become of them; numbers get their meaning first.

    `labels` says where labels of such a source are from. Raises as `numbered.named` and
    `groups.find_groups` do.
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
    groups, beside = find_groups(rows, options, source)
    remarks.update(beside)
    return Scan(
        rows,
        rejected,
        dict(sorted(excluded.items())),
        dict(sorted(remarks.items())),
        known.told or labels,
        groups,
    )


def shard_tasks(
    rows: Sequence[SourceRow], by_split: Mapping[SplitName, Sequence[int]], rows_per_shard: int
) -> Iterator[ShardTask]:
    """Deal the rows to shards, in the order of the source; `by_split` has places of rows."""
    for split, places in by_split.items():
        for number, start in enumerate(range(0, len(places), rows_per_shard)):
            chunk = places[start : start + rows_per_shard]
            yield ShardTask(split, number, tuple(rows[place] for place in chunk))
