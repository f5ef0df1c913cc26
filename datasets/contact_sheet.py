"""Faces of each expression side by side, for a look at what a directory of shards holds."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from PIL import Image

from datasets.described import decoded
from datasets.errors import ConfigError
from datasets.folder import Place
from datasets.images import ImageHWC
from datasets.labels import EXPRESSIONS
from datasets.manifest import SPLITS, Manifest, ShardEntry, SplitName
from datasets.picture_sheet import SheetRow, Tile, draw_sheet
from datasets.shards import ShardRow, read_checked

MAX_PER_CLASS: Final = 32

_Faces = dict[int, list[tuple[str, ImageHWC]]]
"""By label: the ids and pixels of faces."""


def contact_sheet(place: Place, manifest: Manifest, per_class: int = 6) -> Image.Image:
    """Draw a row for each expression: up to `per_class` faces of training, then of validation.

    The choice is the same for the same shards: it takes one face of each expression from each of
    `per_class` shards evenly spread over the split, and more from each where there are fewer
    shards. A shard is read only if it is needed. Raises `DataError` that names a damaged shard,
    `ConfigError` for a number out of range.
    """
    if not 1 <= per_class <= MAX_PER_CLASS:
        raise ConfigError(f"faces per class {per_class}: give 1 to {MAX_PER_CLASS}")
    faces = {split: _chosen(place, manifest, split, per_class) for split in SPLITS}
    rows = [_class_row(manifest, code, faces, per_class) for code in range(len(EXPRESSIONS))]
    counts = ", ".join(f"{manifest.rows(split):,} {split}" for split in SPLITS)
    kept = f"{manifest.image_size} pixels, {manifest.encoding} in {manifest.format}"
    title = (manifest.source, f"{counts}; {kept}", "left: training; right: validation")
    return draw_sheet(title, rows)


def _class_row(
    manifest: Manifest, code: int, faces: dict[SplitName, _Faces], per_class: int
) -> SheetRow:
    name = EXPRESSIONS[code]
    train, validation = (
        [Tile(image, (image_id,)) for image_id, image in faces[split].get(code, [])]
        for split in SPLITS
    )
    padding = [None] * (per_class - len(train) + 1)
    heading = (
        f"{code} {name}",
        *(f"{manifest.classes.get(split, {}).get(name, 0):,} {split}" for split in SPLITS),
    )
    return SheetRow(heading, [*train, *padding, *validation])


class _Pick(NamedTuple):
    """A face that may be shown; the smallest are: the first ones of all shards, the second, …"""

    turn: int
    """Which face of its expression it is in its shard."""
    visit: int
    """Which of the shards that were read holds it."""
    row: ShardRow
    shard: ShardEntry


def _chosen(place: Place, manifest: Manifest, split: SplitName, per_class: int) -> _Faces:
    wanted = {
        EXPRESSIONS.index(name): min(count, per_class)
        for name, count in manifest.classes.get(split, {}).items()
        if name in EXPRESSIONS
    }
    picks: dict[int, list[_Pick]] = {label: [] for label in wanted}
    for visit, shard in enumerate(_spread(manifest.of_split(split))):
        if visit >= per_class and all(len(picks[label]) == wanted[label] for label in wanted):
            break
        found = _first_of_shard(place, manifest, shard, per_class)
        for label in wanted:
            new = [_Pick(turn, visit, row, shard) for turn, row in enumerate(found[label])]
            best = sorted(picks[label] + new, key=lambda pick: (pick.turn, pick.visit))
            picks[label] = best[: wanted[label]]
    return {
        label: [(one.row.image_id, decoded(one.row, place, manifest, one.shard)) for one in best]
        for label, best in picks.items()
    }


def _first_of_shard(
    place: Place, manifest: Manifest, shard: ShardEntry, count: int
) -> dict[int, list[ShardRow]]:
    rows: dict[int, list[ShardRow]] = defaultdict(list)
    for row in read_checked(place, manifest, shard):
        if len(rows[row.label]) < count:
            rows[row.label].append(row)
    return rows


def _spread(shards: list[ShardEntry]) -> Iterator[ShardEntry]:
    """Yield all shards so that any number of first ones lie far apart: halves, quarters, …"""
    count = len(shards)
    seen: set[int] = set()
    for bits in range(count.bit_length() + 1):
        for step in range(1 << bits):
            place = count * step >> bits
            if place < count and place not in seen:
                seen.add(place)
                yield shards[place]
