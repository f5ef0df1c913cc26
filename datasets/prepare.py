"""From images as people have them, or from drawn faces, to checksummed shards.

`prepare` reads top-down: look at the destination, scan the source, plan the shards, write them,
and last of all the manifest, whose presence says that the directory is complete.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path

from datasets.dealing import (
    DEFAULT_MAX_REJECTED,
    ROWS_PER_SHARD,
    Deal,
    Scan,
    scan,
    shard_tasks,
)
from datasets.destination import (
    check_destination,
    clear_half_written,
    drop_unlisted,
    finished_manifest,
    write_rejected,
)
from datasets.division import Division, divide
from datasets.errors import DataError
from datasets.folder import Folder, LocalFolder, Place, as_folder
from datasets.journal import JOURNAL_NAME, journal
from datasets.labels import EXPRESSIONS
from datasets.leaks import drop_leaks
from datasets.manifest import (
    SPLITS,
    Encoding,
    Manifest,
    RequestValue,
    ShardFormat,
    SplitName,
    content_fingerprint,
    verify_shards,
    write_manifest,
)
from datasets.rejections import check_rejected, check_splits
from datasets.shard_pool import OnThisMachine, RunTasks, shard_outcomes
from datasets.shard_writer import ShardOutcome, StoredAs
from datasets.sources import LABELS, SOURCES, SourceOptions, choose_layout
from datasets.sources.drawn import DRAWN_SOURCE, DrawnFaces

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""


def prepare(
    source_path: Path,
    dest: Place,
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
    label_names: str | None = None,
    label_order: str | None = None,
    min_relfcs: float | None = None,
    group_by: str | None = None,
    group_column: str | None = None,
    margin: float = 0.0,
    max_rejected: float = DEFAULT_MAX_REJECTED,
    without_leaks: bool = False,
    rows_per_shard: int = ROWS_PER_SHARD,
    run: RunTasks | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write the labelled images of `source_path` as shards to `dest`; return their manifest.

    Images become RGB and `image_size` pixels square (see `datasets.images`), after a crop to the
    face's box and `margin` around it where the source has boxes. A source without a
    validation split gets one: `validation_fraction` of each class, drawn by `seed`. Rows that
    can't be used are listed in `dest/rejected.csv`; rows of the excluded labels are only counted.
    The same request on a finished `dest` compares its shards with the manifest and changes nothing,
    whatever became of the source; after an interruption it goes on, and
    `dest` ends with the same bytes. `without_leaks` drops training images of which validation
    holds a duplicate. `run` says where shards are written: by default on all cores.

    Labels that are numbers are those of `label_names` or `label_order` (`datasets.label_orders`),
    where the source or the counts of a known release do not say what they mean.

    Images of one group stay in one split, if `prepare` makes it: what the regular expression
    `group_by` captures in the path of an image (`none`: no groups), what `group_column` holds, or,
    without either, the person in the file names of a known set (`datasets.known_names`).

    Raises `DataError` for a source that is absent, empty or of no known layout, for numbers as
    labels whose meaning nothing tells, for a share of
    rejected rows above `max_rejected`, and for a `dest` that holds other data or can't be written;
    `ConfigError` for an option outside its range.
    """
    stored = StoredAs(image_size, encoding, format, margin)
    options = SourceOptions(
        *(csv, image_column, label_column, label_names, label_order, min_relfcs),
        group_by=group_by,
        group_column=group_column,
    )
    deal = Deal(validation_fraction, seed, max_rejected, rows_per_shard, without_leaks)
    source_path, folder = source_path.absolute(), _absolute(dest)
    try:
        _check_apart(source_path, folder)
        layout = choose_layout(source_path, layout, options)
        rows = SOURCES[layout].rows(source_path, options)
        source = {"source": str(source_path.resolve()), "layout": layout}
        request = {**source, **asdict(options)}
        found = partial(scan, rows, options, str(source_path), LABELS[layout])
        return _write(folder, found, request, stored=stored, deal=deal, run=run, progress=progress)
    except OSError as error:
        raise _os_problem(error, folder) from error


def synth(
    dest: Place,
    *,
    train: int,
    validation: int,
    size: int,
    seed: int,
    format: ShardFormat = "arrow",
    encoding: Encoding = "jpeg",
    rows_per_shard: int = ROWS_PER_SHARD,
    run: RunTasks | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Draw `train` + `validation` faces of `size` pixels and write them as shards to `dest`.

    The faces depend on `seed` alone. Raises as `prepare` does.
    """
    stored = StoredAs(size, encoding, format)
    faces = DrawnFaces(train, validation, size, seed)
    deal = Deal(rows_per_shard=rows_per_shard, seed=seed)
    request: dict[str, RequestValue] = {
        "source": DRAWN_SOURCE,
        "train": train,
        "validation": validation,
    }
    folder = _absolute(dest)
    try:
        found = partial(scan, faces.rows(Path(), SourceOptions()))
        return _write(folder, found, request, stored=stored, deal=deal, run=run, progress=progress)
    except OSError as error:
        raise _os_problem(error, folder) from error


def _write(
    dest: Folder,
    read: Callable[[], Scan],
    source_request: dict[str, RequestValue],
    *,
    stored: StoredAs,
    deal: Deal,
    run: RunTasks | None,
    progress: Progress | None,
) -> Manifest:
    request = {**source_request, **asdict(stored), **asdict(deal)}
    # It decides whether there is a result, never what it is: who allows more keeps what is done.
    del request["max_rejected"]
    finished = finished_manifest(dest, request)
    if finished is not None:
        verify_shards(dest, finished)
        dest.remove_below(JOURNAL_NAME)  # left if it was killed between the manifest and its end
        return finished
    check_destination(dest)
    with journal(dest, request) as continues:
        finished = finished_manifest(dest, request)
        if finished is not None:  # by another process, before this one had the lock
            return finished
        clear_half_written(dest, keep_shards=continues)
        return _write_scanned(
            dest, read(), request, stored=stored, deal=deal, run=run, progress=progress
        )


def _write_scanned(
    dest: Folder,
    found: Scan,
    request: dict[str, RequestValue],
    *,
    stored: StoredAs,
    deal: Deal,
    run: RunTasks | None,
    progress: Progress | None,
) -> Manifest:
    check_rejected(dest, found, found.rejected, len(found.rows), deal.max_rejected)
    if not found.rows:
        raise DataError(f"{request['source']} has no labelled image that can be used")
    divided = divide(found.rows, found.groups, deal.validation_fraction, deal.seed)
    tasks = shard_tasks(found.rows, divided.by_split, deal.rows_per_shard)
    shards = shard_outcomes(dest, tasks, stored, total=len(found.rows), run=run)
    outcomes = _counted(shards, len(found.rows), progress)
    rejected = [*found.rejected, *chain.from_iterable(one.rejected for one in outcomes)]
    check_rejected(dest, found, rejected, _num_rows(outcomes), deal.max_rejected)
    check_splits(dest, outcomes, rejected)
    manifest = _manifest(outcomes, request, stored, found, divided=divided, rejected=len(rejected))
    if deal.without_leaks:
        workers = run.workers if isinstance(run, OnThisMachine) else None
        left = drop_leaks(dest, manifest, outcomes, workers=workers, progress=progress)
        outcomes = left.outcomes
        found.excluded.update(left.dropped)
        found.remarks.update(left.kept)
        manifest = _manifest(
            outcomes, request, stored, found, divided=divided, rejected=len(rejected)
        )
    write_rejected(dest, rejected)
    drop_unlisted(dest, manifest)
    write_manifest(dest, manifest)
    return manifest


def _absolute(dest: Place) -> Folder:
    """Return the folder at `dest` for processes of any working directory."""
    folder = as_folder(dest)
    return LocalFolder(folder.path.absolute()) if isinstance(folder, LocalFolder) else folder


def _check_apart(source: Path, dest: Folder) -> None:
    """See that `dest` is not in the source, or the shards would be taken for a part of it."""
    if isinstance(dest, LocalFolder) and source.is_dir():
        inner = dest.path.resolve()
        if source.resolve() in (inner, *inner.parents):
            raise DataError(f"{dest} lies in the source {source}: choose a directory outside of it")


def _counted(
    shards: Iterable[ShardOutcome], total: int, progress: Progress | None
) -> list[ShardOutcome]:
    outcomes: list[ShardOutcome] = []
    done = 0
    for one in shards:
        outcomes.append(one)
        done += len(one.digests) + len(one.rejected)
        if progress is not None:
            progress(done, total)
    return outcomes


def _num_rows(outcomes: Iterable[ShardOutcome]) -> int:
    return sum(one.entry.rows for one in outcomes if one.entry is not None)


def _manifest(
    outcomes: Sequence[ShardOutcome],
    request: dict[str, RequestValue],
    stored: StoredAs,
    found: Scan,
    *,
    divided: Division,
    rejected: int,
) -> Manifest:
    counts: dict[SplitName, Counter[str]] = {split: Counter() for split in SPLITS}
    for one in outcomes:
        if one.entry is not None:
            counts[one.entry.split].update(one.classes)
    digests = chain.from_iterable(one.digests for one in outcomes)
    return Manifest(
        image_size=stored.image_size,
        encoding=stored.encoding,
        format=stored.format,
        source=str(request["source"]),
        request=request,
        shards=[one.entry for one in outcomes if one.entry is not None],
        classes={s: {name: counts[s][name] for name in EXPRESSIONS} for s in SPLITS},
        excluded=found.excluded,
        remarks=found.remarks | divided.remarks,
        rejected=rejected,
        labels=found.labels,
        division=divided.told,
        fingerprint=content_fingerprint(stored.image_size, stored.encoding, digests),
    )


def _os_problem(error: OSError, dest: Folder) -> DataError:
    where = error.filename if error.filename is not None else dest
    return DataError(
        f"can't read or write {where}: {error.strerror or error}: check the path, "
        f"the permissions and the free space of {dest}"
    )
