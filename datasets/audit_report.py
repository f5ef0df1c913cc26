"""What an audit found, for people: a CSV of all duplicates and a picture of the worst."""

import csv
import io
from collections import defaultdict
from pathlib import Path
from typing import Final

from PIL import Image

from datasets.audit import Audit, Group, Member
from datasets.files import write_text
from datasets.folder import Place
from datasets.images import ImageHWC
from datasets.manifest import Manifest
from datasets.picture_sheet import SheetRow, Tile, draw_sheet, read_images

COLUMNS: Final = (
    "group",
    "kind",
    "split",
    "image_id",
    "label",
    "expression",
    "shard",
    "row",
    "duplicate_of",
    "distance",
    "similarity",
    "mirrored",
    "leak",
    "conflict",
    "equal",
)
"""Of the CSV: one line for each image that has a duplicate (`audit.Member` explains them)."""

_TILES_OF_GROUP = 8


def write_audit_csv(path: Path, audit: Audit) -> None:
    """Write one line for each image that has a duplicate, leaks first, atomically.

    `group` counts from 1, the worst first; `kind` says whether the image and `duplicate_of` have
    the same pixels (exact), are the same picture (near), or are so by their names alone (name);
    `row` counts from 0; `distance` is in bits of 96; `mirrored`, `leak` and `conflict` are yes or
    no; `equal` counts the other images with the same pixels.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, group in enumerate(audit.groups, start=1):
        for member in group.members:
            writer.writerow((number, *_fields(member)))
    write_text(path, text.getvalue())


def _fields(member: Member) -> tuple[str | int, ...]:
    return (
        member.kind,
        member.split,
        member.image_id,
        member.label,
        member.expression,
        member.shard,
        member.row,
        member.duplicate_of,
        member.distance,
        f"{member.similarity:.3f}",
        _yes(member.mirrored),
        _yes(member.leak),
        _yes(member.conflict),
        member.equal,
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def audit_sheet(
    place: Place, manifest: Manifest, audit: Audit, *, max_groups: int = 20
) -> Image.Image:
    """Draw the worst groups, one to a row: at most 8 images of each, with id, split and label.

    Raises `DataError` that names a damaged shard.
    """
    shown = audit.groups[:max_groups]
    wanted: dict[str, list[int]] = defaultdict(list)
    for group in shown:
        for member in _shown_members(group):
            wanted[member.shard].append(member.row)
    images = read_images(place, manifest, wanted)
    rows = [_sheet_row(number, group, images) for number, group in enumerate(shown, start=1)]
    return draw_sheet(_title(audit, len(shown)), rows)


def _title(audit: Audit, shown: int) -> tuple[str, ...]:
    if not audit.groups:
        return ("No duplicates", f"among {audit.images:,} images")
    return (
        f"Duplicates: the first {shown} of {len(audit.groups):,} groups",
        f"{audit.num_duplicates():,} of {audit.images:,} images have a duplicate",
        f"{audit.num_leaked('train'):,} images of training are in validation too",
        f"{audit.num_conflicts():,} images have a duplicate with another label",
    )


def _shown_members(group: Group) -> tuple[Member, ...]:
    """Return members of both splits and of all labels before others that are like them."""
    first: dict[tuple[str, int], Member] = {}
    for member in group.members:
        first.setdefault((member.split, member.label), member)
    chosen = list(first.values())
    rest = [member for member in group.members if member not in chosen]
    return tuple((chosen + rest)[:_TILES_OF_GROUP])


def _sheet_row(number: int, group: Group, images: dict[tuple[str, int], ImageHWC]) -> SheetRow:
    members = _shown_members(group)
    more = len(group.members) - len(members)
    marks = [word for word, true in (("leak", group.leak), ("conflict", group.conflict)) if true]
    heading = (
        f"{number}: {', '.join(marks) or 'duplicates'}",
        f"{group.kind}, {len(group.members)} images",
        *([f"{more} more not shown"] if more else []),
    )
    tiles = [
        Tile(
            images[member.shard, member.row],
            (member.image_id, member.split, f"{member.label} {member.expression}"),
        )
        for member in members
    ]
    return SheetRow(heading, tiles)
