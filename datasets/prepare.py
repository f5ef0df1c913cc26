"""From images as people have them, or from drawn faces, to checksummed shards.

`prepare` reads top-down: look at the destination, scan the source, plan the shards, write them,
and last of all the manifest, whose presence says that the directory is complete.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

from datasets.destination import (
    REJECTED_NAME,
    clear_half_written,
    finished_manifest,
    write_rejected,
)
from datasets.errors import ConfigError, DataError
from datasets.labels import EXCLUDED, EXPRESSIONS
from datasets.manifest import (
    SPLITS,
    Encoding,
    Manifest,
    RequestValue,
    ShardFormat,
    SplitName,
    content_fingerprint,
    write_manifest,
)
from datasets.shard_writer import ShardOutcome, ShardTask, StoredAs, write_task
from datasets.sources import (
    SOURCES,
    AnyRow,
    Excluded,
    Rejected,
    SourceOptions,
    SourceRow,
    choose_layout,
)
from datasets.sources.drawn import DRAWN_SOURCE, DrawnFaces
from datasets.splits import validation_rows

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

ROWS_PER_SHARD = 2048
DEFAULT_MAX_REJECTED = 0.01
_REASONS_SHOWN = 5


def prepare(
    source_path: Path,
    dest: Path,
    *,
    layout: str | None = None,
    format: ShardFormat = "arrow",
    encoding: Encoding = "jpeg",
    image_size: int = 224,
    validation_fraction: float = 0.2,
    seed: int = 0,
    csv: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    max_rejected: float = DEFAULT_MAX_REJECTED,
    rows_per_shard: int = ROWS_PER_SHARD,
    progress: Progress | None = None,
) -> Manifest:
    """Write the labelled images of `source_path` as shards to `dest`; return their manifest.

    Images become RGB and `image_size` pixels square (see `datasets.images`). A source without a
    validation split gets one: `validation_fraction` of each class, drawn by `seed`. Rows that
    can't be used are listed in `dest/rejected.csv`; rows of the excluded labels are only counted.
    The same request on a finished `dest` changes nothing.

    Raises `DataError` for a source that is absent, empty or of no known layout, for a share of
    rejected rows above `max_rejected`, and for a `dest` that holds other data or can't be written;
    `ConfigError` for an option outside its range.
    """
    stored = StoredAs(image_size, encoding, format)
    options = SourceOptions(csv, image_column, label_column)
    plan = _Plan(validation_fraction, seed, max_rejected, rows_per_shard)
    try:
        layout = choose_layout(source_path, layout, options)
        rows = SOURCES[layout].rows(source_path, options)
        source = {"source": str(source_path.resolve()), "layout": layout}
        return _write(
            dest, rows, {**source, **asdict(options)}, stored=stored, plan=plan, progress=progress
        )
    except OSError as error:
        raise _os_problem(error, dest) from error


def synth(
    dest: Path,
    *,
    train: int,
    validation: int,
    size: int,
    seed: int,
    format: ShardFormat = "arrow",
    encoding: Encoding = "jpeg",
    rows_per_shard: int = ROWS_PER_SHARD,
    progress: Progress | None = None,
) -> Manifest:
    """Draw `train` + `validation` faces of `size` pixels and write them as shards to `dest`.

    The faces depend on `seed` alone. Raises as `prepare` does.
    """
    stored = StoredAs(size, encoding, format)
    faces = DrawnFaces(train, validation, size, seed)
    plan = _Plan(rows_per_shard=rows_per_shard, seed=seed)
    request: dict[str, RequestValue] = {
        "source": DRAWN_SOURCE,
        "train": train,
        "validation": validation,
    }
    try:
        rows = faces.rows(dest, SourceOptions())
        return _write(dest, rows, request, stored=stored, plan=plan, progress=progress)
    except OSError as error:
        raise _os_problem(error, dest) from error


@dataclass(frozen=True)
class _Plan:
    """How rows are dealt to splits and shards, and how many may be rejected."""

    validation_fraction: float = 0.2
    seed: int = 0
    max_rejected: float = DEFAULT_MAX_REJECTED
    rows_per_shard: int = ROWS_PER_SHARD

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
class _Scan:
    """The rows of a source, before any image is opened."""

    rows: list[SourceRow]
    rejected: list[Rejected]
    excluded: dict[str, int]


def _write(
    dest: Path,
    source_rows: Iterable[AnyRow],
    source_request: dict[str, RequestValue],
    *,
    stored: StoredAs,
    plan: _Plan,
    progress: Progress | None,
) -> Manifest:
    request = {**source_request, **asdict(stored), **asdict(plan)}
    finished = finished_manifest(dest, request)
    if finished is not None:
        return finished
    clear_half_written(dest)
    scan = _scan(source_rows)
    _check_rejected(dest, scan.rejected, len(scan.rows), plan.max_rejected)
    if not scan.rows:
        raise DataError(f"{request['source']} has no labelled image that can be used")
    outcomes = list(_outcomes(dest, _tasks(scan.rows, plan), stored, len(scan.rows), progress))
    rejected = [*scan.rejected, *chain.from_iterable(one.rejected for one in outcomes)]
    _check_rejected(dest, rejected, _num_rows(outcomes), plan.max_rejected)
    write_rejected(dest, rejected)
    manifest = _manifest(outcomes, request, stored, scan.excluded, len(rejected))
    write_manifest(dest, manifest)
    return manifest


def _scan(source_rows: Iterable[AnyRow]) -> _Scan:
    rows: list[SourceRow] = []
    rejected: list[Rejected] = []
    excluded: Counter[int] = Counter()
    for row in source_rows:
        if isinstance(row, SourceRow):
            rows.append(row)
        elif isinstance(row, Rejected):
            rejected.append(row)
        else:
            excluded[_excluded_label(row)] += 1
    named = {EXCLUDED[code]: excluded[code] for code in sorted(excluded)}
    return _Scan(rows, rejected, named)


def _excluded_label(row: Excluded) -> int:
    return row.label


def _tasks(rows: Sequence[SourceRow], plan: _Plan) -> Iterator[ShardTask]:
    """Deal the rows to splits and to shards, in the order of the source."""
    for split, members in _by_split(rows, plan).items():
        for number, start in enumerate(range(0, len(members), plan.rows_per_shard)):
            chunk = members[start : start + plan.rows_per_shard]
            yield ShardTask(split, number, tuple(chunk))


def _by_split(rows: Sequence[SourceRow], plan: _Plan) -> dict[SplitName, list[SourceRow]]:
    loose = [position for position, row in enumerate(rows) if row.split is None]
    labels = [rows[position].label for position in loose]
    chosen = validation_rows(labels, plan.validation_fraction, plan.seed)
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


def _outcomes(
    dest: Path,
    tasks: Iterable[ShardTask],
    stored: StoredAs,
    total: int,
    progress: Progress | None,
) -> Iterator[ShardOutcome]:
    done = 0
    for task in tasks:
        yield write_task(dest, task, stored)
        done += len(task.rows)
        if progress is not None:
            progress(done, total)


def _num_rows(outcomes: Iterable[ShardOutcome]) -> int:
    return sum(one.entry.rows for one in outcomes if one.entry is not None)


def _check_rejected(
    dest: Path, rejected: Sequence[Rejected], kept: int, max_rejected: float
) -> None:
    total = kept + len(rejected)
    if not rejected or len(rejected) <= max_rejected * total:
        return
    write_rejected(dest, rejected)
    shown = "\n".join(
        f"  {origin.file}{'' if origin.row is None else f', line {origin.row}'}: {reason}"
        for origin, reason in rejected[:_REASONS_SHOWN]
    )
    raise DataError(
        f"{len(rejected)} of {total} rows can't be used ({len(rejected) / total:.1%}, "
        f"at most {max_rejected:.1%} may be):\n{shown}\n"
        f"All of them are listed in {dest / REJECTED_NAME}. Mend the source, or allow more "
        "with --max-rejected."
    )


def _manifest(
    outcomes: Sequence[ShardOutcome],
    request: dict[str, RequestValue],
    stored: StoredAs,
    excluded: dict[str, int],
    rejected: int,
) -> Manifest:
    counts: dict[SplitName, Counter[str]] = {split: Counter() for split in SPLITS}
    for one in outcomes:
        if one.entry is not None:
            counts[one.entry.split].update(one.classes)
    for split, found in counts.items():
        if not found:
            raise DataError(f"no image of {split} can be used: all are listed in {REJECTED_NAME}")
    digests = chain.from_iterable(one.digests for one in outcomes)
    return Manifest(
        image_size=stored.image_size,
        encoding=stored.encoding,
        format=stored.format,
        source=str(request["source"]),
        request=request,
        shards=[one.entry for one in outcomes if one.entry is not None],
        classes={s: {name: counts[s][name] for name in EXPRESSIONS} for s in SPLITS},
        excluded=excluded,
        rejected=rejected,
        fingerprint=content_fingerprint(stored.image_size, stored.encoding, digests),
    )


def _os_problem(error: OSError, dest: Path) -> DataError:
    where = error.filename if error.filename is not None else dest
    return DataError(
        f"can't read or write {where}: {error.strerror or error}: check the path, "
        f"the permissions and the free space of {dest}"
    )
