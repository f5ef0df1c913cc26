"""Training images that validation holds too, taken out of shards that are written already."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from datasets.audit import Progress, audit, leaked_train_ids
from datasets.folder import Folder
from datasets.labels import EXPRESSIONS
from datasets.manifest import Manifest, row_digest
from datasets.shard_writer import ShardOutcome, write_shard
from datasets.shards import ShardRow, read_checked

REASON = "also in validation"
"""What such images are counted under in the manifest."""
BY_NAME = "by its name a copy of a validation image, and kept: a name may lie"
"""The remark on those of which only the name tells."""


class WithoutLeaks(NamedTuple):
    """What is left of the shards."""

    outcomes: list[ShardOutcome]
    dropped: dict[str, int]
    """Images by reason."""
    kept: dict[str, int]
    """Images by remark."""


def drop_leaks(
    dest: Folder,
    manifest: Manifest,
    outcomes: Sequence[ShardOutcome],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> WithoutLeaks:
    """Audit the shards, and write those of training anew without images that validation holds.

    `manifest` describes `outcomes`, and need not be written yet. A training image goes when it is
    an exact or a near duplicate of a validation image (see `datasets.audit`). `workers` processes
    decode, and `progress` counts the images.
    """
    found = audit(dest, manifest, workers=workers, progress=progress)
    leaked = leaked_train_ids(found)
    kept = [_without(dest, manifest, one, leaked) for one in outcomes] if leaked else list(outcomes)
    rows = sum(one.entry.rows for one in kept if one.entry is not None)
    named = found.num_leaked("train", "name")
    dropped = {REASON: manifest.num_rows - rows}
    return WithoutLeaks(kept, dropped, {BY_NAME: named} if named else {})


def _without(
    dest: Folder, manifest: Manifest, outcome: ShardOutcome, leaked: frozenset[str]
) -> ShardOutcome:
    shard = outcome.entry
    if shard is None or shard.split != "train":
        return outcome
    rows = list(read_checked(dest, manifest, shard))
    kept = [row for row in rows if row.image_id not in leaked]
    if len(kept) == len(rows):
        return outcome
    if not kept:
        dest.remove(shard.file)
        return ShardOutcome(None, (), {}, outcome.rejected)
    return ShardOutcome(
        entry=write_shard(dest, shard.file, shard.split, manifest.format, kept),
        digests=tuple(row_digest(shard.split, *row) for row in kept),
        classes=_classes(kept),
        rejected=outcome.rejected,
    )


def _classes(rows: Sequence[ShardRow]) -> dict[str, int]:
    counts = Counter(EXPRESSIONS[row.label] for row in rows)
    return {name: counts[name] for name in EXPRESSIONS if counts[name]}
